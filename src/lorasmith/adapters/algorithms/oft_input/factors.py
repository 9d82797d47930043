"""OFT as PEFT and OneTrainer make it (Qiu et al. 2025, OFTv2): the layer's input is turned, W' = W R^T block by block.

Each block's R comes from a skew-symmetric Q, of which the file has the numbers above the diagonal: by Neumann's series
for (I + Q)(I - Q)^-1 cut off after some terms (PEFT's default is five; OneTrainer has no other), or exactly as
(I - Q)(I + Q)^-1, whose sign is the other one (`peft.tuners.oft.layer.OFTRotationModule._cayley_batch`). Of a
convolution the flattened kernel is turned: by R^T, too, as PEFT merges it, but by R in OneTrainer
(`LoRAModule.OFTModule.forward`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.divisors import factorise
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, spoken
from lorasmith.adapters.layers.weights import WeightAdapter
from lorasmith.adapters.spelling.keys import ROTATION
from lorasmith.adapters.spelling.peft import NEUMANN_TERMS
from lorasmith.adapters.spelling.reading import TERMS, block_side


@dataclass(frozen=True, eq=False)
class InputOftFactors(LayerFactors):
    """`skew` (n, b (b - 1) / 2): n blocks of side b; one block for all where n is 1. `terms` of PEFT, 0: the inverse
    itself; None: as OneTrainer has it."""

    algorithm: ClassVar[str] = "oft_input"
    flattens: ClassVar[bool] = True

    skew: Tensor
    terms: int | None = None
    alpha: float | None = None

    @property
    def rank(self) -> int:
        """The side of a block."""
        return block_side(self.skew.shape[1])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Zero, with blocks of about `rank`."""
        b, n = factorise(weight.flatten(1).shape[1], max(fresh.rank, 2))
        return cls(torch.zeros(n, b * (b - 1) // 2))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {ROTATION} <= tensors.keys() <= {ROTATION, TERMS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        skew, terms = tensors[ROTATION].float(), tensors.get(TERMS)
        if skew.ndim != 2 or min(skew.shape) < 1 or not block_side(skew.shape[1]):
            raise ValueError(f"oft_R has the shape {tuple(skew.shape)}")
        return cls(skew, None if terms is None else int(terms))

    def to_tensors(self) -> dict[str, Tensor]:
        own = {} if self.terms is None else {TERMS: torch.tensor(float(self.terms))}
        return {ROTATION: self.skew} | own

    def trained(self) -> dict[str, Tensor]:
        return {"skew": self.skew}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, skew=tensors["skew"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        return None, None if self.skew.shape[0] == 1 else self.skew.shape[0] * self.rank

    def shape_fault(self, weight: Tensor) -> str | None:
        inputs, n = weight[0].numel(), self.skew.shape[0]
        if inputs == n * self.rank or (n == 1 and inputs % self.rank == 0):
            return None
        return f"made for {n * self.rank} inputs, the layer has {inputs} ({spoken(weight.shape)})"

    def delta_weight(self, weight: Tensor) -> Tensor:
        W, n = weight.float().flatten(1), weight[0].numel() // self.rank
        R = self._rotations().to(W.device).expand(n, -1, -1)
        if self.terms is None and weight.ndim > 2:
            R = R.transpose(1, 2)
        turned = torch.einsum("onk,nck->onc", W.view(W.shape[0], n, -1), R)
        return turned.reshape(weight.shape) - weight.float()

    def _rotations(self) -> Tensor:
        """R (n, b, b)."""
        b = self.rank
        upper = torch.triu_indices(b, b, 1, device=self.skew.device)
        Q = self.skew.new_zeros(self.skew.shape[0], b, b).index_put(
            (torch.arange(self.skew.shape[0], device=self.skew.device)[:, None], upper[0], upper[1]), self.skew
        )
        Q = Q - Q.transpose(1, 2)
        identity = torch.eye(b, device=Q.device).expand_as(Q)
        if self.terms == 0:
            exact: Tensor = torch.linalg.solve(identity + Q, identity - Q, left=False)
            return exact
        terms = NEUMANN_TERMS if self.terms is None else self.terms
        R, power = identity, Q
        for k in range(1, terms):
            R = R + (power if k > 2 and k == terms - 1 else 2 * power)
            power = power @ Q
        return R + power if terms == 3 else R  # NOTE: PEFT's third term is the fourth's half

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)
