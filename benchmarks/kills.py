"""Commands that are killed (SIGKILL) at random moments: what is found afterwards, and whether the next command goes on.

Every kind of command works on a small project with the embedded base. A child process, in which everything is
imported already, so that kills meet the work and not the imports, runs the command and is killed at a moment drawn
evenly from its undisturbed time. Then: the user's own files must be what they were to the byte, everything that has a
name must open (JSON, TOML, images, safetensors, SQLite), the same command, or the one that goes on with it, must end
well, and what is there must be as complete as without the kill. `serve` is asked for pictures until it is killed;
started again, it must bring all that it took to an end. A run's folder and the queue's job go on where they were.

Run: python -m benchmarks.kills [--quick] [--kills 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.killed_commands import Ground, Kind, kinds
from benchmarks.timing import machine, ratio_line
from benchmarks.wholeness import count_partials, find_half

TABLES = """
[exam]
steps = 2
flexibility_pictures = 4
leakage_pictures = 4
override_pictures = 0
window_pictures = 0
stacking_pictures = 0
candidates = 1
grid_steps = 1
strengths = [1.0]
[recipe]
rank = 1
epochs = 2
target_steps = 8
batch_size = 2
resolution = 64
save_every = "1 epochs"
lr.text_encoder = 0
preserve.kind = "none"
[provenance]"""
WAIT = 300.0


def spawn(words: Sequence[object], said: Path) -> int:
    """Run a command of the program in a child of this process, in a group of its own; its process id."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setsid()
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.chdir(said.parent)
        from lorasmith.cli.main import run
        from lorasmith.training import step_loop

        step_loop.SAVE_SECONDS = 0.05
        code = run([str(word) for word in words])
        sys.stdout.flush()
    finally:
        os._exit(code)


