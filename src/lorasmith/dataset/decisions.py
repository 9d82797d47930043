"""What the user decided about images: lines in the project's `curation.jsonl`, only ever added to.

A decision belongs to an image's content (its sha256), so it is remembered for an image that goes and comes back. What
is recorded together is one step, which stands whole or not at all: each of its lines says how many are still to come.
Undoing a step adds a line that takes it back; until something else is decided, another line lets it stand again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from lorasmith.errors import DatasetError
from lorasmith.project import Project
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import append_lines
from lorasmith.storage.locks import HeldError, hold

Verb = Literal["keep", "reject", "role", "repeats", "crop", "label", "unlabel", "distinct", "made"]
Role = Literal["primary", "supporting"]
Box = tuple[int, int, int, int]
ROLES: tuple[Role, ...] = get_args(Role)
VERBS: tuple[Verb, ...] = get_args(Verb)
MOST_REPEATS = 999
"""More are a year or a count, not repeats (D16)."""

_SHA_DIGITS = 64
_LOCK = "curation.lock"
_PATIENCE = 10.0
"""Seconds."""


@dataclass(frozen=True)
class Decision:
    """One thing decided about the image with the sha256 `image`; a picture called `name` at that time.

    `value` by verb: keep, made: None. reject: None, or the names of the identical copies that stay. role: "primary",
    "supporting" or None for no role. repeats: 1 to 999, or None for those of its folder. crop: (left, top, right,
    bottom) in pixels after EXIF rotation, or None for the whole. label, unlabel: a facet. distinct: the sha256 of an
    image that it is not a duplicate of. `at` is a time in ISO 8601, `step` the number of what was decided together;
    `record` fills in both.
    """

    image: str
    verb: Verb
    value: Any = None
    reason: str = ""
    at: str = ""
    name: str = ""
    step: int = 0


@dataclass(frozen=True)
class Standing:
    """What is decided about one image. `stays`: names of the identical copies that a rejection spares."""

    kept: bool = False
    rejected: bool = False
    stays: tuple[str, ...] = ()
    reason: str = ""
    role: Role | None = None
    repeats: int | None = None
    crop: Box | None = None
    facets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decisions:
    """All that stands. `by_image`: by sha256; `distinct`: pairs that are no duplicates; `withdrawn`: made pictures
    whose making was undone; `steps`: what stands, the oldest first; `redoable`: the numbers of undone steps that can
    stand again, the one undone last at the end; `problems`: lines that could not be read."""

    by_image: Mapping[str, Standing] = field(default_factory=dict)
    distinct: frozenset[frozenset[str]] = frozenset()
    withdrawn: frozenset[str] = frozenset()
    steps: tuple[tuple[Decision, ...], ...] = ()
    redoable: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()

    def about(self, image: str) -> Standing:
        """What is decided about the image with this sha256."""
        return self.by_image.get(image, _NOTHING)


@dataclass(frozen=True)
class _Entry:
    """What a line says: a decision, after which so many of its step are still `to_come`, or steps that are undone, or
    that stand again."""

    decision: Decision | None = None
    to_come: int = 0
    undone: tuple[int, ...] = ()
    redone: tuple[int, ...] = ()


_NOTHING = Standing()


def read_decisions(project: Project) -> Decisions:
    """The decisions that stand. A line that cannot be read, such as one cut off by a power failure, is left out, and so
    is a step whose last line was not written; both are said under `problems`. Raises DatasetError when the file cannot
    be opened."""
    steps: dict[int, list[Decision]] = {}
    to_come: dict[int, int] = {}
    undone: list[int] = []
    redoable: list[int] = []
    problems: list[str] = []
    for number, line in enumerate(_lines(project), start=1):
        try:
            entry = _parse(line)
        except ValueError as fault:
            problems.append(f"line {number} is left out: {fault}")
            continue
        undone = [step for step in undone if step not in entry.redone] + list(entry.undone)
        redoable = [step for step in redoable if step not in entry.redone] + list(reversed(entry.undone))
        if entry.decision is not None:
            redoable = []
            steps.setdefault(entry.decision.step, []).append(entry.decision)
            to_come[entry.decision.step] = entry.to_come
    half = {step for step, count in to_come.items() if count}
    problems += [f"step {step} is left out: its last {to_come[step]} lines were not written." for step in sorted(half)]
    standing = [tuple(steps[step]) for step in sorted(steps) if step not in half.union(undone)]
    made = {decision.image for step in steps.values() for decision in step if decision.verb == "made"}
    withdrawn = frozenset(made - _made(standing))
    return replace(fold(standing), withdrawn=withdrawn, redoable=tuple(redoable), problems=tuple(problems))


def fold(steps: Sequence[Sequence[Decision]]) -> Decisions:
    """What stands after `steps`, taken in order."""
    by_image: dict[str, Standing] = {}
    distinct: set[frozenset[str]] = set()
    for decision in (decision for step in steps for decision in step):
        if decision.verb == "distinct":
            distinct.add(frozenset((decision.image, decision.value)))
        elif decision.verb != "made":
            before = by_image.get(decision.image, _NOTHING)
            by_image[decision.image] = _FOLDERS[decision.verb](before, decision)
    decided = {image: standing for image, standing in by_image.items() if standing != _NOTHING}
    return Decisions(decided, frozenset(distinct), steps=tuple(tuple(step) for step in steps))


def record(project: Project, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Add decisions as one step and give them as they were written. Raises DatasetError for a wrong value, before
    anything is written; StorageError."""
    if not decisions:
        return ()
    for decision in decisions:
        try:
            _check(decision)
        except ValueError as fault:
            raise DatasetError(f"{decision.verb}: {fault}", where=decision.name or decision.image) from None
    with _alone(project):
        step, at = _last_step(project) + 1, now()
        dated = tuple(replace(decision, step=step, at=decision.at or at) for decision in decisions)
        last = len(dated) - 1
        append_lines(project.curation, (_line(decision, last - number) for number, decision in enumerate(dated)))
    return dated


