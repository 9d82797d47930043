"""Normalisation layers trained themselves: what is added to the scale and the shift of a layer or group norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.layers.changes import add_changes
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.strengths import Strengths

W_NORM, B_NORM = "w_norm", "b_norm"


@dataclass(frozen=True, eq=False)
class NormFactors(LayerFactors):
    """`w_norm` (c,) and `b_norm` (c,), or None."""

    algorithm: ClassVar[str] = "norm"
    on_norms = True

    w_norm: Tensor
    b_norm: Tensor | None = None
    alpha: float | None = None

    @property
    def rank(self) -> int:
        return 1

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:  # noqa: ARG003
        """Zero."""
        return cls(torch.zeros(weight.shape), torch.zeros(weight.shape))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {W_NORM} <= tensors.keys() <= {W_NORM, B_NORM}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        w_norm, b_norm = (tensors[key].float() if key in tensors else None for key in (W_NORM, B_NORM))
        assert w_norm is not None
        if w_norm.ndim != 1 or (b_norm is not None and b_norm.shape != w_norm.shape):
            raise ValueError(f"w_norm has the shape {tuple(w_norm.shape)}")
        return cls(w_norm, b_norm)

    def to_tensors(self) -> dict[str, Tensor]:
        return self.trained()

    def trained(self) -> dict[str, Tensor]:
        return {W_NORM: self.w_norm} | ({} if self.b_norm is None else {B_NORM: self.b_norm})

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, w_norm=tensors[W_NORM], b_norm=tensors.get(B_NORM))

    @property
    def extent(self) -> tuple[int | None, ...]:
        return tuple(self.w_norm.shape)

    def delta_weight(self, weight: Tensor) -> Tensor:
        return self.w_norm.to(weight.device)

    def delta_bias(self) -> Tensor | None:
        return self.b_norm

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return NormAdapter(layer, stack)


class NormAdapter(LayerAdapter):
    """The normalised input under another scale and shift, beside the layer."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        return add_changes(x, y, strengths, self._change)

    def _change(self, k: int, x: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG002
        layer, fields = self.layer, self._stack[k].trained()
        weight = self.tensor(k, W_NORM).to(x.dtype)
        bias = self.tensor(k, B_NORM).to(x.dtype) if B_NORM in fields else None
        if isinstance(layer, nn.GroupNorm):
            return F.group_norm(x, layer.num_groups, weight, bias, layer.eps)
        return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
