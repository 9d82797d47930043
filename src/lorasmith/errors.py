"""The error tree: each error says what is wrong, where, and the way out, and knows its exit and HTTP codes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from lorasmith.remedies import Give, Remedy


class LorasmithError(Exception):
    """An error that a user can act on. Faces print ``str(error)``; nobody needs a traceback.

    `message` says what is wrong, with its value; `where` names the file, key or line; `field` the argument that is
    wrong, as the function that was called names it, or the recipe's key (the message need not repeat it). What to do
    is the `hint`, in words that hold everywhere, and the `remedy`, which each face words; a hint that leads to a
    remedy ends in a colon.
    """

    exit_code = 1
    http_status = 500

    def __init__(
        self,
        message: str,
        *,
        where: object = None,
        hint: str | None = None,
        field: str | None = None,
        remedy: Remedy | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = None if where is None else str(where)
        self.field = field
        self.remedy = remedy
        self._hint = hint

    @property
    def own_hint(self) -> str | None:
        """What to do without the remedy."""
        return self._hint

    @property
    def hint(self) -> str | None:
        """What to do, in the words of the face at hand."""
        return " ".join(str(part) for part in (self._hint, self.remedy) if part is not None) or None

    @property
    def subject(self) -> str:
        """What the message is about: where, and which argument; may be empty."""
        field = None if self.field is None or self._names(self.field) else str(Give(self.field))
        return ": ".join(part for part in (self.where, field) if part)

    def _names(self, field: str) -> bool:
        """Whether the words say already which argument is meant: ``rank = 0: ...``."""
        named = re.search(rf"(^|\s){re.escape(field)}( =|:)", self.message.partition("\n")[0])
        return bool(named) or (self.where or "").endswith(field)

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.subject}:" if self.subject else "", self.message, self.hint) if part)


class UsageError(LorasmithError):
    """The command was called with a wrong argument."""

    exit_code = 2
    http_status = 422


class ProjectError(LorasmithError):
    """`lora.toml` or the project folder is missing or wrong."""

    exit_code = 3
    http_status = 422


class RecipeError(ProjectError):
    """A recipe value is unknown, out of range, or contradicts another."""

    exit_code = 4


class DatasetError(LorasmithError):
    """The images or captions cannot be used as they are."""

    exit_code = 5
    http_status = 422


class NoImagesError(DatasetError):
    """There is no image yet."""


class ImageError(DatasetError):
    """One image file cannot be read."""


class BaseError(LorasmithError):
    """A base model cannot be found, recognised or loaded."""

    exit_code = 6
    http_status = 422


class AdapterError(LorasmithError):
    """An adapter file is missing, malformed, or does not fit the base."""

    exit_code = 7
    http_status = 422


class PromptError(LorasmithError):
    """A prompt cannot be read or asks for something that is not there."""

    exit_code = 8
    http_status = 422


class TrainingError(LorasmithError):
    """Training cannot go on; the last good state is on disk."""

    exit_code = 9


class ExamError(LorasmithError):
    """An exam cannot be held: no judge, no questions, or no adapter."""

    exit_code = 10


class StorageError(LorasmithError):
    """The disk is full or a path cannot be written."""

    exit_code = 11
    http_status = 507


class RefusedError(LorasmithError):
    """The dataset or prompt combines minors with sexual content. There is no override."""

    exit_code = 12
    http_status = 422


class HubError(LorasmithError):
    """A hub cannot be reached, or does not give what was asked for. `status` is its HTTP answer, if there was one."""

    exit_code = 13
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        where: object = None,
        hint: str | None = None,
        field: str | None = None,
        remedy: Remedy | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint, field=field, remedy=remedy)
        self.status = status


class ClusterError(LorasmithError):
    """A cluster cannot be joined, is of other versions, or has no room."""

    exit_code = 14
    http_status = 502


class Stopped(LorasmithError):
    """The user stopped the work; what was finished is on disk and can be resumed."""

    exit_code = 130
    http_status = 499


def near_names(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The up to `count` known names most like `name` (case does not matter), best first."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """``Did you mean "rank"?`` for the nearest known name, or None when nothing is near."""
    near = near_names(name, known, count=1)
    return f'Did you mean "{near[0]}"?' if near else None


def first_line(fault: Exception) -> str:
    """What a library says of a fault, in one line; its kind where it says nothing."""
    return (str(fault) or type(fault).__name__).splitlines()[0]
