"""What an adapter algorithm is: the factors of one layer, and what applies a stack of them beside the layer.

Every algorithm here is *additive given the base's output*: its change of a layer's output is a function of the
layer's input, frozen weight and frozen output; so the changes of several adapters, weighted per sample, sum up.
Shapes: B batch, n adapters of the stack, i and o a layer's input and output width, r rank.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.algorithms.layer_gradients import LayerGradients
from lorasmith.adapters.dropout import Dropout


@dataclass(frozen=True)
class Options:
    """What a new adapter's factors shall look like, besides rank and alpha; each algorithm reads what concerns it.

    `tucker`: convolutions with a small core kernel between two 1x1 ones (LoRA, LoHa, LoKr). `factor`: LoKr's first
    factor has at most so many rows and columns, -1 means as square as can be; `full`: its second one is not
    decomposed; `both`: its first one is. `block`: ranks that DyLoRA trains together.
    """

    tucker: bool = False
    factor: int = -1
    full: bool = False
    both: bool = False
    block: int = 1


PLAIN = Options()


PullBack = Callable[[LayerGradients], Mapping[str, Tensor]]
"""From what comes back to a layer to the gradients of the trained tensors that its weight was made with, by field. Once
only: what was kept for it is used up."""


class LayerFactors(ABC):
    """The factors of one adapter on one layer: a frozen value, in fp32, with the shapes that its file has.

    `algorithm` is the word for it in recipes. Implementations are frozen dataclasses.
    """

    algorithm: ClassVar[str]

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
    def initial(
        cls, weight: Tensor, rank: int, alpha: float, generator: torch.Generator, options: Options = PLAIN
    ) -> Self:
        """New factors for a layer with this frozen weight, without effect yet."""

    @classmethod
    @abstractmethod
    def claims(cls, suffixes: frozenset[str]) -> bool:
        """Is a layer with these key suffixes (`lora_down.weight`, ...) in a file one of mine?"""

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


@dataclass(frozen=True, eq=False)
class Strengths:
    """How much of each adapter of a stack each sample gets: the columns of S that concern the stack.

    `active` are the stack positions with a nonzero weight anywhere. When all rows agree, `shared` holds a strength
    for each of them and `rows` is None. Else `rows` is (B, active) and, when each row has few nonzero weights,
    `index` (B, m) and `picked` (B, m) name and weigh only those. `blocks`: the active ones' rows are equally many,
    stand together, in order, and are theirs alone (a sweep). `dropout` is what is left out on this `layer`.
    """

    active: tuple[int, ...]
    shared: tuple[float, ...] | None
    rows: Tensor | None = None
    index: Tensor | None = None
    picked: Tensor | None = None
    blocks: bool = False
    dropout: Dropout | None = None
    layer: str = ""
    _kept: dict[Hashable, Tensor] = field(default_factory=dict, repr=False)

    def share(self, j: int) -> tuple[Tensor | None, float | Tensor]:
        """Whom the j-th active adapter concerns, and how much: rows (m,) and weights (m,), or None and one number."""
        if self.shared is not None:
            return None, self.shared[j]
        assert self.rows is not None
        column = self.rows[:, j]
        rows = self.keep(("rows", j), lambda: column.nonzero().flatten())
        return rows, self.keep(("weights", j), lambda: column[rows])

    def keep(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What was once derived from these strengths; most layers derive the same."""
        if key not in self._kept:
            with torch.inference_mode(False):
                self._kept[key] = make()
        return self._kept[key]


@torch.inference_mode(False)
def read_strengths(strengths: Tensor, device: torch.device) -> Strengths | None:
    """The Strengths of a matrix (B, n); None when it is all zero and the base alone speaks."""
    S = strengths.detach().to("cpu", torch.float32, copy=True)
    active = tuple(int(column) for column in (S != 0).any(dim=0).nonzero().flatten())
    if not active:
        return None
    chosen = S[:, list(active)]
    if bool((chosen == chosen[:1]).all()):
        return Strengths(active, tuple(float(value) for value in chosen[0]))
    rows = chosen.to(device)
    most = int((chosen != 0).sum(dim=1).max())
    if most == 1 and _are_blocks(chosen):
        return Strengths(active, None, rows, blocks=True)
    if len(active) <= 2 * most + 1:
        return Strengths(active, None, rows)
    picked, index = chosen.abs().topk(most, dim=1)
    picked = chosen.gather(1, index)
    return Strengths(active, None, rows, index.to(device), picked.to(device))


def _are_blocks(chosen: Tensor) -> bool:
    """Whether equally many rows, one after another, belong to each column; `chosen` (B, active) has one a row."""
    B, count = chosen.shape
    return B % count == 0 and bool(((chosen != 0) == torch.eye(count).repeat_interleave(B // count, dim=0)).all())


class LayerAdapter(nn.Module, ABC):
    """A stack of n adapters of one algorithm on one layer. Its parameters are the factors, in fp32."""

    def __init__(self, layer: nn.Module, stack: Sequence[LayerFactors]) -> None:
        super().__init__()
        # NOTE: in a tuple, so that the frozen layer is not registered as a child of the bank.
        self._layer = (layer,)
        self._stack = tuple(stack)
        self.trained = nn.ModuleList(
            nn.ParameterDict({field: nn.Parameter(tensor.clone()) for field, tensor in factors.trained().items()})
            for factors in stack
        )
        # NOTE: the same parameters without torch's containers, which take 10 us a look; hundreds of layers look often.
        self._live: tuple[dict[str, Tensor], ...] = tuple(
            dict(cast(nn.ParameterDict, each).items()) for each in self.trained
        )
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


def convolve(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` through another kernel at the layer's stride and padding, also where the layer goes round the edges."""
    padding = layer.padding
    if layer.padding_mode == "circular":
        x, padding = F.pad(x, layer._reversed_padding_repeated_twice, mode="circular"), (0, 0)
    return F.conv2d(x, weight, bias, layer.stride, padding, layer.dilation)


def add_changes(
    x: Tensor, y: Tensor, strengths: Strengths, change: Callable[[int, Tensor, Tensor | None], Tensor]
) -> Tensor:
    """`y` plus, for every active adapter, strength * change(position in the stack, its rows of x, their numbers)."""
    for j, k in enumerate(strengths.active):
        rows, weights = strengths.share(j)
        if rows is None or not isinstance(weights, Tensor):
            y = y.add(change(k, x, None), alpha=cast(float, weights))
            continue
        delta = change(k, x[rows], rows)
        y = y.index_add(0, rows, delta * weights.to(delta.dtype).view(-1, *(1,) * (delta.ndim - 1)))
    return y
