"""How the program is called here, so that what is printed can be typed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

NAME = "lorasmith"


@cache
def program() -> str:
    """``lorasmith`` where the shell finds this installation by that name, else the path that it was called by
    (``.venv/bin/lorasmith``), or ``PYTHON -m lorasmith``; quoted for a shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == NAME:
        return f"{_from_here(Path(sys.executable))} -m {NAME}"
    if called.stem != NAME:  # a test, or somebody's script
        return NAME
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == called.resolve():
        return NAME
    return _from_here(called)


def _from_here(path: Path) -> str:
    """The path as one may type it here: relative where that is below."""
    whole = Path(os.path.abspath(path))  # links stay: a virtual environment's python is one
    here = Path.cwd()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))


def typed(path: object) -> str:
    """A path as it is typed in a shell: quoted where it has spaces or the like."""
    return shlex.quote(str(path))
