"""The server under 32 clients with mixed adapters, against the same pictures drawn offline in full batches.

Clients of the web UI's kind, each asking for one picture after another with one of eight adapters (or none). Both
sides draw on the embedded base with the same size and steps, in turns: offline, served, offline. Each side has a thread
of its own that ends with it, as the program's: OpenMP gives every thread that computes a team, and as soon as there are
more of them than cores all stop spinning at barriers, which makes a pass on two cores nearly three times slower.

Run: python -m benchmarks.serving [--quick] [--minutes M]
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import torch

from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.events import finish
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.metrics import resident_bytes
from lorasmith.server.settings import ServerSettings
from lorasmith.server.uvicorn_server import build_server

CLIENTS, ADAPTERS, BATCH, SIDE = 32, 8, 8, 128
GREATEST_GROWTH = 1.1
T = TypeVar("T")


def save_adapters(folder: Path) -> list[str]:
    """Eight LoRAs with random factors on the attention layers; gives what calls each, and none."""
    base = load_base("doodle")
    for number in range(ADAPTERS):
        adapter = _random_adapter(base, number)
        save_adapter(folder / f"{adapter.name}.safetensors", adapter, torch.float16)
    return ["", *(f" <lora:bench-{number}:0.6>" for number in range(ADAPTERS))]


def _random_adapter(base: Base, number: int) -> Adapter:
    generator = torch.Generator().manual_seed(number)
    adapter = new_adapter(
        base,
        name=f"bench-{number}",
        rank=8,
        alpha=8.0,
        text_encoder=False,
        groups=("attention",),
        generator=generator,
    )
    for factors in adapter.layers.values():
        for tensor in factors.trained().values():
            tensor.data.add_(torch.randn(tensor.shape, generator=generator) * 0.01)
    return adapter


def apart(work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that ends with it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def draw_offline(folder: Path, tags: Sequence[str], seconds: float, steps: int) -> float:
    """Pictures a second in full batches."""
    base = load_base("doodle")
    pipeline = Pipeline(base, AdapterCache([folder]), BATCH)
    finish(pipeline.draw([PictureSpec(f"1girl, smile{tag}", seed=1, steps=steps) for tag in tags[:BATCH]]))
    drawn, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        specs = [
            PictureSpec(f"1girl, smile{tags[(drawn + index) % len(tags)]}", seed=drawn + index, steps=steps)
            for index in range(BATCH)
        ]
        drawn += len(finish(pipeline.draw(specs)))
    return drawn / (time.monotonic() - start)


class Crowd:
    """Clients that ask until they are told to stop."""

    def __init__(self, address: str, tags: Sequence[str], steps: int) -> None:
        self.drawn = 0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(address, number, tags, steps)) for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str, number: int, tags: Sequence[str], steps: int) -> None:
        with httpx.Client(base_url=address, timeout=600, headers={"x-client": str(number)}) as client:
            turn = number
            while not self._stop.is_set():
                turn += 1
                body = {
                    "prompt": f"1girl, smile{tags[turn % len(tags)]}",
                    "seed": turn,
                    "steps": steps,
                    "width": SIDE,
                    "height": SIDE,
                    "sampler_name": "DDIM",
                    "cfg_scale": 4.0,
                }
                try:
                    answer = client.post("/sdapi/v1/txt2img", json=body)
                    problem = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
                except httpx.HTTPError as fault:
                    problem = repr(fault)
                with self._lock:
                    self.drawn += not problem
                    self.errors += [problem] if problem else []


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 seconds of serving, 4 steps; not to be quoted")
    parser.add_argument("--minutes", type=float, default=3.0, help="of serving")
    chosen = parser.parse_args(argv)
    served, steps = (15.0, 4) if chosen.quick else (60 * chosen.minutes, 8)
    offline = 4.0 if chosen.quick else 30.0
    print(f"{machine()}; {CLIENTS} clients, {ADAPTERS} adapters and none, {steps} steps, {served:.0f} s")
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held) / "adapters"
        folder.mkdir()
        tags = apart(lambda: save_adapters(folder))
        before = apart(lambda: draw_offline(folder, tags, offline, steps))
        settings = ServerSettings(data=Path(held) / "data", adapters=(folder,), batch_size=BATCH, preload=True)
        server = build_server(replace(settings, port=0))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started or server.service.worker.base is None:
            time.sleep(0.05)
        crowd = Crowd(server.address, tags, steps)
        crowd.start()
        warm = served / 3
        time.sleep(warm)
        gc.collect()
        memory, drawn, start = resident_bytes(), crowd.drawn, time.monotonic()
        time.sleep(served - warm)
        rate = (crowd.drawn - drawn) / (time.monotonic() - start)
        grown = resident_bytes() / memory
        metrics = server.service.metrics
        together = metrics.total("lorasmith_steps_total") / max(1.0, metrics.total("lorasmith_rounds_total"))
        crowd.stop()
        server.stop()
        thread.join()
        after = apart(lambda: draw_offline(folder, tags, offline, steps))
    print(f"offline {before:.2f} and {after:.2f} pictures/s, served {rate:.2f}; {together:.1f} drawn together")
    print(f"{crowd.drawn} pictures, {len(crowd.errors)} errors, {memory / 2**20:.0f} MiB after warming up")
    for problem in crowd.errors[:3]:
        print(f"error: {problem}")
    print(ratio_line("served / offline pictures a second", rate / ((before + after) / 2), at_least=0.9))
    print(ratio_line("memory at the end / after a third", grown, at_most=GREATEST_GROWTH))
    print(ratio_line("failed requests", float(len(crowd.errors)), at_most=0))


if __name__ == "__main__":
    main()
