"""A library's optimizer on flat buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from lorasmith.optimizers.flat import FlatGroup

if TYPE_CHECKING:
    from torch import Tensor

_TABLE = "//"
"""Between a group's name and a number that the library keeps for the group, not for its parameter."""
MakeLibrary = Callable[[list[dict[str, Any]]], Any]
"""From torch's parameter groups to a library's optimizer."""


def _is_tensor(value: object) -> bool:
    from torch import Tensor

    return isinstance(value, Tensor)


def _as_tensor(value: Any) -> Tensor:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


class Elementwise:
    """A library's optimizer on the flat buffers: the same as on single parameters, where it works by element.

    Its state are the library's tensors, and its numbers, ints and floats alike, as tensors without a shape.
    """

    def __init__(self, groups: Sequence[FlatGroup], make: MakeLibrary, description: str) -> None:
        from torch import nn

        self._groups = groups
        self._parameters = {group.name: nn.Parameter(group.data) for group in groups}
        for group in groups:
            self._parameters[group.name].grad = group.grad
        # NOTE: a library may say something about itself on stdout, which is not its place.
        with redirect_stdout(StringIO()):
            self._inner = make([{"params": [each], "name": name} for name, each in self._parameters.items()])
        self.description = description

    def step(self, rates: Mapping[str, float]) -> None:
        for table in self._inner.param_groups:
            table["lr"] = rates[table["name"]]
        self._inner.step()

    def state(self) -> dict[str, Tensor]:
        slots = {
            f"{name}.{key}": _as_tensor(value)
            for name, parameter in self._parameters.items()
            for key, value in self._inner.state[parameter].items()
        }
        numbers = {
            f"{table['name']}{_TABLE}{key}": _as_tensor(value)
            for table in self._inner.param_groups
            for key, value in table.items()
            if isinstance(value, int | float) or _is_tensor(value)
        }
        return slots | numbers

    def load(self, state: Mapping[str, Tensor]) -> None:
        for table in self._inner.param_groups:
            name = table["name"]
            numbers, slots = f"{name}{_TABLE}", f"{name}."
            table |= {key.removeprefix(numbers): self._back(v) for key, v in state.items() if key.startswith(numbers)}
            own = {
                key.removeprefix(slots): self._back(value)
                for key, value in state.items()
                if key.startswith(slots) and not key.startswith(numbers)
            }
            if own:
                self._inner.state[self._parameters[name]] = own

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield

    def _back(self, value: Tensor) -> Any:
        import torch

        is_number = value.dim() == 0 and value.dtype in (torch.float64, torch.int64, torch.bool)
        return value.item() if is_number else value.clone()
