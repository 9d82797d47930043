"""How much of each adapter each row gets, at one stack of adapters: what a layer is told in every pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lorasmith.adapters.dropout import Dropout
from lorasmith.diffusion.transfer import send


@dataclass(frozen=True, eq=False)
class Strengths:
    """How much of each adapter of a stack each sample gets: the columns of S that concern the stack.

    `active` are the stack positions with a nonzero weight anywhere. When all rows agree, `shared` holds a strength
    for each of them and `rows` is None. Else `rows` is (B, active), on the device, and `host` the same in the host's
    memory; when each row has few nonzero weights, `index` (B, m) and `picked` (B, m) name and weigh only those.
    `blocks`: the active ones' rows are equally many, stand together, in order, and are theirs alone (a sweep).
    `dropout` is what is left out on this `layer`.
    """

    active: tuple[int, ...]
    shared: tuple[float, ...] | None
    rows: Tensor | None = None
    host: Tensor | None = None
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
        assert self.host is not None
        column, device = self.host[:, j], self.rows.device
        chosen = self.keep(("chosen", j), lambda: column.nonzero().flatten())
        rows = self.keep(("rows", j), lambda: send(chosen, device))
        return rows, self.keep(("weights", j), lambda: send(column[chosen], device))

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
    rows = send(chosen, device)
    most = int((chosen != 0).sum(dim=1).max())
    if most == 1 and len(active) > 1 and _are_blocks(chosen):
        return Strengths(active, None, rows, chosen, blocks=True)
    if len(active) <= 2 * most + 1:
        return Strengths(active, None, rows, chosen)
    picked, index = chosen.abs().topk(most, dim=1)
    picked = chosen.gather(1, index)
    return Strengths(active, None, rows, chosen, send(index, device), send(picked, device))


def _are_blocks(chosen: Tensor) -> bool:
    """Whether equally many rows, one after another, belong to each column; `chosen` (B, active) has one a row."""
    B, count = chosen.shape
    return B % count == 0 and bool(((chosen != 0) == torch.eye(count).repeat_interleave(B // count, dim=0)).all())
