"""The library is used everywhere: adapters and bases by name, alias, hash or trigger; T2; what a base does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.catalogue import Catalogue
from lorasmith.bases.base import load_base
from lorasmith.bases.detection import base_name, find_base, locate_base
from lorasmith.bases.known import ask_for_bases, known_base
from lorasmith.cli.main import run
from lorasmith.errors import PromptError, UsageError
from lorasmith.events import Note, finish
from lorasmith.face.drawing import find_adapters
from lorasmith.face.stages import inspect_images, plan_training
from lorasmith.library.entry import Filters, HubFacts
from lorasmith.library.index import LibraryIndex
from lorasmith.library.lookup import LibraryLookup, find_known_base, misfit
from lorasmith.project import open_project
from tests.adapters.drawing import trained_adapter
from tests.library.files import write_adapter
from tests.projects import build_project
from tests.refusal_words import refused_words


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def scanned(folder: Path, **how: Any) -> None:
    with LibraryIndex.open() as library:
        library.add_folder(folder)
        finish(library.scan(**how))


def test_explicit_folders_come_first(tmp_path: Path, loras: Path) -> None:
    here = write_adapter(tmp_path / "adapters" / "zbk.safetensors", 1)
    write_adapter(loras / "zbk.safetensors", 2)
    other = write_adapter(loras / "sub" / "other.safetensors", 3, ss_output_name="recorded")
    (loras / "sub" / "other.json").write_text(json.dumps({"activation text": "red hat"}))
    scanned(loras)
    catalogue = Catalogue([tmp_path / "adapters"], LibraryLookup())
    with LibraryIndex.open() as library:
        (entry,) = library.find("other")
    assert catalogue.find("zbk") == [here]
    for name in ("other", "sub/other", "recorded", "red hat", entry.autov3, entry.sha256, entry.autov2):
        assert catalogue.find(name) == [other], name
    assert catalogue.trigger("other") == "red hat"
    assert catalogue.trigger("zbk") == ""
    with pytest.raises(PromptError, match="Did you mean other"):
        catalogue.find("othr")
    assert Catalogue([tmp_path / "adapters"]).names() == ["zbk"]
    with pytest.raises(PromptError, match="unknown"):
        Catalogue([tmp_path / "adapters"]).find("other")


def test_one_name_of_several_files_is_asked_back(loras: Path) -> None:
    first = write_adapter(loras / "a" / "zbk.safetensors", 1)
    second = write_adapter(loras / "b" / "zbk.safetensors", 2)
    scanned(loras)
    with pytest.raises(PromptError, match=r"several adapters of the library. Say which: a/zbk, b/zbk"):
        Catalogue([], LibraryLookup()).find("zbk")
    assert Catalogue([], LibraryLookup()).find("b/zbk") == [second]
    second.write_bytes(first.read_bytes())
    scanned(loras)
    assert Catalogue([], LibraryLookup()).find("zbk") == [first], "the same bytes twice are one adapter"


def test_without_a_library_nothing_is_made(home: Path, tmp_path: Path) -> None:
    lookup = LibraryLookup()
    assert (lookup.files("x"), lookup.triggers(tmp_path), lookup.near("x")) == ([], (), [])
    assert find_known_base("x") is None
    assert not home.exists()


def test_a_damaged_library_does_not_stand_in_the_way(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "library.db").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    write_adapter(tmp_path / "adapters" / "zbk.safetensors", 1)
    assert Catalogue([tmp_path / "adapters"], LibraryLookup()).find("zbk")
    with pytest.raises(PromptError, match="unknown"):
        Catalogue([], LibraryLookup()).find("zbk")


def test_grids_and_exams_take_names(loras: Path) -> None:
    file = write_adapter(loras / "zbk.safetensors", 1, modelspec__trigger_phrase="zbk girl")
    scanned(loras)
    assert find_adapters(Path("zbk")) == [file]
    assert find_adapters(Path("zbk girl")) == [file]
    with pytest.raises(UsageError, match="Did you mean zbk"):
        find_adapters(Path("zbkk"))


def test_a_trigger_that_another_adapter_has_is_told(tmp_path: Path, loras: Path) -> None:
    project = open_project(build_project(tmp_path / "p").root)
    trigger = project.lora.trigger
    file = write_adapter(loras / "other.safetensors", 1, modelspec__trigger_phrase=f"{trigger}, red hat")
    scanned(loras)
    _, inspection = finish(inspect_images(project))
    told = [finding.message for finding in inspection.findings if finding.rule == "T2"]
    assert any(f'the trigger "{trigger}" is also that of other' in text for text in told), told
    file.rename(loras / f"{project.lora.name}-000004.safetensors")
    scanned(loras)
    _, inspection = finish(inspect_images(project))
    told = [finding.message for finding in inspection.findings if finding.rule == "T2"]
    assert not any("is also that of" in text for text in told), "its own snapshots are no clash"


def test_plan_says_what_does_not_fit(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = build_project(tmp_path / "p", 'init = "start.safetensors"\nrank = 4', base=str(tiny_base_folder))
    write_adapter(project.root / "start.safetensors", 1)
    said: list[str] = []
    finish(plan_training(project), lambda event: said.append(event.message) if isinstance(event, Note) else None)
    assert any("start.safetensors is for sdxl, the base is sd1" in text for text in said), said
    base = load_base(tiny_base_folder)
    from lorasmith.adapters.files import save_adapter

    own = save_adapter(tmp_path / "own.safetensors", trained_adapter(base))
    assert misfit(own, base.family) is None


def test_bases_are_found_by_name_and_hash(tmp_path: Path, tiny_base_folder: Path) -> None:
    place = tmp_path / "models" / "my-base"
    place.parent.mkdir(parents=True)
    place.symlink_to(tiny_base_folder)
    scanned(place.parent)
    with LibraryIndex.open() as library:
        (entry,) = library.find("my-base", kind="base")
    assert entry.family == "sd1"
    base = load_base(tiny_base_folder)
    assert entry.sha256 == base.content_hash
    ask_for_bases(find_known_base)
    try:
        for name in ("my-base", entry.sha256[:10]):
            assert find_base(name) == place
            assert locate_base(name, tmp_path) == str(place)
            assert base_name(name, place) == tiny_base_folder.name
        assert known_base("nobody/knows") is None
        assert locate_base("nothing", tmp_path) == "nothing"
    finally:
        ask_for_bases(lambda _: None)


def test_a_picture_that_names_an_adapter_by_hash_is_drawn_in_one_command(
    tmp_path: Path, loras: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 4: its infotext has the name of another file; the library has the bytes under this one's name."""
    from lorasmith.adapters.files import save_adapter

    monkeypatch.chdir(tmp_path)
    own = save_adapter(tmp_path / "theirs" / "first-name.safetensors", trained_adapter(load_base("doodle")))
    words = ["generate", "red hat <lora:first-name:0.8>", "--seed", "3", "--steps", "2", "--size", "64x64"]
    assert run([*words, "--adapters", str(own.parent), "--out", str(tmp_path / "out"), "--json"]) == 0
    picture = json.loads(capsys.readouterr().out)["pictures"][0]["path"]
    own.rename(loras / "renamed.safetensors")
    own.parent.rmdir()
    assert run(["picture", "redo", picture, "--json", "--out", str(tmp_path / "again")]) != 0
    fault = capsys.readouterr().err
    assert "library get" in fault
    scanned(loras, hashes=False)
    assert run(["picture", "redo", picture, "--json", "--out", str(tmp_path / "again")]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    write_adapter(loras / "first-name.safetensors", 7)
    scanned(loras)
    assert run(["picture", "redo", picture, "--json", "--out", str(tmp_path / "again")]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


def test_generate_draws_with_the_library_and_offers_the_trigger(
    tmp_path: Path, loras: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lorasmith.adapters.files import save_adapter

    monkeypatch.chdir(tmp_path)
    save_adapter(loras / "zbk.safetensors", trained_adapter(load_base("doodle")))
    (loras / "zbk.json").write_text(json.dumps({"activation text": "zbk girl"}))
    scanned(loras)
    words = ["--seed", "3", "--steps", "1", "--size", "64x64", "--out", str(tmp_path / "out"), "--json"]
    assert run(["generate", "red hat <lora:zbk>", *words]) == 0
    assert 'called without its trigger "zbk girl"' in capsys.readouterr().err
    assert run(["generate", "zbk girl, red hat <lora:zbk>", *words]) == 0
    assert "trigger" not in capsys.readouterr().err


def test_a_cache_without_elsewhere_knows_its_folders_alone(loras: Path) -> None:
    write_adapter(loras / "zbk.safetensors", 1)
    scanned(loras)
    assert AdapterCache([]).names() == []
    with pytest.raises(PromptError):
        AdapterCache([]).path("zbk")
    assert AdapterCache([], elsewhere=LibraryLookup()).path("zbk") == loras / "zbk.safetensors"


def test_own_adapters_come_with_their_exam(tmp_path: Path, loras: Path) -> None:
    project = build_project(tmp_path / "p")
    file = project.root / "runs" / "a" / "zbk.safetensors"
    own = write_adapter(file, 1, ss_training_comment="lorasmith 0.1.0", lorasmith__strength="0.7")
    scanned(project.root)
    with LibraryIndex.open() as library:
        (entry,) = library.find("zbk")
        assert (entry.mine, entry.exam, entry.strength) == (True, None, 0.7)
    exam = project.exams / "20260101-zbk"
    exam.mkdir(parents=True)
    verdict = {"chosen": str(own), "verdict": "Ready", "figures": {"hit_rate": {"value": 0.9}}, "more": 1}
    (exam / "figures.json").write_text(json.dumps(verdict))
    (loras / "copy.safetensors").write_bytes(own.read_bytes())
    scanned(loras, again=True)
    with LibraryIndex.open() as library:
        for name in ("zbk", "copy"):
            (entry,) = library.find(name)
            assert entry.exam is not None
            assert entry.exam["verdict"] == "Ready"
            assert entry.exam["figures"] == {"hit_rate": {"value": 0.9}}


def test_what_a_hub_says_is_searched_too(loras: Path) -> None:
    write_adapter(loras / "zbk.safetensors", 1)
    scanned(loras)
    with LibraryIndex.open() as library:
        (entry,) = library.find("zbk")
        library.set_hub(entry, HubFacts("civitai", "5", "6", name="Winter nights", creator="somebody"))
        for words in ("winter", "somebody"):
            assert [each.name for each in library.entries(Filters(words=words)).entries] == ["zbk"]
        library.set_hub(entry, HubFacts("civitai", "5", "6", name=" ".join(refused_words())))
        assert library.find("zbk") == []
