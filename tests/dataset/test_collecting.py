"""gallery-dl as a program of its own: a fake one on the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from tests.images.drawings import save_drawings

FAKE = """#!{python}
import json, pathlib, shutil, sys
(pathlib.Path(__file__).parent / "said.json").write_text(json.dumps(sys.argv[1:]))
target = next(word for word in sys.argv if word.startswith("--destination=")).partition("=")[2]
folder = pathlib.Path(target) / "site"
folder.mkdir(parents=True, exist_ok=True)
for number, source in enumerate(sorted(pathlib.Path({pictures!r}).glob("*.png"))):
    made = folder / source.name
    if made.exists():
        print("#", made)
        continue
    shutil.copyfile(source, made)
    about = {{"category": "site", "id": number, "source": "https://example.org/%d" % number}}
    if number == 0:
        about["license"] = "CC0"
    (folder / (source.name + ".json")).write_text(json.dumps(about))
    print(made)
print("[site][error] a word \\x1b[31m at the end", file=sys.stderr)
sys.exit({code})
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, pictures: int = 2, code: int = 0) -> Path:
    """A fake gallery-dl; gives the file where it notes its arguments."""
    source = folder / "pictures"
    source.mkdir(parents=True)
    save_drawings(source, pictures)
    program = folder / "gallery-dl"
    program.write_text(FAKE.format(python=sys.executable, pictures=str(source), code=code))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "said.json"


def test_it_is_called_with_arguments_not_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = install(tmp_path / "bin", monkeypatch)
    address, into = "https://example.org/a?b=1&c=$(touch%20x);d", tmp_path / "got it"
    assert run(["collect", address, "--into", str(into), "--json"]) == 0
    assert json.loads(said.read_text()) == ["--write-metadata", f"--destination={into}", "--", address]
    assert json.loads(capsys.readouterr().out) == {"folder": str(into), "new": 2, "images": 2, "licensed": 1}
    assert run(["collect", address, "--into", str(into)]) == 0
    out = capsys.readouterr().out
    assert "0 new, 2 images" in out
    assert "no licence of 1" in out
    assert "lorasmith new my-lora --images" in out
    assert run(["new", str(tmp_path / "p"), "--images", str(into), "--json"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "p" / "sources.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == ["https://example.org/0", "https://example.org/1"]
    assert lines[0]["licence"] == "CC0"


def test_a_missing_program_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["collect", "https://example.org", "--into", str(tmp_path / "x")]) == 5
    said = capsys.readouterr().err
    assert "gallery-dl is not installed" in said
    assert "pipx install gallery-dl" in said
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("code", "reason"), [(64, "no way to read"), (16, "login"), (1, "ended with code 1")])
def test_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, reason: str
) -> None:
    install(tmp_path / "bin", monkeypatch, pictures=0, code=code)
    assert run(["collect", "https://example.org", "--into", str(tmp_path / "x")]) == 5
    said = capsys.readouterr().err
    assert reason in said
    assert "a word" in said
    assert "\x1b[31m at" not in said, "its words cannot colour our terminal"


def test_what_came_before_a_failure_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path / "bin", monkeypatch, code=4)
    assert run(["collect", "https://example.org", "--into", str(tmp_path / "x")]) == 0
    assert "not everything came" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["--exec=rm", "file:///etc/passwd", "example.org", "https://", "https://a b", "http://[", "https://a\n"]
)
def test_only_web_addresses_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    said = install(tmp_path / "bin", monkeypatch)
    assert run(["collect", "--into", str(tmp_path / "x"), "--", address]) == 2
    assert not said.exists()
