"""Politeness, patience, and tokens that stay at home."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorasmith.errors import HubError
from lorasmith.events import finish
from lorasmith.library.hubs import connection, tokens
from lorasmith.library.hubs.connection import Answer, Connection, Gate, gate_of, without_secrets
from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE
from tests.library.hubs.mock import STORE_HOST, TOKEN, Hubs


def test_requests_to_one_hub_keep_their_distance_whoever_asks(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PAUSE", 0.2)
    monkeypatch.setattr(connection, "_GATES", {})
    first, second = Connection("a", hubs.address), Connection("a", f"{hubs.address}/")
    assert first.gate is second.gate
    assert gate_of("http://elsewhere.org") is not first.gate
    for asker in (first, second, first, second):  # the first two open their connections, which takes a while
        finish(asker.ask("/api/v1/models"))
    first.close()
    second.close()
    times = [one.at for one in hubs.log]
    assert times[3] - times[2] >= 0.19


def test_one_refusal_closes_the_gate_for_all(hubs: Hubs) -> None:
    gate = Gate(0.0)
    hubs.fail("/api/v1/models", 429, 1, retry_after="1")
    first, second = Connection("a", hubs.address, gate=gate), Connection("a", hubs.address, gate=gate)
    work = first.ask("/api/v1/models")
    began = time.monotonic()
    finish(work)
    finish(second.ask("/api/v1/models"))
    assert time.monotonic() - began >= 0.99
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_a_hub_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert Answer(429, headers, b"").retry_after == seconds


def test_how_long_until_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    said = Answer(429, {"retry-after": date}, b"").retry_after
    assert said is not None
    assert 50 < said <= 100
    assert Answer(503, {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, b"").retry_after == 0


def test_circles_and_strange_places_end(hubs: Hubs) -> None:
    with_token = Connection("a", hubs.address, TOKEN)
    hubs.fail("/round", 307, 99, location="/round")
    hubs.fail("/odd", 307, 1, location="file:///etc/passwd")
    with pytest.raises(HubError, match="circles"):
        finish(with_token.ask("/round"))
    with pytest.raises(HubError, match="no web address"):
        finish(with_token.ask("/odd"))
    with_token.close()


def test_an_address_of_another_site_is_asked_without_the_token(hubs: Hubs) -> None:
    asker = Connection("a", hubs.address, TOKEN)
    finish(asker.ask(f"http://{STORE_HOST}:{hubs.port}/api/v1/models"))
    asker.close()
    assert hubs.log[-1].host == STORE_HOST
    assert hubs.log[-1].token == ""


def test_nothing_that_is_said_has_the_token(
    hubs: Hubs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    asker = Connection("a", hubs.address, tokens.find_token(CIVITAI))
    finish(asker.ask("/api/v1/models"))
    hubs.fail("/api", 500)
    answer = finish(asker.ask("/api/v1/models"))
    asker.close()
    assert hubs.log[0].token == f"Bearer {TOKEN}"
    assert TOKEN not in caplog.text
    assert TOKEN not in f"{asker!r} {answer!r} {connection.refusal('a', answer, 'x', 'y')}"
    assert without_secrets("https://me:pw@a.org:8/b?token=x#y") == "https://a.org:8/b"


def test_where_tokens_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for names in tokens.VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    kept = {("lorasmith", "civitai"): "from the ring"}
    ring = SimpleNamespace(get_password=lambda service, user: kept.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert tokens.find_token(CIVITAI) == "from the ring"
    monkeypatch.setenv("CIVITAI_API_KEY", "from outside")
    assert tokens.find_token(CIVITAI) == "from outside"
    monkeypatch.delenv("CIVITAI_API_KEY")

    def locked(*_: str) -> str:
        raise RuntimeError("locked")

    monkeypatch.setattr(ring, "get_password", locked)
    assert tokens.find_token(CIVITAI) == ""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert tokens.find_token(CIVITAI) == ""
    (tmp_path / "token").write_text("from the login\n")
    assert tokens.find_token(HUGGING_FACE) == "from the login"
