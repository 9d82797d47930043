"""Keeping and rejecting, copies included, and what remedies come to."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from lorasmith.dataset.choices import cure, keep_images, reject_images
from lorasmith.dataset.decisions import Decision, read_decisions, record
from lorasmith.dataset.findings import AutoFix, Finding
from lorasmith.dataset.reading import Dataset, read_all
from lorasmith.dataset.selection import select_images
from lorasmith.events import finish
from lorasmith.project import Project
from tests.dataset.projects import make_project
from tests.images.drawings import draw

NAMES = ("a1.png", "a2.png", "a3.png", "b1.png", "b2.png", "c1.png")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three different pictures in six files: a letter is a picture."""
    project = make_project(tmp_path)
    for name in NAMES:
        draw(ord(name[0]), (40, 40)).save(project.root / "images" / name)
    return project


def read(project: Project) -> Dataset:
    return finish(read_all(project))


def names(dataset: Dataset) -> set[str]:
    return {item.name for item in dataset.items}


@pytest.mark.parametrize("seed", range(4))
def test_exactly_what_was_named_goes_and_comes(project: Project, seed: int) -> None:
    """Any sequence of keeping and rejecting leaves the set that set arithmetic says."""
    draw, expected = random.Random(seed), set(NAMES)
    for _ in range(12):
        chosen = draw.sample(NAMES, draw.randint(1, 4))
        dataset = read(project)
        items = select_images(dataset, chosen)
        if draw.random() < 0.5:
            record(project, reject_images(dataset, items, "x"))
            expected -= set(chosen)
        else:
            record(project, keep_images(dataset, items))
            expected |= set(chosen)
        assert names(read(project)) == expected


def finding(images: Iterable[str], remedy: Iterable[str] | None = None, waived: str | None = None) -> Finding:
    cure = None if remedy is None else AutoFix("reject", tuple(remedy))
    return Finding("D12", "warning", "copies.", "remove them", tuple(images), waived, cure)


def test_remedies_become_rejections_with_the_rule_as_reason(project: Project) -> None:
    dataset = read(project)
    findings = [
        finding(["a1.png", "a2.png", "a3.png"], ["a2.png", "a3.png"]),
        finding(["a1.png", "b1.png"], ["a2.png", "gone.png"]),
        finding(["b1.png", "b2.png"], ["b2.png"], waived="I like both"),
        finding(["c1.png"]),
    ]
    cured = cure(dataset, findings, read_decisions(project))
    assert [(decision.name, decision.value, decision.reason) for decision in cured.decisions] == [
        ("a2.png", ("a1.png",), "D12: copies.")
    ]
    record(project, cured.decisions)
    assert names(read(project)) == set(NAMES) - {"a2.png", "a3.png"}


def test_what_is_kept_is_spared(project: Project) -> None:
    dataset = read(project)
    record(project, keep_images(dataset, select_images(dataset, ["b1.png", "b2.png"])))
    cured = cure(read(project), [finding(NAMES, ["b2.png", "c1.png"])], read_decisions(project))
    assert [decision.name for decision in cured.decisions] == ["c1.png"]
    assert cured.spared == ("b2.png",)


def test_images_of_a_year_are_shown_once_unless_the_user_set_repeats(project: Project) -> None:
    dataset = read(project)
    (chosen,) = select_images(dataset, ["b2.png"])
    record(project, [Decision(chosen.facts.sha256, "repeats", 7)])
    year = Finding("D16", "warning", "2019 repeats.", "rename", NAMES, fix=AutoFix("show once", NAMES))
    cured = cure(dataset, [finding(NAMES, ["a2.png"]), year], read_decisions(project))
    assert [(each.name, each.verb, each.value) for each in cured.decisions] == [
        ("a2.png", "reject", ("a1.png", "a3.png")),
        ("a1.png", "repeats", 1),
        ("a3.png", "repeats", 1),
        ("c1.png", "repeats", 1),
    ]
    record(project, cured.decisions)
    assert {item.name: item.repeats for item in read(project).items}["c1.png"] == 1


def test_something_is_always_left(project: Project) -> None:
    dataset = read(project)
    record(project, cure(dataset, [finding(NAMES, NAMES)], read_decisions(project)).decisions)
    assert len(names(read(project))) == 1


def test_distinct_is_remembered_by_content(project: Project) -> None:
    one, other = (item.facts.sha256 for item in select_images(read(project), ["a1.png", "b1.png"]))
    record(project, [Decision(one, "distinct", other)])
    assert read_decisions(project).distinct == {frozenset({other, one})}
