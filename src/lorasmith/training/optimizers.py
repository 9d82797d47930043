"""Optimizers over flat buffers: one tensor per group instead of hundreds, so that a step is a few operations.

A `FlatGroup` moves parameters into one buffer and their gradients into another (autograd accumulates in place).
Parameters of one shape stand side by side, so that what works per parameter (Adafactor) works on all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

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


class Optimizer(Protocol):
    """Turns gradients into steps. `state` is everything it remembers, by name; `load` takes it back."""

    description: str

    def step(self, rates: Mapping[str, float]) -> None: ...
    def state(self) -> dict[str, Tensor]: ...
    def load(self, state: Mapping[str, Tensor]) -> None: ...


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): torch's, on the flat buffers."""

    def __init__(self, groups: Sequence[FlatGroup], *, weight_decay: float) -> None:
        self._parameters = {group.name: nn.Parameter(group.data) for group in groups}
        for group in groups:
            self._parameters[group.name].grad = group.grad
        tables = [{"params": [parameter], "name": name} for name, parameter in self._parameters.items()]
        self._adamw = torch.optim.AdamW(tables, lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
        self.description = f"torch.optim.adamw.AdamW(weight_decay={weight_decay:g},betas=(0.9, 0.999),eps=1e-08)"

    def step(self, rates: Mapping[str, float]) -> None:
        for table in self._adamw.param_groups:
            table["lr"] = rates[table["name"]]
        self._adamw.step()

    def state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": value
            for name, parameter in self._parameters.items()
            for key, value in self._adamw.state[parameter].items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            prefix = f"{name}."
            slots = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            if slots:
                self._adamw.state[parameter] = {key: value.clone() for key, value in slots.items()}


class Adafactor:
    """Adafactor with fixed learning rates (Shazeer & Stern 2018, algorithms 4 and 5; clipping threshold 1).

    The same steps as transformers' Adafactor with ``scale_parameter=False, relative_step=False,
    warmup_init=False``, which is what kohya's users mean (R4); torch's own always scales by the parameter's size.
    """

    _FLOOR = 1e-30

    def __init__(self, groups: Sequence[FlatGroup]) -> None:
        self._groups = groups
        self._steps = 0
        self._rows: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        for group in groups:
            for number, (data, _) in enumerate(group.blocks):
                key = f"{group.name}.{number}"
                self._rows[key] = torch.zeros_like(data[..., 0]) if data.dim() > 2 else torch.zeros_like(data)
                if data.dim() > 2:
                    self._columns[key] = torch.zeros_like(data[..., 0, :])
        self.description = (
            "transformers.optimization.Adafactor(scale_parameter=False,relative_step=False,warmup_init=False)"
        )

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
                size = update.flatten(1).square().mean(dim=1).sqrt().clamp(min=1.0)
                update /= size.view(-1, *([1] * (update.dim() - 1)))
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


def build_optimizer(name: str, groups: Sequence[FlatGroup], *, weight_decay: float) -> Optimizer:
    """The optimizer of that name: "adamw" or "adafactor"."""
    return AdamW(groups, weight_decay=weight_decay) if name == "adamw" else Adafactor(groups)


def clip_gradients(groups: Sequence[FlatGroup], max_norm: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm` (0: measure only); gives the norm."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(group.grad) for group in groups]))
    if max_norm:
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for group in groups:
            group.grad.mul_(scale)
    return norm
