"""The page: whole, self-contained, escaped, and small whatever the dataset's size."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lorasmith.cli.wording import command_words
from lorasmith.dataset import page
from lorasmith.dataset.inspection import inspect
from lorasmith.dataset.page import draw_page, write_page
from lorasmith.events import finish
from lorasmith.project import Project
from lorasmith.remedies import worded_by
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

_VOID = {"meta", "br", "img", "line", "rect"}


class _Reader(HTMLParser):
    """Texts, addresses, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def drawn(project: Project, tags: dict[str, tuple[str, ...]] | None = None) -> str:
    dataset = read(project)
    with worded_by(command_words):
        return draw_page(project, dataset, finish(inspect(project, dataset, tags or {})))


def words(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert reader.links == [], "nothing is fetched"
    assert "<script" not in html
    assert re.findall(r"url\((?!data:image/jpeg;base64,)", html) == []
    return " ".join(" ".join(reader.text).split())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    save_drawings(made.root / "images", 30, caption="portrait, red shirt")
    return made


def test_a_set_whose_findings_are_waived_is_ready(project: Project) -> None:
    waived = make_project(project.root, '[dataset.waive]\nD4 = "x"\nD5 = "<b>why</b>"\n')
    said = words(drawn(waived, {f"{number:03}.png": ("portrait",) for number in range(30)}))
    assert "Ready to train." in said
    assert "Accepted: <b>why</b>" in said, "a waived finding stays visible, and its reason is no markup"
    assert f"lorasmith train {project.root}" in said
    assert "All images" in said


def test_findings_with_their_pictures_and_the_kept_one_marked(project: Project) -> None:
    images = project.root / "images"
    shutil.copy(images / "003.png", images / "<i>x.png")
    (images / "text.png").write_text("hello")
    html = drawn(project)
    said = words(html)
    assert "Not yet: mend the errors first." in said
    assert "<i>x.png" in said
    assert f"lorasmith curate auto {project.root}" in said
    kept = re.findall(r"<figure class=kept>.*?</figure>", html)
    assert len(kept) == 1
    assert "waive = { L0" in said
    assert "PROJECT" not in said


def test_words_from_outside_are_no_markup(project: Project) -> None:
    hostile = "<script>alert(1)</script>"
    rest = f'[bundle."{hostile}"]\ntrigger = "{hostile}"\nfolders = "5_a"\n[provenance]\nsource = "{hostile}"\n'
    (project.root / "images" / "5_a").mkdir()
    shutil.copy(project.root / "images" / "003.png", project.root / "images" / "5_a" / "<script>.png")
    said = words(drawn(make_project(project.root, rest, trigger=hostile), {"000.png": (hostile,)}))
    assert said.count(hostile) >= 3
    assert "<script>.png" in said


def test_coverage_balance_and_provenance_are_shown(project: Project) -> None:
    said = words(drawn(project, {f"{number:03}.png": ("portrait", "from behind") for number in range(30)}))
    assert "from behind 30 of 1" in said
    assert "from side 0 of 1" in said
    assert "30 images, shown 30 times: 100%" in said
    assert "licence not known (30)" in said
    assert "Nobody can tell yet" in words(drawn(project))


def test_few_thumbnails_of_many_images(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "THUMBNAILS", 7)
    html = drawn(project)
    words(html)
    assert html.count("data:image/jpeg") == 7
    monkeypatch.setattr(page, "THUMBNAILS", 400)
    monkeypatch.setattr(page, "SAMPLE", 10)
    assert drawn(project).count("data:image/jpeg") == 10
    assert "10 of the 30 images" in words(drawn(project))


def test_a_thumbnail_is_in_the_page_once(project: Project) -> None:
    html = drawn(project, {f"{number:03}.png": ("portrait",) for number in range(30)})
    assert html.count("data:image/jpeg") == 30
    assert len(re.findall(r'class="pic t\d+"', html)) > 30


def test_the_page_is_written_whole(project: Project, tmp_path: Path) -> None:
    dataset = read(project)
    inspection = finish(inspect(project, dataset, {}))
    target = write_page(project, dataset, inspection, tmp_path / "new" / "look.html")
    assert words(target.read_text("utf-8"))
