"""Recipe values set from outside, as ``key=value``: values are TOML, or plain text where that is no TOML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import ConvertError, TOMLKitError

from lorasmith.errors import UsageError
from lorasmith.remedies import Sentence, Set


def split_overrides(assignments: Iterable[str]) -> dict[str, str]:
    """``["lr.unet=1e-3"]`` as ``{"lr.unet": "1e-3"}``; the last of equals wins. Raises UsageError."""
    result: dict[str, str] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key.strip():
            remedy = Sentence("Example: ", Set("rank", 16))
            raise UsageError(f"not of the form key=value: {assignment}", field="set", remedy=remedy)
        result[key.strip()] = value.strip()
    return result


def nest_overrides(overrides: Mapping[str, str]) -> dict[str, Any]:
    """``{"lr.unet": "1e-3"}`` as ``{"lr": {"unet": 0.001}}``. Raises UsageError where a value is also a table."""
    result: dict[str, Any] = {}
    for path, text in overrides.items():
        table = result
        *tables, key = path.split(".")
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                message = f"{path}={text}: {name} is a value here and a table elsewhere."
                raise UsageError(message, field="set")
        table[key] = read_value(text)
    return result


def flatten_table(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"lr": {"unet": 0.001}}`` as ``{"lr.unet": 0.001}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= flatten_table(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def read_value(text: str) -> Any:
    """``3``, ``1e-3``, ``true``, ``[512, 768]`` as TOML means them; anything else is text."""
    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except TOMLKitError:
        return text


def write_value(value: object) -> str:
    """The TOML that `read_value` reads again. Raises UsageError for what TOML has not: null, alone or inside."""
    try:
        return str(tomlkit.item(value).as_string())
    except ConvertError:
        raise UsageError(f"no value of a recipe: {value!r:.100}", field="set") from None