def undo(project: Project, count: int = 1) -> tuple[Decision, ...]:
    """Take back the last `count` steps that stand and give their decisions, the oldest first. Raises DatasetError
    when there are not so many; StorageError."""
    with _alone(project):
        steps = read_decisions(project).steps
        if not 1 <= count <= len(steps):
            hint = f"{len(steps)} {'step stands' if len(steps) == 1 else 'steps stand'}; see:"
            message = "there is nothing to undo." if not steps else f"cannot undo {count} steps."
            raise DatasetError(message, where=project.curation, hint=hint, remedy=Do(Action.LIST_DECISIONS))
        taken, at = steps[-count:], now()
        numbers = [step[0].step for step in taken]  # in one line: all are undone, or none is
        append_lines(project.curation, [json.dumps({"undo": numbers if count > 1 else numbers[0], "at": at})])
    return tuple(decision for step in taken for decision in step)


def redo(project: Project, count: int = 1) -> tuple[Decision, ...]:
    """Let the last `count` undone steps stand again and give their decisions, the oldest first. Raises DatasetError
    when there are not so many, as after any new decision; StorageError."""
    with _alone(project):
        redoable = read_decisions(project).redoable
        if not 1 <= count <= len(redoable):
            hint = "Only what was undone last can be done again, until something else is decided."
            message = "there is nothing to do again." if not redoable else f"cannot do {count} steps again."
            raise DatasetError(message, where=project.curation, hint=hint)
        numbers = sorted(redoable[-count:])
        append_lines(project.curation, [json.dumps({"redo": numbers if count > 1 else numbers[0], "at": now()})])
        return tuple(one for step in read_decisions(project).steps if step[0].step in numbers for one in step)


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """No other process records meanwhile, so that two steps never share a number. Raises DatasetError after a while.

    Where there are no locks, or no cache folder can be made, it goes on without.
    """
    try:
        project.cache.mkdir(parents=True, exist_ok=True)
        lock: AbstractContextManager[object] = hold(project.cache / _LOCK, _PATIENCE)
    except OSError:
        lock = nullcontext()
    except HeldError as fault:
        message = f"{fault.whose} has been deciding on images for a while."
        raise DatasetError(message, where=project.curation, hint="Wait for it, then run this again.") from None
    with lock:
        yield


