"""A layer that an adapter may touch: its names in files, the part of the base that it lies in, and its block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Part = Literal["unet", "te"]
Kind = Literal["linear", "conv1", "conv3", "norm"]
Group = Literal["attention", "mlp", "conv", "time", "norm"]


@dataclass(frozen=True)
class TargetLayer:
    """One layer that an adapter may touch.

    `name` is kohya's (`lora_unet_...`, `lora_te_...`); `owner` the diffusers name of the part it lies in ("unet",
    "text_encoder", "text_encoder_2") and `path` its dotted path there, as diffusers and PEFT files spell it. `block` is
    the block that it lies in, as block weights name it ("IN04", "M00", "OUT03"; "TE" for a text encoder's); "BASE" when
    it lies in none.
    """

    name: str
    part: Part
    kind: Kind
    group: Group
    owner: str
    path: str
    block: str = "BASE"

    @property
    def diffusers_name(self) -> str:
        """The name that a careless `replace(".", "_")` of the diffusers path gives: met in SDXL files."""
        return f"{'lora_unet' if self.part == 'unet' else text_prefix(self.owner)}_{underscored(self.path)}"


def text_prefix(owner: str) -> str:
    """How such names of a text encoder's layers begin, in every family: "lora_te", "lora_te2" of "text_encoder_2"."""
    if owner.startswith("text_encoder"):
        return f"lora_te{owner.removeprefix('text_encoder').removeprefix('_')}"
    return f"lora_{owner}"


def underscored(path: str) -> str:
    """A dotted path as kohya's names have it."""
    return path.replace(".", "_")
