"""The project file: found, checked, and named in every message."""

from pathlib import Path

import pytest

from lorasmith.errors import ProjectError
from lorasmith.project import SubjectKind, open_project, safe_name

GOOD = '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n[recipe]\nrank = 4\n'


def test_open_project_reads_tables(tmp_path: Path) -> None:
    (tmp_path / "lora.toml").write_text(GOOD)
    project = open_project(tmp_path)
    assert project.lora.subject is SubjectKind.CHARACTER
    assert project.table("recipe") == {"rank": 4}
    assert project.table("exam") == {}
    assert open_project(tmp_path / "lora.toml") == project


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "[recipes]\nx = 1\n", ["[recipes]: unknown table", 'Did you mean "recipe"?']),
        (GOOD.replace("character", "charcter"), ["subject = 'charcter'"]),
        (GOOD.replace("trigger", "triger"), ['Did you mean "trigger"?', "trigger: missing"]),
        (GOOD + '[bundle.a]\nfolders = ["x"]\n', ["[bundle.a]", "trigger: missing"]),
        (GOOD + "[bundle]\na = 1\n", ["[bundle.a]", "not a member"]),
        (GOOD + '[bundle.a]\ntrigger = "x"\nfolders = ["../out"]\n', ["does not name a folder inside"]),
        (GOOD + '[bundle.a]\ntrigger = "x"\nfolders = []\n', ["name at least one folder"]),
        (
            GOOD + '[bundle.a]\ntrigger = "X"\nfolders = "x"\n[bundle.b]\ntrigger = "x"\nfolders = "y"\n',
            ["[bundle.b]", "[bundle.a] too", "trigger of its own"],
        ),
        (
            GOOD + '[bundle.a]\ntrigger = "x"\nfolders = "x"\n[bundle.b]\ntrigger = "y"\nfolders = "x/deeper"\n',
            ["[bundle.b]", '"x/deeper" is in [bundle.a] too'],
        ),
        ("name = 1\n", ["stands outside a table"]),
        ("[lora\n", ["not valid TOML"]),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "lora.toml").write_text(text)
    with pytest.raises(ProjectError) as fault:
        open_project(tmp_path)
    for word in words:
        assert word in str(fault.value)
    assert "lora.toml" in str(fault.value)


def test_missing_folder_and_missing_file_are_different_errors(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no such folder"):
        open_project(tmp_path / "nowhere")
    with pytest.raises(ProjectError, match=r"no lora\.toml in this folder"):
        open_project(tmp_path)
    (tmp_path / "photo.png").touch()
    with pytest.raises(ProjectError, match=r"photo\.png: is a file, not a project's folder"):
        open_project(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("text", "name"), [("a b/c", "a_b_c"), ("..", "unnamed"), ("", "unnamed"), ("émile-1.0", "émile-1.0")]
)
def test_safe_name(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_a_bundle_has_members(tmp_path: Path) -> None:
    (tmp_path / "lora.toml").write_text(GOOD + '[bundle.a]\ntrigger = " one  two "\nfolders = "x/"\n')
    project = open_project(tmp_path)
    assert {name: (member.trigger, member.folders) for name, member in project.bundle.items()} == {
        "a": ("one two", ("x",))
    }
