"""Optimizers over flat buffers: one tensor per group instead of hundreds, so that a step is a few operations.

A `FlatGroup` moves parameters into one buffer and their gradients into another (autograd accumulates in place).
Parameters of one shape stand side by side, so that what works per parameter (Adafactor) works on all at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lorasmith.errors import RecipeError

_ALIGNMENT = 16
"""Floats: each parameter starts on a cache line, as it would on its own."""


class FlatGroup:
    """Parameters of one learning rate as views into `data`, their gradients as views into `grad`; float32."""

    def __init__(self, name: str, parameters: Sequence[nn.Parameter]) -> None:
        self.name = name
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        blocks = [(shape, len(same), -(-shape.numel() // _ALIGNMENT) * _ALIGNMENT) for shape, same in by_shape.items()]
        device = parameters[0].device
        size = sum(count * padded for _, count, padded in blocks)
        self.data = torch.zeros(size, device=device)
        self.grad = torch.zeros(size, device=device)
        self.blocks: list[tuple[Tensor, Tensor]] = []
        """(data, gradient) per shape, each (count, *shape)."""
        start = 0
        for shape, count, padded in blocks:
            stop = start + count * padded
            data, grad = (
                flat[start:stop].view(count, padded)[:, : shape.numel()].view(count, *shape)
                for flat in (self.data, self.grad)
            )
            for number, parameter in enumerate(by_shape[shape]):
                data[number].copy_(parameter.detach())
                parameter.data = data[number]
                parameter.grad = grad[number]
            self.blocks.append((data, grad))
            start = stop


@contextmanager
def lent(groups: Sequence[FlatGroup]) -> Iterator[None]:
    """Inside, the buffers may hold something else; then they hold what they held before, bit for bit."""
    kept = [group.data.clone() for group in groups]
    try:
        yield
    finally:
        for group, data in zip(groups, kept, strict=True):
            group.data.copy_(data)


class Optimizer(Protocol):
    """Turns gradients into steps. `state` is everything it remembers, by name; `load` takes it back.

    `settled`: inside, the buffers hold what shall be saved, for an optimizer that learns elsewhere than it ends.
    """

    description: str

    def step(self, rates: Mapping[str, float]) -> None: ...
    def state(self) -> dict[str, Tensor]: ...
    def load(self, state: Mapping[str, Tensor]) -> None: ...
    def settled(self) -> AbstractContextManager[None]: ...


class Elementwise:
    """A library's optimizer on the flat buffers: the same as on single parameters, where it works by element.

    Its state are the library's tensors, and its numbers, ints and floats alike, as tensors without a shape.
    """

    _SCALARS = (torch.float64, torch.int64, torch.bool)

    def __init__(self, groups: Sequence[FlatGroup], make: MakeOptimizer, description: str) -> None:
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
            if isinstance(value, int | float | Tensor)
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
        is_number = value.dim() == 0 and value.dtype in self._SCALARS
        return value.item() if is_number else value.clone()


_TABLE = "//"
"""Between a group's name and a number that the library keeps for the group, not for its parameter."""
MakeOptimizer = Callable[[list[dict[str, Any]]], Any]


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


class ScheduleFree(Elementwise):
    """AdamW without a schedule (Defazio et al. 2024): gradients are taken at y, what is saved is the average x."""

    def step(self, rates: Mapping[str, float]) -> None:
        for table in self._inner.param_groups:
            table["train_mode"] = True
        super().step(rates)

    @contextmanager
    def settled(self) -> Iterator[None]:
        # NOTE: the library's way back from x to y rounds; a copy does not.
        with lent(self._groups):
            self._inner.eval()
            try:
                yield
            finally:
                for table in self._inner.param_groups:
                    table["train_mode"] = True


class Lion:
    """Lion (Chen et al. 2023, algorithm 2): the sign of a mixed momentum, with decoupled weight decay."""

    def __init__(self, groups: Sequence[FlatGroup], *, weight_decay: float, betas: tuple[float, float]) -> None:
        self._groups = groups
        self._momentum = {group.name: torch.zeros_like(group.data) for group in groups}
        self._weight_decay = weight_decay
        self._betas = betas
        self.description = f"lion_pytorch.lion_pytorch.Lion(weight_decay={weight_decay:g},betas={betas})"

    @torch.no_grad()
    def step(self, rates: Mapping[str, float]) -> None:
        first, second = self._betas
        for group in self._groups:
            momentum, rate = self._momentum[group.name], rates[group.name]
            update = momentum.lerp(group.grad, 1 - first).sign_()
            group.data.mul_(1 - rate * self._weight_decay).sub_(update, alpha=rate)
            momentum.lerp_(group.grad, 1 - second)

    def state(self) -> dict[str, Tensor]:
        return dict(self._momentum)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, momentum in self._momentum.items():
            momentum.copy_(state[name])

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield


