"""Typed tables of `lora.toml`: every fault reported at once, unknown keys refused with a suggestion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from lorasmith.errors import LorasmithError, ProjectError, did_you_mean

Table = TypeVar("Table", bound="TableModel")
KINDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a number that is not infinite",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a table of keys and values"),
}
"""What a value must be, by the kind of pydantic's error."""
_LENGTHS = {
    **dict.fromkeys(("string_too_short", "string_too_long"), "character"),
    **dict.fromkeys(("too_short", "too_long"), "item"),
}


class TableModel(BaseModel):
    """A frozen table of settings whose unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class StrictTable(TableModel):
    """A table without silent conversions ("16" is no number) and without infinities."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


def read_table(
    model: type[Table], values: Mapping[str, Any], *, where: str, error: type[LorasmithError] = ProjectError
) -> Table:
    """Check `values` against `model`; raise `error` listing every fault, one a line.

    `where` names the file and the table, e.g. ``lora.toml: [recipe]``; the error's field is the first key at fault.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as fault:
        faults = fault.errors()
        lines = [f"{where} {_fault_line(model, item)}" for item in faults]
        key = ".".join(map(str, faults[0]["loc"]))
        raise error("\n".join(lines), field=key or None) from None


def _fault_line(model: type[TableModel], item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message, hint = word_fault(item, model)
    told = f"{message} {hint}" if hint else message
    if not key or item["type"] == "missing":
        return f"{key}: {told}" if key else told
    return f"{key} = {item['input']!r}: {told}"


def word_fault(item: Any, model: type[BaseModel] | None = None, path: tuple[int | str, ...] = ()) -> tuple[str, str]:
    """What is wrong by one of pydantic's errors, without its key and value, and what to do (may be empty). `model` is
    what was checked, if that is known; `path` where the error's key stands in it, the error's own by default."""
    kind, limits, path = item["type"], item.get("ctx") or {}, path or item["loc"]
    if kind == "missing":
        return "missing.", ""
    if kind == "extra_forbidden":
        known = [] if model is None else _known_keys(model, path[:-1])
        usual = f"Known keys: {', '.join(sorted(known))}." if known else ""
        return "unknown key.", did_you_mean(str(path[-1]), known) or usual
    if kind in KINDS:
        return f"must be {KINDS[kind]}.", ""
    if kind in _LENGTHS:
        least, most = limits.get("min_length"), limits.get("max_length")
        count = least if most is None else most
        size = f"{count} {_LENGTHS[kind]}{'' if count == 1 else 's'}"
        return f"must have {size} or more." if most is None else f"must have at most {size}.", ""
    if kind == "string_pattern_mismatch":
        return f"does not have the form {limits['pattern']}", ""
    if kind == "json_invalid":
        return f"is no JSON: {limits.get('error', 'cannot be read')}.", ""
    if kind in ("literal_error", "enum"):
        expected = str(limits["expected"])
        return f"must be {expected}.", did_you_mean(str(item["input"]), expected.split("'")[1::2]) or ""
    message = str(item["msg"]).removeprefix("Value error, ")
    return (message.replace("Input should", "must", 1), "") if message.startswith("Input should") else (message, "")


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the (possibly nested, or listed) table at `path`."""
    inside: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        field = inside.model_fields.get(part)
        inside = _table_in(field.annotation) if field else None
        if inside is None:
            return []
    return list(inside.model_fields)


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds: by itself, in a list, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table_in(part)) is not None), None)
