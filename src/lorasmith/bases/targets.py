"""A layer that an adapter may touch: its names in files, the part of the base that it lies in, and its block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from lorasmith.bases.families.family import Family

Part = Literal["unet", "te"]
Kind = Literal["linear", "conv1", "conv3", "norm"]
Group = Literal["attention", "mlp", "conv", "time", "refiners", "ends", "norm"]


@dataclass(frozen=True)
class TargetLayer:
    """One layer that an adapter may touch.

    `name` is kohya's (`lora_unet_...`, `lora_te_...`); `owner` the diffusers name of the part it lies in ("unet",
    "text_encoder", "text_encoder_2") and `path` its dotted path there, as diffusers and PEFT files spell it. `block` is
    the block that it lies in, as block weights name it ("IN04", "M00", "OUT03"; "TE" for a text encoder's); "BASE" when
    it lies in none. `aliases` are other dotted paths of it that are met in files; `outputs` is how many it has, 0 where
    the table does not tell. "refiners" are the layers of blocks that read the picture or the text alone. "ends" are the
    layers outside the blocks: of times and sizes, the first and the last convolution, a text encoder's projection. They
    are read, drawn with and extracted, but not trained.
    """

    name: str
    part: Part
    kind: Kind
    group: Group
    owner: str
    path: str
    block: str = "BASE"
    aliases: tuple[str, ...] = ()
    outputs: int = 0


class Layered(Protocol):
    """What a base's layers are told by: a live base, or the structure that its header tells."""

    @property
    def name(self) -> str: ...

    @property
    def family(self) -> Family: ...

    @property
    def targets(self) -> Mapping[str, TargetLayer]: ...

    @property
    def layers(self) -> Mapping[str, TargetLayer]: ...


def text_prefix(owner: str) -> str:
    """What stands for kohya's prefix before the layers of a text encoder that another tool calls by its part, in every
    family: "lora_te", "lora_te2" of "text_encoder_2"."""
    if owner.startswith("text_encoder"):
        return f"lora_te{owner.removeprefix('text_encoder').removeprefix('_')}"
    return f"lora_{owner}"


def underscored(path: str) -> str:
    """A dotted path as kohya's names have it."""
    return path.replace(".", "_")
