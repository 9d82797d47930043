"""Publishing: what stops it, what is shown before, and the upload to the mock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from lorasmith.cli.main import run
from tests.library.hubs.carded import PROVENANCE, examined_project
from tests.library.hubs.mock import STORE_HOST, TOKEN, Hubs


@pytest.fixture
def hub_online(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> Hubs:
    """huggingface_hub's client may ask, and sends files the plain way."""
    from huggingface_hub.utils._http import close_session

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    close_session()
    return hubs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of huggingface_hub's own upload
def test_an_upload_is_the_adapter_with_its_card(
    hub_online: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = examined_project(tmp_path / "zbk")
    call = ["publish", str(project.root), "--to", "hf:me/zbk", "--yes", "--private", "--json"]
    assert run(call) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["address"].endswith("/me/zbk")
    upload = hub_online.uploads["me/zbk"]
    assert upload["private"]
    files = upload["files"]
    assert {"README.md", "zbk.safetensors", "images/20.png", "civitai.html", "card.json", "zbk.json"} <= set(files)
    assert files["zbk.safetensors"] == next(project.runs.rglob("zbk.safetensors")).read_bytes()
    assert b"instance_prompt: zbk" in files["README.md"]
    assert all(one.token == "" for one in hub_online.seen("^/store/", STORE_HOST))


def test_private_is_not_public_because_it_was_there_before(
    hub_online: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = examined_project(tmp_path / "zbk", pictures=0)
    hub_online.uploads["me/zbk"] = {"private": False, "files": {}}
    assert run(["publish", str(project.root), "--to", "hf:me/zbk", "--yes", "--private"]) == 13
    assert "everybody can see it" in capsys.readouterr().err
    assert hub_online.uploads["me/zbk"]["files"] == {}


def test_nothing_is_uploaded_without_a_yes(
    hub_online: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = examined_project(tmp_path / "zbk")
    assert run(["publish", str(project.root), "--to", "hf:me/zbk"]) == 2
    said = capsys.readouterr()
    assert "zbk.safetensors" in said.out
    assert "20 pictures" in said.out
    assert "the tags of its captions (ss_tag_frequency)" in said.out
    assert "--yes" in said.err
    assert hub_online.log == []


@pytest.mark.parametrize(
    ("provenance", "words"),
    [
        (PROVENANCE.replace('licence = "CC BY 4.0"', ""), "no licence"),
        (PROVENANCE.replace("real_person = false", "real_person = true"), "consent is not recorded"),
        (PROVENANCE.replace("real_person = false", 'real_person = true\nconsent = "  "'), "consent is not recorded"),
    ],
)
@pytest.mark.parametrize("to", ["hf:me/zbk", "packed"])
def test_what_stops_it(
    hub_online: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str], provenance: str, words: str, to: str
) -> None:
    project = examined_project(tmp_path / "zbk", provenance=provenance, pictures=0)
    place = to if ":" in to else str(tmp_path / to)
    assert run(["publish", str(project.root), "--to", place, "--yes"]) == 3
    said = capsys.readouterr().err
    assert words in said
    assert "[provenance]" in said
    assert hub_online.log == []
    assert not (tmp_path / "packed").exists()


def test_a_real_person_who_consented_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    provenance = PROVENANCE.replace("real_person = false", 'real_person = true\nconsent = "by letter, 3 May 2026"')
    project = examined_project(tmp_path / "zbk", provenance=provenance)
    assert run(["publish", str(project.root), "--to", str(tmp_path / "packed")]) == 0
    assert "by letter, 3 May 2026" in capsys.readouterr().out
    assert "It shows a real person. Consent: by letter, 3 May 2026." in (tmp_path / "packed" / "README.md").read_text()


def test_a_packed_folder_is_whole_and_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = examined_project(tmp_path / "zbk")
    packed = tmp_path / "packed"
    assert run(["publish", str(project.root), "--to", str(packed), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert sorted(files) == sorted(str(file) for file in packed.rglob("*") if file.is_file())
    assert (packed / "zbk.safetensors").is_file()
    assert run(["publish", str(project.root), "--to", str(packed)]) == 11  # something lies there
    assert run(["publish", str(project.root)]) == 2
    assert run(["publish", str(project.root), "--to", "civitai:12"]) == 2


def test_refusals_of_an_upload(
    hub_online: Hubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = examined_project(tmp_path / "zbk", pictures=0)
    call = ["publish", str(project.root), "--to", "hf:me/zbk", "--yes"]
    hub_online.fail("/api/repos/create", 403)
    assert run(call) == 13
    assert "may not write" in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    assert run(call) == 13
    assert "logged in" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "a-wrong-one")
    assert run(call) == 13
    err = capsys.readouterr().err
    assert "may not write" in err
    assert "a-wrong-one" not in err
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run(call) == 13
    assert "not uploaded" in capsys.readouterr().err
