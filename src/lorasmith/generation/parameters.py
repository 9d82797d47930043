"""What one field of a picture's description may be, and what people and files call it: said once, beside the field.

Whatever shows, reads or checks such a field asks here (`generation.spec` has the tables). Importable without torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lorasmith.errors import UsageError, did_you_mean

Kind = Literal["integer", "number", "boolean", "text", "choice"]
_KINDS: Mapping[type, Kind] = MappingProxyType({bool: "boolean", int: "integer", float: "number", str: "text"})
_KEY = "lorasmith parameter"


@dataclass(frozen=True)
class Parameter:
    """A field by its dotted `name` ("hires.scale").

    `least` and `most` bound a number, `step` is a form's; `choices` are a choice's, in the order to show them.
    `unset` says in a few words what None means ("the base's own"); it is None where there must be a value. `label` is
    what a form calls it, `infotext` its key in A1111's text, `option` its name on the command line, `help` a sentence.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    label: str
    option: str
    least: float | None = None
    most: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    unset: str | None = None
    infotext: str | None = None

    def checked(self, value: Any) -> Any:
        """The value in its exact form: a choice as it is spelt, a number as one. Raises UsageError with the name."""
        if value is None:
            if self.unset is not None:
                return None
            raise self.error("a value is needed.")
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise self.error(f"{value!r} is neither true nor false.")
            return value
        if self.kind == "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.error(f"{value!r} is not a whole number.")
            return self._within(value)
        if self.kind == "number":
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise self.error(f"{value!r} is not a number.")
            return float(self._within(value))
        if not isinstance(value, str):
            raise self.error(f"{value!r} is not a text.")
        return plain_lines(value) if self.kind == "text" else self._chosen(value)

    def error(self, message: str, hint: str | None = None) -> UsageError:
        """An error about this field."""
        return UsageError(message, hint=hint, field=self.name)

    def _within(self, value: float) -> float:
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        if not least <= value <= most:
            raise self.error(f"{_spell(value)} is not between {_spell(least)} and {_spell(most)}.")
        return value

    def _chosen(self, value: str) -> str:
        for choice in self.choices:
            if value.strip().lower() == choice.lower():
                return choice
        hint = did_you_mean(value, self.choices) or f"Known: {', '.join(self.choices)}."
        raise self.error(f'"{value}" is unknown.', hint)


def plain_lines(text: str) -> str:
    """The text with its lines ended by a line feed alone, as the A1111 text inside pictures must have them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _spell(number: float) -> str:
    return str(int(number)) if number == number // 1 else f"{number:g}"


def parameter(
    default: Any = MISSING,
    *,
    help: str,
    label: str | None = None,
    option: str | None = None,
    least: float | None = None,
    most: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] = (),
    unset: str | None = None,
    infotext: str | None = None,
) -> Any:
    """A dataclass field that is a `Parameter`; its name, kind and default are the field's.

    Left out, `label` and `option` are made of the name, and `choices` of a Literal are its own.
    """
    facts = {
        "help": help,
        "label": label,
        "option": option,
        "least": least,
        "most": most,
        "step": step,
        "choices": choices,
        "unset": unset,
        "infotext": infotext,
    }
    return field(default=default, metadata={_KEY: facts})


def parameters_of(owner: type[Any], prefix: str = "") -> Mapping[str, Parameter]:
    """The parameters of a dataclass by dotted name, in the order of its fields; those of a part after its own name.

    Fields that are neither parameters nor parts with parameters are left out.
    """
    found: dict[str, Parameter] = {}
    hints = get_type_hints(owner)
    for each in fields(owner):
        kind = plain_type(hints[each.name])
        name = f"{prefix}{each.name}"
        if is_dataclass(kind) and isinstance(kind, type):
            found.update(parameters_of(kind, f"{name}."))
        elif _KEY in each.metadata:
            found[name] = _named(name, kind, each.default, each.metadata[_KEY])
    return MappingProxyType(found)


def _named(name: str, kind: Any, default: Any, facts: Mapping[str, Any]) -> Parameter:
    words = name.replace("_", " ").replace(".", " ")
    literal = get_origin(kind) is Literal
    choices = facts["choices"] or (get_args(kind) if literal else ())
    return Parameter(
        **{
            **facts,
            "name": name,
            "kind": "choice" if choices else _KINDS[kind],
            "default": default,
            "label": facts["label"] or words.capitalize(),
            "option": facts["option"] or words.replace(" ", "-"),
            "choices": tuple(choices),
        }
    )


def plain_type(hint: Any) -> Any:
    """A type without its "or None"."""
    if get_origin(hint) in (Union, UnionType):
        rest = [each for each in get_args(hint) if each is not NoneType]
        return plain_type(rest[0]) if len(rest) == 1 else hint
    return hint
