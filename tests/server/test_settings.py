"""A server that others could reach without knowing anything does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import UsageError
from lorasmith.server.settings import ServerSettings, is_loopback


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": "0.0.0.0"}, "no token is set"),
        ({"host": "::"}, "no token is set"),
        ({"host": "example.org"}, "no token is set"),
        ({"token": "short"}, "8 or more"),
        ({"token": "with a space in it"}, "without a space"),
        ({"token": "schlüsselwort"}, "letters, digits and signs"),
        ({"origins": ("*",)}, "every web page"),
        ({"bases": ()}, "no base"),
        ({"port": 70000}, "port 70000"),
        ({"adapters": (Path("/nowhere/at/all"),)}, "no such file or folder"),
        ({"batch_size": 0}, "batch size 0"),
    ],
)
def test_unsafe_and_wrong(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ServerSettings(data=tmp_path, **changes)


def test_others_with_a_token(tmp_path: Path) -> None:
    assert ServerSettings(data=tmp_path, host="0.0.0.0", token="a-long-token").port == 7860


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("LocalHost", True)),
        *(("0.0.0.0", False), ("10.0.0.1", False), ("localhost.example.org", False), ("", False)),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local
