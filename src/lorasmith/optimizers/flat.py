"""Parameters and gradients in flat buffers: one tensor per group instead of hundreds; a step is a few operations.

A `FlatGroup` moves parameters into one buffer and their gradients into another (autograd accumulates in place).
Parameters of one shape stand side by side, so that what works per parameter (Adafactor) works on all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_ALIGNMENT = 16
"""Floats: each parameter starts on a cache line, as it would on its own."""


class FlatGroup:
    """Parameters of one learning rate as views into `data`, their gradients as views into `grad`; float32."""

    def __init__(self, name: str, parameters: Sequence[nn.Parameter]) -> None:
        import torch

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


def clip_gradients(groups: Sequence[FlatGroup], max_norm: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm` (0: measure only); gives the norm."""
    import torch

    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(group.grad) for group in groups]))
    if max_norm:
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for group in groups:
            group.grad.mul_(scale)
    return norm
