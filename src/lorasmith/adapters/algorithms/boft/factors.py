"""Butterfly OFT (Liu et al. 2024): m stages of small rotations, the i-th one mixing channels 2^i * b / 2 apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from lorasmith.adapters.algorithms.oft.factors import BLOCKS, OftFactors
from lorasmith.adapters.layers.factors import Fresh


@dataclass(frozen=True, eq=False)
class BoftFactors(OftFactors):
    """`blocks` (m, n, b, b) with n * b = o, b even, n a power of two."""

    algorithm: ClassVar[str] = "boft"

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Zero, all stages; even blocks of at most `rank`, or of the smallest side that leaves a power of two."""
        o = weight.shape[0]
        sides = [b for b in range(2, o + 1, 2) if o % b == 0 and (o // b).bit_count() == 1]
        if not sides:
            raise ValueError(f"{o} channels make no butterfly")
        b = max((b for b in sides if b <= fresh.rank), default=min(sides))
        n = o // b
        return cls(torch.zeros(max(n.bit_length(), 1), n, b, b))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return cls._has_blocks(tensors) and tensors[BLOCKS].ndim == 4

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        mine = super().from_tensors(tensors)
        m, n, b = mine.blocks.shape[:3]
        if b % 2 or m > n.bit_length() or (m > 1 and n % 2 ** (m - 1)):
            raise ValueError(f"oft_blocks {tuple(mine.blocks.shape)} make no butterfly")
        return mine

    def _turn(self, R: Tensor, W: Tensor) -> Tensor:
        m, n, b = R.shape[:3]
        for i in range(m):
            k = 2**i * (b // 2)
            mixed = W.view(-1, 2, k, W.shape[1]).transpose(1, 2).reshape(n, b, -1)
            W = torch.matmul(R[i], mixed).view(-1, k, 2, W.shape[1]).transpose(1, 2).reshape(W.shape)
        return W
