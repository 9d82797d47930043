"""What SD 1, SD 2, SDXL and the embedded base have in common: diffusers' UNet, CLIP's text encoders, an AutoencoderKL
(or tiny) with 4-D latents, folders and single files in the original layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.evidence import Evidence, TextStructure, read_config
from lorasmith.bases.families.family import Family, Models, Parts, Structure
from lorasmith.bases.families.original import UNET, Source, text_sources, unet_sources
from lorasmith.bases.families.single_file import (
    SUPPORTED,
    StoredText,
    check_parts,
    read_prediction,
    text_structure,
    unet_config,
    vae_config,
)
from lorasmith.bases.families.unet_layers import end_targets, norm_targets, text_targets, unet_targets
from lorasmith.bases.targets import TargetLayer
from lorasmith.bases.text.plain_words import PlainTokenizer, open_tokenizer
from lorasmith.errors import BaseError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from lorasmith.bases.framing import Framing
    from lorasmith.bases.precision import Weights
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder

PLAIN_BLOCKS: Mapping[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
"""SD 1's blocks, which diffusers takes for a UNet whose configuration does not name its own."""
ENDS = frozenset({"conv_in", "conv_out", "time_embedding", "add_embedding", "text_projection"})
CLIP_L, CLIP_H, CLIP_G = (
    (f"text_encoders.clip_{size}.transformer", f"clip_{size}.transformer", f"clip_{size}") for size in "lhg"
)
"""How names of a CLIP text encoder's layers begin in ComfyUI's files and in OMI's, which OneTrainer once wrote."""
# Residual blocks, transformers and samplers: down_blocks.0.resnets.1, mid_block.attentions.0
_STAGE_DEPTHS = {"down_blocks": 3, "mid_block": 2, "up_blocks": 3}


def layout(ins: Sequence[int], outs: Sequence[int]) -> tuple[str, ...]:
    """The blocks of a list of block weights: BASE (the text encoders), the IN blocks, the middle, the OUT blocks."""
    return ("BASE", *(f"IN{each:02}" for each in ins), "M00", *(f"OUT{each:02}" for each in outs))


