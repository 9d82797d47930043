"""Typed tables of `lora.toml`: every fault reported at once, unknown keys refused with a suggestion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lorasmith.errors import LorasmithError, ProjectError, did_you_mean

Table = TypeVar("Table", bound="TableModel")


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
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, item["loc"][:-1])
        hint = did_you_mean(str(item["loc"][-1]), known) or f"Known keys: {', '.join(sorted(known))}."
        return f"{key} = {item['input']!r}: unknown key. {hint}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{key}: missing."
    return f"{key} = {item['input']!r}: {message}" if key else message


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the (possibly nested) table at `path`."""
    for part in path:
        field = model.model_fields.get(str(part))
        nested = field.annotation if field else None
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            return []
        model = nested
    return list(model.model_fields)
