"""Decisions: what stands after any of them, undone in any order, and what a damaged file leaves."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lorasmith.dataset import decisions
from lorasmith.dataset.decisions import (
    ROLES,
    VERBS,
    Decision,
    Decisions,
    Standing,
    Verb,
    fold,
    read_decisions,
    record,
    redo,
    undo,
)
from lorasmith.errors import DatasetError
from lorasmith.project import Project
from lorasmith.storage.locks import hold
from tests.dataset.projects import make_project

SHAS = tuple(f"{number:064x}" for number in range(1, 5))


def any_value(draw: random.Random, verb: Verb) -> Any:
    """A value that the verb takes."""
    return {
        "keep": None,
        "made": None,
        "reject": draw.choice((None, ("a.png", "b.png"))),
        "role": draw.choice((None, *ROLES)),
        "repeats": draw.choice((None, draw.randint(1, 999))),
        "crop": draw.choice((None, (1, 2, 3, 5))),
        "label": draw.choice(("smile", "rain")),
        "unlabel": draw.choice(("smile", "rain")),
        "distinct": draw.choice(SHAS),
    }[verb]


def any_step(draw: random.Random) -> list[Decision]:
    verbs = [draw.choice(VERBS) for _ in range(draw.randint(1, 4))]
    return [Decision(draw.choice(SHAS), verb, any_value(draw, verb), "why", name="a.png") for verb in verbs]


def what_stands(project: Project) -> tuple[object, ...]:
    decisions = read_decisions(project)
    return decisions.by_image, decisions.distinct, decisions.steps, decisions.withdrawn


@pytest.mark.parametrize("seed", range(6))
def test_undo_gives_the_state_before(tmp_path: Path, seed: int) -> None:
    """At any time, undoing the last steps gives exactly what stood before them; the file only grows."""
    draw, project = random.Random(seed), make_project(tmp_path)
    history: list[tuple[object, ...]] = [what_stands(project)[:3]]
    size = 0
    for _ in range(40):
        if len(history) > 1 and draw.random() < 0.35:
            count = draw.randint(1, len(history) - 1)
            undo(project, count)
            del history[-count:]
        else:
            record(project, any_step(draw))
            history.append(what_stands(project)[:3])
        assert what_stands(project)[:3] == history[-1]
        assert project.curation.stat().st_size > size
        size = project.curation.stat().st_size
    assert len(history) > 1


def test_reading_again_is_folding_what_was_recorded(tmp_path: Path) -> None:
    draw, project = random.Random(7), make_project(tmp_path)
    steps = [record(project, any_step(draw)) for _ in range(20)]
    folded = fold(steps)
    read = read_decisions(project)
    assert read.by_image == folded.by_image
    assert read.distinct == folded.distinct
    assert read.steps == tuple(steps)
    assert read.problems == ()


def test_what_each_verb_leaves() -> None:
    one, two = SHAS[:2]

    def after(*decisions: Decision) -> Standing:
        return fold([decisions]).about(one)

    assert after(Decision(one, "reject", None, "blurred")) == Standing(rejected=True, reason="blurred")
    assert after(Decision(one, "reject"), Decision(one, "keep")) == Standing(kept=True)
    assert after(Decision(one, "keep"), Decision(one, "reject", ["a"])) == Standing(rejected=True, stays=("a",))
    assert after(Decision(one, "role", "primary"), Decision(one, "repeats", 3)) == Standing(role="primary", repeats=3)
    assert after(Decision(one, "role", "primary"), Decision(one, "role", None)) == Standing()
    assert after(Decision(one, "crop", [0, 1, 2, 3])) == Standing(crop=(0, 1, 2, 3))
    assert after(Decision(one, "label", "a"), Decision(one, "label", "b"), Decision(one, "label", "a")).facets == (
        "b",
        "a",
    )
    assert after(Decision(one, "label", "a"), Decision(one, "unlabel", "a")) == Standing()
    assert fold([[Decision(one, "distinct", two)]]).distinct == frozenset({frozenset({one, two})})
    assert Decisions().about(two) == Standing()


@pytest.mark.parametrize("kept", [0, 1, 20, 75, -1])
def test_a_line_cut_off_is_said_and_the_rest_stands(tmp_path: Path, kept: int) -> None:
    project = make_project(tmp_path)
    record(project, [Decision(SHAS[0], "repeats", 3)])
    before = project.curation.read_bytes()
    record(project, [Decision(SHAS[1], "repeats", 4)])
    line = project.curation.read_bytes()[len(before) :]
    project.curation.write_bytes(before + line[:kept])
    read = read_decisions(project)
    whole = kept == -1  # only the line's end is missing
    assert read.about(SHAS[0]).repeats == 3
    assert read.about(SHAS[1]).repeats == (4 if whole else None)
    assert len(read.problems) == (0 if whole or kept == 0 else 1)
    record(project, [Decision(SHAS[2], "repeats", 5)])
    read = read_decisions(project)
    assert (read.about(SHAS[0]).repeats, read.about(SHAS[2]).repeats) == (3, 5)
    undo(project)
    assert read_decisions(project).about(SHAS[2]).repeats is None


def test_a_step_of_which_not_all_was_written_does_not_stand(tmp_path: Path) -> None:
    """Wherever a kill cuts the lines of a step, all of it stands or nothing, and what is decided next does."""
    project = make_project(tmp_path)
    record(project, [Decision(SHAS[0], "repeats", 3)])
    before = project.curation.read_bytes()
    record(project, [Decision(sha, "repeats", 4) for sha in SHAS[1:]])
    step = project.curation.read_bytes()[len(before) :]
    for kept in range(len(step)):
        project.curation.write_bytes(before + step[:kept])
        read = read_decisions(project)
        whole = kept == len(step) - 1  # only the last line's end is missing
        assert [read.about(sha).repeats for sha in SHAS] == [3, *[4 if whole else None] * 3], kept
        assert bool(read.problems) == (kept > 0 and not whole), kept
        record(project, [Decision(SHAS[1], "repeats", 5), Decision(SHAS[2], "repeats", 6)])
        read = read_decisions(project)
        assert [read.about(sha).repeats for sha in SHAS[:3]] == [3, 5, 6], kept
        undo(project)
        assert read_decisions(project).about(SHAS[2]).repeats == (4 if whole else None)


def test_steps_are_undone_together_or_not_at_all(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for number in (1, 2, 3):
        record(project, [Decision(SHAS[0], "repeats", number)])
    before = project.curation.read_bytes()
    undo(project, 2)
    line = project.curation.read_bytes()[len(before) :]
    assert read_decisions(project).about(SHAS[0]).repeats == 1
    for kept in range(len(line) - 1):
        project.curation.write_bytes(before + line[:kept])
        assert read_decisions(project).about(SHAS[0]).repeats == 3


def test_steps_that_were_written_before_lines_were_counted_stand(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    lines: list[dict[str, Any]] = [
        {"step": 1, "image": SHAS[0], "verb": "repeats", "value": 3},
        {"step": 1, "image": SHAS[1], "verb": "keep"},
        {"step": 2, "image": SHAS[0], "verb": "repeats", "value": 4},
        {"step": 3, "image": SHAS[1], "verb": "reject"},
        {"undo": 2, "at": ""},
        {"undo": 3, "at": ""},
    ]
    project.curation.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    read = read_decisions(project)
    assert (read.about(SHAS[0]).repeats, read.about(SHAS[1]).kept, read.problems) == (3, True, ())


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        "null",
        '{"undo": "x"}',
        '{"undo": [1, "x"]}',
        '{"step": 0, "image": "a", "verb": "keep"}',
        json.dumps({"step": 1, "image": SHAS[0], "verb": "burn"}),
        json.dumps({"step": 1, "image": SHAS[0], "verb": "keep", "to_come": -1}),
        json.dumps({"step": 1, "image": "short", "verb": "keep"}),
        json.dumps({"step": 1, "image": SHAS[0], "verb": "repeats", "value": 0}),
        json.dumps({"step": 1, "image": SHAS[0], "verb": "repeats", "value": True}),
        json.dumps({"step": 1, "image": SHAS[0], "verb": "crop", "value": [5, 0, 1, 1]}),
        json.dumps({"step": 1, "image": SHAS[0], "verb": "distinct", "value": "a"}),
        "[" * 5000,
    ],
)
def test_lines_without_sense_are_left_out(tmp_path: Path, line: str) -> None:
    project = make_project(tmp_path)
    project.curation.write_text(line + "\n", "utf-8")
    read = read_decisions(project)
    assert len(read.problems) == 1
    assert "line 1" in read.problems[0]
    assert read.by_image == {}
    record(project, [Decision(SHAS[1], "keep")])
    assert read_decisions(project).about(SHAS[1]).kept


@pytest.mark.parametrize(
    ("verb", "value"), [("repeats", 1000), ("role", "main"), ("label", " "), ("crop", (0, 0, 0, 1))]
)
def test_a_wrong_value_is_refused_before_anything_is_written(tmp_path: Path, verb: Verb, value: object) -> None:
    project = make_project(tmp_path)
    with pytest.raises(DatasetError, match=r"a\.png: .*no value for"):
        record(project, [Decision(SHAS[0], "keep"), Decision(SHAS[0], verb, value, name="a.png")])
    assert not project.curation.exists()


def test_nothing_to_undo_says_so(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with pytest.raises(DatasetError, match="nothing to undo"):
        undo(project)
    record(project, [Decision(SHAS[0], "keep")])
    with pytest.raises(DatasetError, match="cannot undo 2"):
        undo(project, 2)
    assert [decision.verb for decision in undo(project)] == ["keep"]


def test_what_was_made_is_withdrawn_by_undo_and_comes_back(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    record(project, [Decision(SHAS[0], "made")])
    assert read_decisions(project).withdrawn == frozenset()
    undo(project)
    assert read_decisions(project).withdrawn == {SHAS[0]}
    record(project, [Decision(SHAS[0], "made")])
    assert read_decisions(project).withdrawn == frozenset()


def test_several_at_once_never_share_a_step(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda number: record(project, [Decision(SHAS[number % 4], "keep", name=str(number))]), range(24))
        )
    steps = read_decisions(project).steps
    assert [step[0].step for step in steps] == list(range(1, 25))
    assert all(len(step) == 1 for step in steps)
    assert {step[0].name for step in steps} == set(map(str, range(24)))


def test_who_holds_the_lock_for_long_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_PATIENCE", 0.1)
    project = make_project(tmp_path)
    record(project, [Decision(SHAS[0], "keep")])
    with hold(project.cache / "curation.lock"):
        with pytest.raises(DatasetError, match=f"process {os.getpid()} has been deciding"):
            record(project, [Decision(SHAS[1], "keep")])
        with pytest.raises(DatasetError, match=f"process {os.getpid()} has been deciding"):
            undo(project)
    assert len(read_decisions(project).steps) == 1
    assert undo(project)[0].image == SHAS[0]


def test_what_was_undone_stands_again_in_its_order(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    shas = list(SHAS[:3])
    for sha in shas:
        record(project, [Decision(sha, "keep")])
    before = read_decisions(project).by_image
    undo(project, 2)
    undo(project)
    assert len(read_decisions(project).redoable) == 3
    assert [decision.image for decision in redo(project)] == [shas[0]]
    assert [decision.image for decision in redo(project, 2)] == shas[1:]
    assert read_decisions(project).by_image == before
    with pytest.raises(DatasetError, match="nothing to do again"):
        redo(project)
    undo(project)
    record(project, [Decision(shas[0], "reject")])
    assert read_decisions(project).redoable == ()
