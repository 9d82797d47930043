"""LoRA on linear and convolution layers (Hu et al. 2021): delta W = alpha / rank * up @ down.

A convolution's `down` has the layer's kernel and stride, its `up` is 1x1. Shapes: B batch, T tokens, i and o the
layer's widths, R the summed rank of the adapters that act together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.algorithms.lora.fused import (
    fused_linear,
    fused_pointwise,
    linear_with_lora,
    pointwise_with_lora,
)
from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, read_alpha
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.bases.pointwise import is_pointwise, is_quicker
from lorasmith.diffusion.transfer import send

DOWN, UP, ALPHA = "lora_down.weight", "lora_up.weight", "alpha"


@dataclass(frozen=True, eq=False)
class LoraFactors(LayerFactors):
    """`down` (r, i) or (r, i, kh, kw); `up` (o, r) or (o, r, 1, 1)."""

    algorithm: ClassVar[str] = "lora"
    proportional = False

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """`down` Kaiming-uniform with a = sqrt(5), as torch and sd-scripts initialise theirs; `up` zero."""
        down = torch.empty(fresh.rank, *weight.shape[1:])
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=fresh.generator)
        return cls(down, torch.zeros(weight.shape[0], fresh.rank, *(1,) * (weight.ndim - 2)), float(fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {DOWN, UP} <= tensors.keys() <= {DOWN, UP, ALPHA}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A file without alpha means alpha = rank, as every reader takes it; so does sd-scripts' alpha = 0."""
        down, up = tensors[DOWN].float(), tensors[UP].float()
        if down.ndim not in (2, 4) or up.ndim != down.ndim or up.shape[1] != down.shape[0] or down.shape[0] < 1:
            raise ValueError(f"down {tuple(down.shape)} and up {tuple(up.shape)} do not make one matrix")
        if up.ndim == 4 and up.shape[2:] != (1, 1):
            raise ValueError(f"up {tuple(up.shape)} is no 1x1 convolution")
        return cls(down, up, read_alpha(tensors, down.shape[0]))

    def to_tensors(self) -> dict[str, Tensor]:
        return {DOWN: self.down, UP: self.up, ALPHA: torch.tensor(float(self.alpha))}

    def trained(self) -> dict[str, Tensor]:
        return {"down": self.down, "up": self.up}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, down=tensors["down"], up=tensors["up"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        return (self.up.shape[0], *self.down.shape[1:])

    def delta_weight(self, weight: Tensor) -> Tensor:
        delta = self.scale * (self.up.flatten(1) @ self.down.flatten(1))
        return delta.reshape(weight.shape).to(weight.device)

    def as_product(self, shape: tuple[int, ...], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return self.up.flatten(1) * self.scale, self.down.flatten(1)

    def as_peft(self) -> dict[str, Tensor] | None:
        return {"lora_A.weight": self.down, "lora_B.weight": self.up * self.scale}

    def first_ranks(self, count: int) -> Self:
        alpha = self.scale * min(count, self.rank)
        return replace(self, down=self.down[:count], up=self.up[:, :count], alpha=alpha)

    def squared_norm(self, weight: Tensor) -> Tensor:  # noqa: ARG002
        """By products of rank x rank: delta W is never built."""
        up, down = self.up.flatten(1), self.down.flatten(1)
        return self.scale**2 * ((up.T @ up) * (down @ down.T)).sum()

    def bound(self, weight: Tensor, most: float) -> bool:
        """Both factors by sqrt(most / norm), as sd-scripts' scale weight norms."""
        norm = float(self.squared_norm(weight).clamp(min=0).sqrt())
        if norm <= most:
            return False
        root = (most / norm) ** 0.5
        self.up.mul_(root)
        self.down.mul_(root)
        return True

    @property
    def near_output(self) -> frozenset[str]:
        return frozenset(("up",))

    def add_to(self, total: Tensor, weight: Tensor, strength: float) -> None:  # noqa: ARG002
        matrix = total.view(total.shape[0], -1)
        matrix.addmm_(self.up.flatten(1), self.down.flatten(1), alpha=strength * self.scale)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        if isinstance(layer, nn.Conv2d):
            return LoraConvAdapter(layer, [factors.shaped_like(layer.weight) for factors in stack])
        return LoraLinearAdapter(layer, [factors.shaped_like(cast(nn.Linear, layer).weight) for factors in stack])

    def shaped_like(self, weight: Tensor) -> Self:
        """Between a linear layer and a 1x1 convolution, which files of different bases write either way."""
        if self.down.ndim == weight.ndim:
            return self
        ones = (1,) * (weight.ndim - 2)
        return replace(
            self, down=self.down.reshape(*self.down.shape[:2], *ones), up=self.up.reshape(*self.up.shape[:2], *ones)
        )


class LoraAdapter(LayerAdapter):
    """What linear layers and convolutions share: the operands of the adapters that are active together."""

    def __init__(self, layer: nn.Module, stack: Sequence[LoraFactors]) -> None:
        super().__init__(layer, stack)
        self._scales = tuple(factors.scale for factors in stack)
        self._ranks = tuple(factors.rank for factors in stack)
        self._kept: dict[Any, tuple[Tensor, Tensor]] = {}

    def _operands(self, strengths: Strengths, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`down` and `up` of the active adapters, joined along the rank; kept while nobody trains them."""
        return self._keep(("joined", strengths.active, dtype), lambda: self._join(strengths, dtype))

    def _join(self, strengths: Strengths, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        if len(strengths.active) == 1:
            return self._pair(strengths.active[0], dtype)
        downs, ups = zip(*(self._pair(k, dtype) for k in strengths.active), strict=True)
        return torch.cat(downs, 0), torch.cat(ups, 1)

    def _pair(self, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`down` and `up` of one adapter as it acts now."""
        return self.tensor(k, "down").to(dtype), self.tensor(k, "up").to(dtype)

    def _keep(self, key: Any, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        if self.tensor(0, "down").requires_grad:
            return make()
        if key not in self._kept:
            if len(self._kept) > 8:
                self._kept.clear()
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = make()
        return self._kept[key]

    def _weights(self, strengths: Strengths, like: Tensor) -> float | Tensor:
        """strength x scale: one number when one adapter acts alike on all rows, else (rows or 1, R)."""
        live = (
            None
            if strengths.dropout is None
            else strengths.dropout.ranks(strengths.layer, self._ranks[strengths.active[0]])
        )
        if strengths.shared is not None and len(strengths.active) == 1:
            strength = strengths.shared[0] * self._scales[strengths.active[0]]
            return strength if live is None else strength * send(live, like.device, like.dtype)
        scales = tuple(self._scales[k] for k in strengths.active)
        ranks = tuple(self._ranks[k] for k in strengths.active)

        def spread() -> Tensor:
            rows = torch.tensor([strengths.shared]) if strengths.rows is None else strengths.rows
            scaled = rows * send(torch.tensor(scales), rows.device)
            each = send(torch.tensor(ranks), rows.device)
            return send(scaled.repeat_interleave(each, dim=1, output_size=sum(ranks)), like.device, like.dtype)

        weights = strengths.keep(("spread", scales, ranks, like.dtype), spread)
        return weights if live is None else weights * send(live, like.device, like.dtype)


class LoraLinearAdapter(LoraAdapter):
    """LoRA beside a linear layer whose input is (B, i) or (B, T, i)."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        if strengths.blocks:
            return self._add_blocks(x, y, strengths)
        if strengths.index is not None:
            return self._add_picked(x, y, strengths)
        down, up = self._operands(strengths, x.dtype)
        weights = self._weights(strengths, x)
        h = F.linear(x, down)
        if strengths.dropout is not None:
            h = strengths.dropout.values(strengths.layer, h)
        if isinstance(weights, Tensor):
            return y + F.linear(h * _over_tokens(weights, h), up)
        return y.add(F.linear(h, up), alpha=weights)

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        if (
            strengths.blocks
            or strengths.index is not None
            or (strengths.dropout is not None and strengths.dropout.network)
        ):
            return super().run(original, x, strengths)
        down, up = self._operands(strengths, x.dtype)
        weights = self._weights(strengths, x)
        if isinstance(weights, Tensor):
            weights = _over_tokens(weights, x)
        layer = self.layer
        if torch.is_grad_enabled() and (x.requires_grad or down.requires_grad):
            return cast(Tensor, fused_linear(x, layer, down, up, weights))
        y, _ = linear_with_lora(x, layer.weight, layer.bias, down, up, weights)
        return y

    def _add_blocks(self, x: Tensor, y: Tensor, strengths: Strengths) -> Tensor:
        """Every adapter acts on its own block of rows alone: one batched product for all, no row is copied."""
        assert strengths.rows is not None
        n = len(strengths.active)
        down, up = self._keep(("padded", strengths.active, x.dtype), lambda: self._pad(strengths, x.dtype))
        scales = tuple(self._scales[k] for k in strengths.active)

        def spread() -> Tensor:
            assert strengths.rows is not None
            each = strengths.rows.sum(dim=1).view(n, -1) * send(torch.tensor(scales), x.device).unsqueeze(1)
            tokens = x.numel() // (x.shape[0] * x.shape[-1])
            return each.repeat_interleave(tokens, dim=1).unsqueeze(2).to(x.dtype)

        weights = strengths.keep(("blocks", scales, x.numel() // x.shape[-1], x.dtype), spread)
        h = torch.bmm(x.reshape(n, -1, x.shape[-1]), down.transpose(1, 2)) * weights
        return torch.baddbmm(y.reshape(n, -1, y.shape[-1]), h, up).reshape(y.shape)

    def _add_picked(self, x: Tensor, y: Tensor, strengths: Strengths) -> Tensor:
        """Each row picks its own m of many adapters: gathered factors, padded to one rank; exact."""
        assert strengths.index is not None
        down, up = self._keep(("padded", strengths.active, x.dtype), lambda: self._pad(strengths, x.dtype))
        scales = tuple(self._scales[k] for k in strengths.active)
        B, m = strengths.index.shape
        r = down.shape[1]

        def spread() -> Tensor:
            assert strengths.picked is not None
            scaled = strengths.picked * send(torch.tensor(scales), x.device)[strengths.index]
            return scaled.repeat_interleave(r, dim=1).to(x.dtype).unsqueeze(1)

        weights = strengths.keep(("picked", scales, r, x.dtype), spread)
        down_B = down[strengths.index].reshape(B, m * r, -1)
        up_B = up[strengths.index].reshape(B, m * r, -1)
        x_BTi = x.reshape(B, -1, x.shape[-1])
        h = torch.bmm(x_BTi, down_B.transpose(1, 2)) * weights
        return torch.baddbmm(y.reshape(B, -1, y.shape[-1]), h, up_B).reshape(y.shape)

    def _pad(self, strengths: Strengths, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(n, r, i) and (n, r, o), r the largest rank; the rows past an adapter's own rank are zero."""
        pairs = [self._pair(k, dtype) for k in strengths.active]
        r = max(down.shape[0] for down, _ in pairs)
        downs = [_pad_rows(down, r) for down, _ in pairs]
        ups = [_pad_rows(up.T, r) for _, up in pairs]
        return torch.stack(downs), torch.stack(ups)


class LoraConvAdapter(LoraAdapter):
    """LoRA beside a convolution: its own kernel down to the rank, 1x1 up."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        if strengths.blocks:
            return add_changes(x, y, strengths, lambda k, rows, _: self._change(k, rows))
        down, up = self._operands(strengths, x.dtype)
        weights = self._weights(strengths, x)
        h = convolve(self.layer, x, down)
        if strengths.dropout is not None:
            h = strengths.dropout.values(strengths.layer, h)
        if isinstance(weights, Tensor):
            return y.add_(F.conv2d(h * weights[:, :, None, None], up))
        return y.add_(F.conv2d(h, up), alpha=weights)

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        stands_still = strengths.dropout is not None and strengths.dropout.network
        if strengths.blocks or stands_still or not (is_pointwise(self.layer) and is_quicker(x)):
            return super().run(original, x, strengths)
        down, up = (factor.flatten(1) for factor in self._operands(strengths, x.dtype))
        weights = self._weights(strengths, x)
        if isinstance(weights, Tensor):
            weights = weights.unsqueeze(2)
        if torch.is_grad_enabled() and (x.requires_grad or down.requires_grad):
            y: Tensor = fused_pointwise(x.flatten(2), self.layer, down, up, weights)
        else:
            y, _ = pointwise_with_lora(x.flatten(2), self.layer, down, up, weights)
        return y.view(x.shape[0], -1, *x.shape[2:])

    def _change(self, k: int, x: Tensor) -> Tensor:
        """What the adapter at k adds for these rows, at strength 1."""
        down, up = self._pair(k, x.dtype)
        return F.conv2d(convolve(self.layer, x, down), up) * self._scales[k]


def _pad_rows(factor: Tensor, rows: int) -> Tensor:
    missing = rows - factor.shape[0]
    return F.pad(factor, (0, 0, 0, missing)) if missing else factor


def _over_tokens(weights: Tensor, h: Tensor) -> Tensor:
    """(rows, R) made to multiply h (B, ..., R)."""
    return weights.reshape(weights.shape[0], *(1,) * (h.ndim - 2), weights.shape[1])
