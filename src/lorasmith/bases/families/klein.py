"""FLUX.2-klein: a transformer of four billion weights that learns a flow, told of texts by Qwen3-4B (9B: 8B).

The base and what was distilled from it to four steps are one family: the same layers, other weights. Paths as diffusers
has them, names of layers made of them. Importable without torch.
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
from lorasmith.bases.families.klein_file import STATES, examine_file, file_sources, start_of
from lorasmith.bases.families.klein_layers import DOUBLE, FUSED, SINGLE, WIDE, block_layers, end_layers
from lorasmith.bases.families.qwen import qwen_targets
from lorasmith.bases.families.readers import KLEIN_READERS
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

_CLASS = "Flux2Transformer2DModel"
_TEXT_WIDTH, _PUBLIC_DEPTH, _WIDTH, _INNER = 2560, 36, 3072, 9216


@dataclass(frozen=True, eq=False, kw_only=True)
class KleinFamily(Family):
    """Bases with FLUX.2's transformer without guidance inside, Qwen3 and the VAE of FLUX.2."""

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002 - a flow always
        # ai-toolkit's `get_base_model_version`.
        return HeaderFacts("flux2_klein_4b", "Flux.2-klein/lora", "https://github.com/huggingface/diffusers")

    def claims(self, evidence: Evidence) -> bool:
        if evidence.header is not None:
            return start_of(evidence.shapes) is not None
        config = evidence.config("transformer")
        return config is not None and config.get("_class_name") == _CLASS and not config.get("guidance_embeds", True)

    def examine(self, evidence: Evidence) -> Structure:
        if evidence.header is not None:
            structure = examine_file(self, evidence)
        else:
            denoiser, vae, qwen = (read_config(evidence.path, part) for part in ("transformer", "vae", "text_encoder"))
            structure = Structure(self, denoiser, vae, (TextStructure("text_encoder", qwen),), evidence=evidence)
        if int(structure.denoiser.get("patch_size", 1)) != 1:
            raise BaseError("its transformer takes patches of another size.", where=evidence.path, hint=_SUPPORTED)
        given, read = structure.text[0].config.get("hidden_size"), structure.denoiser.get("joint_attention_dim")
        if given is None or STATES * int(given) != read:
            raise BaseError(
                f"its text encoder gives {STATES} vectors {given} wide, its transformer takes {read} numbers.",
                where=evidence.path,
                hint="Take all parts from one model.",
            )
        return structure

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        found = [
            *block_layers(DOUBLE, int(denoiser["num_layers"])),
            *block_layers(SINGLE, int(denoiser["num_single_layers"])),
        ]
        for part, depth in zip(self.text, depths, strict=True):
            found += qwen_targets(part.owner, part.prefix, depth)
        return {target.name: target for target in found}

    def end_targets(self, targets: Collection[TargetLayer]) -> list[TargetLayer]:
        return end_layers() if any(each.owner == self.denoiser_part for each in targets) else []

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.layers(self.targets({"num_layers": 5, "num_single_layers": 20}, (_PUBLIC_DEPTH,)))

    def in_comfyui(self, target: TargetLayer) -> str:
        """As diffusers has it, which ComfyUI's `flux_to_diffusers` reads: q, k and v are apart."""
        return f"{self.text[0].others[0] if target.part == 'te' else self.denoiser_part}.{target.path}"

    def public_size(self, target: TargetLayer) -> tuple[int, int]:
        if target.group == "ends" or target.owner != self.denoiser_part:
            return 0, 0
        path = target.path
        if path.startswith(SINGLE):
            return (3 * _WIDTH + 2 * _INNER, _WIDTH) if path.endswith("mlp_proj") else (_WIDTH, _WIDTH + _INNER)
        return 2 * _INNER if path.endswith("_in") else _WIDTH, _INNER if path.endswith("linear_out") else _WIDTH

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        from lorasmith.bases.families.klein_parts import read_file, read_parts

        read = read_parts if structure.evidence.header is None else read_file
        return read(structure, dtype, weights)

    def parametrisation(
        self, structure: Structure, schedule: Mapping[str, Any], prediction: Prediction | None
    ) -> Parametrisation:
        if not schedule.get("use_dynamic_shifting"):
            return super().parametrisation(structure, schedule, prediction)
        from lorasmith.diffusion.parametrisation import Flow
        from lorasmith.diffusion.timesteps import StepShift

        return Flow(StepShift())

    def guidance(self, structure: Structure) -> float:
        return 1.0 if is_distilled(structure) else self.cfg

    def cautions(self, structure: Structure) -> tuple[str, ...]:
        return (_DISTILLED,) if is_distilled(structure) else ()

    def sources(self, structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
        if structure.evidence.header is None:
            return super().sources(structure, owner, keys)
        return file_sources(structure, owner, keys)

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.chat import DeepChatPromptEncoder

        return DeepChatPromptEncoder(encoders[0])

    def tokenizer(self, path: Path) -> Any:
        name = self.text[0].tokenizer
        if path.is_file():
            from lorasmith.bases.shipped import plain_beside

            return plain_beside(path, name, examine_file(self, read_evidence(path)).text[0].config["vocab_size"])
        return open_tokenizer(path, name)

    def denoise(
        self,
        models: Models,
        x_t: Tensor,
        moment: Tensor,
        context: Context,
        framings: Sequence[Framing],  # noqa: ARG002 - it is told no sizes
    ) -> Tensor:
        from lorasmith.bases.families.klein_parts import denoise

        return denoise(models.denoiser, x_t, moment, context)

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        from lorasmith.bases.families.klein_parts import encode

        return encode(models.vae, pixels_BCHW)

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        from lorasmith.bases.families.klein_parts import decode

        return decode(models.vae, latents)

    def vae_factor(self, models: Models) -> int:
        """With the patches of two by two."""
        return int(2 ** len(models.vae.config.block_out_channels))

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return [block for kind in (DOUBLE, SINGLE) for block in denoiser.get_submodule(kind).children()]


def is_distilled(structure: Structure) -> bool:
    """Whether a base was made to draw in four steps: a folder says it, else its name, where it is FLUX.2-klein's."""
    evidence = structure.evidence
    said = (evidence.config(".", "model_index.json") or {}).get("is_distilled")
    if isinstance(said, bool):
        return said
    header = evidence.header
    title = "" if header is None else header.metadata.get("modelspec.title", "")
    words = re.sub(r"[-_. ]", "", f"{evidence.path.stem} {title}".lower())
    return "klein" in words and "base" not in words


_SUPPORTED = "Supported: FLUX.2-klein and its base, 4B and 9B."
_DISTILLED = (
    "this base is FLUX.2-klein as it was distilled to four steps: what is trained on it unlearns them. Train on "
    "FLUX.2-klein-base, and draw with either."
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
    "timesteps": {"sampling": "sigmoid", "shift": "size"},
    "caption": {"shuffle": False},
    "save_every": "250 steps",
}
_REASONS = (
    "rank 16, alpha 16, 2500 steps: as for Z-Image, whose size and text encoder it shares; musubi-tuner takes rank 32",
    "lr 1e-4 on attention and feed-forward of all blocks: musubi-tuner's; OneTrainer's is 3e-5",
    "times by the sigmoid of a normal number, shifted by the picture's size: OneTrainer's for FLUX.2",
    "captions as they are: Qwen3 reads sentences, and the text encoder stays frozen, as in every trainer",
)
_NORMAL = {"sampling": "logit_normal", "mean": 0.0, "std": 1.0, "shift": 1.0}
_TIMES = {
    # flux2_shift; it is told the size, this is what it gives at 1024 x 1024.
    "musubi-tuner": TrainerTimes({"sampling": "sigmoid", "std": 1.0, "shift": 7.5}, "docs/flux_2.md, flux2_shift"),
    # "weighted": its weights of the loss are not taken.
    "ai-toolkit": TrainerTimes({"sampling": "uniform", "shift": 1.0}, "ui/src/app/jobs/new/options.tsx, flux2_klein"),
    "OneTrainer": TrainerTimes({**_NORMAL, "shift": "size"}, "training_presets/Flux 2"),
    "diffusion-pipe": TrainerTimes(_NORMAL, "models/flux2.py, prepare_inputs"),
}

KLEIN = KleinFamily(
    name="klein",
    denoiser_class=_CLASS,
    title="FLUX.2-klein",
    # Operations: two a weight and token of 16 x 16 pixels. Others: docs/performance.md.
    cost=FamilyCost(
        2.9e7,
        3.2e10,
        3.1e4,
        1_505_280,
        2_064_384,
        2_000,
        20_000,
        0.25,
        0.0005,
        counted=Counts(
            denoiser=3875.5e6,
            text=4022.5e6,
            vae=84.0e6,
            small_denoiser=3680.5e6,
            small_text=3633.3e6,
            blocks=25,
            block_weights=3680.5e6,
            kept=PerRow(15043.8, 2.02e09),
            inputs=PerRow(626.0, 8.19e07),
            largest=PerRow(605.9, 8.33e07),
        ),
    ),
    presets={"*": Preset(_VALUES, _REASONS)},
    cfg=4.0,
    resolution=1024,
    text=(
        TextPart("text_encoder", "lora_te", "tokenizer", _TEXT_WIDTH, ("text_encoders.qwen3_4b.transformer.model",)),
    ),
    objective="flow",
    denoiser_part="transformer",
    reads_clip_skip=False,
    version_words=("flux2klein",),
    hub_words=("flux.2 klein", "flux2 klein", "flux.2-klein"),
    readers=KLEIN_READERS,
    trainer_words={
        "kohya": ("networks.lora_flux_2",),
        "ai-toolkit": ("flux2_klein_4b", "flux2_klein_9b"),
        "onetrainer": ("FLUX_2",),
        "diffusion-pipe": ("flux2",),
    },
    kept_wide=WIDE,
    pixel_step=16,
    comfyui_names=True,
    times=_TIMES,
    fused=FUSED,
)
