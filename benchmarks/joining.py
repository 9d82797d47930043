"""What a picture costs a replica's stepper in processor time when pictures join and leave one by one, against the same
pictures in full batches.

One process of one thread on the embedded base: 4 steps of 64 x 64, at most eight together, adapters drawn by Zipf's law
from a store of real files, as a replica of `benchmarks.cluster_serving` has them, but without queue, messages and
clients. Both sides take turns; a picture is counted with its PNG and thumbnail where it is served, which its process
makes, too.

Run: python -m benchmarks.joining [--quick] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import pstats
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from benchmarks.cluster_serving import BATCH, IN_MEMORY, ON_DISK, SIDE, Zipf, make_store
from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import load_base
from lorasmith.events import finish
from lorasmith.generation.batching import Stepper
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.finished import finish_picture
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import open_source

STEPS = 4


def specs_of(adapters: int) -> Iterator[PictureSpec]:
    """What the clients of the cluster's benchmark ask for."""
    for seed, number in enumerate(Zipf(adapters, 3)):
        yield PictureSpec(
            f"1girl, smile <lora:a{number:06}:0.6>",
            seed=seed,
            steps=STEPS,
            width=SIDE,
            height=SIDE,
            sampler="DDIM",
            cfg=4.0,
        )


class Joining:
    """A stepper that always has eight pictures in flight; the first ones join two before each step, so that all later
    ones do."""

    def __init__(self, stepper: Stepper, specs: Iterator[PictureSpec]) -> None:
        self._stepper, self._specs = stepper, specs
        self._tickets = itertools.count()
        self._first = deque([BATCH // STEPS] * STEPS)

    def draw(self, count: int) -> tuple[float, float]:
        """Processor seconds a picture: of drawing, and of making files of them."""
        drawn, files, began = 0, 0.0, time.thread_time()
        while drawn < count:
            room = BATCH - len(self._stepper)
            for _ in range(min(room, self._first.popleft()) if self._first else room):
                self._stepper.add(next(self._specs), next(self._tickets))
            finished = self._stepper.step().finished
            drawn += len(finished)
            start = time.thread_time()
            for _, picture in finished:
                finish_picture(picture)
            files += time.thread_time() - start
        return (time.thread_time() - began - files) / drawn, files / drawn


def draw_full(pipeline: Pipeline, specs: Iterator[PictureSpec], count: int) -> float:
    """Processor seconds a picture in full batches."""
    began = time.thread_time()
    for _ in range(count // BATCH):
        finish(pipeline.draw(list(itertools.islice(specs, BATCH))))
    return (time.thread_time() - began) / (count // BATCH * BATCH)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few pictures; not to be quoted")
    parser.add_argument("--profile", action="store_true", help="where the time goes, by function")
    chosen = parser.parse_args(argv)
    adapters, count, turns = (200, 8, 1) if chosen.quick else (100_000, 160, 3)
    torch.set_num_threads(1)
    base = load_base("doodle")
    with tempfile.TemporaryDirectory() as held:
        store = Path(held) / "store"
        make_store(store, base, adapters)
        file = next(store.glob("*.safetensors"))
        sources = [
            open_source(
                ServerSettings(
                    data=Path(held) / "data",
                    stores=(f"file://{store}",),
                    cache=Path(held) / side,
                    cache_bytes=ON_DISK * file.stat().st_size,
                    factor_bytes=IN_MEMORY * load_adapter(file).bytes,
                    batch_size=BATCH,
                )
            )
            for side in ("apart", "full")
        ]
        joining = Joining(Stepper(base, sources[0], BATCH), specs_of(adapters))
        pipeline, full_specs = Pipeline(base, sources[1], BATCH), specs_of(adapters)
        joining.draw(2 * BATCH)  # warms up
        draw_full(pipeline, full_specs, 2 * BATCH)
        profile = cProfile.Profile(time.thread_time) if chosen.profile else None
        apart, files, full = [], [], []
        for _ in range(turns):
            full.append(draw_full(pipeline, full_specs, count))
            with profile or nullcontext():
                drawn, encoded = joining.draw(count)
            apart.append(drawn)
            files.append(encoded)
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
    mean = {name: sum(each) / turns for name, each in (("apart", apart), ("files", files), ("full", full))}
    print(f"{machine()}; {STEPS} steps of {SIDE} x {SIDE}, {turns} turns of {count} pictures")
    print(f"full batches: {1000 * mean['full']:.1f} ms of processor time a picture")
    print(f"joining one by one: {1000 * mean['apart']:.1f} ms, and {1000 * mean['files']:.1f} ms for its files")
    print(ratio_line("full batches / joining one by one", mean["full"] / mean["apart"], at_least=0.9))


if __name__ == "__main__":
    main()
