"""Blocks of a frozen denoiser that lie in the host's memory and come to the device when their turn is near.

Of the swapped blocks at most two are on the device: the one that computes and the one that is next, which travels in
the meantime. Where activations are computed again in the backward pass, a block comes again for that, in the opposite
order; the last one of the forward pass is the first one there and is not sent away between. Weights go one way only:
frozen ones are at home already, so that sending one away forgets its copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from lorasmith.errors import BaseError

Move = Literal["fetch", "compute", "leave"]
Record = Callable[[Move, int], None]
"""Told of every move of a block, by its place among all blocks."""


class Road(Protocol):
    """The way between host and device."""

    def home(self, tensor: Tensor) -> Tensor:
        """A tensor in the host's memory, where it stays."""
        ...

    def away(self, home: Tensor) -> Tensor:
        """What stands in its place while it is not on the device, of its shape."""
        ...

    def fetch(self, homes: Sequence[Tensor]) -> Travel:
        """Send copies on their way to the device."""
        ...


class Travel(Protocol):
    """Copies on their way."""

    def arrive(self) -> list[Tensor]:
        """The copies, once what is computed from now on may read them."""
        ...


@dataclass(frozen=True)
class _Here:
    copies: list[Tensor]

    def arrive(self) -> list[Tensor]:
        return self.copies


class PlainRoad:
    """Copies at once, to any device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def home(self, tensor: Tensor) -> Tensor:
        return tensor.detach().cpu()

    def away(self, home: Tensor) -> Tensor:
        return home

    def fetch(self, homes: Sequence[Tensor]) -> Travel:
        return _Here([home.to(self._device, copy=True) for home in homes])


@dataclass(frozen=True)
class _OnStream:
    copies: list[Tensor]
    sent: Any

    def arrive(self) -> list[Tensor]:
        now = torch.cuda.current_stream(self.copies[0].device)
        now.wait_event(self.sent)
        for copy in self.copies:
            copy.record_stream(now)  # its memory is not given to others before what reads it is done
        return self.copies


class CudaRoad(PlainRoad):
    """From pinned memory over a stream of its own, beside what is computed."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def home(self, tensor: Tensor) -> Tensor:
        return super().home(tensor).pin_memory()

    def fetch(self, homes: Sequence[Tensor]) -> Travel:
        with torch.cuda.stream(self._stream):
            copies = [home.to(self._device, non_blocking=True) for home in homes]
            sent: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            sent.record(self._stream)
        return _OnStream(copies, sent)


@dataclass
class _Swapped:
    """A block whose weights live at home. `travel`: they are on their way, or here."""

    number: int
    tensors: list[Tensor]
    homes: list[Tensor]
    travel: Travel | None = None
    here: bool = field(default=False)


class BlockSwap:
    """Swaps `count` of a denoiser's blocks, evenly spread, so that others compute while one travels."""

    def __init__(self, blocks: Sequence[nn.Module], count: int, road: Road, record: Record | None = None) -> None:
        """`blocks` are in the order of the forward pass. Everything else of the denoiser is to lie on the device."""
        self.count = count
        self._road, self._record = road, record or _forget
        self._swapped = [_take_home(blocks[number], number, road) for number in spread(count, len(blocks))]
        for place, swapped in enumerate(self._swapped):
            block: Any = blocks[swapped.number]
            block.forward = partial(self._run, place, block.forward)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The blocks that are swapped, by their places among all."""
        return tuple(swapped.number for swapped in self._swapped)

    @property
    def tensors(self) -> set[int]:
        """The ids of the weights that are at home."""
        return {id(tensor) for swapped in self._swapped for tensor in swapped.tensors}

    def _run(self, place: int, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._turn(place)
        self._record("compute", self._swapped[place].number)
        output = forward(*args, **kwargs)
        first = output[0] if isinstance(output, tuple) else output
        if first.requires_grad and not _goes_back():
            # Layers that keep nothing for their gradients read their weights again before anything is computed again.
            first.register_hook(lambda _: self._turn(place))
        return output

    def _turn(self, place: int) -> None:
        """Let a block be there, and the one whose turn is next be on its way."""
        following = self._following(place)
        for other, swapped in enumerate(self._swapped):
            if other not in (place, following):
                self._leave(swapped)
        own = self._swapped[place]
        self._fetch(own)
        if not own.here:
            assert own.travel is not None
            for tensor, copy in zip(own.tensors, own.travel.arrive(), strict=True):
                tensor.data = copy
            own.here = True
        if following is not None:
            self._fetch(self._swapped[following])

    def _following(self, place: int) -> int | None:
        """Whose turn is next: in a backward pass the one before; none where it turns, and where it ends."""
        if _goes_back():
            return place - 1 if place else None
        if place + 1 < len(self._swapped):
            return place + 1
        return None if torch.is_grad_enabled() else 0

    def _fetch(self, swapped: _Swapped) -> None:
        if swapped.travel is None:
            swapped.travel = self._road.fetch(swapped.homes)
            self._record("fetch", swapped.number)

    def _leave(self, swapped: _Swapped) -> None:
        if swapped.travel is None:
            return
        for tensor, home in zip(swapped.tensors, swapped.homes, strict=True):
            tensor.data = self._road.away(home)
        swapped.travel, swapped.here = None, False
        self._record("leave", swapped.number)


def _goes_back() -> bool:
    """Whether a backward pass is under way: a block that runs inside it computes its activations again."""
    return torch._C._current_graph_task_id() != -1


def _forget(move: Move, number: int) -> None:
    del move, number


def spread(count: int, of: int) -> list[int]:
    """The places of `count` swapped blocks among all, evenly: 2 of 6 are 2 and 5."""
    return [(place + 1) * of // count - 1 for place in range(count)]


def home_of(tensor: Tensor) -> Tensor:
    """Where a weight lives: a swapped one's place in the host's memory, which stays the same; else its own."""
    home: Tensor = getattr(tensor, "home", tensor)
    return home


def place_denoiser(
    denoiser: nn.Module, blocks: Sequence[nn.Module], count: int, device: torch.device, where: Any
) -> BlockSwap:
    """Bring a denoiser to a GPU but for `count` of its blocks, which are swapped. Raises BaseError where it has not so
    many."""
    if count > len(blocks):
        raise BaseError(
            f"blocks_to_swap = {count}: its denoiser has {len(blocks)} blocks.",
            where=where,
            hint=f"Set it to {len(blocks)} or less.",
        )
    swap = BlockSwap(blocks, count, CudaRoad(device) if device.type == "cuda" else PlainRoad(device))
    at_home = swap.tensors
    for tensor in (*denoiser.parameters(), *denoiser.buffers()):
        if id(tensor) not in at_home:
            tensor.data = tensor.data.to(device)
    return swap


def _take_home(block: nn.Module, number: int, road: Road) -> _Swapped:
    tensors: list[Any] = [*block.parameters(), *block.buffers()]
    homes = [road.home(tensor.data) for tensor in tensors]
    for tensor, home in zip(tensors, homes, strict=True):
        tensor.home = home
        tensor.data = road.away(home)
    return _Swapped(number, tensors, homes)
