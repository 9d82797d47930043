"""Figures in Prometheus' text form: counters and gauges, a sum and a count where a mean is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Named figures, safe from any thread. Gauges are asked when somebody looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._help: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, dict[Labels, float]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def counter(self, name: str, text: str) -> None:
        """Declare a counter; it is shown from the start."""
        self._help[name] = ("counter", text)
        self._counts[name] = {}

    def gauge(self, name: str, text: str, read: Callable[[], float], kind: str = "gauge") -> None:
        """Declare a figure that `read` gives; one that only grows is of the kind "counter"."""
        self._help[name] = (kind, text)
        self._gauges[name] = read

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count. The name must have been declared."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            counts = self._counts[name]
            counts[key] = counts.get(key, 0.0) + amount

    def total(self, name: str) -> float:
        """A counter over all its labels."""
        with self._lock:
            return sum(self._counts[name].values())

    def text(self) -> str:
        """All figures, version 0.0.4 of the text format."""
        lines: list[str] = []
        with self._lock:
            counts: Mapping[str, dict[Labels, float]] = {name: dict(by) for name, by in self._counts.items()}
        for name, (kind, text) in self._help.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            if name in self._gauges:
                lines.append(f"{name} {_number(self._gauges[name]())}")
                continue
            by_labels = counts[name] or {(): 0.0}
            lines += [f"{name}{_spell(labels)} {_number(value)}" for labels, value in sorted(by_labels.items())]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Memory of this process that is in use; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    import resource

    return float(pages * resource.getpagesize())


def _spell(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
