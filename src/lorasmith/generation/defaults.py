"""What a picture's fields are when left out: their own default, but where those that ask differ from it on purpose.

What the interface of the A1111 web UI differs in stands with its fields (`lorasmith.server.webui.fields`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from lorasmith.generation.spec import GREATEST_RANDOM_SEED, PARAMETERS

Face = Literal["generate", "grid", "showcase", "native"]


@dataclass(frozen=True)
class Difference:
    """Another default, what None means with it, and why."""

    default: Any
    unset: str | None
    why: str


_RANDOM = Difference(None, "a random one", "Who asks again wants another picture.")
DIFFERENCES: Mapping[Face, Mapping[str, Difference]] = MappingProxyType(
    {"generate": {"seed": _RANDOM}, "native": {"seed": _RANDOM}}
)


def default_of(field: str, face: Face | None = None) -> Any:
    """A field's default, as `face` has it."""
    different = _difference(field, face)
    return PARAMETERS[field].default if different is None else different.default


def unset_of(field: str, face: Face | None = None) -> str | None:
    """What None means for a field, as `face` has it; None where there must be a value."""
    different = _difference(field, face)
    return PARAMETERS[field].unset if different is None else different.unset


def _difference(field: str, face: Face | None) -> Difference | None:
    return None if face is None else DIFFERENCES.get(face, {}).get(field)


def random_seed() -> int:
    """A seed that other tools can take, too."""
    return secrets.randbelow(GREATEST_RANDOM_SEED)
