"""The rendered world on disk: pictures as memory maps, their visible attributes, and the tag vocabulary."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
WORK = Path(os.environ.get("DOODLE_WORK", HERE / "work"))
SIDE = 128
WORLD = json.loads((HERE / "render" / "world.json").read_text("utf-8"))
BASE_STYLES = [name for name, spec in WORLD["styles"].items() if not spec.get("held_out")]
#: Order of the groups in a caption.
GROUPS = ("style", "shot", "hair", "hair colour", "skin", "eyes", "mouth", "accessory", "clothing", "background")
_SUFFIX = {"hair colour": " hair", "skin": " skin", "clothing": " shirt", "background": " background"}


@dataclass(frozen=True)
class Shard:
    """`pixels` (n, 128, 128, 3) uint8, mapped; `seen` the visible attributes; `frames` (n, 3) x, y, width."""

    name: str
    pixels: np.ndarray
    seen: list[dict[str, str]]
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


def pixels_of(name: str) -> np.ndarray:
    """The pictures of one shard, (n, 128, 128, 3) uint8."""
    raw = np.memmap(WORK / "renders" / f"{name}.bin", np.uint8, mode="r")
    return raw.reshape(-1, SIDE, SIDE, 3)


def shard(name: str) -> Shard:
    """One rendered shard, e.g. ``micah.0`` or ``pixel-art.valid``."""
    lines = [json.loads(line) for line in (WORK / "renders" / f"{name}.jsonl").read_text("utf-8").splitlines()]
    frames = np.array([line["frame"] for line in lines], np.float32)
    return Shard(name, pixels_of(name), [line["seen"] for line in lines], frames)


def training_shards() -> list[str]:
    """Names of the finished base training shards."""
    names = (f"{style}.{index}" for index in range(20) for style in BASE_STYLES)
    return [name for name in names if (WORK / "renders" / f"{name}.bin").exists()]


def tag(group: str, value: str) -> str:
    """The caption tag of an attribute: ``("clothing", "red")`` is ``red shirt``."""
    if group == "style":
        text: str = WORLD["styles"][value]["tag"]
        return text
    return value + _SUFFIX.get(group, "")


def tags(seen: dict[str, str]) -> list[str]:
    """The tags of a picture in caption order, ``1person`` after the style."""
    words = [tag(group, seen[group]) for group in GROUPS if group in seen]
    return [words[0], "1person", *words[1:]]


def vocabulary() -> dict[str, list[str]]:
    """Group -> every tag of it, held-out values and styles included, in a fixed order."""
    found: dict[str, dict[str, None]] = {group: {} for group in GROUPS}
    for style, spec in WORLD["styles"].items():
        found["style"][tag("style", style)] = None
        for group, part in spec["parts"].items():
            for value in (*part["values"], *part.get("held_out", {})):
                found[group][tag(group, value)] = None
    for palettes in (WORLD["palettes"], WORLD["held_out_palettes"]):
        for group, palette in palettes.items():
            for value in palette:
                found[group][tag(group, value)] = None
    for shot in ("portrait", "close-up"):
        found["shot"][shot] = None
    return {group: list(values) for group, values in found.items()}


def as_input(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
