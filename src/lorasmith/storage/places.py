"""Where the user's data lie on this computer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "LORASMITH_HOME"
"""Moves the folder of the user's data."""
LIBRARY = "library.db"
"""The user's library, in that folder."""


def data_folder() -> Path:
    """Where the user's data lie: LORASMITH_HOME, else the place that the system has for it."""
    if given := os.environ.get(HOME_VARIABLE, ""):
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "lorasmith"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "lorasmith"
    return Path(os.environ.get("XDG_DATA_HOME", "") or home / ".local" / "share") / "lorasmith"
