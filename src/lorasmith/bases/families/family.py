"""What a family of base models is: everything that differs from family to family, in one object.

Importable without torch: what computes imports it inside. A new family is a subclass in a file of its own, made known
by `FAMILIES.register`. Shapes: B rows, C channels, F frames, H and W of latents, T tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.evidence import Evidence, Prediction, TextStructure
from lorasmith.bases.families.facts import HeaderFacts, Preset, TextPart, TrainerTimes
from lorasmith.bases.families.readers import Takes
from lorasmith.bases.targets import TargetLayer, text_prefix, underscored
from lorasmith.diffusion.sigmas import ALIGNED

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lorasmith.bases.families.original import Source
    from lorasmith.bases.framing import Framing
    from lorasmith.bases.precision import Weights
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
    from lorasmith.diffusion.parametrisation import Parametrisation
    from lorasmith.project import SubjectKind

Objective = Literal["noise", "flow"]
DENOISERS = ("lora_unet_", "lora_unet.", "lora_transformer_", "diffusion_model.", "model.diffusion_model.", "lycoris_")
"""How names of a denoiser's layers begin: kohya's, OneTrainer's (old backups, older files of transformers), ComfyUI's
with and without a checkpoint's prefix, LyCORIS's wrapper."""
FIRST_TEXTS = ("lora_te_", "lora_te1_")
"""How kohya's names of the first text encoder's layers begin: of an only one, of one of several."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A base's models, loaded, frozen and in eval mode. `text` holds (model, tokenizer) in the family's order;
    `schedule` is the configuration of its noise schedule, as diffusers spells it."""

    denoiser: Any
    vae: Any
    text: tuple[tuple[Any, Any], ...]
    schedule: Mapping[str, Any]


class Models(Protocol):
    """The live models that a family computes with: of a `Base`, or of `Parts`."""

    @property
    def denoiser(self) -> Any: ...

    @property
    def vae(self) -> Any: ...


@dataclass(frozen=True)
class Structure:
    """A base that was recognised: its family, and its parts as configurations. `prediction` is None when it does not
    tell; `evidence` is where it lies."""

    family: Family
    denoiser: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: tuple[TextStructure, ...]
    prediction: Prediction | None = None
    zero_snr: bool = False
    evidence: Evidence = field(compare=False, default=Evidence(Path()))

    @property
    def depths(self) -> tuple[int, ...]:
        """The layers of each text encoder."""
        return tuple(text.depth for text in self.text)

    @property
    def name(self) -> str:
        """What it is called where it lies."""
        return self.evidence.path.stem if self.evidence.path.is_file() else self.evidence.path.resolve().name

    @property
    def most_clip_skip(self) -> int:
        """How far back `clip_skip` may reach; 1 where it means nothing."""
        return self.family.most_clip_skip(self.depths)

    @cached_property
    def targets(self) -> Mapping[str, TargetLayer]:
        """The layers that an adapter may touch, by kohya name."""
        return self.family.targets(self.denoiser, self.depths)

    @cached_property
    def layers(self) -> Mapping[str, TargetLayer]:
        """`targets`, and after them the layers outside the blocks and the norms."""
        return self.family.layers(self.targets)


@dataclass(frozen=True, eq=False, kw_only=True)
class Family(ABC):
    """Bases of one architecture. `name` is its word in files and JSON, `title` as people write it.

    `objective` is what its denoisers learn: to tell the noise (or the velocity) of a discrete diffusion, or the flow
    from picture to noise. `cfg` and `resolution` are what its public models are drawn with. `presets` are by kind of
    subject, as what differs from "*"; with `presets_by_name` they are for the base of the family's name alone, and
    others of its shapes start from the presets of an unknown base. `denoiser_part` and the owners of `text` are the
    folders of its parts, `denoiser_class` is what a configuration calls its denoiser, where no other family has it.

    Of adapter files: `own_names` is how names in kohya's spelling begin that no other family has, `version_words` how
    kohya's base version begins (without ``_v``), `hub_words` how Civitai's names of its bases begin. `trainer_words`:
    by trainer (`recipe.exchange`) what its recipes call such bases, first what is written; of kohya the network
    module, where it has one of its own, and arguments that tell the family. `clip_words`: its words are cut as CLIP's
    vocabulary tells. `comfyui_names`: files are written under the names of `in_comfyui`. `fused` are layers that files
    have in one, under each other: the end of its name, and those of theirs. `block_layouts` are the blocks that a list
    of so many block weights is for. `kept_wide` are parts of a model that stay as they are where its other weights are
    kept compressed: all else passes through them, and they are small. Sides of pictures are multiples of `pixel_step`;
    `tiles` says whether they can be drawn so that they go on round their edges, `compiles` whether a pass is one call
    of the denoiser, which can be compiled. `times` are other trainers', by their names. `aligned_sigmas` are those of
    the schedule Align Your Steps.
    """

    name: str
    title: str
    cost: FamilyCost
    presets: Mapping[str, Preset]
    presets_by_name: bool = False
    cfg: float
    resolution: int
    text: tuple[TextPart, ...]
    objective: Objective = "noise"
    denoiser_part: str = "unet"
    denoiser_class: str = ""
    reads_clip_skip: bool = True
    own_names: tuple[str, ...] = ()
    version_words: tuple[str, ...] = ()
    hub_words: tuple[str, ...] = ()
    trainer_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readers: Mapping[str, Takes] = field(default_factory=dict)
    block_layouts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kept_wide: frozenset[str] = frozenset()
    pixel_step: int = 8
    tiles: bool = False
    compiles: bool = True
    clip_words: bool = False
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    comfyui_names: bool = False
    times: Mapping[str, TrainerTimes] = field(default_factory=dict)
    aligned_sigmas: tuple[float, ...] = ALIGNED

    def __str__(self) -> str:
        return self.name

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that a base in diffusers' layout has."""
        texts = (folder for part in self.text for folder in (part.owner, part.tokenizer))
        return (self.denoiser_part, "vae", *texts, "scheduler")

    @property
    def prefixes(self) -> Mapping[str, str]:
        """How names of layers begin in adapter files of any tool, and what stands for it here: kohya's prefixes, and
        for parts of the model `text_prefix`."""
        found = dict.fromkeys((f"{self.denoiser_part}.", *DENOISERS), "lora_unet_")
        for part in self.text:
            found |= dict.fromkeys((f"{part.prefix}_", f"{part.prefix}."), f"{part.prefix}_")
            found |= dict.fromkeys((f"{each}." for each in (part.owner, *part.others)), f"{text_prefix(part.owner)}_")
        return found

    def preset_for(self, kind: SubjectKind) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Values that a recipe for this kind of subject starts from, and those on top of them."""
        own = self.presets.get(kind.value)
        return self.presets["*"].values, {} if own is None else own.values

    def reasons_for(self, kind: SubjectKind) -> tuple[str, ...]:
        """Why the preset's values are what they are, a sentence each."""
        return self.presets.get(kind.value, self.presets["*"]).reasons

    @abstractmethod
    def header_facts(self, prediction: str | None = None) -> HeaderFacts:
        """What an adapter's header says of a base of this family that predicts so."""

    # Recognition: headers and configurations only.

    @abstractmethod
    def claims(self, evidence: Evidence) -> bool:
        """Whether what lies there looks like a base of this family."""

    @abstractmethod
    def examine(self, evidence: Evidence) -> Structure:
        """The parts of a base that the family claims. Raises BaseError when it is a variant that is not supported, or
        incomplete."""

    def known_sides(self, structure: Structure) -> tuple[int, int]:  # noqa: ARG002
        """What configurations tell before it is loaded: the side in pixels of the pictures that a base was made for,
        and what sides of pictures are multiples of."""
        return self.resolution, self.pixel_step

    def guidance(self, structure: Structure) -> float:  # noqa: ARG002
        """The CFG that a base is drawn with."""
        return self.cfg

    def cautions(self, structure: Structure) -> tuple[str, ...]:  # noqa: ARG002
        """What whoever trains on this base should know before, a sentence each; nothing of most."""
        return ()

    def most_clip_skip(self, depths: Sequence[int]) -> int:  # noqa: ARG002
        """How far back `clip_skip` may reach with text encoders of so many layers; 1 where it means nothing."""
        return 1

    # Names of layers.

    @abstractmethod
    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        """The layers that an adapter may touch, by kohya name: of a denoiser with this configuration, and of text
        encoders with so many layers."""

    def norm_targets(self, targets: Iterable[TargetLayer]) -> Iterable[TargetLayer]:  # noqa: ARG002
        """The normalisation layers that belong to the targets."""
        return ()

    def end_targets(self, targets: Collection[TargetLayer]) -> Iterable[TargetLayer]:  # noqa: ARG002
        """The layers outside the blocks that the targets are in."""
        return ()

    def layers(self, targets: Mapping[str, TargetLayer]) -> dict[str, TargetLayer]:
        """All that an adapter file may touch: the targets, after them the layers outside the blocks and the norms."""
        more = (*self.end_targets(targets.values()), *self.norm_targets(targets.values()))
        return {**targets, **{target.name: target for target in more}}

    def spellings(self, layers: Mapping[str, TargetLayer]) -> dict[str, str]:
        """The layers' own names by every spelling of them under kohya's prefixes: any of their paths, the first text
        encoder with and without a number, `text_model.` left out."""
        starts: dict[str, tuple[str, ...]] = {
            part.owner: (f"{part.prefix}_", f"{text_prefix(part.owner)}_") for part in self.text
        }
        if self.text:
            starts[self.text[0].owner] += FIRST_TEXTS
        found: dict[str, str] = {}
        for target in layers.values():
            for path in (target.path, *target.aliases):
                for start in starts.get(target.owner, ("lora_unet_",)):
                    for each in (path, path.removeprefix("text_model.")):
                        found.setdefault(f"{start}{underscored(each)}", target.name)
        return {**found, **{name: name for name in layers}}

    def in_comfyui(self, target: TargetLayer) -> str:
        """A layer as ComfyUI and those who write for it call it (`comfy/lora.py`): by its path in a checkpoint, a text
        encoder's by the path that it has there."""
        part = next((each for each in self.text if each.owner == target.owner), None)
        if part is None:
            return f"diffusion_model.{next(iter(target.aliases), target.path)}"
        # What has no file of its own lies in the denoiser's.
        start = part.others[0] if part.others else f"diffusion_model.{part.prefix.removeprefix('lora_unet_')}"
        return f"{start}.{target.path}"

    def public_size(self, target: TargetLayer) -> tuple[int, int]:
        """Outputs and inputs of a layer in the family's public models; 0 where they are not told."""
        return target.outputs, 0

    @abstractmethod
    def public_layers(self) -> dict[str, TargetLayer]:
        """The layers of the family's public models, by kohya name."""

    @property
    def block_kinds(self) -> tuple[str, ...]:
        """What its denoisers' blocks are called, without their numbers: "IN", "M", "OUT"."""
        blocks = (target.block for target in self.public_layers().values() if target.part == "unet")
        return tuple(dict.fromkeys(block.rstrip("0123456789") for block in blocks if block != "BASE"))

    # Live models.

    @abstractmethod
    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        """Every part of a base, its frozen weights in these numbers. Raises BaseError."""

    def parametrisation(
        self, structure: Structure, schedule: Mapping[str, Any], prediction: Prediction | None
    ) -> Parametrisation:
        """What a base was taught, by the configuration of its noise schedule and what it predicts."""
        del structure
        from lorasmith.diffusion.parametrisation import Flow, parametrisation_from_config

        if self.objective == "flow":
            return Flow(float(schedule.get("shift", 1.0)))
        table = parametrisation_from_config({**schedule, "prediction_type": prediction or "epsilon"})
        return replace(table, aligned=self.aligned_sigmas)

    @abstractmethod
    def tokenizer(self, path: Path) -> Any:
        """What cuts a text as the first tokenizer of a base that lies there does, for counting a prompt's words:
        without torch, and where its files allow it without transformers. Raises BaseError."""

    @abstractmethod
    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        """How the text encoders read texts; their models are asked for nothing before one is encoded."""

    def find_module(self, model: nn.Module, target: TargetLayer) -> nn.Module:
        """The live layer in its part of the base. Raises AttributeError."""
        return model.get_submodule(target.path)

    @abstractmethod
    def denoise(
        self, models: Models, x_t: Tensor, moment: Tensor, context: Context, framings: Sequence[Framing]
    ) -> Tensor:
        """The denoiser's output for noisy latents; `moment` (B,) is what the denoiser is told of their times. A framing
        for each row, or one for all."""

    def latent_shape(self, models: Models, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of a row of latents, (C, H, W) or (C, F, H, W), for a picture of this width and height."""
        width, height = (side // self.vae_factor(models) for side in size)
        return (int(models.denoiser.config.in_channels), height, width)

    @abstractmethod
    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        """Pixels in [-1, 1] to scaled latents; the distribution's mode."""

    @abstractmethod
    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        """Scaled latents to pixels (B, 3, height, width), about [-1, 1]."""

    @abstractmethod
    def vae_factor(self, models: Models) -> int:
        """Pixels per latent along a side."""

    def side(self, models: Models) -> int:  # noqa: ARG002
        """The side in pixels of the pictures that this base was made for."""
        return self.resolution

    def quicken(self, denoiser: nn.Module) -> None:
        """Let a denoiser compute the same in less time; called once, after loading."""
        del denoiser

    @contextmanager
    def recomputing(self, denoiser: Any, run: Callable[..., Any]) -> Iterator[None]:
        """While this lasts, the denoiser's stages are called by ``run(stage, *arguments)``, which computes their
        activations again in the backward pass."""
        stages: list[Any] = list(self.stages(denoiser))
        before = [vars(stage).get("forward") for stage in stages]
        try:
            for stage in stages:
                stage.forward = partial(run, stage.forward)
            yield
        finally:
            for stage, own in zip(stages, before, strict=True):
                vars(stage).pop("forward", None)  # that of its class again
                if own is not None:
                    stage.forward = own

    def sources(self, structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
        """Where the weights of a part lie in its file, by their keys in the part's model."""
        from lorasmith.bases.families.original import Source

        del structure, owner
        return {key: Source(key) for key in keys}

    @abstractmethod
    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        """The denoiser's blocks in the order of its forward pass: between them a drawing may stop."""

    def blocks(self, denoiser: nn.Module) -> list[nn.Module]:
        """The parts that `recomputing` runs again one by one, in the order of the forward pass: each may be away from
        the device while it is not its turn."""
        return self.stages(denoiser)
