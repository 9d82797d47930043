"""A disk that is full at the n-th write, for every n of a command (some of them where it writes much): what is wrong is
said, nothing of the user's is lost, nothing is half written, and the next command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.wholeness import count_partials, digests, find_half

from tests.faults.tiny_commands import call, commands, place
from tests.faults.writes import no_room, stages, watched

NAMES = ("new", "add", "curate reject", "curate alter", "tag", "train", "queue add", "queue run", "grid", "exam")
FORMS = ("one write", "all from there")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_full_at_the_nth_write(
    tiny_ground: Path,
    tiny_base_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    form: str,
) -> None:
    command = commands(tiny_base_folder)[name]
    whole = place(command, tiny_ground, tmp_path / "whole", monkeypatch)
    with watched(whole, lambda _: None) as writes:
        assert call(command.words(whole)) == 0
    expected = command.result(whole)
    failures = 0
    for first in stages(writes.count, all_of=30 if form == FORMS[0] else 25):
        root = place(command, tiny_ground, tmp_path / "work", monkeypatch)
        own = (digests(root / "p" / "images"), digests(root / "more"), digests(root / "adapter"))
        capsys.readouterr()

        def fill(number: int, first: int = first) -> None:
            if number == first or (form == FORMS[1] and number > first):
                raise no_room()

        with watched(root, fill) as writes:
            code = call(command.words(root))
        said = capsys.readouterr()
        assert writes.count >= first
        assert "Traceback" not in said.err, said.err
        if code:
            failures += 1
            assert "No space" in said.err or "full" in said.err, said.err
        assert find_half(root, settled=code == 0) == [], f"write {first}"
        assert not code or any(call(words) == 0 for words in command.goes_on(root)), capsys.readouterr().err
        assert find_half(root) == [], f"write {first}, and again"
        assert command.result(root) == expected, f"write {first}: {said.err}"
        now = (digests(root / "p" / "images"), digests(root / "more"), digests(root / "adapter"))
        assert all(set(before.items()) <= set(after.items()) for before, after in zip(own, now, strict=True))
        assert count_partials(root) == 0, f"write {first}"
    assert failures
