"""What is wrong with a request's body or its parameters, in our words; pydantic's are for programmers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from lorasmith.schema import KINDS, word_fault
from lorasmith.server.errors import error_document

FAULTS_TOLD = 100
"""Of a wrong request at most."""
_LONGEST = 60
"""Longer values are not told again."""
_SORTS = ("str", "int", "float", "bool")
"""What pydantic puts behind the name of a field that may be of several kinds; also what has brackets."""


def tell_faults(request: Request, errors: Sequence[Any]) -> dict[str, Any]:
    """The answer to a wrong request: the first fault as its error, all of them as its detail."""
    model = _body_of(request)
    faults: dict[tuple[Any, ...], list[Any]] = {}
    for each in errors[:FAULTS_TOLD]:
        faults.setdefault(_place(each["loc"]), []).append(each)
    told = [_tell(place, same, model) for place, same in faults.items()]
    first = told[0] if told else {"where": "body", "message": "cannot be read.", "hint": None}
    detail = [
        {"loc": list(same[0]["loc"]), "msg": one["message"], "type": same[0]["type"]}
        for one, same in zip(told, faults.values(), strict=True)
    ]
    return {"error": error_document("FieldError", status=422, **first), "detail": detail}


def _tell(place: tuple[Any, ...], same: Sequence[Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """One fault: several errors at one place are of the kinds that a value may have there."""
    source, *path = place
    first = same[0]
    if len(same) > 1 and all(each["type"] in KINDS for each in same):
        message, hint = f"must be {' or '.join(dict.fromkeys(KINDS[each['type']] for each in same))}.", ""
    else:
        message, hint = word_fault(first, model if source == "body" else None, tuple(path))
    value = first.get("input")
    if first["type"] not in ("missing", "extra_forbidden", "json_invalid") and _is_short(value):
        message = f"{value!r}: {message}"
    where = ".".join(map(str, path)) if first["type"] != "json_invalid" else ""
    return {"where": where or str(source), "message": message, "hint": hint or None}


def _place(loc: Sequence[Any]) -> tuple[Any, ...]:
    """Where an error stands, whatever kind of value was tried there."""
    return (loc[0], *(part for part in loc[1:] if not (part in _SORTS or (isinstance(part, str) and "[" in part))))


def _is_short(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _LONGEST)


def _body_of(request: Request) -> type[BaseModel] | None:
    """What the request's body is checked against, if that is a table."""
    body = getattr(request.scope.get("route"), "body_field", None)
    kind = getattr(getattr(body, "field_info", None), "annotation", None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
