"""Weights of tokens on their vectors. Shapes: B rows, T tokens, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorasmith.bases.text.options import Emphasis
from lorasmith.diffusion.transfer import send
from lorasmith.prompts.attention import Span, parse_attention
from lorasmith.prompts.compatibility import Compat

if TYPE_CHECKING:
    from torch import Tensor


def read_spans(text: str, emphasis: Emphasis, compat: Compat = None) -> list[Span]:
    """The text in stretches of one weight; with emphasis "none" brackets are plain text."""
    return [Span(text)] if emphasis == "none" else parse_attention(text, compat)


def weigh_chunk(hidden_1TD: Tensor, weights: Sequence[float], emphasis: Emphasis) -> Tensor:
    """A chunk's vectors times their token's weight; "original" then restores their mean, as A1111."""
    if all(weight == 1.0 for weight in weights):
        return hidden_1TD
    import torch

    weighted = hidden_1TD * send(torch.tensor(weights, dtype=hidden_1TD.dtype), hidden_1TD.device)[None, :, None]
    if emphasis == "original":
        # NOTE: over this chunk only, so that a picture does not depend on its neighbours in the batch. Where the mean
        # is 0 but for rounding, there is none to restore, and the ratio is none.
        mean, size = weighted.mean(), weighted.abs().mean()
        weighted = weighted * torch.where(mean.abs() > 1e-6 * size, hidden_1TD.mean() / mean, 1.0)
    return weighted


def weigh_texts(hidden_BTD: Tensor, weights: Sequence[Sequence[float]]) -> Tensor:
    """The vectors times their token's weight, each text then scaled to the mean it had, as kohya's trainer does it."""
    import torch

    factors = send(torch.tensor(weights, dtype=hidden_BTD.dtype), hidden_BTD.device)
    weighted = hidden_BTD * factors.unsqueeze(-1)
    return weighted * _mean_ratio(hidden_BTD, weighted).to(weighted.dtype)


def _mean_ratio(one: Tensor, other: Tensor) -> Tensor:
    """The ratio of the means (B, 1, 1) over (T, D); 1 where the other's is 0 but for rounding."""
    import torch

    before, after = (hidden.float().mean(dim=(1, 2), keepdim=True) for hidden in (one, other))
    size = other.float().abs().mean(dim=(1, 2), keepdim=True)
    told = after.abs() > 1e-4 * size
    # NOTE: also where it is not taken, a division by 0 would make the gradient NaN.
    return torch.where(told, before / torch.where(told, after, 1.0), 1.0)
