"""One pass of the denoiser for many pictures: each asks what is clean in its latents, at its own noise level.

Shapes: R rows of one forward pass, K adapters, C H W latents, T tokens, D width. A picture follows
``uncond + sum of w_i x cfg x (cond_i - uncond)`` over its prompt's parts (Ho & Salimans 2022; Liu et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lorasmith.bases.base import Base
from lorasmith.bases.text.context import Context
from lorasmith.diffusion.samplers import Look
from lorasmith.errors import Stopped
from lorasmith.generation.adapter_sets import AdapterSet, Member

Thing = TypeVar("Thing")
Schedule = tuple[tuple[int, Context], ...]


@dataclass(frozen=True)
class Guidance:
    """What a picture is told in a pass: parts of its prompt with weights, what to guide away from, its adapters.

    A schedule holds (last step, context) pairs, steps counted from 1. `strengths` are the denoiser's, of each
    adapter in each step.
    """

    parts: tuple[tuple[float, Schedule], ...]
    negative: Schedule
    cfg: float
    strengths: Mapping[Member, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Question:
    """A picture's look at its latents; `size` is its width and height in pixels, `step` counts from 1."""

    look: Look
    guidance: Guidance
    step: int
    size: tuple[int, int]
    tiling: bool

    @property
    def company(self) -> tuple[object, ...]:
        """Questions of equal company can be answered in one pass."""
        return (self.size, self.tiling)


@dataclass(frozen=True)
class _Told:
    """A context in force, the factor of its output, and the length to which it is stretched."""

    context: Context
    factor: float
    length: int


@torch.inference_mode()
def answer(
    base: Base,
    adapter_set: AdapterSet,
    questions: Sequence[Question],
    stop: Callable[[], bool] | None = None,
) -> list[Tensor]:
    """x_0 (1, C, H, W) in fp32 for each question; all of one company.

    `stop` is asked before every block of the denoiser; when it says yes Stopped is raised, and nothing is left
    patched. One pass is made for each length of context: a picture must not depend on how long others' prompts are.
    """
    guided = [torch.zeros_like(question.look.x) for question in questions]
    by_length: dict[int, list[tuple[int, _Told]]] = {}
    for picture, question in enumerate(questions):
        for told in _choose(question.guidance, question.step):
            by_length.setdefault(told.length, []).append((picture, told))
    with ExitStack() as patches:
        patches.enter_context(tiled(base.denoiser, questions[0].tiling))
        if stop is not None:
            patches.enter_context(_stopping(base.denoiser, stop))
        for members in by_length.values():
            asked = [questions[picture] for picture, _ in members]
            sigmas = [question.look.sigma for question in asked]
            context = Context.join([told.context.stretch(told.length) for _, told in members]).to(dtype=base.dtype)
            x = torch.cat([q.look.x / base.parametrisation.spread(q.look.sigma) for q in asked]).to(base.dtype)
            t = torch.tensor([base.parametrisation.time(sigma) for sigma in sigmas], dtype=torch.float64)
            with adapter_set.acting([{m: s[q.step - 1] for m, s in q.guidance.strengths.items()} for q in asked]):
                output = base.denoise(x, t, context, asked[0].size)
            for (picture, told), row in zip(members, torch.split(output.float(), 1), strict=True):
                guided[picture].add_(row, alpha=told.factor)
    return [
        base.parametrisation.clean_at(question.look.x, output, question.look.sigma)
        for output, question in zip(guided, questions, strict=True)
    ]


def _choose(guidance: Guidance, step: int) -> list[_Told]:
    """What a picture is told at `step`; what would count nothing is left out."""
    parts = [(weight * guidance.cfg, in_force(schedule, step)) for weight, schedule in guidance.parts]
    longest = max(context.length for _, context in parts)
    away = in_force(guidance.negative, step)
    told = [_Told(context, factor, longest) for factor, context in parts]
    told.append(_Told(away, 1.0 - sum(factor for factor, _ in parts), away.length))
    return [each for each in told if each.factor != 0.0]


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
def _stopping(denoiser: nn.Module, stop: Callable[[], bool]) -> Iterator[None]:
    def ask(*_: object) -> None:
        if stop():
            raise Stopped("the drawing was stopped.")

    # Residual blocks, transformers and samplers: down_blocks.0.resnets.1, mid_block.attentions.0
    depths = {"down_blocks": 3, "mid_block": 2, "up_blocks": 3}
    blocks = [
        block for name, block in denoiser.named_modules() if name.count(".") == depths.get(name.split(".")[0], 0) > 0
    ]
    hooks = [block.register_forward_pre_hook(ask) for block in (denoiser, *blocks)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
