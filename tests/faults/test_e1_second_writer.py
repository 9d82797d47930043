"""A second writer at every stage of a command: it is refused, and told by whom, or does its work; the first ends as if
it were alone, and nothing is lost or half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks.wholeness import digests, find_half

from tests.faults.tiny_commands import call, commands, place
from tests.faults.writes import watched

MOST = 400
SHARED = ("new", "add", "curate reject", "curate alter", "tag", "train", "queue add")
LOCKED = {"new", "add", "curate reject", "curate alter", "tag", "train"}
"""Of these one process at a time does what cannot be shared."""


def every_run(root: Path) -> object:
    """What each run has in the end."""
    return {tuple(file.name for file in run.glob("*.safetensors")) for run in (root / "p" / "runs").iterdir()}


@pytest.mark.parametrize("name", SHARED)
def test_a_second_writer_at_every_stage(
    tiny_ground: Path,
    tiny_base_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setattr("lorasmith.dataset.decisions._PATIENCE", 0.0)
    command = commands(tiny_base_folder)[name]
    whole = place(tiny_ground, tmp_path / "whole", monkeypatch)
    assert call(command.words(whole)) == 0
    result = every_run if name == "train" else command.result  # where there is no run yet, the second begins its own
    expected = result(whole)
    refused = 0
    for stage in range(1, MOST):
        root = place(tiny_ground, tmp_path / "work", monkeypatch)
        own = digests(root / "more")
        codes: list[int] = []
        capsys.readouterr()

        def second(number: int, stage: int = stage, root: Path = root, codes: list[int] = codes) -> None:
            if number == stage:
                codes.append(call(command.goes_on(root)[0]))

        with watched(root, second) as writes:
            first = call(command.words(root))
        said = capsys.readouterr().err
        assert "Traceback" not in said, said
        refused += f"process {os.getpid()} " in said
        if first:  # the second was before it, and has done it
            assert codes == [0], said
        assert result(root) == expected, f"stage {stage}: {said}"
        assert find_half(root) == [], f"stage {stage}"
        assert digests(root / "more") == own
        if writes.count < stage:
            break
    assert 1 < stage < MOST - 1
    assert (refused > 0) == (name in LOCKED)
