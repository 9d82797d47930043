"""A server that is killed at random moments: what it had taken is drawn in the end, once, and nothing is half there."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from lorasmith.server.store import Store
from tests.server.running import finished
from tests.server.test_full_disk import KINDS

KILLS = 8
ROOT = Path(__file__).parents[2]


@contextmanager
def served(data: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A server in a process of its own, killed at the end."""
    command = [sys.executable, "-m", "tests.server.killed", str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            with httpx.Client(base_url=server.stdout.readline().strip(), timeout=60) as client:
                yield client, server
        finally:
            server.kill()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chance = random.Random(7)
    taken: list[str] = []
    for _ in range(KILLS):
        with served(data) as (client, server):
            kill = threading.Timer(chance.uniform(0.0, 0.6), server.kill)
            with suppress(httpx.HTTPError):
                for number in itertools.count():
                    path, body = KINDS[chance.choice(["pictures", "batch", "grid", "img2img"] if number else ["grid"])]
                    answer = client.post(path, json=body)
                    if answer.status_code == 202:
                        taken.append(answer.json()["id"])
                    if not number:
                        kill.start()
                    time.sleep(chance.uniform(0.0, 0.1))
    assert len(taken) >= KILLS
    with served(data) as (client, _):
        jobs: list[dict[str, Any]] = [finished(client, job) for job in taken]
        assert client.get("/api/v1/status").json()["queued"] == 0
        for job in jobs:
            expected = ["done", "failed", "failed"] if job["kind"] == "batch" else ["done"] * len(job["pictures"])
            assert [each["state"] for each in job["pictures"]] == expected
            assert len(job["detail"].get("sheets", ())) == (2 if job["kind"] == "grid" else 0)
            assert "problem" not in job["detail"]
    store = Store(data)
    rows = store.pictures(10_000)
    store.close()
    kept = [each["picture"] for job in jobs for each in job["pictures"] if each["picture"]]
    kept += [sheet for job in jobs for sheet in job["detail"].get("sheets", ())]
    mine = [row for row in rows if row.job in taken]
    assert sorted(row.id for row in mine) == sorted(kept), "each was kept once"
    for row in rows:
        with Image.open(store.picture_path(row.id)) as image:
            image.load()
    assert list(data.rglob("*.partial")) == []
