"""Two Ray nodes on loopback, each with one core, and what is done to them; one JSON document on stdout.

Run: python -m tests.pools.two_nodes FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from lorasmith.dataset import facts
from lorasmith.events import finish
from lorasmith.exam.crew import MANY, Crew
from lorasmith.exam.drawing import Row
from lorasmith.face.drawing import Pipelines
from lorasmith.generation.grids.axes import STILL, field_axis
from lorasmith.generation.grids.drawing import draw_order, take_order
from lorasmith.generation.spec import PictureSpec
from lorasmith.pools import pool
from lorasmith.pools.choosing import dealt_out, open_pool
from lorasmith.pools.pool import Answer, Job
from lorasmith.project import Project
from lorasmith.tags.store import read_stored
from lorasmith.tags.tagger import open_tagger
from lorasmith.tags.tagging import tag_images
from tests.dataset.projects import make_project, read
from tests.dataset.test_pooled import look, make, open_poisoned
from tests.exam.painting import Red, open_toy
from tests.images.drawings import save_drawings
from tests.pools.jobs import POISON, done_in, open_careful, open_square, open_stuck
from tests.tags.models import make_tagger
from tests.tiny import build_tiny_base

STORE = 100 << 20


def main(folder: Path) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    pool.PATIENCE = 1.0
    base = build_tiny_base(folder / "base")
    told: dict[str, Any] = {}
    try:
        with dealt_out(cluster.address):
            told["same"] = [answer.get() for answer in _ask(Job(open_square), list(range(50)))]
            poisoned = _ask(Job(open_careful, (_new(folder, "poison"),)), [1, 2, POISON, 4, 5])
            told["poison"] = [None if answer.killed else answer.get() for answer in poisoned]
            told["poisoned image"] = _poisoned(make(folder / "poisoned"))
            told["wrong"] = _wrong(_new(folder, "wrong"))
            told["killed"] = _while_slow(_new(folder, "killed"), _kill_worker)
            told["stuck"] = _stuck(_new(folder, "stuck"))
            told["inspected"] = look(make(folder / "cluster"))
            told["drawn"] = _tag_and_draw(_new(folder, "drawn"), base)
            told["examined"] = _examine()
            told["lost"] = _while_slow(_new(folder, "lost"), lambda _: cluster.remove_node(second, False))
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
    with dealt_out(""):
        told["inspected here"] = look(make(folder / "here"))
        told["drawn here"] = _tag_and_draw(_new(folder, "drawn here"), base)
    print(json.dumps(told))


def _ask(job: Job, items: list[Any], chunk: int = 4) -> list[Answer]:
    with open_pool(len(items)) as workers:
        return list(workers.in_order(job, items, chunk))


def _tag_and_draw(folder: Path, base: Path) -> dict[str, Any]:
    """What a tagger says of five images, and what a grid's files hold, as hashes."""
    project = make_project(folder)
    save_drawings(project.root / "images", 5)
    finish(tag_images(project, read(project), open_tagger(make_tagger(folder / "colours"))))
    spec, pipelines = PictureSpec("red hat", seed=3, steps=1), Pipelines([], "fp32")
    order = finish(take_order(spec, field_axis("seed", [1, 2, 3]), STILL, pipelines, folder / "grid", base=str(base)))
    finish(draw_order(order, pipelines))
    files = {file.name: sha256(file.read_bytes()).hexdigest() for file in (folder / "grid").rglob("*.png")}
    tags = {key: [[*one.tags] for one in stored] for key, stored in read_stored(project).items()}
    return {"tags": tags, "files": files}


def _examine() -> list[list[int]]:
    """The colours of an exam's pictures: green ones are a worker's."""
    with Crew(Red(), Job(open_toy), 0) as crew:
        drawn = crew.draw_all([[Row("a", seed, None)] for seed in range(MANY)])
        return [list(picture.tobytes()[:2]) for pictures in drawn for picture in pictures]


def _poisoned(project: Project) -> list[str]:
    """What is found where one image ends every process that reads it."""
    whole, facts.FACTS = facts.FACTS, replace(facts.FACTS, job=Job(open_poisoned, ("facts",)))
    try:
        findings = json.loads(look(project))["findings"]
    finally:
        facts.FACTS = whole
    return [finding["message"] for finding in findings if finding["rule"] == "L0"]


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _wrong(folder: Path) -> str:
    one, _ = _ask(Job(open_careful, (folder,)), ["wrong", 2])
    return str(one.fault)


def _while_slow(folder: Path, disturb: Any) -> dict[str, Any]:
    """Twenty items of 0.3 s each, disturbed once both workers have begun: places and results as they came."""
    places, results = [], set()
    with open_pool(20) as workers:
        for answer in workers.each(Job(open_careful, (folder,)), ["slow"] * 20, 2):
            places.append(answer.place)
            results.add(answer.get())
            if disturb is not None and len(list(folder.glob("*.txt"))) > 1:
                disturb(folder)
                disturb = None
    return {"places": sorted(places), "results": sorted(results), "disturbed": disturb is None}


def _kill_worker(folder: Path) -> None:
    latest = max(folder.glob("*.txt"), key=lambda file: file.stat().st_mtime)
    os.kill(int(latest.stem), signal.SIGKILL)


def _stuck(folder: Path) -> dict[str, Any]:
    """One worker sleeps for ten minutes over the first item that it takes; the other does that, too."""
    began = time.monotonic()
    answers = _ask(Job(open_stuck, (folder,)), list(range(8)), 1)
    return {
        "results": [answer.get() for answer in answers],
        "begun": len(done_in(folder)),
        "took": time.monotonic() - began,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
