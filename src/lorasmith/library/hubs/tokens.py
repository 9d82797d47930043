"""The user's keys to the hubs: from the environment or the system's keyring; never written, never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE

VARIABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CIVITAI: ("CIVITAI_TOKEN", "CIVITAI_API_TOKEN", "CIVITAI_API_KEY"),
        HUGGING_FACE: ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    }
)
"""The environment's variables, in the order in which they are looked at."""
SERVICE = "lorasmith"
"""What the keyring keeps the tokens under; the user there is the hub's name."""


def find_token(hub: str) -> str:
    """The token for a hub, "" when there is none."""
    for name in VARIABLES[hub]:
        if token := os.environ.get(name, "").strip():
            return token
    return _from_keyring(hub) or (_from_login() if hub == HUGGING_FACE else "")


def keeping_hint(hub: str) -> str:
    """How one keeps a token, in words."""
    return f"set {VARIABLES[hub][0]} (or keep it in the system's keyring: keyring set {SERVICE} {hub})"


def _from_keyring(hub: str) -> str:
    try:
        import keyring
    except ImportError:  # an extra
        return ""
    try:
        return (keyring.get_password(SERVICE, hub) or "").strip()
    except Exception:  # a locked keyring, or none on this system: its backends raise what they like
        return ""


def _from_login() -> str:
    """What ``hf auth login`` has kept."""
    from huggingface_hub import get_token

    return get_token() or ""
