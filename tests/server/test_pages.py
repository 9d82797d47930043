"""The studio's page: served whole, nothing foreign in it, every vendored file as it was published."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

from lorasmith.server.workshop import Workshop
from lorasmith.web import read_page, script_sources
from tests.server.running import Plain, plain_settings, running

WEB = Path(str(files("lorasmith.web")))
MOST_LINES = 400


def test_vendored_files_are_as_they_were_published() -> None:
    lines = (WEB / "vendor" / "HASHES").read_text("utf-8").splitlines()
    assert len(lines) >= 8
    named = {name: digest for digest, name in (line.split() for line in lines)}
    there = {file.name for file in (WEB / "vendor").iterdir()} - {"HASHES"}
    assert there == set(named)
    for name, digest in named.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == digest, name


def test_modules_import_only_what_is_there() -> None:
    modules = list((WEB / "studio").rglob("*.js"))
    assert len(modules) > 10
    bare = set(re.findall(r'"([^"]+)": "/web/vendor/', (WEB / "studio" / "index.html").read_text("utf-8")))
    for module in modules:
        text = module.read_text("utf-8")
        assert text.count("\n") <= MOST_LINES, f"{module.name} is too long to read at once"
        assert "innerHTML" not in text, f"{module}: texts from outside only ever become text nodes"
        named = re.findall(r'^import\b[^"`;]*"([^"]+)"|\bimport\("([^"]+)"\)', text, re.MULTILINE)
        for name in filter(None, (part for pair in named for part in pair)):
            found = name in bare or (name.startswith(".") and (module.parent / name).is_file())
            assert found, f"{module}: {name}"


def test_nothing_of_the_page_is_foreign() -> None:
    shown = [file for file in (WEB / "studio").rglob("*") if file.suffix in (".html", ".css", ".js")]
    assert shown
    for file in shown:
        foreign = re.findall(r"""(?:src|href|url\(|import\()\s*=?\s*["']?https?://[^"' )]+""", file.read_text("utf-8"))
        assert not foreign, f"{file}: {foreign}"


@pytest.mark.parametrize(
    "name", ["../__init__.py", "studio/../../errors.js", "/studio/main.js", "studio//main.js", ".js"]
)
def test_only_the_page_s_own_files_are_given(name: str) -> None:
    assert read_page(name) is None


def test_the_studio_s_page_and_its_policy(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "projects")
    with running(plain_settings(tmp_path), Plain(), workshop) as (client, _):
        page = client.get("/")
        assert "<title>Lorasmith</title>" in page.text
        policy = page.headers["content-security-policy"]
        assert script_sources(page.content) in policy
        assert script_sources(page.content).startswith("'sha256-")
        assert "default-src 'none'" in policy
        module = client.get("/web/studio/main.js")
        assert module.status_code == 200
        assert module.headers["content-type"].startswith("text/javascript")
        assert client.get("/web/studio/none.js").status_code == 404
        assert '<body data-only="draw">' in client.get("/draw").text
        assert "data-only" not in page.text


def test_without_a_workshop_the_first_page_draws(tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (client, _):
        page = client.get("/")
        assert '<body data-only="draw">' in page.text
        assert page.text == client.get("/draw").text
        assert script_sources(page.content) in page.headers["content-security-policy"]
        assert client.get("/api/v1/complete", params={"text": "smi"}).json()["completions"]
        assert client.get("/api/v1/complete", params={"text": "smi", "project": "zbk"}).status_code == 404
        assert client.get("/api/v1/tasks").status_code == 200
