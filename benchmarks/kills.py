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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import machine, ratio_line
from benchmarks.wholeness import count_partials, digests, find_half

TABLES = """
[exam]
steps = 2
flexibility_pictures = 4
leakage_pictures = 4
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


@dataclass
class Ground:
    """Folders of the commands: `user` and `more` are somebody's own images, `start` a project to copy."""

    root: Path
    chance: random.Random
    own: dict[Path, Any] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.root / "work" / "project"

    def path(self, name: str) -> Path:
        return self.root / name

    def begin(self) -> None:
        """A fresh copy of the project, and nothing else."""
        shutil.rmtree(self.root / "work", ignore_errors=True)
        shutil.copytree(self.root / "start", self.project)
        os.environ["LORASMITH_HOME"] = str(self.root / "work" / "home")
        self.own = {folder: digests(folder) for folder in (self.path("user"), self.path("more"))}
        self.own[self.project / "images"] = digests(self.project / "images")

    def changed(self) -> list[str]:
        """The user's files that are not what they were."""
        return [
            f"{folder.name}/{name} is not what it was"
            for folder, before in self.own.items()
            if folder.parent != self.project or folder.exists()
            for name, digest in before.items()
            if digests(folder).get(name) != digest
        ]


@dataclass(frozen=True)
class Kind:
    """A command. `again` are the commands of which one must end well afterwards; `missing` says what is not there."""

    words: Callable[[Ground], Sequence[object]]
    again: Callable[[Ground], Sequence[Sequence[object]]]
    missing: Callable[[Ground], list[str]] = lambda ground: []
    before: Callable[[Ground], None] = lambda ground: None


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


def came_in(ground: Ground, project: Path, sources: Sequence[Path]) -> list[str]:
    """Pictures, captions and sources that a project should have from folders, and has not."""
    there = set(digests(project / "images").values())
    missing = [f"{name} did not come in" for each in sources for name, sha in digests(each).items() if sha not in there]
    file = project / "sources.jsonl"
    known = {json.loads(line)["sha256"] for line in file.read_text("utf-8").splitlines()} if file.exists() else set()
    pictures = [(name, sha) for each in sources for name, sha in digests(each).items() if name.endswith(".png")]
    extra = len(list((project / "images").rglob("*.png"))) - len(digests_of(project / "images", ".png"))
    return (
        missing
        + [f"the source of {name} is lost" for name, sha in pictures if sha not in known]
        + ([f"{extra} pictures came in twice"] if extra else [])
    )


def digests_of(folder: Path, suffix: str) -> set[str]:
    return {sha for name, sha in digests(folder).items() if name.endswith(suffix)}


def built(ground: Ground) -> list[str]:
    """What the built dataset lacks."""
    folder = ground.project / "build" / "dataset"
    pictures, captions = list(folder.glob("*/*.png")), list(folder.glob("*/*.txt"))
    count = len(list((ground.project / "images").rglob("*.png")))
    whole = len(pictures) == len(captions) == count and (folder / "dataset.toml").is_file()
    return [] if whole else [f"{len(pictures)} pictures and {len(captions)} captions are built of {count}"]


def trained(ground: Ground) -> list[str]:
    runs = list((ground.project / "runs").iterdir())
    adapters = [path for path in (ground.project / "runs").glob("*/*.safetensors")]
    return [] if len(adapters) == 1 == len(runs) else [f"{len(adapters)} adapters in {len(runs)} runs"]


def examined(ground: Ground) -> list[str]:
    exams = [path for path in (ground.project / "exams").iterdir() if not path.name.startswith(".")]
    return [f"{path.name} has no report" for path in exams if not list(path.glob("*.html"))]


def curated(ground: Ground) -> list[str]:
    from lorasmith.dataset.decisions import read_decisions
    from lorasmith.project import open_project

    return list(read_decisions(open_project(ground.project)).problems)


def redrawn(ground: Ground) -> list[str]:
    return [] if list((ground.root / "work" / "redo").glob("*.png")) else ["nothing was drawn again"]


def queue_up(ground: Ground) -> None:
    code, said = run_whole(ground, ["queue", "add", ground.project])
    assert code == 0, said


def kinds() -> dict[str, Kind]:
    """Every kind of command, by name."""

    def new(ground: Ground) -> Sequence[object]:
        return "new", ground.root / "work" / "made", "--images", ground.path("user"), "--trigger", "zbk"

    def add(ground: Ground) -> Sequence[object]:
        return "add", ground.project, "--images", ground.path("more")

    def alter(ground: Ground) -> Sequence[object]:
        names = ["character-01.png", "character-02.png"]
        return "curate", "alter", ground.project, *names, "--count", 3

    def grid(ground: Ground) -> Sequence[object]:
        shown = [
            "--strengths",
            "0.5,1",
            "--steps",
            "2",
            "--out",
            ground.root / "work" / "grids",
            "--name",
            "g",
            "--yes",
        ]
        return "grid", "draw", ground.path("adapter"), "--base", "doodle", "--prompt", "zbk", *shown

    def redo(ground: Ground) -> Sequence[object]:
        return "picture", "redo", ground.path("pictures") / "picture-0001.png", "--out", ground.root / "work" / "redo"

    def exam(ground: Ground) -> Sequence[object]:
        snapshots = ["--snapshots", next(ground.path("adapter").glob("*.safetensors"))]
        return "exam", ground.project, "--pictures", "8", *snapshots

    def made(ground: Ground) -> list[str]:
        return came_in(ground, ground.root / "work" / "made", [ground.path("user")])

    def added(ground: Ground) -> list[str]:
        return came_in(ground, ground.project, [ground.path("user"), ground.path("more")])

    queue: Sequence[object] = ("queue", "run", "--device", "cpu")
    return {
        # What had arrived already needs no second command: then inspecting it must do.
        "new": Kind(new, lambda g: [new(g), ["inspect", g.root / "work" / "made"]], made),
        "add": Kind(add, lambda g: [add(g), ["inspect", g.project]], added),
        "curate auto": Kind(
            lambda g: ["curate", "auto", g.project], lambda g: [["curate", "auto", g.project]], curated
        ),
        "curate alter": Kind(alter, lambda g: [alter(g)], curated),
        "tag": Kind(lambda g: ["tag", g.project, "--write"], lambda g: [["tag", g.project, "--write"]], built),
        "train": Kind(
            lambda g: ["train", g.project],
            lambda g: [["train", g.project, "--resume"], ["train", g.project]],
            trained,
        ),
        "exam": Kind(exam, lambda g: [exam(g)], examined),
        "grid": Kind(grid, lambda g: [grid(g)]),
        "queue": Kind(lambda g: queue, lambda g: [queue], trained, queue_up),
        "picture redo": Kind(redo, lambda g: [redo(g)], redrawn),
    }


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
                    kind.before(ground)
                    seconds[name] = must(ground, kind.words(ground))
                while True:
                    ground.begin()
                    kind.before(ground)
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
