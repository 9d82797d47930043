"""Cards: what they say, in the form of each hub, and which pictures they show."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, constants
from PIL import Image

from lorasmith.cli.main import run
from lorasmith.errors import RefusedError
from lorasmith.library.cards.card import Card, CardPicture
from lorasmith.library.cards.civitai import KEPT, write_description
from lorasmith.library.cards.gathering import find_target, gather_card
from lorasmith.library.cards.huggingface import front_matter, write_readme
from lorasmith.library.cards.licences import KNOWN, licence_id, licence_slug
from lorasmith.library.cards.showing import choose_pictures, find_showcases, judge_by_eye, showcase_pictures
from lorasmith.library.sidecars.beside import read_sidecars
from lorasmith.project import open_project
from tests.library.hubs.carded import PROVENANCE, draw_showcase, examined_project
from tests.library.hubs.mock import Hubs, adapter_bytes
from tests.refusal_words import refused_words


def card_of(target: Path, **more: Any) -> Card:
    project, file = find_target(target)
    name = project.lora.name if project is not None else file.stem
    pictures = showcase_pictures(find_showcases(project), file, name)
    return gather_card(project, file, choose_pictures(pictures), by_eye=judge_by_eye(pictures), **more)


@pytest.fixture
def hub_online(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> Hubs:
    """huggingface_hub's client asks the mock."""
    from huggingface_hub.utils._http import close_session

    monkeypatch.setattr(constants, "ENDPOINT", hubs.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    close_session()
    return hubs


def test_a_card_says_what_was_measured(tmp_path: Path) -> None:
    text = write_readme(card_of(examined_project(tmp_path / "zbk").root))
    for words in (
        "You should use `zbk` to call it.",
        "`zbk <lora:zbk:0.8>, ...`",
        "Recommended strength: 0.8; usable from 0.6 to 1.1 (measured).",
        "| hit rate | 90% (85% to 95%) | 2% | 100 |",
        "| diversity | not measured |",
        "| kept by eye | 88% (64% to 97%) |  | 16 |",
        "Judged: hair, likeness.",
        "Nobody could judge: the eyepatch.",
        "| beside pxl | 91% (80% to 99%) |  | 40 |",
        "Hit every time: 10% of the pictures miss",
        "Its weakest trait is hair: right in 70%.",
        "New things come in only 60%",
        "Prompts against one of its traits win in only 30%",
        "It changes 20% of pictures that do not call it",
        "It never saw: grin, frown.",
        "| resolution | 128 x 128 |",
        "| rank | 4, alpha 2.0 |",
        "Source: drawn for tests.",
        "It shows no real person.",
        "Licence: CC BY 4.0.",
    ):
        assert words in text, words
    assert str(tmp_path) not in text


def test_a_file_that_nobody_examined_says_so(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes(adapter_bytes(4, metadata={"modelspec.trigger_phrase": "word", "modelspec.license": "MIT"}))
    card = card_of(file)
    text = write_readme(card)
    assert card.exam is None
    assert "Nobody has examined it" in text
    assert "Strength: try 0.8; none was measured." in text
    assert "Whether it shows a real person is not recorded." in text
    assert front_matter(card)["license"] == "mit"
    assert "<Gallery />" not in text


def test_what_an_exam_left_in_the_header_is_told_without_it(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    told = {"lorasmith.strength": "0.7", "lorasmith.strength_from": "0.5", "lorasmith.strength_to": "0.9"}
    file.write_bytes(adapter_bytes(4, metadata=told))
    assert "Recommended strength: 0.7; usable from 0.5 to 0.9 (measured)." in write_readme(card_of(file))


def test_an_exam_of_another_file_is_not_this_ones(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    other = project.runs / "20260501-100000-zbk" / "other.safetensors"
    other.write_bytes(adapter_bytes(9))
    assert card_of(other).exam is None
    copy = tmp_path / "zbk" / "copy.safetensors"
    copy.write_bytes(find_target(project.root)[1].read_bytes())
    assert card_of(copy).exam is not None


def test_a_project_that_was_moved_finds_what_its_exam_chose(tmp_path: Path) -> None:
    examined_project(tmp_path / "zbk")
    moved = (tmp_path / "zbk").rename(tmp_path / "elsewhere")
    project, file = find_target(moved)
    assert file.is_relative_to(moved)
    assert project is not None
    assert gather_card(project, file).exam is not None


def test_an_adapter_that_is_usable_nowhere_says_so(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    figures = next(project.exams.glob("*/figures.json"))
    document = json.loads(figures.read_text())
    document["strength"] = {"recommended": 1.2, "from": None, "to": None, "points": []}
    document["figures"]["hit_rate"] = {"value": 0.805, "low": 0.741, "high": 0.85, "n": 200}
    figures.write_text(json.dumps(document))
    text = write_readme(card_of(project.root))
    assert "Strength: 1.2 did best, but none that was measured is usable." in text
    assert "No strength was found at which it is usable (C3)." in text
    assert "| hit rate | 80% (74% to 85%) |" in text
    assert "20% of the pictures miss (C2; up to 26% may)" in text


def test_an_average_that_an_exam_made_is_found_after_a_move(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    figures = next(project.exams.glob("*/figures.json"))
    average = figures.with_name("zbk-average.safetensors")
    average.write_bytes(adapter_bytes(5))
    figures.write_text(json.dumps(json.loads(figures.read_text()) | {"chosen": str(average)}))
    moved = (tmp_path / "zbk").rename(tmp_path / "elsewhere")
    assert find_target(moved)[1] == moved / average.relative_to(tmp_path / "zbk")


def test_huggingface_hub_accepts_it(tmp_path: Path, hub_online: Hubs) -> None:
    project = examined_project(tmp_path / "zbk", base="stabilityai/sdxl-turbo")
    card = ModelCard(write_readme(card_of(project.root)))
    matter: dict[str, Any] = dict(card.data.to_dict())  # type: ignore[no-untyped-call]
    assert matter["license"] == "cc-by-4.0"
    assert matter["base_model"] == "stabilityai/sdxl-turbo"
    assert matter["library_name"] == "diffusers"
    assert matter["instance_prompt"] == "zbk"
    assert {"text-to-image", "lora", "diffusers", "template:sd-lora"} <= set(matter["tags"])
    assert len(matter["widget"]) == 20
    assert matter["widget"][0]["output"]["url"] == "images/01.png"
    assert "<lora:" not in matter["widget"][0]["text"]
    card.validate()
    assert hub_online.seen("/api/validate-yaml")
    with pytest.raises(ValueError, match="license"):
        ModelCard(str(card).replace("cc-by-4.0", "my own words")).validate()


def test_a_base_that_no_hub_has_is_not_named_to_it(tmp_path: Path, hub_online: Hubs) -> None:
    card = card_of(examined_project(tmp_path / "zbk").root)
    assert "base_model" not in front_matter(card)
    ModelCard(write_readme(card)).validate()
    assert hub_online.seen("/api/validate-yaml")


def test_peoples_words_are_no_markup(tmp_path: Path) -> None:
    provenance = PROVENANCE.replace("drawn for tests", "<script>alert(1)</script> | `x` *y*").replace(
        "A. Tester", "a|b\\n---\\nlicense: none"
    )
    card = card_of(examined_project(tmp_path / "zbk", provenance=provenance).root)
    text = write_readme(card)
    assert "<script>" not in text
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "cc-by-4.0"
    assert "<script>" not in write_description(card)


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_civitai_keeps_every_element_of_its_description(tmp_path: Path) -> None:
    text = write_description(card_of(examined_project(tmp_path / "zbk").root))
    elements = _Elements()
    elements.feed(text)
    assert elements.open == []
    assert {"p", "h2", "ul", "li", "code"} <= elements.seen <= KEPT
    assert "hit rate: 90% (85% to 95%), base alone 2%, 100 pictures" in text
    assert "<code>zbk</code>" in text


def test_the_most_varied_of_the_kept_come_first(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    pictures = showcase_pictures(find_showcases(project), find_target(project.root)[1], "zbk")
    assert len(pictures) == 24
    by_eye = judge_by_eye(pictures)
    assert by_eye is not None
    assert (round(by_eye.value * by_eye.n), by_eye.n) == (14, 16)  # two are rejected, eight nobody has looked at
    assert judge_by_eye([]) is None
    chosen = choose_pictures(pictures)
    kept = [picture.mark == "keep" for picture in chosen]
    assert len(chosen) == 20
    assert kept == sorted(kept, reverse=True)
    assert sum(kept) == 14
    assert not any(picture.mark == "reject" for picture in chosen)
    first = [picture.prompt for picture in chosen[:6]]
    assert len({prompt.split(", ")[2] for prompt in first}) >= 5  # backgrounds
    assert choose_pictures(pictures) == chosen
    assert len(choose_pictures(pictures, 3)) == 3


def test_pictures_of_another_file_with_the_same_name_are_left_out(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk", pictures=0)
    draw_showcase(project.root / "showcases" / "old", adapter_bytes(99), 5)
    assert showcase_pictures(find_showcases(project), find_target(project.root)[1], "zbk") == []


def test_refused_prompts_are_not_shown_and_refused_words_make_no_card(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    one = showcase_pictures(find_showcases(project), find_target(project.root)[1], "zbk")[5]
    bad = CardPicture(one.path, " ".join(refused_words()), "", 1, "doodle", "")
    assert choose_pictures([bad, one]) == [one]
    with pytest.raises(RefusedError):
        gather_card(project, find_target(project.root)[1], [bad])


def test_what_lies_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = examined_project(tmp_path / "zbk")
    out = tmp_path / "card"
    assert run(["card", str(project.root), "--out", str(out), "--name", "teal", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = sorted(Path(file).relative_to(out).as_posix() for file in document["files"])
    pictures = [f"images/{number:02d}.png" for number in range(1, 21)]
    assert names == sorted(["README.md", "civitai.html", "card.json", "teal.json", "teal.preview.png", *pictures])
    with Image.open(out / "images" / "01.png") as image:
        assert set(image.info) == {"parameters"}  # nothing of this computer
        assert "<lora:teal:1>" in image.info["parameters"]
        assert '"teal: ' in image.info["parameters"]
    facts = read_sidecars(out / "teal.safetensors")
    assert (facts.triggers, facts.strength) == (("zbk",), 0.8)
    kept = json.loads((out / "card.json").read_text())
    assert kept["exam"]["figures"]["hit_rate"]["low"] == 0.85
    assert kept["pictures"][0]["prompt"].startswith("zbk, ")
    assert str(tmp_path) not in (out / "card.json").read_text()
    (out / "images" / "20.png").write_bytes(b"old")
    assert run(["card", str(project.root), "--out", str(out), "--name", "teal"]) == 0  # over its own earlier card
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("my own")
    assert run(["card", str(project.root), "--out", str(tmp_path / "mine")]) == 11
    assert (tmp_path / "mine" / "README.md").read_text() == "my own"


def test_a_bundle_has_a_trigger_for_each(tmp_path: Path) -> None:
    project = examined_project(tmp_path / "zbk")
    with project.file.open("a") as file:
        file.write('\n[bundle.anna]\ntrigger = "annx"\nfolders = "a"\n[bundle.ben]\ntrigger = "benx"\nfolders = "b"\n')
    card = gather_card(open_project(project.root), find_target(project.root)[1])
    assert card.triggers == {"anna": "annx", "ben": "benx"}
    assert "| anna | `annx` |" in write_readme(card)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY 4.0", "cc-by-4.0"),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "cc-by-sa-4.0"),
        ("CC0 1.0", "cc0-1.0"),
        ("CC0", "cc0-1.0"),
        ("public domain", "cc0-1.0"),
        ("MIT", "mit"),
        ("MIT License", "mit"),
        ("Apache 2.0", "apache-2.0"),
        ("OpenRAIL++", "openrail++"),
        ("all rights reserved", None),
        ("ask me", None),
    ],
)
def test_licences_by_the_hubs_names(text: str, name: str | None) -> None:
    assert licence_id(text) == name
    assert name is None or name in KNOWN
    assert licence_slug(text)


def test_a_licence_that_the_hub_does_not_know_has_a_name_all_the_same(tmp_path: Path, hub_online: Hubs) -> None:
    card = card_of(examined_project(tmp_path / "zbk").root, licence="Ask me first!")
    assert (front_matter(card)["license"], front_matter(card)["license_name"]) == ("other", "ask-me-first")
    ModelCard(write_readme(card)).validate()
    assert hub_online.seen("/api/validate-yaml")
