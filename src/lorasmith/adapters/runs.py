"""The adapter files that training left behind: snapshots along the way, and the final one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def newest_adapters(runs: Path) -> list[Path]:
    """The adapters of the newest run below `runs` that has any, as `run_adapters` gives them; [] when none has."""
    for run in _newest_first(runs):
        if found := run_adapters(run):
            return found
    return []


def newest_adapter(runs: Path) -> Path | None:
    """The last of `newest_adapters`, without a look into the files; None when there is none."""
    for run in _newest_first(runs):
        if found := [*sorted(_files(run / "snapshots"), key=_age), *sorted(_files(run))]:
            return found[-1]
    return None


def run_adapters(run: Path) -> list[Path]:
    """A run's snapshots, earliest first, the final adapter last; none that is still being written.

    A snapshot with the final adapter's own weights is left out: nobody could tell the two apart.
    """
    along, final = sorted(_files(run / "snapshots"), key=_age), sorted(_files(run))
    ends = {_weights(path) for path in final} if along else set()
    return [*(path for path in along if _weights(path) not in ends), *final]


def _newest_first(runs: Path) -> list[Path]:
    return sorted((path for path in runs.glob("*") if path.is_dir()), reverse=True)


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*.safetensors") if not file.name.startswith(".")]


def _weights(path: Path) -> str:
    """A hash of everything behind the file's header (safetensors: its length in eight bytes, then JSON)."""
    with path.open("rb") as file:
        file.seek(8 + min(int.from_bytes(file.read(8), "little"), path.stat().st_size))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _age(path: Path) -> tuple[int, str]:
    """Snapshots carry their epoch or step as the last number of their name."""
    numbers = re.findall(r"\d+", path.stem)
    return (int(numbers[-1]) if numbers else 0, path.stem)
