"""`lorasmith serve` as a person starts and stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lorasmith.cli.main import run


def test_it_listens_and_stops_at_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lorasmith.cli.main", "serve", "--port", "0", "--lazy", "--json", "--data", "kept"]
    environment = {**os.environ, "LORASMITH_TOKEN": "from-the-environment"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        assert (told["event"], told["token"]) == ("listening", True)
        assert httpx.get(f"{told['address']}/health", timeout=600).json() == {"status": "ok"}
        assert httpx.get(f"{told['address']}/api/v1/status", timeout=600).status_code == 401
        server.send_signal(signal.SIGTERM)
        server.wait(600)
    assert (tmp_path / "kept" / "server.sqlite").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "no token is set"),
        (["--token", "x"], "8 or more"),
        (["--queue", "0"], "at least one picture"),
        (["--adapters", "nowhere"], "no such file or folder"),
        (["--port", "99999"], "port 99999"),
        (["--weights", "int4"], "none of full, fp8, int8"),
    ],
)
def test_wrong_calls(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["serve", "--json", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_two_servers_on_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "lorasmith.cli.main", "serve", "--port", "0", "--lazy", "--json", "--data", "kept"]
    for _ in range(2):  # also after one that was killed
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["address"]
            assert run(["serve", "--port", "0", "--lazy", "--json", "--data", str(tmp_path / "kept")]) == 11
            assert f"process {server.pid}" in capsys.readouterr().err
            assert httpx.get(f"{address}/health", timeout=600).status_code == 200
            server.kill()
            server.wait(600)
