"""List and run every benchmark: ``python -m benchmarks [--quick] [NAME ...]``.

A benchmark is a module of this package with a `main(argv)`; it takes ``--quick`` (under 40 seconds) and ends with
lines ``ratio: NAME = VALUE (goal <= GOAL)``. They run one after another in processes of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = (
    *(
        "drawings",
        "example_project",
        "gpu_bases",
        "killed_commands",
        "page_peer",
        "photographs",
        "stranger_truth",
        "timing",
    ),
    "wholeness",
)
"""Modules that benchmarks use."""


def names() -> list[str]:
    """The benchmarks of this folder, in order."""
    return sorted(file.stem for file in HERE.glob("*.py") if not file.stem.startswith("_") and file.stem not in PARTS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all when left out")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke check: under 40 seconds each, figures not to be quoted"
    )
    parser.add_argument("--list", action="store_true", help="only name them")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(names()))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}. There are: {', '.join(names())}.")
    failed = []
    for name in chosen.names or names():
        print(f"== {name}", flush=True)
        if chosen.list:
            continue
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if chosen.quick else [])]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
