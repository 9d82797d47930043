"""What a denoiser is told of each row. Shapes: B rows, T tokens, D and P widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lorasmith.diffusion.transfer import send

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Context:
    """Encoded texts by the names that their family gives them: `hidden` (B, T, D), `pooled` (B, P) ...

    A tensor with three axes has a vector for every token, one with two axes has a vector for the whole text. `mask`
    (B, T) is true at the tokens that count; without one all do. `counts`: how many these are in each row, where the
    host knows it and need not ask the device.
    """

    tensors: Mapping[str, Tensor]
    mask: Tensor | None = None
    counts: tuple[int, ...] | None = None

    @staticmethod
    def join(contexts: Sequence[Context]) -> Context:
        """The rows of all, one after another; shorter ones are stretched to the longest."""
        if len(contexts) == 1:
            return contexts[0]
        import torch

        longest = max(context.length for context in contexts)
        stretched = [context.stretch(longest) for context in contexts]
        tensors = {name: torch.cat([each.tensors[name] for each in stretched]) for name in stretched[0].tensors}
        masks = [each.mask for each in stretched if each.mask is not None]
        counts = [each.counts for each in contexts if each.counts is not None]
        known = tuple(count for each in counts for count in each) if len(counts) == len(contexts) else None
        return Context(tensors, torch.cat(masks) if masks else None, known)

    @property
    def hidden(self) -> Tensor:
        """The tokens' vectors (B, T, D)."""
        return self.tensors["hidden"]

    @property
    def pooled(self) -> Tensor | None:
        """A vector for the whole text (B, P), where the family has one."""
        return self.tensors.get("pooled")

    @property
    def length(self) -> int:
        """T, the number of tokens."""
        return self.hidden.shape[1]

    @property
    def nbytes(self) -> int:
        """Memory of the numbers."""
        return sum(tensor.nbytes for tensor in self._all())

    def __len__(self) -> int:
        """B, the number of rows."""
        return self.hidden.shape[0]

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Context:
        """Some of the rows."""
        known = self.counts[rows] if self.counts is not None and isinstance(rows, slice) else None
        return replace(self._map(lambda tensor: tensor[rows]), counts=known)

    def stretch(self, length: int) -> Context:
        """Up to `length` tokens: by the last vector again, as A1111 aligns the parts of an AND; by zeros that do not
        count where there is a mask."""
        missing = length - self.length
        if missing <= 0:
            return self

        import torch

        def longer(tensor: Tensor) -> Tensor:
            if tensor.ndim != 3:
                return tensor
            more = tensor[:, -1:].expand(-1, missing, -1)
            return torch.cat([tensor, more if self.mask is None else torch.zeros_like(more)], dim=1)

        mask = None
        if self.mask is not None:
            mask = torch.cat([self.mask, self.mask.new_zeros(len(self), missing)], dim=1)
        return Context({name: longer(tensor) for name, tensor in self.tensors.items()}, mask, self.counts)

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Context:
        """On a device, with the numbers that are no whole ones in `dtype`."""
        return self._map(
            lambda tensor: send(tensor, device or tensor.device, dtype if tensor.is_floating_point() else None)
        )

    def detach(self) -> Context:
        """The same numbers, without a gradient."""
        return self._map(lambda tensor: tensor.detach())

    def clone(self) -> Context:
        """Numbers of its own: a row of a batch does not hold the batch."""
        return self._map(lambda tensor: tensor.clone())

    def _all(self) -> list[Tensor]:
        return [*self.tensors.values(), *([] if self.mask is None else [self.mask])]

    def _map(self, change: Callable[[Tensor], Tensor]) -> Context:
        tensors = {name: change(tensor) for name, tensor in self.tensors.items()}
        return Context(tensors, None if self.mask is None else change(self.mask), self.counts)
