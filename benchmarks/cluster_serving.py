"""Serving from a store of 100,000 adapters on a cluster: how the caches do, latencies, and throughput against offline.

The store is a folder of real files (hard links to a few, so that they cost no disk) with a manifest, read through
fsspec as a bucket would be. 64 clients of the web UI's kind ask for one picture after another, each with an adapter
drawn by Zipf's law (exponent 1.0). Served are, one after another: a stub denoiser of fixed cost (a step sleeps as long
as it takes on a GPU, whatever the batch), with adapters that are really fetched and read; and the embedded base. Beside
it the same pictures offline in full batches, and diffusers, which reads, sets and deletes an adapter for each, both in
as many processes of one thread as there are replicas. Without ray one process of this machine draws in place of the
replicas.

Run: python -m benchmarks.cluster_serving [--quick] [--minutes M] [--replicas N]
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import multiprocessing
import os
import random
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import torch
from PIL import Image

from benchmarks.many_adapters import pipeline_of
from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.stored.manifest import FILE_NAME, write_manifest
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.events import finish
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import split_networks
from lorasmith.server.bases import BaseEntry
from lorasmith.server.cluster.routing import Standing, choose_replica
from lorasmith.server.interfaces import InputPath, Moved, Round
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import open_source
from lorasmith.server.uvicorn_server import build_server
from lorasmith.storage.lru import ByteLru

CLIENTS, BATCH, SIDE, EXPONENT, DISTINCT = 64, 8, 64, 1.0, 32
STUB_SECONDS = 0.05
"""Of a step of the stub: some SD 1.5 at batch 8 on a data-centre card, rounded up."""
IN_MEMORY, ON_DISK = 300, 3000
"""Adapters that a replica's caches hold when it is served."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    adapters: int
    requests: int
    stub: float
    served: float
    offline: float
    steps: int
    peer: int


QUICK = Sizes(adapters=3000, requests=4000, stub=3.0, served=5.0, offline=1.5, steps=2, peer=3)


