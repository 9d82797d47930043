"""Diagonal OFT (Qiu et al. 2023) and butterfly OFT (Liu et al. 2024) as lycoris writes them: W' = rescale * R W.

R is orthogonal: each block by Cayley, (I + Q)(I - Q)^-1 with Q = blocks - blocks^T, whose norm is clamped at
`constraint` times the output width (sd-scripts and lycoris; ComfyUI clamps at the constraint itself). Diagonal blocks
act transposed. The strength multiplies the difference, so that adapters add up; lycoris interpolates a butterfly's
stages instead, which agrees at strengths 0 and 1.
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

BLOCKS, RESCALE, CONSTRAINT = "oft_blocks", "rescale", "alpha"


@dataclass(frozen=True, eq=False)
class OftFactors(LayerFactors):
    """`blocks` (n, b, b) with n * b = o; `rescale` (o, 1[, 1, 1]) or None. The file's `alpha` is the constraint."""

    algorithm: ClassVar[str] = "oft"

    blocks: Tensor
    rescale: Tensor | None = None
    constraint: float = 0.0
    alpha: float | None = None

    @property
    def rank(self) -> int:
        """The side of a block."""
        return int(self.blocks.shape[-1])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Zero, with blocks of about `rank`."""
        b, n = factorise(weight.shape[0], fresh.rank)
        return cls(torch.zeros(n, b, b))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return cls._has_blocks(tensors) and tensors[BLOCKS].ndim != 4  # those are a butterfly's

    @classmethod
    def _has_blocks(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {BLOCKS} <= tensors.keys() <= {BLOCKS, RESCALE, CONSTRAINT}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        blocks = tensors[BLOCKS].float()
        if blocks.ndim not in (3, 4) or blocks.shape[-1] != blocks.shape[-2] or min(blocks.shape) < 1:
            raise ValueError(f"oft_blocks have the shape {tuple(blocks.shape)}")
        rescale = tensors.get(RESCALE)
        width = blocks.shape[-3] * blocks.shape[-1]
        if rescale is not None and (rescale.numel() != width or rescale.shape[0] != width):
            raise ValueError(f"rescale {tuple(rescale.shape)} does not fit {width} channels")
        constraint = tensors.get(CONSTRAINT)
        if constraint is not None and constraint.numel() != 1:
            raise ValueError(f"alpha has {constraint.numel()} values instead of one")
        return cls(
            blocks,
            None if rescale is None else rescale.float(),
            0.0 if constraint is None else float(constraint),
        )

    def to_tensors(self) -> dict[str, Tensor]:
        return {BLOCKS: self.blocks, CONSTRAINT: torch.tensor(float(self.constraint))} | (
            {} if self.rescale is None else {RESCALE: self.rescale}
        )

    def trained(self) -> dict[str, Tensor]:
        return {"blocks": self.blocks} | ({} if self.rescale is None else {"rescale": self.rescale})

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, blocks=tensors["blocks"], rescale=tensors.get("rescale"))

    @property
    def extent(self) -> tuple[int | None, ...]:
        return self.blocks.shape[-3] * self.blocks.shape[-1], None

    def delta_weight(self, weight: Tensor) -> Tensor:
        W = weight.float().flatten(1)
        turned = self._turn(self._rotations().to(W.device), W)
        if self.rescale is not None:
            turned = turned * self.rescale.to(W.device).view(-1, 1)
        return (turned - W).reshape(weight.shape)

    def _rotations(self) -> Tensor:
        Q = self.blocks - self.blocks.transpose(-1, -2)
        most = self.constraint * (self.blocks.shape[-3] * self.blocks.shape[-1])
        if most > 0:
            norm = Q.norm() + 1e-8
            Q = torch.where(norm > most, Q * (most / norm), Q)
        identity = torch.eye(self.rank, device=Q.device)
        # (I + Q)(I - Q)^-1; the two commute.
        rotations: Tensor = torch.linalg.solve(identity - Q, identity + Q)
        return rotations

    def _turn(self, R: Tensor, W: Tensor) -> Tensor:
        n, b = R.shape[:2]
        return torch.matmul(R.transpose(1, 2), W.view(n, b, -1)).reshape(W.shape)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)
