"""What only a server can refuse: too much at once, what is not there, what is not allowed."""

from __future__ import annotations

from typing import Any

from lorasmith.errors import LorasmithError


class BusyError(LorasmithError):
    """The queue is full, for everybody (503) or for this client (429). `retry_after` is in seconds."""

    http_status = 503

    def __init__(self, message: str, *, retry_after: int, own_share: bool = False) -> None:
        super().__init__(message, hint=f"Try again in {retry_after} s.")
        self.retry_after = retry_after
        if own_share:
            self.http_status = 429


class MissingError(LorasmithError):
    """There is no such job, picture, sampler or page."""

    http_status = 404


class FieldError(LorasmithError):
    """A value of a request is wrong; `where` is the field's name."""

    http_status = 422


def error_document(
    kind: str,
    message: str,
    status: int,
    where: str | None = None,
    hint: str | None = None,
    field: str | None = None,
) -> dict[str, Any]:
    """What is wrong, as every answer and every record shows it."""
    return {"kind": kind, "message": message, "where": where, "field": field, "hint": hint, "status": status}


def error_json(error: LorasmithError) -> dict[str, Any]:
    """An error as every answer and every record shows it."""
    kind = type(error).__name__
    return error_document(kind, error.message, error.http_status, error.where, error.hint, error.field)
