"""Remedies as the server words them: requests that are there, fields of a request."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from starlette.testclient import TestClient

from lorasmith.errors import UsageError
from lorasmith.remedies import Action, Do, Give, Set, current_words, plain_words
from lorasmith.server.app import create_app
from lorasmith.server.errors import error_json
from lorasmith.server.wording import BUTTONS, REQUESTS, page_words, request_words
from lorasmith.server.workshop import Workshop
from tests.server.running import plain_settings


def test_words() -> None:
    assert request_words(Do(Action.EXPAND, template="a")) == "POST /api/v1/prompts/expand"
    assert request_words(Do(Action.TRAIN, project="p")) == "train (project = p)"
    assert request_words(Give("base")) == '"base"'
    assert request_words(Give("base", "doodle")) == '"base": "doodle"'
    assert request_words(Set("rank", 16)) == '"rank": 16'


def test_the_page_names_buttons_that_it_has() -> None:
    assert page_words(Do(Action.TRAIN, project="p")) == '"Start a run" (Run)'
    assert page_words(Set("rank", 16)) == "set rank to 16 (Recipe)"
    assert page_words(Do(Action.SHOWCASE, template="TEMPLATE")) == "draw a showcase (on the command line)"
    assert page_words(Give("base", "doodle")) == '"base": "doodle"'
    studio = Path(str(files("lorasmith").joinpath("web", "studio")))
    steps = (studio / "strings.js").read_text("utf-8")
    page = "".join(file.read_text("utf-8") for file in sorted((studio / "screens").rglob("*.js"))) + steps
    for button, screen in BUTTONS.values():
        assert button in page
        assert f'"{screen.split(", ")[0]}"' in steps


def test_a_studio_speaks_as_its_page(tmp_path: Path) -> None:
    with TestClient(create_app(plain_settings(tmp_path), workshop=Workshop(tmp_path / "projects"))):
        assert str(Do(Action.INSPECT, project="p")) == '"Look what is wrong" (Images)'
    assert current_words() is plain_words


def test_every_request_is_there_and_the_server_speaks_so_while_it_lives(tmp_path: Path) -> None:
    app = create_app(plain_settings(tmp_path))
    paths = app.openapi()["paths"]
    assert REQUESTS
    for request in REQUESTS.values():
        method, path = request.split()
        assert method.lower() in paths[path]
    error = UsageError("is unknown.", field="base", hint="Give another:", remedy=Give("base", "doodle"))
    with TestClient(app):
        document = error_json(error)
        assert (document["field"], document["hint"]) == ("base", 'Give another: "base": "doodle"')
        assert str(error) == '"base": is unknown. Give another: "base": "doodle"'
    assert current_words() is plain_words
