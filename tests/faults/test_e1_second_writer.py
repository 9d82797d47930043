"""A second writer at every stage of a command: it is refused, and told by whom, or does its work; the first ends as if
it were alone, and nothing is lost or half written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from benchmarks.wholeness import digests, find_half

from tests.faults.tiny_commands import call, commands, place
from tests.faults.writes import stages, watched

LOCKED = ("new", "add", "curate reject", "curate alter", "tag", "train", "queue run", "exam", "grid")
"""Of these one process at a time does what cannot be shared."""
SHARED = ("queue add",)


def every_run(root: Path) -> object:
    """What each run has in the end."""
    return {tuple(file.name for file in run.glob("*.safetensors")) for run in (root / "p" / "runs").iterdir()}


@pytest.mark.parametrize("name", LOCKED + SHARED)
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
    whole = place(command, tiny_ground, tmp_path / "whole", monkeypatch)
    with watched(whole, lambda _: None) as writes:
        assert call(command.words(whole)) == 0
    result = every_run if name == "train" else command.result  # where there is no run yet, the second begins its own
    expected = result(whole)
    refused = 0
    for stage in stages(writes.count):
        root = place(command, tiny_ground, tmp_path / "work", monkeypatch)
        own = digests(root / "more")
        codes: list[int] = []
        capsys.readouterr()

        def second(number: int, stage: int = stage, root: Path = root, codes: list[int] = codes) -> None:
            if number == stage:
                codes.append(call(command.goes_on(root)[0]))

        with watched(root, second) as writes:
            first = call(command.words(root))
        said = capsys.readouterr().err
        assert codes
        assert "Traceback" not in said, said
        refused += bool(re.search(rf"process {os.getpid()}\b", said))
        if first:  # the second was before it, and has done it
            assert codes == [0], said
        assert result(root) == expected, f"stage {stage}: {said}"
        assert find_half(root) == [], f"stage {stage}"
        assert digests(root / "more") == own
    assert (refused > 0) == (name in LOCKED)
