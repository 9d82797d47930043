"""Z-Image: a single-stream transformer of six billion weights that learns a flow, told of texts by Qwen3-4B.

The base and Turbo, its version in few steps, are one family: the same layers, other weights. Names of layers as
musubi-tuner (`networks/lora_zimage.py`) has them, paths as diffusers. Importable without torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.cost import Counts, FamilyCost, PerRow
from lorasmith.bases.families.evidence import Evidence, Prediction, TextStructure, read_config, read_evidence
from lorasmith.bases.families.facts import HeaderFacts, Preset, TextPart, TrainerTimes
from lorasmith.bases.families.family import Family, Models, Parts, Structure
from lorasmith.bases.families.qwen import qwen_targets
from lorasmith.bases.families.readers import ZIMAGE_READERS
from lorasmith.bases.families.zimage_file import examine_file, file_sources, start_of
from lorasmith.bases.families.zimage_layers import BOTH, PICTURE, TEXT, block_layers, end_layers
from lorasmith.bases.targets import TargetLayer
from lorasmith.bases.text.plain_words import open_tokenizer
from lorasmith.errors import BaseError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lorasmith.bases.families.original import Source
    from lorasmith.bases.framing import Framing
    from lorasmith.bases.precision import Weights
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
    from lorasmith.diffusion.parametrisation import Parametrisation

_CLASS = "ZImageTransformer2DModel"
_TEXT_WIDTH, _PUBLIC_DEPTH, _WIDTH, _INNER = 2560, 36, 3840, 10240
_BASE_SHIFT, _TURBO_SHIFT = 6.0, 3.0
"""The samplers' of the two published models (their `scheduler_config.json`)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ZImageFamily(Family):
    """Bases with Z-Image's transformer, Qwen3 and the VAE of Flux."""

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002 - a flow always
        # ai-toolkit's `get_base_model_version`, OneTrainer's `resources/sd_model_spec/z_image-lora.json`.
        return HeaderFacts("zimage", "Z-Image/lora", "https://github.com/huggingface/diffusers")

    def claims(self, evidence: Evidence) -> bool:
        if evidence.header is not None:
            return start_of(evidence.shapes) is not None
        config = evidence.config("transformer")
        return config is not None and config.get("_class_name") == _CLASS

    def examine(self, evidence: Evidence) -> Structure:
        if evidence.header is not None:
            structure = examine_file(self, evidence)
            omni = any("siglip_embedder" in key for key in evidence.shapes)
        else:
            denoiser, vae, qwen = (read_config(evidence.path, part) for part in ("transformer", "vae", "text_encoder"))
            text = (TextStructure("text_encoder", qwen),)
            structure = Structure(self, denoiser, vae, text, evidence=evidence)
            omni = denoiser.get("siglip_feat_dim") is not None
        if omni:
            raise BaseError("is Z-Image-Omni, which is told of pictures, too.", where=evidence.path, hint=_SUPPORTED)
        patches = (structure.denoiser.get("all_patch_size", [2]), structure.denoiser.get("all_f_patch_size", [1]))
        if [list(each) for each in patches] != [[2], [1]]:
            raise BaseError("its transformer takes patches of another size.", where=evidence.path, hint=_SUPPORTED)
        given, read = structure.text[0].config.get("hidden_size"), structure.denoiser.get("cap_feat_dim")
        if given != read:
            raise BaseError(
                f"its text encoder gives vectors {given} wide, its transformer takes {read}.",
                where=evidence.path,
                hint="Take all parts from one model.",
            )
        return structure

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        refiners = int(denoiser.get("n_refiner_layers", 2))
        found = [
            *block_layers(PICTURE, refiners),
            *block_layers(TEXT, refiners),
            *block_layers(BOTH, int(denoiser["n_layers"])),
        ]
        for part, depth in zip(self.text, depths, strict=True):
            found += qwen_targets(part.owner, part.prefix, depth)
        return {target.name: target for target in found}

    def end_targets(self, targets: Collection[TargetLayer]) -> list[TargetLayer]:
        own = (each.path for each in targets if each.owner == self.denoiser_part)
        return end_layers(list(dict.fromkeys(".".join(path.split(".")[:2]) for path in own)))

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.layers(self.targets({"n_layers": 30, "n_refiner_layers": 2}, (_PUBLIC_DEPTH,)))

    def in_comfyui(self, target: TargetLayer) -> str:
        """As ai-toolkit writes it, with q, k and v apart: diffusers reads it, too."""
        start = self.text[0].others[0] if target.part == "te" else "diffusion_model"
        return f"{start}.{target.path}"

    def public_size(self, target: TargetLayer) -> tuple[int, int]:
        if target.group == "ends" or target.owner != self.denoiser_part:
            return 0, 0
        last = target.path.rpartition(".")[2]
        return _INNER if last in ("w1", "w3") else _WIDTH, _INNER if last == "w2" else _WIDTH

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        from lorasmith.bases.families.zimage_parts import read_file, read_parts

        if structure.evidence.header is None:
            return read_parts(structure, dtype, weights)
        return read_file(structure, dtype, weights, _TURBO_SHIFT if is_turbo(structure) else _BASE_SHIFT)

    def parametrisation(
        self, structure: Structure, schedule: Mapping[str, Any], prediction: Prediction | None
    ) -> Parametrisation:
        if not schedule.get("use_dynamic_shifting"):
            return super().parametrisation(structure, schedule, prediction)
        from lorasmith.diffusion.parametrisation import Flow
        from lorasmith.diffusion.timesteps import SizeShift

        return Flow(SizeShift(float(schedule.get("base_shift", 0.5)), float(schedule.get("max_shift", 1.15))))

    def guidance(self, structure: Structure) -> float:
        return 1.0 if is_turbo(structure) else self.cfg

    def cautions(self, structure: Structure) -> tuple[str, ...]:
        return (_TURBO,) if is_turbo(structure) else ()

    def sources(self, structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
        return file_sources(structure, owner, keys)

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.chat import ChatPromptEncoder

        return ChatPromptEncoder(encoders[0])

    def tokenizer(self, path: Path) -> Any:
        name = self.text[0].tokenizer
        if path.is_file():
            from lorasmith.bases.shipped import plain_beside

            vocabulary = examine_file(self, read_evidence(path)).text[0].config["vocab_size"]
            return plain_beside(path, name, vocabulary)
        return open_tokenizer(path, name)

    def denoise(
        self,
        models: Models,
        x_t: Tensor,
        moment: Tensor,
        context: Context,
        framings: Sequence[Framing],  # noqa: ARG002 - it is told no sizes
    ) -> Tensor:
        from lorasmith.bases.families.zimage_parts import denoise

        return denoise(models.denoiser, x_t, moment, context)

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import encode

        return encode(models.vae, pixels_BCHW)

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import decode

        return decode(models.vae, latents)

    def vae_factor(self, models: Models) -> int:
        return int(2 ** (len(models.vae.config.block_out_channels) - 1))

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return [block for kind in (PICTURE, TEXT, BOTH) for block in denoiser.get_submodule(kind).children()]


def is_turbo(structure: Structure) -> bool:
    """Whether a base is Turbo, made to draw in eight steps: by its name or what its file says of itself; of a folder
    whose name does not tell, by its sampler's shift."""
    evidence = structure.evidence
    header = evidence.header
    said = (evidence.path.stem, *(() if header is None else (header.metadata.get("modelspec.title", ""),)))
    words = re.sub(r"[-_. ]", "", " ".join(said).lower())
    if "turbo" in words or "zimage" in words:
        return "turbo" in words and "deturbo" not in words
    schedule = evidence.config("scheduler", "scheduler_config.json") or {}
    return schedule.get("shift") == _TURBO_SHIFT


_SUPPORTED = "Supported: Z-Image and Z-Image-Turbo."
_TURBO = (
    "this base is Z-Image-Turbo, which draws in eight steps: what is trained on it as it is unlearns that, the longer "
    "the more. Train on Z-Image itself, or on Turbo with its training adapter (training_adapter), and draw with Turbo."
)
_VALUES = {
    "resolution": 1024,
    "bucket": {"step": 64},
    "batch_size": 1,
    "target_steps": 2500,
    "rank": 16,
    "alpha": 16,
    "lr": {"unet": 1e-4, "text_encoder": 0.0},
    "optimizer": {"name": "adamw"},
    "schedule": {"name": "constant", "warmup": 50},
    "timesteps": {"sampling": "sigmoid", "shift": 2.0},
    "caption": {"shuffle": False},
    "save_every": "250 steps",
}
_REASONS = (
    "rank 16, alpha 16, 2500 steps: what guides to ai-toolkit give for 10 to 30 images; musubi-tuner takes rank 32",
    "lr 1e-4 on attention and feed-forward of the blocks that read picture and text: ai-toolkit's and musubi-tuner's; "
    "both leave the refiners alone",
    "times by the sigmoid of a normal number, shift 2: musubi-tuner's for Z-Image",
    "captions as they are: Qwen3 reads sentences, and the text encoder stays frozen, as in every trainer",
)
_NORMAL = {"sampling": "logit_normal", "mean": 0.0, "std": 1.0, "shift": 1.0}
_TIMES = {
    "musubi-tuner": TrainerTimes({"sampling": "sigmoid", "std": 1.0, "shift": 2.0}, "docs/zimage.md"),
    # "weighted": its weights of the loss are not taken.
    "ai-toolkit": TrainerTimes({"sampling": "uniform", "shift": 1.0}, "ui/src/app/jobs/new/options.tsx, zimage"),
    "OneTrainer": TrainerTimes(_NORMAL, "training_presets/Z-Image"),
    "diffusion-pipe": TrainerTimes(_NORMAL, "models/z_image.py, prepare_inputs"),
    "diffusers": TrainerTimes(
        {"sampling": "uniform", "shift": _BASE_SHIFT}, "examples/dreambooth/train_dreambooth_lora_z_image.py"
    ),
}

ZIMAGE = ZImageFamily(
    name="zimage",
    denoiser_class=_CLASS,
    title="Z-Image",
    compiles=False,
    # Operations: two a weight and token of 16 x 16 pixels. Others: docs/performance.md.
    cost=FamilyCost(
        4.8e7,
        4.1e10,
        6.6e4,
        2_188_800,
        2_064_384,
        2_000,
        20_000,
        0.25,
        0.0005,
        counted=Counts(
            denoiser=6154.9e6,
            text=4022.5e6,
            vae=83.8e6,
            small_denoiser=6142.0e6,
            small_text=3633.3e6,
            blocks=34,
            block_weights=6143.1e6,
            kept=PerRow(32113.3, 1.12e09),
            inputs=PerRow(995.0, 3.26e07),
            largest=PerRow(1074.3, 3.76e07),
        ),
    ),
    presets={"*": Preset(_VALUES, _REASONS)},
    cfg=5.0,
    resolution=1024,
    text=(
        TextPart("text_encoder", "lora_te", "tokenizer", _TEXT_WIDTH, ("text_encoders.qwen3_4b.transformer.model",)),
    ),
    objective="flow",
    denoiser_part="transformer",
    reads_clip_skip=False,
    version_words=("zimage",),
    hub_words=("zimage", "z-image", "z image"),
    readers=ZIMAGE_READERS,
    trainer_words={
        "kohya": ("networks.lora_zimage",),
        "ai-toolkit": ("zimage",),
        "onetrainer": ("Z_IMAGE",),
        "diffusion-pipe": ("z_image",),
        "hub": ("zimage",),
    },
    kept_wide=frozenset({"all_x_embedder", "all_final_layer", "t_embedder", "cap_embedder"}),
    pixel_step=16,
    comfyui_names=True,
    times=_TIMES,
    fused={"attention_qkv": ("attention_to_q", "attention_to_k", "attention_to_v")},
)
