"""The way out of what is wrong, as a value: the core says what is to be done, each face says how one does it there.

A remedy's text is in the words of the face that runs this process (`worded_by`): the command line makes commands of
it, the library calls, the server requests. Without a face the words are plain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Action(Enum):
    """What a user can do with Lorasmith; the value says it in plain words. Each face has its own words for all."""

    ADD = "add images"
    ADOPT = "adopt drawn pictures"
    ALTER = "make altered copies"
    COLLAGE = "combine images"
    COLLECT = "collect images"
    CONVERT = "convert an adapter"
    CROP = "crop an image"
    CUT = "cut a round of pictures out of one"
    DRAW_ROUND = "draw a second round"
    EXAMINE = "examine an adapter"
    EXPAND = "expand a template"
    FETCH = "fetch an adapter from a hub"
    GENERATE = "draw pictures"
    GRID = "draw a grid"
    INSPECT = "inspect a project"
    KEEP = "keep images"
    LABEL = "label images"
    LIST_ADAPTERS = "list the adapters"
    LIST_DECISIONS = "list the decisions"
    LIST_JOBS = "list the jobs"
    NEW = "make a project"
    PLAN = "plan the training"
    REPEAT = "repeat images"
    RUN_JOBS = "run the jobs"
    SCAN = "look through folders of adapters"
    SEARCH = "search the library"
    SHOWCASE = "draw a showcase"
    SHOW_ADAPTER = "show an adapter"
    SOLVE = "balance the repeats"
    TAG = "tag the images"
    TIDY = "take out what no one needs to be asked about"
    TRAIN = "train"
    UNDO = "undo a decision"


class Remedy:
    """Something to do. ``str(remedy)`` is in the words of the face at hand."""

    def __str__(self) -> str:
        return _words(self)

    def about(self, **arguments: object) -> Remedy:
        """The same with these arguments in place of what stood for them (PROJECT for `project`)."""
        del arguments
        return self


@dataclass(frozen=True, init=False)
class Do(Remedy):
    """Do this with these arguments, named as the library's function names them. A value in capitals (PROJECT) stands
    for what the user puts there; several values are a tuple; True is a switch."""

    action: Action
    arguments: tuple[tuple[str, object], ...]

    def __init__(self, action: Action, **arguments: object) -> None:
        object.__setattr__(self, "action", action)
        object.__setattr__(self, "arguments", tuple(arguments.items()))

    def about(self, **arguments: object) -> Remedy:
        given = {name: arguments.get(name, value) if value == name.upper() else value for name, value in self.arguments}
        return Do(self.action, **given)

    __str__ = Remedy.__str__


@dataclass(frozen=True)
class Give(Remedy):
    """Give this argument to what was called, and this `value` if there is one."""

    field: str
    value: object = None

    __str__ = Remedy.__str__


@dataclass(frozen=True)
class Set(Remedy):
    """Set a key of the recipe (a dotted path below `[recipe]`)."""

    key: str
    value: object

    __str__ = Remedy.__str__


@dataclass(frozen=True)
class Write(Remedy):
    """Write these words to the project's file; they are the same everywhere."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Install(Remedy):
    """Install one of Lorasmith's extras."""

    extra: str

    __str__ = Remedy.__str__


@dataclass(frozen=True, init=False)
class Sentence(Remedy):
    """Words with remedies among them."""

    parts: tuple[str | Remedy, ...]

    def __init__(self, *parts: str | Remedy) -> None:
        object.__setattr__(self, "parts", parts)

    def about(self, **arguments: object) -> Remedy:
        return Sentence(*(part if isinstance(part, str) else part.about(**arguments) for part in self.parts))

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


Words = Callable[[Remedy], str]
"""How a face words a `Do`, `Give`, `Set` or `Install`."""


def write_parts(advice: str | Remedy) -> list[Any]:
    """Advice as JSON that another face can word again: texts, and remedies as objects."""
    if isinstance(advice, Sentence):
        return [one for part in advice.parts for one in write_parts(part)]
    if isinstance(advice, Do):
        return [{"do": advice.action.value, "with": {name: _written(value) for name, value in advice.arguments}}]
    if isinstance(advice, Give):
        return [{"give": advice.field, "value": _written(advice.value)}]
    if isinstance(advice, Set):
        return [{"set": advice.key, "value": _written(advice.value)}]
    if isinstance(advice, Install):
        return [{"install": advice.extra}]
    return [str(advice)]


def read_parts(parts: Sequence[Any]) -> Remedy:
    """What `write_parts` wrote. Raises ValueError for anything else."""
    return Sentence(*map(_read_part, parts))


def _read_part(part: Any) -> str | Remedy:
    match part:
        case str():
            return part
        case {"do": action, "with": {**arguments}}:
            return Do(Action(action), **{str(name): _read_value(value) for name, value in arguments.items()})
        case {"give": str(field), "value": value}:
            return Give(field, _read_value(value))
        case {"set": str(key), "value": value}:
            return Set(key, _read_value(value))
        case {"install": str(extra)}:
            return Install(extra)
    raise ValueError(f"{part!r} is no part of advice")


def _written(value: object) -> Any:
    if isinstance(value, tuple):
        return [_written(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _read_value(value: Any) -> object:
    return tuple(map(_read_value, value)) if isinstance(value, list) else value


def plain_words(remedy: Remedy) -> str:
    """What to do, without a face: ``inspect a project (project = my-lora)``."""
    if isinstance(remedy, Do):
        given = ", ".join(name if value is True else f"{name} = {_plain(value)}" for name, value in remedy.arguments)
        return f"{remedy.action.value} ({given})" if given else remedy.action.value
    if isinstance(remedy, Give):
        return remedy.field if remedy.value is None else f"{remedy.field} = {_plain(remedy.value)}"
    if isinstance(remedy, Set):
        return f"{remedy.key} = {remedy.value}"
    if isinstance(remedy, Install):
        return f'pip install "lorasmith[{remedy.extra}]"'
    raise TypeError(f"{type(remedy).__name__} is worded by its parts")


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_words: Words = plain_words


@contextmanager
def worded_by(words: Words) -> Iterator[None]:
    """While this lasts, remedies of this process are in these words."""
    before = _words
    speak(words)
    try:
        yield
    finally:
        speak(before)


def current_words() -> Words:
    """The words that remedies of this process are in now."""
    return _words


def speak(words: Words) -> None:
    """From now on remedies of this process are in these words."""
    global _words
    _words = words
