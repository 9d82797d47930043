"""A server on replicas of a Ray cluster: the same pictures, whatever is done to the replicas; and what it
says when there is no such cluster."""

from __future__ import annotations

import platform
import socket
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import ClusterError, UsageError
from lorasmith.pools import ray_pool
from lorasmith.server.app import create_app
from lorasmith.server.cluster import ray_fleet
from tests.pools.alone import needs_ray, run_alone
from tests.server.running import Plain, plain_settings


@needs_ray
def test_two_replicas(tmp_path: Path) -> None:
    """One run of `tests.server.cluster.on_ray`, in a process of its own, so that no Ray thread stays here."""
    told = run_alone("tests.server.cluster.on_ray", tmp_path, "here")
    assert told["there"] == told["here"], "the same pictures to the byte, the same events"
    assert len(told["batch"]) == 4
    assert max(told["batch"]) <= 1, "what is drawn in company is the same up to rounding"
    assert told["here"]["events"] == ["done", "finished", "preview", "progress", "state"]

    clients = told["clients"]
    assert clients["sizes"] == [[64, 64]] * 3
    assert clients["seeds"] == [5, 6]
    assert clients["loras"] == ["a", "b", "c"]
    assert clients["parameters"].startswith("hat <lora:a:0.8>\nSteps: 2")
    assert "Lora hashes" in clients["parameters"]

    assert told["killed"] == {"states": ["done"] * 16, "done": 16, "replicas": 2}, "none lost, none twice"
    assert told["scaled"]["states"] == ["done"]
    assert told["scaled"]["drawn again"] == 0, "one that is taken away drains"
    assert told["scaled"]["answer"]["count"] == 1
    assert told["cancelled"]["state"] == "cancelled"
    assert told["missing"] == 'adapter "nowhere" is unknown.'
    metrics = dict(line.rsplit(" ", 1) for line in told["metrics"].splitlines() if not line.startswith("#"))
    assert metrics["lorasmith_replicas_lost_total"] == "1"
    assert int(metrics["lorasmith_pictures_drawn_again_total"]) > 0
    assert int(metrics["lorasmith_adapter_factors_hits_total"]) > 0
    assert int(metrics["lorasmith_adapter_files_misses_total"]) >= 3
    assert int(metrics["lorasmith_rounds_total"]) > 0


def opened(tmp_path: Path, **more: Any) -> None:
    create_app(plain_settings(tmp_path, **more), Plain())


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_pool, "find_spec", lambda _: None)
    with pytest.raises(ClusterError, match=r'^a cluster needs ray\. pip install "lorasmith\[cluster\]"$'):
        opened(tmp_path, cluster="local")
    monkeypatch.undo()
    app = create_app(plain_settings(tmp_path), Plain())
    app.state.service.start()
    app.state.service.stop()


@needs_ray
def test_an_address_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        ClusterError, match=rf"^127\.0\.0\.1:{port}: no cluster answers \(.+\)\. Was Ray started there\?"
    ):
        opened(tmp_path, cluster=f"127.0.0.1:{port}", replicas=2)


def bare(answer: Any) -> ray_fleet.RayFleet:
    """A fleet whose replicas greet with this."""
    import ray

    class Answering:
        exceptions = ray.exceptions

        @staticmethod
        def get(_: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    fleet = object.__new__(ray_fleet.RayFleet)
    fleet._ray, fleet._address = Answering, "there:6379"
    return fleet


@needs_ray
def test_other_versions_are_one_sentence() -> None:
    wrong = rf"^there:6379: versions differ: lorasmith 0\.0\.1 on Python {platform.python_version()} there, .+ here\. "
    with pytest.raises(ClusterError, match=wrong):
        bare(("0.0.1", platform.python_version(), 1))._greet(None)


@needs_ray
def test_replicas_that_end_at_once_are_one_sentence() -> None:
    import ray

    wrong = r"^there:6379: its replicas end before they are ready: it is full\. Is lorasmith installed on every machine"
    with pytest.raises(ClusterError, match=wrong):
        bare(ray.exceptions.RayError("a trace\n  it is full."))._greet(None)


def test_replicas_without_a_cluster_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="replicas are of a cluster, and none is given"):
        plain_settings(tmp_path, replicas=2)
    with pytest.raises(UsageError, match="replicas = 0 is not between 1 and"):
        plain_settings(tmp_path, replicas=0, cluster="local")


def test_replicas_are_told_no_token_and_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapters").mkdir()
    (tmp_path / "doodle").mkdir()
    (tmp_path / "mine").mkdir()
    settings = plain_settings(
        tmp_path, adapters=(Path("adapters"),), bases=("doodle", "mine", "org/base"), token="a-secret", host="0.0.0.0"
    )
    told = ray_fleet.portable_settings(settings)
    assert told.token is None
    assert told.adapters == (tmp_path / "adapters",)
    assert told.bases == ("doodle", str(tmp_path / "mine"), "org/base")
