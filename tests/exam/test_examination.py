"""A whole exam in the toy world: figures are what was put in, the files are there, the page is whole."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lorasmith.errors import ExamError
from lorasmith.events import Event, Progress, finish
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.verdict import Verdict
from lorasmith.project import open_project
from tests.exam.toy import IDENTITY, WORLD, ToyArtist, ToyJudge, make_project


def _exam(
    root: Path, skill: dict[str, float], leak: float = 0.0, pictures: int = 200
) -> tuple[Verdict, ToyArtist, list[Event]]:
    project = open_project(make_project(root, f"pictures = {pictures}\nseed = 3"))
    artist = ToyArtist(skill, leak)
    snapshots = [project.root / f"{name}.safetensors" for name in skill]
    events: list[Event] = []
    work = examine(project, snapshots, artist, read_settings(project), ToyJudge(), WORLD)
    return finish(work, events.append), artist, events


def test_figures_are_what_was_put_in(tmp_path: Path) -> None:
    verdict, artist, events = _exam(tmp_path / "p", {"a": 0.1, "b": 0.9, "c": 0.4}, leak=0.3)
    assert verdict.chosen.stem == "b"
    assert verdict.clear
    hit, leakage = verdict.figures["hit_rate"], verdict.figures["leakage"]
    assert hit.n == 200
    assert hit.low < 0.9 < hit.high
    assert leakage.n == 50
    assert leakage.low < 0.3 < leakage.high
    assert verdict.figures["intrusion"].value == leakage.value
    untriggered = verdict.figures["untriggered"]
    assert untriggered.n == 25
    assert untriggered.low < 0.3 < untriggered.high
    assert verdict.figures["flexibility"].value == verdict.figures["flexibility_raw"].value
    assert verdict.base["hit_rate"].value == 0
    assert verdict.base["hit_rate"].n == 50
    assert verdict.base["flexibility"].value == 1
    # The base was drawn beside the adapter on the very same seeds.
    seeds = {row.seed for row in artist.drawn if row.adapter is None}
    assert seeds < {row.seed for row in artist.drawn if row.adapter is not None}
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert {"looking", "choosing", "examining", "grid"} <= stages
    # The grid is for people: one prompt, the base and three snapshots at three strengths, in steps of its own.
    shown = [row for row in artist.drawn if row.steps is not None]
    assert len(shown) == 1 + 3 * 3
    assert {row.steps for row in shown} == {20}
    for stage in ("choosing", "examining", "grid"):
        last = [event for event in events if isinstance(event, Progress) and event.stage == stage][-1]
        assert last.done == last.total


def test_equal_snapshots_have_no_winner_and_the_latest_is_taken(tmp_path: Path) -> None:
    verdict, _, _ = _exam(tmp_path / "p", {"a": 0.95, "b": 0.95, "c": 0.1}, pictures=100)
    assert not verdict.clear
    assert verdict.chosen.stem == "b"
    assert "No clear winner" in verdict.report.read_text()


class _Page(HTMLParser):
    void = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_folder_holds_figures_sheets_and_a_self_contained_page(tmp_path: Path) -> None:
    verdict, _, _ = _exam(tmp_path / "p", {"a": 0.9}, pictures=40)
    assert verdict.folder.parent == tmp_path / "p" / "exams"
    document = json.loads((verdict.folder / "figures.json").read_text())
    assert document == json.loads(json.dumps(verdict.as_json()))
    for name in ("hit_rate", "flexibility", "leakage", "untriggered", "copying"):
        assert set(document["figures"][name]) == {"value", "low", "high", "n"}
    assert document["figures"]["base"]["hit_rate"]["n"] == 10
    assert document["chosen"].endswith("a.safetensors")
    assert document["identity"] == IDENTITY
    told = json.loads((verdict.folder / "answers" / "answers.json").read_text())["answers"]
    single = {each[name] for each in told for name in ("picture", "base") if each[name] is not None}
    assert len(single) >= len(told) > 40
    assert {file.name for file in (verdict.folder / "answers").iterdir()} == {
        "hit.png",
        "flexibility.png",
        "override.png",
        "leakage.png",
        "untriggered.png",
        "answers.json",
        *single,
    }
    page = _Page()
    page.feed(verdict.report.read_text())
    assert page.open == []
    assert len(page.sources) > 40
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert "mean accuracy 0.995" in verdict.report.read_text()


def test_names_from_outside_are_no_markup(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 40\nseed = 3")
    hostile = "<script>alert(1)</script>"
    file = root / "lora.toml"
    file.write_text(file.read_text().replace('name = "toy"', f'name = "{hostile}"'))
    project = open_project(root)
    snapshot = root / "<b>a & 'b'.safetensors"
    work = examine(project, [snapshot], ToyArtist({snapshot.stem: 0.9}), read_settings(project), ToyJudge(), WORLD)
    html = finish(work).report.read_text()
    assert "<script" not in html
    assert "<b>" not in html
    page = _Page()
    page.feed(html)
    assert page.open == []
    assert hostile in unescape(html)
    assert snapshot.name in unescape(html)


def test_a_bad_adapter_is_told_so(tmp_path: Path) -> None:
    verdict, _, _ = _exam(tmp_path / "p", {"a": 0.2}, leak=0.5, pictures=80)
    assert verdict.summary.startswith("It has not learnt the subject")
    assert "Train longer" in str(verdict.advice[0])
    assert any("(C6)" in str(line) for line in verdict.advice)


def test_no_snapshots_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExamError, match="no adapter to examine"):
        _exam(tmp_path / "p", {})


def test_faults_of_the_table_are_all_named(tmp_path: Path) -> None:
    project = open_project(make_project(tmp_path / "p", "picturs = 3\nsteps = 0"))
    with pytest.raises(ExamError) as fault:
        read_settings(project)
    assert 'Did you mean "pictures"?' in str(fault.value)
    assert "steps = 0" in str(fault.value)
