"""How threads that compute together wait for each other: asleep where others compute on the same cores.

Torch's threads (OpenMP) wait at the end of every layer in a loop, for up to some 14 ms: on free cores the other thread
is there at once. Where something else has a core, the thread that is waited for stands still, and the loop takes the
time that it would need. Nothing is computed otherwise, only waited for.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path

COMPUTING = frozenset(
    "demo train queue exam compare grid showcase generate studio serve curate picture".split()  # noqa: SIM905
)
"""Verbs that may train or draw."""
_STATED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
ROUNDS = "107"
"""So many turns of the loop take some microseconds. The number is one that nobody else writes: a program that was
started by ours decides anew."""
_LOOKS, _BETWEEN = 3, 0.005
_STAT, _TOPOLOGY = Path("/proc/stat"), Path("/sys/devices/system/cpu")


def wait_softly(verb: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep soon when a command that computes starts on cores that others use. What the user states of it
    is left alone. Torch must not be imported yet: its library reads the environment once."""
    if environment.get(_STATED[1]) == ROUNDS:
        del environment[_STATED[1]]
    told = any(name in environment for name in _STATED) or "torch" in sys.modules
    if verb in COMPUTING and not told and _is_crowded(environment):
        environment[_STATED[1]] = ROUNDS


def _is_crowded(environment: MutableMapping[str, str]) -> bool:
    """Whether others use half of the cores or more at every look, and too few are left for our threads; no where nobody
    tells. One thread of many that is late is waited for best in the loop."""
    try:
        cores = sorted(os.sched_getaffinity(0))
        threads = min(len(cores), int(environment.get("OMP_NUM_THREADS") or _whole(cores)))
    except (AttributeError, ValueError):
        return False
    for look in range(_LOOKS if threads > 1 else 0):
        if look:
            time.sleep(_BETWEEN)
        others = _others()
        if threads + others <= len(cores) or 2 * others < len(cores):
            return False
    return threads > 1


def _whole(cores: Sequence[int]) -> int:
    """How many of these are cores of their own, not the second half of one: so many threads torch starts."""
    try:
        return len({(_TOPOLOGY / f"cpu{core}" / "topology" / "thread_siblings_list").read_text() for core in cores})
    except OSError:
        return len(cores)


def _others() -> int:
    """How many other threads of this computer run or could run; 0 where Linux does not tell."""
    try:
        lines = _STAT.read_text("ascii").splitlines()
        return max(0, next(int(line.split()[1]) for line in lines if line.startswith("procs_running")) - 1)
    except (OSError, ValueError, StopIteration, IndexError):
        return 0