LAYOUTS: Mapping[int, tuple[str, ...]] = {
    17: layout((1, 2, 4, 5, 7, 8), range(3, 12)),
    26: layout(range(12), range(12)),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class StableDiffusion(Family):
    """A family with a UNet. `public` is the UNet's configuration in its public models, `public_depths` the layers of
    their text encoders, `text_width` that of the text which the UNet reads; `stability_names`: kohya's files name the
    UNet's layers by Stability's paths; `labelled`: the UNet is told sizes, too.

    Of single files: `stored` says where text encoders lie, `heads` how many each attention has (None: by width),
    `latent_scale` and `vae_upcasts` are the VAE's.
    """

    text_width: int
    public: Mapping[str, Any]
    public_depths: tuple[int, ...]
    stability_names: bool = False
    labelled: bool = False
    stored: tuple[StoredText, ...] = ()
    heads: int | None = None
    latent_scale: float = 0.18215
    vae_upcasts: bool = False
    block_layouts: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: LAYOUTS)
    kept_wide: frozenset[str] = ENDS
    tiles: bool = True
    clip_words: bool = True

    # Recognition.

    def claims(self, evidence: Evidence) -> bool:
        """By the beginning of the last text encoder's keys; of a folder by the UNet's configuration."""
        if evidence.header is not None:
            start = self.stored[-1].start if self.stored else None
            return start is not None and any(key.startswith(start) for key in evidence.shapes)
        config = evidence.config("unet")
        return config is not None and self._claims_unet(config, evidence)

    def _claims_unet(self, config: Mapping[str, Any], evidence: Evidence) -> bool:
        """Whether a folder's UNet is one of this family."""
        raise NotImplementedError

    def examine(self, evidence: Evidence) -> Structure:
        return self._examine_folder(evidence) if evidence.header is None else self._examine_file(evidence)

    def _examine_folder(self, evidence: Evidence) -> Structure:
        folder = evidence.path
        unet = {**PLAIN_BLOCKS, **read_config(folder, "unet")}
        self._check_unet(unet, evidence)
        text = tuple(TextStructure(part.owner, read_config(folder, part.owner)) for part in self.text)
        schedule = evidence.config("scheduler", "scheduler_config.json")
        stated = None if schedule is None else schedule.get("prediction_type", "epsilon")
        return Structure(self, unet, evidence.config("vae") or {}, text, stated, evidence=evidence)

    def _check_unet(self, config: Mapping[str, Any], evidence: Evidence) -> None:
        """Raises BaseError for a folder's UNet of another kind."""
        if config.get("in_channels") != config.get("out_channels"):
            raise BaseError(
                f"its UNet takes {config.get('in_channels')} channels and gives {config.get('out_channels')}.",
                where=evidence.path,
                hint="Inpainting and editing models are no bases for training; take the plain model.",
            )
        if config.get("addition_embed_type") is not None or config.get("encoder_hid_dim_type") is not None:
            raise BaseError("its UNet takes conditions that no supported family has.", where=evidence.path)

    def _examine_file(self, evidence: Evidence) -> Structure:
        shapes, where, header = evidence.shapes, evidence.path, evidence.header
        assert header is not None
        check_parts(evidence)
        self._check_conditions(f"{UNET}label_emb.0.0.weight" in shapes, evidence)
        try:
            prediction, zero_snr = read_prediction(header, where)
            side = self.resolution // 8
            unet = {**unet_config(shapes, self.public, self.heads, side), **self._conditions(evidence)}
            vae = vae_config(shapes, self.resolution, self.latent_scale, self.vae_upcasts)
            text = tuple(text_structure(shapes, stored) for stored in self.stored)
            return Structure(self, unet, vae, text, prediction, zero_snr, evidence)
        except (KeyError, IndexError, ValueError, ZeroDivisionError) as fault:
            raise BaseError(
                f"is like an {self.name} checkpoint, but another structure or incomplete: {fault} is not as it should "
                "be.",
                where=where,
                hint="Distilled and pruned models with fewer blocks are not supported.",
            ) from None

    def _check_conditions(self, labelled: bool, evidence: Evidence) -> None:
        """Raises BaseError when a file's UNet takes size conditions, or lacks them, unlike this family's."""
        if labelled:
            raise BaseError(
                "its UNet takes conditions that its family does not have.", where=evidence.path, hint=SUPPORTED
            )

    def _conditions(self, evidence: Evidence) -> Mapping[str, Any]:  # noqa: ARG002
        """What else a file's UNet is told, as its configuration spells it."""
        return {}

    def known_sides(self, structure: Structure) -> tuple[int, int]:
        side, blocks = structure.denoiser.get("sample_size"), structure.vae.get("block_out_channels")
        factor = 2 ** (len(blocks) - 1) if isinstance(blocks, list | tuple) else self.pixel_step
        return side * factor if isinstance(side, int) else self.resolution, factor

    # Names of layers.

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        """As `Family.targets`. Raises BaseError for blocks that no family has."""
        targets = list(unet_targets(denoiser, self.stability_names))
        for depth, part in zip(depths, self.text, strict=False):
            targets += text_targets(depth, part.prefix, part.owner)
        return {target.name: target for target in targets}

    def norm_targets(self, targets: Iterable[TargetLayer]) -> Iterator[TargetLayer]:
        return norm_targets(targets, self.stability_names)

    def end_targets(self, targets: Collection[TargetLayer]) -> Iterator[TargetLayer]:
        return end_targets(targets, self.stability_names, self.labelled)

    def public_size(self, target: TargetLayer) -> tuple[int, int]:
        if target.path.endswith((".attn2.to_k", ".attn2.to_v")):
            return target.outputs, self.text_width
        width = next((part.width for part in self.text if part.owner == target.owner), 0)
        return target.outputs, width if target.path.endswith(("_proj", ".fc1")) else 0

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.layers(self.targets(self.public, self.public_depths))

    # Live models.

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        if structure.evidence.header is not None:
            from lorasmith.bases.checkpoint import read_checkpoint

            return read_checkpoint(structure, dtype, weights)
        from lorasmith.bases.folders import read_folder

        return read_folder(structure, dtype, weights)

    def tokenizer(self, path: Path) -> Any:
        if path.is_file():
            return PlainTokenizer(None, clip=True)
        return open_tokenizer(path, self.text[0].tokenizer, clip=True)

    def find_module(self, model: nn.Module, target: TargetLayer) -> nn.Module:
        """transformers 5 leaves ``text_model.`` out of one class of text encoders only."""
        if not target.path.startswith("text_model."):
            return super().find_module(model, target)
        root: nn.Module = getattr(model, "text_model", model)
        return root.get_submodule(target.path.removeprefix("text_model."))

    def most_clip_skip(self, depths: Sequence[int]) -> int:
        """The layers of the first text encoder."""
        return depths[0]

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.clip import ClipPromptEncoder, encode_one

        return ClipPromptEncoder(encoders, encode_one)

    def denoise(
        self, models: Models, x_t: Tensor, moment: Tensor, context: Context, framings: Sequence[Framing]
    ) -> Tensor:
        added = self._added(x_t, context, framings)
        out = models.denoiser(
            x_t, moment, encoder_hidden_states=context.hidden, added_cond_kwargs=added, return_dict=False
        )
        return out[0]  # type: ignore[no-any-return]

    def _added(self, x_t: Tensor, context: Context, framings: Sequence[Framing]) -> dict[str, Tensor] | None:
        """What else the UNet is told of each row."""
        del x_t, context, framings
        return None

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import encode

        return encode(models.vae, pixels_BCHW)

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import decode

        return decode(models.vae, latents)

    def vae_factor(self, models: Models) -> int:
        return int(2 ** (len(models.vae.config.block_out_channels) - 1))

    def side(self, models: Models) -> int:
        return int(models.denoiser.config.sample_size) * self.vae_factor(models)

    def quicken(self, denoiser: nn.Module) -> None:
        from lorasmith.bases.hardware import skip_divisions
        from lorasmith.bases.pointwise import multiply_pointwise

        skip_divisions(denoiser)
        multiply_pointwise(denoiser)

    @contextmanager
    def recomputing(self, denoiser: Any, run: Callable[..., Any]) -> Iterator[None]:
        denoiser.enable_gradient_checkpointing(run)
        try:
            yield
        finally:
            denoiser.disable_gradient_checkpointing()

    def sources(self, structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
        text = next((text for text in structure.text if text.owner == owner), None)
        return unet_sources(keys, structure.denoiser) if text is None else text_sources(keys, text)

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return [
            block
            for name, block in denoiser.named_modules()
            if name.count(".") == _STAGE_DEPTHS.get(name.split(".")[0], 0) > 0
        ]

    def blocks(self, denoiser: nn.Module) -> list[nn.Module]:
        """diffusers' UNets compute residual blocks and transformer blocks again; not the middle's first residual
        block, nor what stands around the transformer blocks."""
        found = {path: module for path, module in denoiser.named_modules() if _BLOCK.fullmatch(path)}
        return [found[path] for path in sorted(found, key=_place_in_pass)]


_BLOCK = re.compile(
    r"(?:down_blocks|up_blocks)\.\d+\.resnets\.\d+|mid_block\.resnets\.[1-9]\d*"
    r"|(?:(?:down_blocks|up_blocks)\.\d+|mid_block)\.attentions\.\d+\.transformer_blocks\.\d+"
)


def _place_in_pass(path: str) -> tuple[int, ...]:
    """Where a block of a UNet stands in a forward pass: down, middle, up; in each a residual block, then what attends
    (the middle's first residual block comes before all)."""
    side, *rest = path.split(".")
    place, *inner = (int(part) for part in rest[-4 if "transformer_blocks" in rest else -2 :] if part.isdigit())
    block = 0 if side == "mid_block" else int(rest[0])
    return (("down_blocks", "mid_block", "up_blocks").index(side), block, place, "attentions" in rest, *inner)
