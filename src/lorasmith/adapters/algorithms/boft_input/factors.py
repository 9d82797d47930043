"""Butterfly OFT as PEFT makes it (Liu et al. 2024): W' = s * (W M^T), M a product of rotations of small blocks.

Each block is (I - Q)(I + Q)^-1 with Q the skew part of what is stored; in the i-th stage the inputs are sorted so that
its blocks join what lies up to 2^i blocks apart (`peft.tuners.boft.layer.BOFTLayer.block_butterfly_perm`). `boft_s`
scales the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.divisors import factorise
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.weights import WeightAdapter

BLOCKS, SCALES = "boft_R", "boft_s"


@dataclass(frozen=True, eq=False)
class InputBoftFactors(LayerFactors):
    """`blocks` (m, n, b, b) with n * b inputs; `scales` (o,)."""

    algorithm: ClassVar[str] = "boft_input"
    flattens: ClassVar[bool] = True

    blocks: Tensor
    scales: Tensor
    alpha: float | None = None

    @property
    def rank(self) -> int:
        """The side of a block."""
        return int(self.blocks.shape[-1])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """No turn and no scale, one stage, with blocks of about `rank`."""
        b, n = factorise(weight.flatten(1).shape[1], fresh.rank)
        return cls(torch.zeros(1, n, b, b), torch.ones(weight.shape[0]))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return tensors.keys() == {BLOCKS, SCALES}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        blocks, scales = tensors[BLOCKS].float(), tensors[SCALES].float()
        if blocks.ndim != 4 or blocks.shape[-1] != blocks.shape[-2] or min(blocks.shape) < 1:
            raise ValueError(f"boft_R has the shape {tuple(blocks.shape)}")
        m, n, b = blocks.shape[:3]
        if m > 1 and (b % 2 or n % 2 ** (m - 1)):
            raise ValueError(f"boft_R {tuple(blocks.shape)} makes no butterfly")
        if scales.numel() != max(scales.shape, default=0):
            raise ValueError(f"boft_s has the shape {tuple(scales.shape)}")
        return cls(blocks, scales.flatten())

    def to_tensors(self) -> dict[str, Tensor]:
        return {BLOCKS: self.blocks, SCALES: self.scales}

    def trained(self) -> dict[str, Tensor]:
        return {"blocks": self.blocks, "scales": self.scales}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, blocks=tensors["blocks"], scales=tensors["scales"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        return self.scales.shape[0], self.blocks.shape[1] * self.rank

    def delta_weight(self, weight: Tensor) -> Tensor:
        W = weight.float().flatten(1)
        Q = (self.blocks - self.blocks.transpose(-1, -2)).to(W.device) / 2
        identity = torch.eye(self.rank, device=W.device).expand_as(Q)
        rotations: Tensor = torch.linalg.solve(identity + Q, identity - Q, left=False)
        turned = W.T
        for stage, R in enumerate(rotations):
            order = butterfly_order(W.shape[1], self.rank, stage, len(rotations)).to(W.device)
            mixed = torch.empty_like(turned).index_copy(0, order, turned).view(*R.shape[:2], -1)
            turned = torch.bmm(R, mixed).flatten(0, 1)[order]
        return (turned.T * self.scales.to(W.device)[:, None] - W).reshape(weight.shape)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)


def butterfly_order(inputs: int, side: int, stage: int, stages: int) -> Tensor:
    """Where each input goes before a stage, and comes back from: of groups of 2^stage blocks the even half blocks
    first, then the odd ones."""
    order = torch.arange(inputs)
    if stages == 1:
        return order
    half, group = side // 2, side * 2**stage
    return order.view(-1, group // (2 * half), 2, half).transpose(1, 2).reshape(-1)