class Adafactor:
    """Adafactor (Shazeer & Stern 2018, algorithms 4 and 5; clipping threshold 1), as transformers has it.

    With fixed learning rates: ``scale_parameter=False, relative_step=False, warmup_init=False``, which is what
    kohya's users mean (R4); torch's own always scales by the parameter's size. `relative`: without these arguments,
    min(0.01, 1 / sqrt(step)) times the parameter's root mean square (at least 0.001), whatever the rates are.
    """

    _FLOOR = 1e-30
    _SMALLEST = 1e-3

    def __init__(self, groups: Sequence[FlatGroup], *, relative: bool = False) -> None:
        self._groups = groups
        self._relative = relative
        self._steps = 0
        self._rows: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        for group in groups:
            for number, (data, _) in enumerate(group.blocks):
                key = f"{group.name}.{number}"
                self._rows[key] = torch.zeros_like(data[..., 0]) if data.dim() > 2 else torch.zeros_like(data)
                if data.dim() > 2:
                    self._columns[key] = torch.zeros_like(data[..., 0, :])
        said = {"scale_parameter": relative, "relative_step": relative, "warmup_init": False}
        self.description = _describe("transformers.optimization.Adafactor", said)

    @torch.no_grad()
    def step(self, rates: Mapping[str, float]) -> None:
        self._steps += 1
        decay = 1 - self._steps**-0.8
        for group in self._groups:
            for number, (data, grad) in enumerate(group.blocks):
                key = f"{group.name}.{number}"
                squares = grad.square() + self._FLOOR
                row = self._rows[key]
                if key in self._columns:
                    column = self._columns[key]
                    row.lerp_(squares.mean(dim=-1), 1 - decay)
                    column.lerp_(squares.mean(dim=-2), 1 - decay)
                    rows = (row / row.mean(dim=-1, keepdim=True)).rsqrt().unsqueeze(-1)
                    update = grad * rows * column.rsqrt().unsqueeze(-2)
                else:
                    row.lerp_(squares, 1 - decay)
                    update = grad * row.rsqrt()
                each = (-1, *([1] * (update.dim() - 1)))
                update /= _root_mean_squares(update).clamp(min=1.0).view(each)
                if self._relative:
                    sizes = _root_mean_squares(data).clamp(min=self._SMALLEST).view(each)
                    data.sub_(update * sizes, alpha=min(1e-2, self._steps**-0.5))
                else:
                    data.sub_(update, alpha=rates[group.name])

    def state(self) -> dict[str, Tensor]:
        rows = {f"row.{key}": value for key, value in self._rows.items()}
        columns = {f"column.{key}": value for key, value in self._columns.items()}
        return rows | columns | {"steps": torch.tensor(self._steps)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._steps = int(state["steps"])
        for prefix, slots in (("row", self._rows), ("column", self._columns)):
            for key, value in slots.items():
                value.copy_(state[f"{prefix}.{key}"])

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield


def _root_mean_squares(data: Tensor) -> Tensor:
    """(count,) of data (count, ...)."""
    return data.flatten(1).square().mean(dim=1).sqrt()


def build_optimizer(
    name: str,
    groups: Sequence[FlatGroup],
    *,
    weight_decay: float,
    betas: tuple[float, float] | None = None,
    relative: bool = False,
    growth: float = 1.0,
) -> Optimizer:
    """The optimizer of that name (recipe's `optimizer.name`). Raises RecipeError when its library cannot be used."""
    if name == "adafactor":
        return Adafactor(groups, relative=relative)
    if name == "lion":
        return Lion(groups, weight_decay=weight_decay, betas=betas or (0.9, 0.99))
    if name == "prodigy":
        prodigy = _library("prodigyopt", name).Prodigy
        betas = betas or (0.9, 0.99)
        said: dict[str, Any] = {"weight_decay": weight_decay, "decouple": True, "betas": betas, "d_coef": growth}
        return Elementwise(
            groups, lambda tables: prodigy(tables, lr=1.0, **said), _describe("prodigyopt.Prodigy", said)
        )
    betas = betas or (0.9, 0.999)
    said = {"weight_decay": weight_decay, "betas": betas}
    if name == "schedule_free":
        adamw = _library("schedulefree", name).AdamWScheduleFree
        # NOTE: its batched form writes into gradients and saves no time with so few buffers.
        make = partial(adamw, lr=1.0, foreach=False, **said)
        return ScheduleFree(groups, make, _describe("schedulefree.AdamWScheduleFree", said))
    if name == "adamw8bit":
        adamw8bit = _library("bitsandbytes", name).optim.AdamW8bit
        _try_8bit(adamw8bit, groups[0].data.device)
        make = partial(adamw8bit, lr=1.0, **said)
        return Elementwise(groups, make, _describe("bitsandbytes.optim.adamw.AdamW8bit", said))
    make = partial(torch.optim.AdamW, lr=0.0, eps=1e-8, **said)
    return Elementwise(groups, make, _describe("torch.optim.adamw.AdamW", said | {"eps": 1e-8}))


def _describe(name: str, said: Mapping[str, Any]) -> str:
    """As sd-scripts writes it: ``module.Class(key=value,...)``."""
    return f"{name}({','.join(f'{key}={value}' for key, value in said.items())})"


def _library(package: str, name: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise RecipeError(
            f"optimizer.name = {name} needs {package}.", hint='Install it: pip install "lorasmith[optim]"'
        ) from None


def _try_8bit(adamw8bit: Any, device: torch.device) -> None:
    """Raises RecipeError when the installed bitsandbytes cannot step on this device."""
    parameter = nn.Parameter(torch.zeros(4096, device=device))
    parameter.grad = torch.ones_like(parameter)
    try:
        adamw8bit([parameter], lr=1e-3).step()
    except Exception as fault:  # whatever its native part raises
        raise RecipeError(
            f"optimizer.name = adamw8bit cannot run on this {device.type} ({fault}).",
            hint="Use adamw: for an adapter its memory is small.",
        ) from None


def clip_gradients(groups: Sequence[FlatGroup], max_norm: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm` (0: measure only); gives the norm."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(group.grad) for group in groups]))
    if max_norm:
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for group in groups:
            group.grad.mul_(scale)
    return norm