def end_of(process: int) -> int:
    """Wait; the exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def run_whole(ground: Ground, words: Sequence[object]) -> tuple[int, str]:
    """Run to the end: the exit code and what was said."""
    said = ground.path("said.txt")
    code = end_of(spawn(words, said))
    return code, said.read_text("utf-8", "replace")


def kill_one(ground: Ground, kind: Kind, seconds: float) -> bool:
    """Run and kill within `seconds`; False when it had ended by itself."""
    process = spawn(kind.words(ground), ground.path("said.txt"))
    time.sleep(ground.chance.uniform(0.0, seconds))
    kill = os.killpg if ground.chance.random() < 0.5 else os.kill
    with contextlib.suppress(ProcessLookupError):
        kill(process, signal.SIGKILL)
    return end_of(process) == -signal.SIGKILL


def check(ground: Ground, kind: Kind) -> list[str]:
    """What is wrong after a kill, and after the command that goes on."""
    found = ground.changed() + [f"at once: {each}" for each in find_half(ground.root / "work", settled=False)]
    said = ""
    for words in kind.again(ground):
        deadline = time.monotonic() + WAIT
        while True:
            code, said = run_whole(ground, words)
            # A job whose worker was killed ends itself at its next event: the device is held until then.
            if code == 0 or "already" not in said or words[0] != "queue" or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if code == 0:
            break
    else:
        found.append(f"the next command failed: {said[-300:]}")
    if "Traceback" in said:
        found.append(f"a traceback: {said[-600:]}")
    return found + ground.changed() + find_half(ground.root / "work") + kind.missing(ground)


def prepare_queue(ground: Ground, name: str) -> None:
    """A job that waits, for the kind that runs it."""
    if name == "queue":
        must(ground, ["queue", "add", ground.project, "--set", "target_steps=2"])


class Served:
    """`serve`, started in a child."""

    def __init__(self, ground: Ground) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data = ground.root / "work" / "served"
        words = ["serve", "--port", self.port, "--data", data, "--base", "doodle", "--batch", "2", "--lazy"]
        self.process = spawn(words, ground.path("said.txt"))
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                self.ask("/api/v1/status")
                return
            time.sleep(0.05)
        raise SystemExit(f"the server did not start: {ground.path('said.txt').read_text('utf-8')}")

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        end_of(self.process)


def kill_server(ground: Ground) -> list[str]:
    """Ask for pictures until the server is killed, then start it again and wait for all that it took."""
    server = Served(ground)
    taken: list[str] = []
    end = time.monotonic() + ground.chance.uniform(0.05, 3.0)
    body = {"prompt": "zbk", "steps": 2, "width": 64, "height": 64, "count": 2}
    while time.monotonic() < end:
        taken.append(server.ask("/api/v1/jobs", {**body, "seed": len(taken)})["id"])
        time.sleep(min(ground.chance.uniform(0.0, 0.6), max(0.0, end - time.monotonic())))
    server.kill()
    found = [f"at once: {each}" for each in find_half(ground.root / "work", settled=False)]
    server = Served(ground)
    try:
        for job in taken:
            deadline = time.monotonic() + WAIT
            while (known := server.ask(f"/api/v1/jobs/{job}"))["state"] not in ("done", "failed", "cancelled"):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            if known["state"] != "done":
                found.append(f"a job that was taken is {known['state']}")
    finally:
        server.kill()
    return found + ground.changed() + find_half(ground.root / "work")


def prepare(root: Path) -> Ground:
    """Two folders of a user, a project of one of them, an adapter and a picture."""
    from lorasmith.examples import example_folder

    warm_up()
    ground = Ground(root, random.Random(0))
    shown = sorted((example_folder("character") / "images").iterdir())
    for name, files in (("user", shown[:8]), ("more", shown[8:14])):
        ground.path(name).mkdir()
        for file in files:
            shutil.copyfile(file, ground.path(name) / file.name)
    os.environ["LORASMITH_HOME"] = str(root / "home")
    start = ground.path("start")
    must(ground, ["new", start, "--images", ground.path("user"), "--trigger", "zbk", "--name", "zbk"])
    file = start / "lora.toml"
    text = file.read_text("utf-8")
    head, tail = text.split("[recipe]", 1)
    file.write_text(head + TABLES.strip() + tail.split("[provenance]", 1)[1], "utf-8")
    must(ground, ["train", start, "--run", ground.path("adapter")])
    must(ground, ["generate", "zbk", "--steps", "2", "--out", ground.path("pictures")])
    shutil.rmtree(start / "runs", ignore_errors=True)
    return ground


def warm_up() -> None:
    """Import here what the children would import each, in one thread: more would not live in them."""
    import torch

    torch.set_num_threads(1)
    import lorasmith
    from lorasmith.cli.main import VERBS

    for name in (*(f"cli.commands.{verb}" for verb in VERBS), "training.loop", "exam.run", "server.uvicorn_server"):
        importlib.import_module(f"lorasmith.{name}")
    lorasmith.draw("zbk", steps=1)


def must(ground: Ground, words: Sequence[object]) -> float:
    """Run a command that has to end well; its seconds."""
    started = time.monotonic()
    code, said = run_whole(ground, words)
    if code:
        raise SystemExit(f"{words[:2]}: {said[-1000:]}")
    return time.monotonic() - started


def rounds(chosen: Sequence[str], count: int) -> Iterator[str]:
    for number in range(count):
        yield chosen[number % len(chosen)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one kill of each command")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="a kind of command, such as train; repeatable")
    chosen = parser.parse_args(argv)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ground = prepare(Path(folder).resolve())
        ground.chance.seed(chosen.seed)
        known = kinds()
        names = chosen.only or [*known, "serve"]
        count = len(names) if chosen.quick else chosen.kills
        kills, faults, left = Counter[str](), Counter[str](), Counter[str]()
        seconds: dict[str, float] = {}
        for number, name in enumerate(rounds(names, count)):
            ground.begin()
            started = time.monotonic()
            if name == "serve":
                found = kill_server(ground)
            else:
                kind = known[name]
                if name not in seconds:
                    prepare_queue(ground, name)
                    seconds[name] = must(ground, kind.words(ground))
                while True:
                    ground.begin()
                    prepare_queue(ground, name)
                    if kill_one(ground, kind, seconds[name]):
                        break
                found = check(ground, kind)
            kills[name] += 1
            faults[name] += bool(found)
            left[name] += count_partials(ground.root / "work")
            spent = time.monotonic() - started
            print(f"{number + 1}/{count} {name}: {'; '.join(found) or 'whole'} ({spent:.0f} s)", flush=True)
    print("\ncommand        kills  faults  partials left")
    for name in names:
        print(f"{name:<14} {kills[name]:5} {faults[name]:7} {left[name]:14}")
    print(
        ratio_line(
            "kills after which all is whole and the next command goes on", whole_share(kills, faults), at_least=1
        )
    )
    return 0


def whole_share(kills: Counter[str], faults: Counter[str]) -> float:
    return 1.0 - faults.total() / kills.total()


if __name__ == "__main__":
    sys.exit(main())
