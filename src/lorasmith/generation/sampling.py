"""The sampling loop for one batch of pictures that share steps, sampler and size.

Shapes: B pictures, R rows of one forward pass, K adapters, C H W latents, T tokens, D width. A picture follows
``uncond + sum of w_i x cfg x (cond_i - uncond)`` over its prompt's parts (Ho & Salimans 2022; Liu et al. 2022).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, TextContext
from lorasmith.diffusion.samplers import Walk
from lorasmith.generation.conditioning import stretch
from lorasmith.generation.request import Settings

DECODED_AT_ONCE = 2**20  # pixels
Schedule = tuple[tuple[int, TextContext], ...]


@dataclass(frozen=True)
class Row:
    """One picture to sample: parts of its prompt with weights, what to guide away from, its numbers.

    A schedule holds (last step, context) pairs, steps counted from 1. `strengths` (K,) are the denoiser's.
    """

    parts: tuple[tuple[float, Schedule], ...]
    negative: Schedule
    cfg: float
    seed: int
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class _Pass:
    """One forward pass: which picture each of its rows belongs to, and with what factor its output counts."""

    pictures: Tensor
    factors: Tensor
    context: TextContext
    strengths: Tensor


def sample(
    base: Base, bank: AdapterBank | None, rows: Sequence[Row], settings: Settings
) -> Generator[int, None, list[Image.Image]]:
    """Draw the rows; yields the number of steps done after each, so that the caller may report or stop.

    Nothing is patched and no mode is set while it waits between steps: the base is free for others.
    """
    factor = base.vae_factor
    shape = (1, base.latent_channels, settings.height // factor, settings.width // factor)
    generators = [torch.Generator().manual_seed(row.seed) for row in rows]
    noise = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
    walk = Walk(settings.sampler, base.noise_schedule, settings.steps, base.device)
    passes: list[_Pass] = []
    chosen: list[list[int]] = []
    with torch.inference_mode():
        x = walk.start(noise.to(base.device))
    for index, t in enumerate(walk.timesteps):
        with torch.inference_mode():
            now = [_choose(row, index + 1) for row in rows]
            identities = [[id(told.context) for told in row] for row in now]
            if identities != chosen:
                passes, chosen = _arrange(rows, now, base), identities
            output = _denoise(base, bank, passes, walk.scale(x, t), t, settings)
            x = walk.step(output, t, x, generators)
        yield index + 1
    with torch.inference_mode():
        return _develop(base, x, settings)


@dataclass(frozen=True)
class _Told:
    """A context in force, the factor of its output, and the length to which it is stretched."""

    context: TextContext
    factor: float
    length: int


def _choose(row: Row, step: int) -> list[_Told]:
    """What a picture is told at `step`; what would count nothing is left out."""
    parts = [(weight * row.cfg, _in_force(schedule, step)) for weight, schedule in row.parts]
    longest = max(context.hidden.shape[1] for _, context in parts)
    away = _in_force(row.negative, step)
    told = [_Told(context, factor, longest) for factor, context in parts]
    told.append(_Told(away, 1.0 - sum(factor for factor, _ in parts), away.hidden.shape[1]))
    return [each for each in told if each.factor != 0.0]


def _in_force(schedule: Schedule, step: int) -> TextContext:
    return next((context for end, context in schedule if step <= end), schedule[-1][1])


def _arrange(rows: Sequence[Row], now: Sequence[Sequence[_Told]], base: Base) -> list[_Pass]:
    """One pass for each length of context: a picture must not depend on how long its neighbours' prompts are."""
    by_length: dict[int, list[tuple[int, _Told]]] = {}
    for picture, told in enumerate(now):
        for each in told:
            by_length.setdefault(each.length, []).append((picture, each))
    return [_pass(rows, members, base) for members in by_length.values()]


def _pass(rows: Sequence[Row], members: Sequence[tuple[int, _Told]], base: Base) -> _Pass:
    contexts = [stretch(told.context, told.length) for _, told in members]
    pooled = [context.pooled for context in contexts if context.pooled is not None]
    return _Pass(
        pictures=torch.tensor([picture for picture, _ in members], device=base.device),
        factors=torch.tensor([told.factor for _, told in members], device=base.device)[:, None, None, None],
        context=TextContext(
            torch.cat([context.hidden for context in contexts]).to(base.dtype),
            torch.cat(pooled).to(base.dtype) if pooled else None,
        ),
        strengths=torch.tensor([rows[picture].strengths for picture, _ in members]),
    )


def _denoise(
    base: Base, bank: AdapterBank | None, passes: Sequence[_Pass], x: Tensor, t: Tensor, settings: Settings
) -> Tensor:
    """The guided output (B, C, H, W) in fp32."""
    guided = torch.zeros_like(x)
    for one in passes:
        patched: AbstractContextManager[None] = nullcontext()
        if bank is not None:
            bank.weigh(one.strengths)
            patched = bank.attached()
        x_R = x[one.pictures].to(base.dtype)
        with patched:
            output = base.denoise(x_R, t.expand(len(one.pictures)), one.context, (settings.width, settings.height))
        guided.index_add_(0, one.pictures, output.float() * one.factors)
    return guided


def _develop(base: Base, x: Tensor, settings: Settings) -> list[Image.Image]:
    """Latents to pictures, as many at once as memory allows."""
    images = []
    size = max(1, DECODED_AT_ONCE // (settings.width * settings.height))
    for part in torch.split(x, size):
        pixels = base.decode_latents(part.to(base.dtype)).float()
        whole = pixels.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        images += [Image.fromarray(one) for one in whole.permute(0, 2, 3, 1).cpu().contiguous().numpy()]
    return images
