"""A7: captions that cannot be read, or hide their words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from lorasmith.dataset.create import create_project
from lorasmith.dataset.encodings import decode, guess_encoding
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.errors import DatasetError, UsageError
from lorasmith.events import Done, Event, Note, finish
from lorasmith.face.stages import inspect_images, plan_training, train_project
from lorasmith.project import Project, SubjectKind
from lorasmith.tags.imports import import_tags
from lorasmith.tags.kohya import write_metadata
from lorasmith.tags.metadata import read_entries
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.words import split_tags, tag_key
from tests.dataset.sources.pieces import Opened
from tests.faults.make_dataset import (
    made,
    make_encodings,
    make_foreign_table,
    make_odd_name,
    make_separators,
    put,
)
from tests.faults.projects import project_of


def warnings_of(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Note) and event.rule == "D17"]


@pytest.mark.parametrize("use", ["read", "inspect", "plan"])
def test_one_warning_wherever_the_dataset_is_used(tmp_path: Path, use: str) -> None:
    project, seen = project_of(made(make_encodings, tmp_path / "I")), list[Event]()
    if use == "read":
        finish(read_dataset(project), seen.append)
    elif use == "inspect":
        finish(inspect_images(project), seen.append)
    else:
        finish(plan_training(project), seen.append)
    (warning,) = warnings_of(seen)
    assert warning.startswith("3 captions cannot be read")
    assert 'encoding = "cp1252"' in warning


SMALL = "resolution = 64\nbucket.min = 32\nbucket.step = 32\nrank = 1\ntarget_steps = 1"


@pytest.mark.parametrize("use", [("plan",), ("train",), ("tag", "--write"), ("tag", "--diff"), ("inspect",)])
def test_one_warning_of_every_command(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str], use: tuple[str, ...]
) -> None:
    project = project_of(made(make_encodings, tmp_path / "I"), recipe=SMALL, base=tiny_base_folder)
    command, *options = use
    assert run([command, str(project.root), *options]) in (0, 1)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("captions cannot be read, and the pictures count as without one: ") == 1
    assert said.count("3 captions cannot be read") == 1
    assert 'encoding = "cp1252"' in said
    assert (project.built_dataset / "1_zbk/fine.txt").is_file() is (use == ("tag", "--write"))


def test_training_warns_once_and_goes_on(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = project_of(made(make_encodings, tmp_path / "I"), recipe=SMALL, base=tiny_base_folder)
    seen: list[Event] = []
    done = finish(train_project(project), seen.append)
    assert isinstance(done, Done)
    assert done.adapter.is_file()
    (warning,) = warnings_of(seen)
    assert warning.startswith("3 captions cannot be read")


def test_each_is_named_with_a_guess(tmp_path: Path) -> None:
    dataset = finish(read_dataset(project_of(made(make_encodings, tmp_path / "I"))))
    told = {problem.name: problem.message for problem in dataset.problems}
    assert {name: message.partition("looks like ")[2].partition(".")[0] for name, message in told.items()} == {
        "utf16.png": "utf-16",
        "cp1252.png": "cp1252",
        "utf16_no_mark.png": "utf-16-le",
    }
    assert [item.caption for item in dataset.items if item.name == "fine.png"] == ["1girl"]


def test_the_encoding_that_is_told_is_used(tmp_path: Path) -> None:
    folder = made(make_encodings, tmp_path / "I")
    (folder / "utf16_no_mark.txt").unlink()
    project = project_of(folder)
    project.file.write_text(project.file.read_text().replace("[tags]", 'encoding = "cp1252"\n[tags]', 1))
    captions = {item.name: item.caption for item in finish(read_dataset(_again(project))).items}
    assert captions["cp1252.png"] == "caf\u00e9"
    assert captions["utf16.png"] == "1girl", "a mark goes before what is told"


def _again(project: Project) -> Project:
    from lorasmith.project import open_project

    return open_project(project.root)


def test_intake_recodes_what_it_copies(tmp_path: Path) -> None:
    put(tmp_path / "I/a.png", 1, "caf\u00e9, hat".encode("cp1252"))
    work = create_project(
        tmp_path / "p",
        subject=SubjectKind.CHARACTER,
        name=None,
        trigger="zbk",
        sources=[tmp_path / "I"],
        options=SourceOptions(encoding="cp1252"),
    )
    finish(work)
    assert (tmp_path / "p/images/a.txt").read_bytes() == "caf\u00e9, hat".encode()
    assert (tmp_path / "I/a.txt").read_bytes() == "caf\u00e9, hat".encode("cp1252")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("1girl, smile", "utf-16-le"),
        ("1girl, smile", "utf-16-be"),
        ("caf\u00e9, M\u00fcller", "cp1252"),
        ("\u5c11\u5973\u306e\u7d75\u3001\u9752\u3044\u7a7a", "cp932"),
        ("\u5c11\u5973\u306e\u7d75\u3001\u9752\u3044\u7a7a", "euc_jp"),
        ("\uc18c\ub140, \ud558\ub298", "euc_kr"),
        ("\u4e00\u4e2a\u5973\u5b69, \u5929\u7a7a", "gb18030"),
        ("\u043a\u043e\u0442, \u043d\u0435\u0431\u043e", "cp1251"),
    ],
)
def test_guesses(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert guess_encoding(data) == encoding
    assert decode(data, encoding) == text


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    folder = made(make_foreign_table, tmp_path / "K")
    opened = Opened(folder)
    assert "train/0.txt" not in opened.files
    assert "looks like cp1252. If so: encoding = cp1252" in opened.left_out["metadata.csv row 1"]
    work = create_project(
        tmp_path / "p",
        subject=SubjectKind.CHARACTER,
        name=None,
        trigger="zbk",
        sources=[folder],
        options=SourceOptions(encoding="cp1252"),
    )
    finish(work)
    assert (tmp_path / "p/images/train/0.txt").read_text("utf-8") == "caf\u00e9"


def test_a_table_of_two_bytes_a_letter_is_named(tmp_path: Path) -> None:
    folder = made(make_foreign_table, tmp_path / "K")
    (folder / "metadata.csv").write_bytes("file_name,text\ntrain/0.png,a\n".encode("utf-16"))
    assert "looks like utf-16" in Opened(folder).left_out["metadata.csv"]


def test_an_import_in_another_encoding(tmp_path: Path) -> None:
    folder = made(make_foreign_table, tmp_path / "K")
    project = project_of(folder)
    dataset = finish(read_dataset(project))
    with pytest.raises(DatasetError, match="cp1252"):
        list(read_entries(folder / "metadata.csv"))
    imported = finish(import_tags(project, dataset, folder / "metadata.csv", "cp1252"))
    assert imported.matched == ("train/0.png",)
    assert list(write_captions(project, dataset).captions.values()) == ["zbk, caf\u00e9"]


def test_an_encoding_that_there_is_not() -> None:
    from lorasmith.dataset.encodings import check_encoding

    with pytest.raises(UsageError, match="no encoding"):
        check_encoding("utf-99")


def test_undesired_tags_are_found_behind_every_separator(tmp_path: Path) -> None:
    project = project_of(made(make_separators, tmp_path / "J"), tags='undesired = "watermark"')
    captions = write_captions(project, finish(read_dataset(project))).captions
    assert set(captions.values()) == {"zbk, 1girl"}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("1girl\uff0cwatermark", ("1girl", "watermark")),
        ("1girl\u3001watermark", ("1girl", "watermark")),
        ("1girl;watermark", ("1girl", "watermark")),
        ("1girl. watermark. smile", ("1girl", "watermark", "smile")),
        ("water\u00admark, \ufeffhat", ("watermark", "hat")),
        ("1girl, ;d, ;)", ("1girl", ";d", ";)")),
        ("mr. fox, dr. stone, ._., u.n. owen", ("mr. fox", "dr. stone", "._.", "u.n. owen")),
        ("She stands on a hill; the wind blows in her hair", ("She stands on a hill; the wind blows in her hair",)),
    ],
)
def test_separators(text: str, tags: tuple[str, ...]) -> None:
    assert split_tags(text) == tags


@pytest.mark.parametrize(
    "spelt",
    ["(watermark:1.2)", "((watermark))", "[watermark]", "{watermark}", "(watermark", "watermark:0.8)", "Watermark.",
     "water\u200bmark", "\uff57atermark"],
)  # fmt: skip
def test_weights_do_not_hide_a_tag(spelt: str) -> None:
    """AUTOMATIC1111/stable-diffusion-webui, modules/prompt_parser.py, parse_prompt_attention."""
    assert tag_key(spelt) == "watermark"


@pytest.mark.parametrize("tag", [":)", "(o) (o)", ";)", ">:(", "(9)", "zbk (object)", "...", "!?", "\\(^o^)/"])
def test_signs_stay_signs(tag: str) -> None:
    assert tag_key(tag) == " ".join(tag.replace("\\", "").split())


def test_one_odd_name_does_not_spoil_the_metadata(tmp_path: Path) -> None:
    """Python's json reads the escape as the very name that os.fsdecode gives (PEP 383)."""
    folder = made(make_odd_name, tmp_path / "L")
    project = project_of(folder)
    dataset = finish(read_dataset(project))
    captions = write_captions(project, dataset).captions
    table = json.loads(write_metadata(tmp_path / "m.json", dataset, captions).read_text("utf-8"))
    assert all(Path(path).is_file() for path in table)
    lines = write_metadata(tmp_path / "m.jsonl", dataset, captions).read_text("utf-8").splitlines()
    assert sorted(json.loads(line)["image_path"] for line in lines) == sorted(table)
    assert len(lines) == 2
