"""Butterfly OFT (Liu et al. 2024): m stages of small rotations, the i-th one mixing channels 2^i * b / 2 apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from lorasmith.adapters.algorithms.algorithm import PLAIN, Options
from lorasmith.adapters.algorithms.oft import OftFactors


@dataclass(frozen=True, eq=False)
class BoftFactors(OftFactors):
    """`blocks` (m, n, b, b) with n * b = o, b even, n a power of two."""

    algorithm: ClassVar[str] = "boft"

    @classmethod
    def initial(
        cls,
        weight: Tensor,
        rank: int,
        alpha: float,  # noqa: ARG003
        generator: torch.Generator,  # noqa: ARG003
        options: Options = PLAIN,  # noqa: ARG003
    ) -> Self:
        """Zero, all stages; even blocks of at most `rank`, or of the smallest side that leaves a power of two."""
        o = weight.shape[0]
        sides = [b for b in range(2, o + 1, 2) if o % b == 0 and (o // b).bit_count() == 1]
        if not sides:
            raise ValueError(f"{o} channels make no butterfly")
        b = max((b for b in sides if b <= rank), default=min(sides))
        n = o // b
        return cls(torch.zeros(max(n.bit_length(), 1), n, b, b))

    @classmethod
    def claims(cls, suffixes: frozenset[str]) -> bool:  # noqa: ARG003 - by the shape of the blocks: see OFT
        return False

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
