"""The pool on two Ray nodes on loopback: whatever is done to them the work completes, and nothing is answered twice."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.errors import ClusterError
from lorasmith.exam.crew import MANY
from lorasmith.pools import ray_pool
from tests.pools.alone import needs_ray, run_alone


@needs_ray
def test_two_nodes(tmp_path: Path) -> None:
    """One run of `tests.pools.two_nodes`, in a process of its own, so that no Ray thread stays here."""
    told = run_alone("tests.pools.two_nodes", tmp_path, "same")
    assert told["same"] == [number * number for number in range(50)]
    assert told["wrong"] == "a.png: cannot be read. Save it again."
    assert told["poison"] == [2, 4, None, 8, 10]
    for what in ("killed", "lost"):
        assert told[what] == {"places": list(range(20)), "results": ["slow"], "disturbed": True}, what
    assert told["stuck"]["results"] == [3 * number for number in range(8)]
    assert told["stuck"]["begun"] == 9
    assert told["stuck"]["took"] < 500
    assert told["inspected"] == told["inspected here"], "to the byte"
    assert "small.jpg" in told["inspected"]
    assert told["drawn"] == told["drawn here"], "to the byte"
    assert len(told["drawn"]["files"]) == 3
    assert told["examined"] == [[seed, 255] for seed in range(MANY)]
    assert told["poisoned image"] == ["03.png cannot be read: it ends every process that reads it."]


@needs_ray
def test_a_full_store_of_objects_is_one_sentence() -> None:
    import ray

    class Full:
        exceptions = ray.exceptions

        @staticmethod
        def get(_: object) -> None:
            raise ray.exceptions.ObjectStoreFullError("The local object store is full")

    body = object.__new__(ray_pool.RayBody)
    body._ray, body._address = Full, "there:6379"
    with pytest.raises(
        ClusterError, match=r"^there:6379: its store of objects is full\. Start Ray on its machines with a larger"
    ):
        body._take(object(), 1, None)


@needs_ray
def test_an_address_that_does_not_answer_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        ClusterError, match=rf"^127\.0\.0\.1:{port}: no cluster answers \(.+\)\. Was Ray started there\?"
    ):
        ray_pool.open_cluster(f"127.0.0.1:{port}")
    with pytest.raises(ClusterError, match='"over:there" is no cluster'):
        ray_pool.open_cluster("over:there")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_pool, "find_spec", lambda _: None)
    with pytest.raises(ClusterError, match=r'a cluster needs ray\. pip install "lorasmith\[cluster\]"'):
        ray_pool.open_cluster("local")


def test_versions_that_differ_are_one_sentence() -> None:
    said = ray_pool._explain(
        RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.40.0\n  here 2.60")
    )
    assert said.startswith("the versions of ray or Python there and here differ: Version mismatch:")
    assert "\n" not in said


@needs_ray
def test_a_worker_of_another_version_is_one_sentence() -> None:
    import ray

    class There:
        exceptions = ray.exceptions

        @staticmethod
        def get(_: object) -> tuple[str, str]:
            return "0.0.1", "3.10.2"

    body = object.__new__(ray_pool.RayBody)
    body._ray, body._address = There, "there:6379"
    said = (
        r"^there:6379: versions differ: lorasmith 0\.0\.1 on Python 3\.10\.2 there, .+ here\. "
        r"Install the same on every machine\.$"
    )
    with pytest.raises(ClusterError, match=said):
        body._greet(object(), None)


def test_only_this_body_imports_ray() -> None:
    code = (
        "import sys\nfrom lorasmith.cli.main import main\nfrom lorasmith.pools.choosing import open_pool\n"
        "import lorasmith.pools.ray_pool, lorasmith.dataset.inspection\n"
        "with open_pool(10) as pool:\n    assert pool.workers == 1\n"
        "assert 'ray' not in sys.modules\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "LORASMITH_CLUSTER"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