def now() -> str:
    """The time as decisions write it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _kept(before: Standing, _: Decision) -> Standing:
    return replace(before, kept=True, rejected=False, stays=(), reason="")


def _rejected(before: Standing, decision: Decision) -> Standing:
    return replace(before, kept=False, rejected=True, stays=tuple(decision.value or ()), reason=decision.reason)


def _labelled(before: Standing, decision: Decision) -> Standing:
    others = tuple(facet for facet in before.facets if facet != decision.value)
    return replace(before, facets=(*others, decision.value))


def _unlabelled(before: Standing, decision: Decision) -> Standing:
    return replace(before, facets=tuple(facet for facet in before.facets if facet != decision.value))


def _cropped(before: Standing, decision: Decision) -> Standing:
    if decision.value is None:
        return replace(before, crop=None)
    left, top, right, bottom = decision.value
    return replace(before, crop=(left, top, right, bottom))


_FOLDERS: Mapping[str, Callable[[Standing, Decision], Standing]] = {
    "keep": _kept,
    "reject": _rejected,
    "role": lambda before, decision: replace(before, role=decision.value),
    "repeats": lambda before, decision: replace(before, repeats=decision.value),
    "crop": _cropped,
    "label": _labelled,
    "unlabel": _unlabelled,
}


def _made(steps: Iterable[Sequence[Decision]]) -> set[str]:
    return {decision.image for step in steps for decision in step if decision.verb == "made"}


def _lines(project: Project) -> Iterator[str]:
    try:
        data = project.curation.read_bytes()
    except FileNotFoundError:
        return
    except OSError as fault:
        raise DatasetError(f"cannot be opened: {fault.strerror}.", where=project.curation) from None
    for line in data.split(b"\n"):
        text = line.decode("utf-8", "replace").strip()
        if text:
            yield text


def _last_step(project: Project) -> int:
    """The highest step number in use, undone ones too."""
    last = 0
    for line in _lines(project):
        try:
            entry = _parse(line)
        except ValueError:
            continue
        last = max(last, *entry.undone, entry.decision.step if entry.decision else 0)
    return last


def _line(decision: Decision, to_come: int) -> str:
    values: dict[str, Any] = {
        "step": decision.step,
        "at": decision.at,
        "image": decision.image,
        "name": decision.name,
        "verb": decision.verb,
        "value": decision.value,
        "reason": decision.reason,
    }
    return json.dumps(values | ({"to_come": to_come} if to_come else {}), ensure_ascii=False)


def _parse(line: str) -> _Entry:
    """What a line says. Raises ValueError saying what is wrong."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it was cut off, or is no JSON.") from None
    if not isinstance(values, dict):
        raise ValueError("it holds no decision.")
    if "undo" in values:
        return _Entry(undone=_numbers(values, "undo"))
    if "redo" in values:
        return _Entry(redone=_numbers(values, "redo"))
    value = values.get("value")
    decision = Decision(
        image=str(values.get("image", "")),
        verb=values.get("verb", ""),
        value=tuple(value) if isinstance(value, list) else value,
        reason=str(values.get("reason", "")),
        at=str(values.get("at", "")),
        name=str(values.get("name", "")),
        step=_whole(values.get("step"), "step"),
    )
    _check(decision)
    return _Entry(decision, _whole(values["to_come"], "to_come") if "to_come" in values else 0)


def _numbers(values: Mapping[str, Any], key: str) -> tuple[int, ...]:
    given = values[key]
    return tuple(_whole(step, key) for step in (given if isinstance(given, list) else [given]))


def _whole(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{what} = {value!r} is no step number.")
    return value


def _check(decision: Decision) -> None:
    """Raise ValueError when a decision makes no sense."""
    if decision.verb not in VERBS:
        raise ValueError(f"{decision.verb!r} is no verb; verbs are {', '.join(VERBS)}.")
    if not _is_sha(decision.image):
        raise ValueError(f"{decision.image!r} is no sha256.")
    if not _CHECKS[decision.verb](decision.value):
        raise ValueError(f"{decision.value!r} is no value for {decision.verb}.")


def _is_sha(value: object) -> bool:
    return isinstance(value, str) and len(value) == _SHA_DIGITS and all(digit in "0123456789abcdef" for digit in value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_names(value: object) -> bool:
    return value is None or (isinstance(value, tuple | list) and all(isinstance(name, str) for name in value))


def _is_box(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, tuple | list) or len(value) != 4 or not all(_is_int(edge) for edge in value):
        return False
    left, top, right, bottom = value
    return bool(0 <= left < right and 0 <= top < bottom)


def _is_label(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "keep": lambda value: value is None,
    "made": lambda value: value is None,
    "reject": _is_names,
    "role": lambda value: value is None or value in ROLES,
    "repeats": lambda value: (
        value is None or (isinstance(value, int) and _is_int(value) and 1 <= value <= MOST_REPEATS)
    ),
    "crop": _is_box,
    "label": _is_label,
    "unlabel": _is_label,
    "distinct": _is_sha,
}
