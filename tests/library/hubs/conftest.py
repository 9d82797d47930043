"""The mock of both hubs, and a user without keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.library.hubs import connection, tokens
from tests.library.hubs.mock import Hubs, serve_hubs


@pytest.fixture
def hubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hubs]:
    """Both hubs, empty, at an address of this computer; requests need not wait for each other."""
    for names in tokens.VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(tokens, "_from_login", lambda: "")
    monkeypatch.setattr(tokens, "_from_keyring", lambda _: "")
    monkeypatch.setattr(connection, "PAUSE", 0.0)
    monkeypatch.setattr(connection, "_GATES", {})
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    with serve_hubs(Hubs()) as served:
        monkeypatch.setenv("LORASMITH_CIVITAI_URL", served.address)
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served
