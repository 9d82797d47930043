"""A script on a Ray cluster, in a process of its own, so that no Ray thread stays in the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the [cluster] extra is not installed")


def run_alone(module: str, folder: Path, first: str) -> dict[str, Any]:
    """What the module told: the line of JSON whose first key this is."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=900,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith(f'{{"{first}"'))
    )
    return told
