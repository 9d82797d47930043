"""Two adapters in one picture: what both show over what each shows alone, and what bleeds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from lorasmith.events import finish
from lorasmith.exam.drawing import Row
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.stacking import Partner
from lorasmith.exam.verdict import Verdict
from lorasmith.project import open_project
from tests.exam.toy import WORLD, ToyArtist, ToyJudge, make_project, paint

HAT = {"hat": "crown"}


class TwoAdapters(ToyArtist):
    """A second adapter called by "kro" puts a crown on; `gives_way`: how often it loses beside the first; `bleeds`: how
    often it comes uncalled where it is loaded. Called apart it never loses."""

    gives_way, bleeds = 0.0, 0.0

    def draw(self, rows: Sequence[Row]) -> list[Image.Image]:
        self.drawn += rows
        return [self._both(row) for row in rows]

    def _both(self, row: Row) -> Image.Image:
        attributes = self._imagine(row)
        dice = random.Random(row.seed + 7)
        called = "kro" in row.prompt.split(", ")
        lost = row.adapter is not None and dice.random() < self.gives_way
        if row.beside and ((called and not lost) or (not called and dice.random() < self.bleeds)):
            attributes.update(HAT)
        if any(words == "kro" for _, _, words in row.apart):
            attributes.update(HAT)
        return paint(attributes)


def _stack(root: Path, partners: int = 1, gives_way: float = 0.0, bleeds: float = 0.0) -> tuple[Verdict, TwoAdapters]:
    make_project(root, "pictures = 24\nseed = 3\nstacking_pictures = 80")
    project = open_project(root)
    artist = TwoAdapters({"a": 0.9})
    artist.gives_way, artist.bleeds = gives_way, bleeds
    others = [Partner(root / f"k{i}.safetensors", f"kro{i}", "kro", 0.7, HAT) for i in range(partners)]
    work = examine(
        project, [root / "a.safetensors"], artist, read_settings(project), ToyJudge(), WORLD, partners=others
    )
    return finish(work), artist


def test_adapters_that_do_not_disturb_each_other(tmp_path: Path) -> None:
    verdict, artist = _stack(tmp_path / "p")
    (stack,) = verdict.facts["stacking"]
    assert stack["with"] == "kro0"
    assert stack["n"] == 80
    assert stack["joint"] == pytest.approx(0.9, abs=0.1)
    assert stack["ratio"] == pytest.approx(1.0, abs=0.02)
    assert stack["bleeds"]["theirs"]["value"] == 0
    assert stack["bleeds"]["ours"]["value"] == 0
    assert {strength for row in artist.drawn for _, strength in row.beside} == {0.7}
    assert "Beside other adapters" in verdict.report.read_text()


def test_one_that_gives_way_and_bleeds_is_told(tmp_path: Path) -> None:
    verdict, _ = _stack(tmp_path / "p", gives_way=0.6, bleeds=0.5)
    (stack,) = verdict.facts["stacking"]
    assert stack["ratio"] < 0.6
    assert stack["ratio_low"] < stack["ratio"] < stack["ratio_high"]
    assert stack["bleeds"]["theirs"]["low"] < 0.5 < stack["bleeds"]["theirs"]["high"]
    assert stack["apart"]["ratio"]["value"] == pytest.approx(1.0, abs=0.02)
    assert stack["apart"]["call"] == "<lora:kro0:0.7:apart=kro>"
    assert any("it gives way; called apart, <lora:kro0:0.7:apart=kro>" in str(line) for line in verdict.advice)


def test_two_partners_come_together_as_well(tmp_path: Path) -> None:
    verdict, artist = _stack(tmp_path / "p", partners=2)
    assert [stack["with"] for stack in verdict.facts["stacking"]] == ["kro0", "kro1", "kro0 and kro1"]
    assert max(len(row.beside) for row in artist.drawn) == 2


def test_a_style_is_asked_for_its_style_even_of_a_character_that_has_one(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 24\nseed = 3\nstacking_pictures = 20")
    project = open_project(root)
    style = Partner(root / "k.safetensors", "clay", "clay", 0.7, {"style": "clay style"})
    work = examine(
        project,
        [root / "a.safetensors"],
        TwoAdapters({"a": 0.9}),
        read_settings(project),
        ToyJudge(),
        WORLD,
        partners=[style],
    )
    (stack,) = finish(work).facts["stacking"]
    assert stack["alone"]["theirs"]["n"] == 20
    assert stack["n"] == 20


def test_no_scene_contradicts_what_the_partner_brings(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 24\nseed = 3\nstacking_pictures = 20")
    project = open_project(root)
    artist = TwoAdapters({"a": 0.9})
    partner = Partner(root / "k.safetensors", "shouter", "kro", 0.7, {"mouth": "open mouth"})
    settings = read_settings(project)
    finish(examine(project, [root / "a.safetensors"], artist, settings, ToyJudge(), WORLD, partners=[partner]))
    beside = [row.prompt.split(", ") for row in artist.drawn if row.beside]
    assert len(beside) == 80
    assert not any({"smile", "frown"}.intersection(tags) for tags in beside)
    assert all(any(tag.endswith(" background") for tag in tags) for tags in beside)


def test_a_file_that_tells_no_trigger_is_called_as_usual(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 24\nseed = 3\nstacking_pictures = 20")
    project = open_project(root)
    artist = TwoAdapters({"a": 0.9})
    foreign = Partner(root / "k.safetensors", "foreign", "", 0.7, HAT)
    settings = read_settings(project)
    work = examine(project, [root / "a.safetensors"], artist, settings, ToyJudge(), WORLD, partners=[foreign])
    (stack,) = finish(work).facts["stacking"]
    assert stack["apart"]["call"] == "<lora:foreign:0.7>"
    assert not any(row.apart for row in artist.drawn)
    assert sum(bool(row.beside) for row in artist.drawn) == 100


def test_the_same_group_is_asked_of_neither(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 24\nseed = 3\nstacking_pictures = 20")
    project = open_project(root)
    twin = Partner(root / "k.safetensors", "twin", "kro", 0.7, {"hair": "red hair", **HAT})
    work = examine(
        project,
        [root / "a.safetensors"],
        TwoAdapters({"a": 0.9}),
        read_settings(project),
        ToyJudge(),
        WORLD,
        partners=[twin],
    )
    (stack,) = finish(work).facts["stacking"]
    # Ours by style and skin, theirs by the hat: neither by its hair.
    assert stack["alone"]["ours"]["value"] > 0.7
    assert stack["alone"]["theirs"]["value"] == 1
    assert stack["n"] == 20
