"""What an adapter algorithm is: the factors of one layer, and what applies a stack of them beside the layer.

Every algorithm here is *additive given the base's output*: its change of a layer's output is a function of the
layer's input, frozen weight and frozen output; so the changes of several adapters, weighted per sample, sum up.
Shapes: B batch, n adapters of the stack, i and o a layer's input and output width, r rank.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.layer_gradients import LayerGradients
from lorasmith.adapters.layers.strengths import Strengths

OwnOptions = TypeVar("OwnOptions")


@dataclass(frozen=True)
class Fresh:
    """What new factors shall be like; each algorithm reads what concerns it.

    `options`: the algorithm's own, None for its defaults. `tucker`: a convolution gets a small core kernel between two
    1x1 ones.
    """

    rank: int
    alpha: float
    generator: torch.Generator
    options: object = None
    tucker: bool = False

    def own(self, kind: type[OwnOptions]) -> OwnOptions:
        """The algorithm's own options, which are of this kind."""
        return self.options if isinstance(self.options, kind) else kind()


PullBack = Callable[[LayerGradients], Mapping[str, Tensor]]
"""From what comes back to a layer to the gradients of the trained tensors that its weight was made with, by field. Once
only: what was kept for it is used up."""


class LayerFactors(ABC):
    """The factors of one adapter on one layer: a frozen value, in fp32, with the shapes that its file has.

    `algorithm` is its name in the registry. `on_norms`: for normalisation layers, and for no others.
    `proportional`: the change is in proportion to the frozen weight, which must be there to tell it. `flattens`:
    `extent` may tell a kernel flattened. Implementations are frozen dataclasses.
    """

    algorithm: ClassVar[str]
    on_norms: ClassVar[bool] = False
    proportional: ClassVar[bool] = True
    flattens: ClassVar[bool] = False

    alpha: float | None
    """As stored; the scale is alpha / rank. None for an algorithm that has none."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """The rank, or what stands for it."""

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied by: alpha / rank; 1 without an alpha."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    @classmethod
    @abstractmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """New factors for a layer with this frozen weight, without effect yet."""

    @classmethod
    @abstractmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Is a layer that has these tensors in a file, by suffix (`lora_down.weight`, ...), one of mine?"""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The factors from a file's tensors, by suffix. Raises ValueError when shapes contradict each other."""

    @abstractmethod
    def to_tensors(self) -> dict[str, Tensor]:
        """The file's tensors by suffix, alpha included; `from_tensors` gives the same value back."""

    @abstractmethod
    def trained(self) -> dict[str, Tensor]:
        """The tensors that an optimizer changes, by field name."""

    @abstractmethod
    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        """The same factors with other trained tensors."""

    @property
    @abstractmethod
    def extent(self) -> tuple[int | None, ...]:
        """The shape of the weight that the factors were made for; None for a size that they do not tell.

        Two sizes mean a matrix (o, i), or a kernel flattened to (o, i * kh * kw).
        """

    def shape_fault(self, weight: Tensor) -> str | None:
        """None when the factors fit a layer with this weight, else what does not fit."""
        extent = self.extent
        shapes = [tuple(weight.shape), tuple(weight.flatten(1).shape) if weight.ndim > 1 else tuple(weight.shape)]
        if extent[2:] == (1, 1):
            extent = extent[:2]
        if any(
            len(extent) == len(shape) and all(mine in (None, size) for mine, size in zip(extent, shape, strict=True))
            for shape in shapes
        ):
            return None
        return f"made for {spoken(self.extent)}, the layer has {spoken(weight.shape)}"

    @abstractmethod
    def delta_weight(self, weight: Tensor) -> Tensor:
        """What strength 1 adds to the frozen weight: its shape, fp32. For merging, exporting, and as the oracle."""

    def add_to(self, total: Tensor, weight: Tensor, strength: float) -> None:
        """Add strength x `delta_weight` of the frozen weight to `total`, which has its shape, fp32; in place."""
        total.add_(self.delta_weight(weight), alpha=strength)

    def as_product(self, shape: tuple[int, ...], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Up (o, R) and down (R, n), whose product is `delta_weight` as a matrix (o, n), for a weight of this `shape`;
        `weight` may be missing where the change is not `proportional`."""
        delta = self.delta_weight(torch.zeros(shape) if weight is None else weight).flatten(1).float()
        o, n = delta.shape
        return (torch.eye(o), delta) if o <= n else (delta, torch.eye(n))

    def as_peft(self) -> dict[str, Tensor] | None:
        """The tensors by PEFT's suffixes, with alpha / rank multiplied in, so that every reader's default, alpha =
        rank, is right; None where diffusers reads nothing of the kind."""
        return None

    def first_ranks(self, count: int) -> Self:  # noqa: ARG002
        """The first ranks at the whole adapter's scale, where ranks stand by themselves; else all of it."""
        return self

    def squared_norm(self, weight: Tensor) -> Tensor:
        """||delta W||^2 (Frobenius), (), differentiable."""
        return self.delta_weight(weight).square().sum()

    def bound(self, weight: Tensor, most: float) -> bool:
        """Scale the trained tensors, in place, so that ||delta W|| is at most `most`; gives whether it was above. For
        algorithms that recipes may bound (`max_weight_norm`)."""
        raise NotImplementedError(f"{self.algorithm} cannot be bounded")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the algorithms that make it: its own, and of what it is over."""
        return (self.algorithm,)

    @property
    def near_output(self) -> frozenset[str]:
        """The trained tensors next to the layer's output, which LoRA+ lets learn faster."""
        return frozenset()

    @property
    def pulls_back(self) -> bool:
        """Whether there is an `onto`; where there is none, autograd finds the gradients."""
        return False

    def onto(self, weight: Tensor, strength: float) -> tuple[Tensor, PullBack]:
        """The frozen weight plus strength x `delta_weight`, fp32, and what leads a gradient back to the trained
        tensors; the products that both need are made once."""
        raise NotImplementedError(f"{self.algorithm} leaves gradients to autograd")

    def delta_bias(self) -> Tensor | None:
        """What strength 1 adds to the layer's bias, (o,); None when it leaves the bias alone."""
        return None

    @classmethod
    @abstractmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        """What applies a stack of factors beside a live layer."""


def spoken(shape: Sequence[int | None]) -> str:
    """A shape in words: ``320 x 768``; ``?`` for an unknown size."""
    return " x ".join("?" if size is None else str(size) for size in shape)


def read_alpha(tensors: Mapping[str, Tensor], rank: int) -> float:
    """The stored alpha; without one, or with sd-scripts' 0, the rank. Raises ValueError when it is no one number."""
    stored = tensors.get("alpha")
    if stored is not None and stored.numel() != 1:
        raise ValueError(f"alpha has {stored.numel()} values instead of one")
    return (float(stored) if stored is not None else 0.0) or float(rank)


class LayerAdapter(nn.Module, ABC):
    """A stack of n adapters of one algorithm on one layer, with the factors that it was given; once `make_trainable`
    was called, with copies of its own as parameters, in fp32."""

    def __init__(self, layer: nn.Module, stack: Sequence[LayerFactors]) -> None:
        super().__init__()
        # NOTE: in a tuple, so that the frozen layer is not registered as a child of the bank.
        self._layer = (layer,)
        self._stack = tuple(stack)
        # NOTE: torch's containers take 10 us a look and 0.1 ms to make; hundreds of layers look often, and a bank that
        # draws is made for a few steps.
        self.trained = nn.ModuleList()
        self._live: tuple[dict[str, Tensor], ...] = tuple(factors.trained() for factors in self._stack)
        self._live_factors = self._stack

    def make_trainable(self) -> None:
        """Have parameters of its own from now on, by adapter and field in `trained`."""
        self.trained.extend(
            nn.ParameterDict({field: nn.Parameter(tensor.clone()) for field, tensor in live.items()})
            for live in self._live
        )
        self._live = tuple(dict(cast(nn.ParameterDict, each).items()) for each in self.trained)
        self._live_factors = tuple(
            factors.with_trained(live) for factors, live in zip(self._stack, self._live, strict=True)
        )

    @property
    def layer(self) -> Any:
        """The frozen layer."""
        return self._layer[0]

    def tensor(self, position: int, field: str) -> Tensor:
        """A trained tensor of the stack's adapter at `position`."""
        return self._live[position][field]

    def live_factors(self, position: int) -> LayerFactors:
        """The current factors of one adapter: the parameters themselves, for losses on them."""
        return self._live_factors[position]

    def factors(self, position: int) -> LayerFactors:
        """The current factors of one adapter, detached."""
        current = {field: tensor.detach() for field, tensor in self._live[position].items()}
        return self._stack[position].with_trained(current)

    @abstractmethod
    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:
        """`y`, the output so far, plus the mixed changes for the input `x`; `y` may be changed in place.

        `frozen` is the layer's own output. It is `y` itself for the first in a layer; those that read it come first.
        """

    reads_output: ClassVar[bool] = False
    """Does `add` need `frozen` to be the layer's own output?"""

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        """The whole layer with its changes, where this is the only one; a faster form may be given."""
        y = original(x)
        return self.add(x, y, strengths, y)

    def vary(self, shares: Sequence[float]) -> None:
        """Before a training step: a random number of [0, 1) for each adapter of the stack, for what an algorithm
        varies from step to step."""