class Zipf:
    """Numbers below `count`, the first ones by far the commonest: number k with weight 1 / (k + 1)."""

    def __init__(self, count: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._sums = list(itertools.accumulate(1.0 / (rank + 1) ** EXPONENT for rank in range(count)))

    def __iter__(self) -> Iterator[int]:
        while True:
            yield bisect.bisect_left(self._sums, self._chance.random() * self._sums[-1])


def make_store(folder: Path, base: Base, count: int) -> None:
    """`count` files and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(DISTINCT):
        generator = torch.Generator().manual_seed(number)
        adapter = new_adapter(
            base, name="a", rank=4, alpha=4.0, text_encoder=False, groups=("attention",), generator=generator
        )
        for factors in adapter.layers.values():
            for tensor in factors.trained().values():
                tensor.data.add_(torch.randn(tensor.shape, generator=generator) * 0.01)
        save_adapter(folder / f"{_name(number)}.safetensors", adapter, torch.float16)
    entries = json.loads(write_manifest(folder).read_text("utf-8"))["adapters"]
    for number in range(DISTINCT, count):
        name = _name(number)
        os.link(folder / f"{_name(number % DISTINCT)}.safetensors", folder / f"{name}.safetensors")
        entries.append({**entries[number % DISTINCT], "name": name, "file": f"{name}.safetensors"})
    (folder / FILE_NAME).write_text(json.dumps({"version": 1, "adapters": entries}), "utf-8")


def _name(number: int) -> str:
    return f"a{number:06}"


# The caches by themselves


def count_hits(sizes: Sizes, memory: int, disk: int, replicas: int = 1, routed: bool = True) -> tuple[float, float]:
    """Shares of requests that find factors, and, of the others, the file, in caches of so many adapters in each
    replica: the very LRU of both caches, without files. The first half of the requests warms up."""
    factors = [ByteLru[int, None](memory) for _ in range(replicas)]
    files = [ByteLru[int, None](disk) for _ in range(replicas)]
    standings = [Standing(f"replica-{number}", 0, 1) for number in range(replicas)]
    chance, homes = random.Random(1), dict[int, int]()
    asked = hits = misses = found = 0
    for turn, number in enumerate(itertools.islice(Zipf(sizes.adapters, 2), sizes.requests)):
        if not routed:
            home = chance.randrange(replicas)
        elif number not in homes:
            chosen = choose_replica(standings, "doodle", (_name(number),), 1, slack=4)
            home = homes[number] = next(place for place, each in enumerate(standings) if each.name == chosen)
        else:
            home = homes[number]
        counts = turn >= sizes.requests // 2
        asked += counts
        if number in factors[home]:
            factors[home].get(number)
            hits += counts
            continue
        factors[home].put(number, None, 1)
        misses += counts
        if number in files[home]:
            files[home].get(number)
            found += counts
        else:
            files[home].put(number, None, 1)
    return hits / asked, found / max(1, misses)


def print_table(sizes: Sizes) -> None:
    """Hit rates against the sizes of both caches."""
    memories = [size for size in (100, 300, 1000, 3000) if size < sizes.adapters]
    disks = [size for size in (1000, 3000, 10_000, 30_000) if size < sizes.adapters]
    print(
        f"\nhit rates, {sizes.adapters} adapters, Zipf {EXPONENT}, {sizes.requests} requests, half of them to warm up:"
    )
    print("| factors of | " + " | ".join(f"{size}" for size in memories) + " |")
    print("| --- |" + " --- |" * len(memories))
    rates = {(memory, disk): count_hits(sizes, memory, disk) for memory in memories for disk in disks}
    print("| in memory | " + " | ".join(f"{rates[memory, disks[0]][0]:.1%}" for memory in memories) + " |")
    for disk in disks:
        print(f"| files of {disk}, of what missed | " + " | ".join(f"{rates[m, disk][1]:.1%}" for m in memories) + " |")
    for disk in disks:
        left = [(1 - rates[m, disk][0]) * (1 - rates[m, disk][1]) for m in memories]
        print(f"| fetched with files of {disk} | " + " | ".join(f"{share:.1%}" for share in left) + " |")
    for routed in (True, False):
        hit, found = count_hits(sizes, memories[1], disks[0], replicas=4, routed=routed)
        fetched = (1 - hit) * (1 - found)
        how = "by their adapters" if routed else "anywhere"
        print(
            f"4 replicas of {memories[1]} and {disks[0]} each, requests sent {how}: "
            f"{hit:.1%} in memory, {found:.1%} of the rest on disk, {fetched:.1%} fetched"
        )


# A denoiser of fixed cost


@dataclass(frozen=True)
class StubLoader:
    """Gives an engine whose step takes `seconds`."""

    seconds: float

    def __call__(self, entry: BaseEntry, settings: ServerSettings, _: InputPath) -> tuple[StubEngine, str]:
        return StubEngine(entry.name, settings, self.seconds), "00" * 32


class StubEngine:
    """Draws nothing, at the cost of a GPU; adapters are fetched and read as for any picture."""

    def __init__(self, base: str, settings: ServerSettings, seconds: float) -> None:
        self._base = base
        self._seconds = seconds
        self._source = open_source(settings)
        self._rows: dict[Hashable, tuple[PictureSpec, int]] = {}

    @property
    def active(self) -> int:
        return len(self._rows)

    def company(self, spec: PictureSpec) -> Hashable:
        return spec.width, spec.height

    def add(self, ticket: Hashable, spec: PictureSpec) -> int:
        for network in split_networks(spec.prompt, spec.compat).networks:
            self._source.get(network.name)
        self._rows[ticket] = (spec, 0)
        return spec.steps

    def step(self, previews: bool, stop: Callable[[], bool]) -> Round:
        del previews, stop
        time.sleep(self._seconds)
        moved, finished = [], []
        for ticket, (spec, done) in list(self._rows.items()):
            self._rows[ticket] = (spec, done + 1)
            moved.append(Moved(ticket, done + 1, spec.steps))
            if done + 1 >= spec.steps:
                del self._rows[ticket]
                image = Image.new("RGB", (8, 8))
                finished.append((ticket, Picture(image, spec, (), self._base, "0" * 64, spec.prompt)))
        return Round(tuple(moved), tuple(finished))

    def remove(self, ticket: Hashable) -> None:
        self._rows.pop(ticket, None)


# Served


class Crowd:
    """Clients that ask until they are told to stop; `seconds` of each answer by the time it came."""

    def __init__(self, address: str, sizes: Sizes) -> None:
        self.answers: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self.spent = 0.0
        self._stop = threading.Event()
        self._numbers = iter(Zipf(sizes.adapters, 3))
        self._lock = threading.Lock()
        given = (address, sizes.steps)
        self._threads = [threading.Thread(target=self._ask, args=(number, *given)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int, address: str, steps: int) -> None:
        with httpx.Client(base_url=address, timeout=600, headers={"x-client": str(number)}) as client:
            while not self._stop.is_set():
                with self._lock:
                    body = {**_body(next(self._numbers), steps), "seed": len(self.answers)}
                began, spent = time.monotonic(), time.thread_time()
                try:
                    answer = client.post("/sdapi/v1/txt2img", json=body)
                    problem = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
                except httpx.HTTPError as fault:
                    problem = repr(fault)
                now = time.monotonic()
                with self._lock:
                    self.spent += time.thread_time() - spent
                    if problem:
                        self.errors.append(problem)
                    else:
                        self.answers.append((now, now - began))


def _body(number: int, steps: int) -> dict[str, Any]:
    return {
        "prompt": f"1girl, smile <lora:{_name(number)}:0.6>",
        "steps": steps,
        "width": SIDE,
        "height": SIDE,
        "sampler_name": "DDIM",
        "cfg_scale": 4.0,
    }


@dataclass(frozen=True)
class Served:
    """What became of a run: pictures a second after a sixth of it to warm up, seconds of answers, hit rates, bytes
    fetched a picture, and the processor seconds a picture: of this process, which has the queue and the clients, of the
    clients alone, and of the replicas and what carries their messages. `together`: pictures in a step."""

    rate: float
    latencies: tuple[float, float, float]
    factors: float
    files: float
    fetched: float
    here: float
    clients: float
    elsewhere: float
    together: float
    errors: tuple[str, ...]
    pictures: int


def spent_below() -> float:
    """Processor seconds of all processes that descend from this one and are there; 0 where there is no /proc."""
    parents, seconds = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may have ended
            fields = file.read_text().rpartition(")")[2].split()
            number = int(file.parent.name)
            parents[number] = int(fields[1])
            seconds[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below = {os.getpid()}
    while more := {number for number, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(seconds[number] for number in below - {os.getpid()})


@contextmanager
def started(settings: ServerSettings, loader: StubLoader | None) -> Iterator[Any]:
    server = build_server(replace(settings, port=0), loader=loader)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started or server.service.worker.base is None:
            time.sleep(0.05)
        yield server
    finally:
        server.stop()
        thread.join()


def serve(settings: ServerSettings, sizes: Sizes, seconds: float, loader: StubLoader | None = None) -> Served:
    """Let 64 clients ask for so many seconds."""
    with started(settings, loader) as server:
        crowd = Crowd(server.address, sizes)
        crowd.start()
        begun = time.monotonic()
        time.sleep(seconds / 6)
        before, warm = dict(server.service.worker.figures), time.monotonic()
        spent = (time.process_time(), crowd.spent, spent_below())
        time.sleep(max(0.0, seconds - (warm - begun)))
        after, end = dict(server.service.worker.figures), time.monotonic()
        now = (time.process_time(), crowd.spent, spent_below())
        metrics = server.service.metrics
        together = metrics.total("lorasmith_steps_total") / max(1.0, metrics.total("lorasmith_rounds_total"))
        answers = [taken for at, taken in crowd.answers if warm <= at <= end]
        crowd.stop()
    change = {name.split("_", 2)[2]: value - before.get(name, 0.0) for name, value in after.items()}
    taken = sorted(answers) or [0.0]
    return Served(
        rate=len(answers) / (end - warm),
        latencies=tuple(taken[min(len(taken) - 1, int(share * len(taken)))] for share in (0.5, 0.95, 0.99)),  # type: ignore[arg-type]
        factors=_share(change["factors_hits_total"], change["factors_misses_total"]),
        files=_share(change["files_hits_total"], change["files_misses_total"]),
        fetched=change["fetched_bytes_total"] / max(1, len(answers)),
        here=(now[0] - spent[0]) / max(1, len(answers)),
        clients=(now[1] - spent[1]) / max(1, len(answers)),
        elsewhere=(now[2] - spent[2]) / max(1, len(answers)),
        together=together,
        errors=tuple(crowd.errors),
        pictures=len(crowd.answers),
    )


@dataclass(frozen=True)
class Speed:
    """Pictures a second, and processor seconds for each."""

    rate: float
    each: float


def _share(hits: float, misses: float) -> float:
    return hits / max(1.0, hits + misses)


def draw_offline(settings: ServerSettings, sizes: Sizes) -> Speed:
    """In full batches, adapters from the same store."""
    torch.set_num_threads(1)
    pipeline = Pipeline(load_base("doodle"), open_source(settings), BATCH)
    numbers = iter(Zipf(sizes.adapters, 3))
    drawn, start, spent = -BATCH, time.monotonic(), time.process_time()
    while time.monotonic() - start < sizes.offline or drawn <= 0:
        specs = [
            PictureSpec(
                f"1girl, smile <lora:{_name(next(numbers))}:0.6>",
                seed=drawn + BATCH + each,
                steps=sizes.steps,
                width=SIDE,
                height=SIDE,
                sampler="DDIM",
                cfg=4.0,
            )
            for each in range(BATCH)
        ]
        finish(pipeline.draw(specs))
        drawn += BATCH
        if drawn == 0:  # the first batch warms up
            start, spent = time.monotonic(), time.process_time()
    return Speed(drawn / (time.monotonic() - start), (time.process_time() - spent) / drawn)


def draw_by_diffusers(store: Path, sizes: Sizes) -> Speed:
    """By diffusers, one after another, each with its adapter read, set and deleted."""
    torch.set_num_threads(1)
    pipeline = pipeline_of(load_base("doodle"))
    start, spent = time.monotonic(), time.process_time()
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn, number in enumerate(itertools.islice(Zipf(sizes.adapters, 3), sizes.peer + 1)):
            pipeline.load_lora_weights(store, weight_name=f"{_name(number)}.safetensors", adapter_name="a")
            pipeline.set_adapters("a", adapter_weights=0.6)
            pipeline(
                "1girl, smile",
                num_inference_steps=sizes.steps,
                guidance_scale=4.0,
                width=SIDE,
                height=SIDE,
                generator=torch.Generator().manual_seed(turn),
            )
            pipeline.delete_adapters("a")
            if turn == 0:
                start, spent = time.monotonic(), time.process_time()
    return Speed(sizes.peer / (time.monotonic() - start), (time.process_time() - spent) / sizes.peer)


def at_once(processes: int, draw: Callable[..., Speed], *given: object) -> Speed:
    """What so many processes draw together."""
    if processes == 1:
        return draw(*given)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        found = [future.result() for future in [pool.submit(draw, *given) for _ in range(processes)]]
    return Speed(sum(each.rate for each in found), sum(each.each for each in found) / processes)


def tell(what: str, served: Served) -> None:
    p50, p95, p99 = served.latencies
    print(
        f"{what}: {served.rate:.2f} pictures/s, p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s; factors in memory "
        f"{served.factors:.1%}, files on disk {served.files:.1%} of the rest, {served.fetched / 1024:.1f} KiB fetched "
        f"a picture; processor time a picture: {1000 * served.here:.1f} ms of the process with queue and clients "
        f"({1000 * served.clients:.1f} of clients), {1000 * served.elsewhere:.1f} ms of replicas; "
        f"{served.together:.1f} drawn together; {served.pictures} "
        f"pictures, {len(served.errors)} errors; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    for problem in served.errors[:3]:
        print(f"error: {problem}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3,000 adapters, some seconds; not to be quoted")
    parser.add_argument("--minutes", type=float, default=5.0, help="of serving on the embedded base")
    parser.add_argument("--replicas", type=int, help="2; 1 when it is quick")
    chosen = parser.parse_args(argv)
    full = Sizes(100_000, 400_000, stub=60.0, served=60 * chosen.minutes, offline=30.0, steps=4, peer=60)
    sizes = QUICK if chosen.quick else full
    wanted = chosen.replicas or (1 if chosen.quick else 2)
    replicas = wanted if find_spec("ray") is not None else 0
    print(
        f"{machine()}; {CLIENTS} clients, {sizes.steps} steps of {SIDE} x {SIDE}; {replicas or 'no'} replicas",
        flush=True,
    )
    print_table(sizes)
    with tempfile.TemporaryDirectory() as held:
        store, folder = Path(held) / "store", Path(held)
        began = time.monotonic()
        make_store(store, load_base("doodle"), sizes.adapters)
        file = store / f"{_name(0)}.safetensors"
        print(
            f"\n{sizes.adapters} files of {file.stat().st_size} bytes in {time.monotonic() - began:.1f} s", flush=True
        )
        settings = ServerSettings(
            data=folder / "data",
            stores=(f"file://{store}",),
            cache=folder / "cache",
            cache_bytes=ON_DISK * file.stat().st_size,
            factor_bytes=IN_MEMORY * load_adapter(file).bytes,
            batch_size=BATCH,
            preload=True,
        )
        from benchmarks.cluster_serving import StubLoader as Loader  # by its name, as replicas know it

        stub_loader = Loader(STUB_SECONDS)
        there = replace(settings, cluster="local", replicas=replicas) if replicas else settings
        stub_here = there if not chosen.quick else settings  # a smoke check starts the cluster once
        stub_replicas = stub_here.replicas or 1
        alone = replace(settings, cache=folder / "offline")
        before = at_once(replicas or 1, draw_offline, alone, sizes)
        stub = serve(replace(stub_here, data=folder / "stub"), sizes, sizes.stub, stub_loader)
        tell(f"a stub of {STUB_SECONDS} s a step on {stub_replicas}", stub)
        base = serve(replace(there, cache=folder / "fresh"), sizes, sizes.served)
        tell(f"the embedded base on {replicas or 1}", base)
        after = at_once(replicas or 1, draw_offline, alone, sizes)
        peer = at_once(replicas or 1, draw_by_diffusers, store, sizes)
    if replicas:
        import ray

        ray.shutdown()
    offline, each = (before.rate + after.rate) / 2, (before.each + after.each) / 2
    ideal = stub_replicas * BATCH / (sizes.steps * STUB_SECONDS)
    print(
        f"offline {before.rate:.2f} and {after.rate:.2f} pictures/s; diffusers with load and unload {peer.rate:.2f}; "
        f"processor time a picture {1000 * each:.1f} ms and {1000 * peer.each:.1f} ms"
    )
    print(ratio_line("stub served / its replicas in full batches", stub.rate / ideal, at_least=0.9))
    print(ratio_line("embedded base served / offline pictures a second", base.rate / offline, at_least=0.9))
    print(ratio_line("embedded base served / diffusers with load and unload", base.rate / peer.rate, at_least=1.0))
    served = base.here - base.clients + base.elsewhere
    print(ratio_line("processor time of a picture, offline / served without its client", each / served, at_least=0.9))
    print(ratio_line("failed requests", float(len(stub.errors) + len(base.errors)), at_most=0))


if __name__ == "__main__":
    main()
