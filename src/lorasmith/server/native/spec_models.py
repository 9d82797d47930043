"""Bodies of requests out of a picture's parameters: types, ranges, defaults and descriptions are said there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from lorasmith.generation.defaults import default_of, unset_of
from lorasmith.generation.parameters import Parameter
from lorasmith.generation.spec import PARAMETERS

LONGEST_NAME = 100
_TYPES: Mapping[str, type] = {"integer": int, "number": float, "boolean": bool, "text": str, "choice": str}
#: Choices that few enough can have to be spelt out in the OpenAPI document; others are found in any case.
MOST_SPELT = 4


class Asked(BaseModel):
    """A piece of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def spec_model(part: str = "", base: type[BaseModel] = Asked) -> Any:
    """A model with a field for each parameter of a picture, or of one part of it ("hires")."""
    prefix = f"{part}." if part else ""
    fields = {
        name.removeprefix(prefix): (_type(known), _field(known))
        for name, known in PARAMETERS.items()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }
    made: Any = create_model(f"{part.capitalize()}Fields", __base__=base, **fields)  # type: ignore[call-overload]
    return made


def _type(known: Parameter) -> Any:
    kind: Any = _TYPES[known.kind]
    if known.choices and len(known.choices) <= MOST_SPELT:
        kind = Literal[known.choices]
    return kind if unset_of(known.name, "native") is None else kind | None


def _field(known: Parameter) -> FieldInfo:
    unset = unset_of(known.name, "native")
    limits: dict[str, Any] = {"ge": known.least, "le": known.most}
    if known.kind == "choice" and len(known.choices) > MOST_SPELT:
        limits["max_length"] = LONGEST_NAME
    found: FieldInfo = Field(
        default=default_of(known.name, "native"),
        description=known.help if unset is None else f"{known.help} Null: {unset}.",
        **{name: value for name, value in limits.items() if value is not None},
    )
    return found


def spec_values(body: BaseModel, part: str = "") -> dict[str, Any]:
    """The values of a body by the names of the spec's fields, or of a part's."""
    prefix = f"{part}." if part else ""
    return {name: value for name, value in body if f"{prefix}{name}" in PARAMETERS}
