"""One pass of the denoiser for many pictures, each with its own noise level, texts and adapters.

Shapes: R rows of one forward pass, K adapters, C H W latents, T tokens, D width. A picture follows
``uncond + sum of w_i x cfg x (cond_i - uncond)`` over its prompt's parts (Ho & Salimans 2022; Liu et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lorasmith.bases.base import Base
from lorasmith.bases.text.context import Context
from lorasmith.diffusion.solvers.walk import Noisy
from lorasmith.errors import Stopped
from lorasmith.generation.adapter_sets import AdapterSet, Member
from lorasmith.generation.conditioning import Text, TextReader

Thing = TypeVar("Thing")
MOST_ROWS = 32
"""Of one forward pass, or two a picture where those are more: the parts of a prompt have no say in the memory."""
MOST_VECTORS = 65_536
"""Of all contexts in one forward pass together."""


class TextSchedule:
    """A text's versions, each with the last step in which it is in force, counted from 1. Only the one that was asked
    for last is kept encoded: a text that changes in every step takes no more memory than one that never does."""

    def __init__(self, versions: Sequence[tuple[int, Text]], reader: TextReader) -> None:
        self._versions = versions
        self._reader = reader
        self._text: Text | None = None
        self._context: Context | None = None

    def at(self, step: int, adapter_set: AdapterSet) -> Context:
        """The context in force; encoded with the adapters of the set that act in its text encoders."""
        text = in_force(self._versions, step)
        if self._context is None or text is not self._text:
            self._text, self._context = text, self._reader.encode(text, adapter_set)
        return self._context


@dataclass(frozen=True)
class GuidedPart:
    """A part of a prompt with its weight, and the denoiser's strengths of the adapters that act in it, in each step."""

    weight: float
    schedule: TextSchedule
    strengths: Mapping[Member, tuple[float, ...]]


@dataclass(frozen=True)
class Guidance:
    """What a picture is told in a pass: parts of its prompt, and what to guide away from with the denoiser's
    `strengths` there, of each adapter in each step."""

    parts: tuple[GuidedPart, ...]
    negative: TextSchedule
    cfg: float
    strengths: Mapping[Member, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class DenoiseCall:
    """What is clean in a picture's noisy latents? `size` is its width and height in pixels, `step` counts from 1."""

    noisy: Noisy
    guidance: Guidance
    step: int
    size: tuple[int, int]
    tiling: bool

    @property
    def company(self) -> tuple[object, ...]:
        """Calls of equal company can share a pass."""
        return (self.size, self.tiling)


@dataclass(frozen=True)
class _Part:
    """A context in force, the factor of its output, the length to which it is stretched, the adapters' strengths."""

    context: Context
    factor: float
    length: int
    strengths: Mapping[Member, float]


@torch.inference_mode()
def run_calls(
    base: Base,
    adapter_set: AdapterSet,
    calls: Sequence[DenoiseCall],
    stop: Callable[[], bool] | None = None,
) -> list[Tensor]:
    """x_0 (1, C, H, W) in fp32 for each call; all of one company.

    `stop` is asked before every block of the denoiser; when it says yes Stopped is raised, and nothing is left
    patched. One pass is made for each length of context: a picture must not depend on how long others' prompts are.
    Many parts are told one after another, in passes of bounded memory.
    """
    parametrisation = base.parametrisation
    guided = [torch.zeros_like(call.noisy.x) for call in calls]
    by_length: dict[int, list[tuple[int, _Part]]] = {}
    for picture, call in enumerate(calls):
        for part in _choose(call.guidance, call.step, adapter_set):
            by_length.setdefault(part.length, []).append((picture, part))
    with ExitStack() as patches:
        patches.enter_context(tiled(base.denoiser, calls[0].tiling))
        if stop is not None:
            patches.enter_context(_stopping(base, stop))
        for parts in _passes(by_length, len(calls)):
            asked = [calls[picture] for picture, _ in parts]
            context = Context.join([part.context.stretch(part.length) for _, part in parts]).to(dtype=base.dtype)
            x = torch.cat([call.noisy.x / parametrisation.spread(call.noisy.sigma) for call in asked]).to(base.dtype)
            t = torch.tensor([parametrisation.time(call.noisy.sigma) for call in asked], dtype=torch.float64)
            with adapter_set.acting([part.strengths for _, part in parts]):
                output = base.denoise(x, t, context, asked[0].size)
            for (picture, part), row in zip(parts, torch.split(output.float(), 1), strict=True):
                guided[picture].add_(row, alpha=part.factor)
    return [
        parametrisation.clean_at(call.noisy.x, output, call.noisy.sigma)
        for output, call in zip(guided, calls, strict=True)
    ]


def _passes(
    by_length: Mapping[int, Sequence[tuple[int, _Part]]], pictures: int
) -> Iterator[Sequence[tuple[int, _Part]]]:
    """The rows of each forward pass."""
    for length, parts in by_length.items():
        rows = min(max(MOST_ROWS, 2 * pictures), max(1, MOST_VECTORS // length))
        for first in range(0, len(parts), rows):
            yield parts[first : first + rows]


def _choose(guidance: Guidance, step: int, adapter_set: AdapterSet) -> list[_Part]:
    """What a picture is told at `step`; what would count nothing is left out."""
    parts = [(each.weight * guidance.cfg, each.schedule.at(step, adapter_set), each) for each in guidance.parts]
    longest = max(context.length for _, context, _ in parts)
    away = guidance.negative.at(step, adapter_set)
    chosen = [_Part(context, factor, longest, _at(each.strengths, step)) for factor, context, each in parts]
    rest = 1.0 - math.fsum(factor for factor, _, _ in parts)
    chosen.append(_Part(away, rest, away.length, _at(guidance.strengths, step)))
    return [each for each in chosen if each.factor != 0.0]


def _at(strengths: Mapping[Member, tuple[float, ...]], step: int) -> dict[Member, float]:
    return {member: by_step[step - 1] for member, by_step in strengths.items()}


def in_force(schedule: Sequence[tuple[int, Thing]], step: int) -> Thing:
    """What a schedule of (last step, thing) says in `step`, counted from 1."""
    return next((thing for end, thing in schedule if step <= end), schedule[-1][1])


@contextmanager
def tiled(module: nn.Module, wanted: bool) -> Iterator[None]:
    """Let every padded convolution of `module` go round the edges; on exit they pad as before."""
    changed: list[tuple[nn.Conv2d, Any]] = []
    try:
        for layer in module.modules() if wanted else ():
            if isinstance(layer, nn.Conv2d) and any(layer._reversed_padding_repeated_twice):
                changed.append((layer, layer.padding_mode))
                layer.padding_mode = "circular"
        yield
    finally:
        for layer, mode in changed:
            layer.padding_mode = mode


@contextmanager
def _stopping(base: Base, stop: Callable[[], bool]) -> Iterator[None]:
    def ask(*_: object) -> None:
        if stop():
            raise Stopped("the drawing was stopped.")

    stages = base.family.stages(base.denoiser)
    hooks = [stage.register_forward_pre_hook(ask) for stage in (base.denoiser, *stages)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
