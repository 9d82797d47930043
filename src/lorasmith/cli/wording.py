"""How the command line words a remedy: a command to type, an option to give."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from lorasmith.cli.program import program
from lorasmith.remedies import Action, Do, Give, Remedy, Set, plain_words

_Patterns = Mapping[str, str]

#: The command of every action, and how it takes its arguments, in their order; what has no {} is a switch.
COMMANDS: Mapping[Action, tuple[str, _Patterns]] = MappingProxyType(
    {
        Action.ADD: ("add", {"project": "{}", "images": "--images {}"}),
        Action.ADOPT: ("curate adopt", {"project": "{}", "pictures": "{}"}),
        Action.ALTER: ("curate alter", {"project": "{}", "image": "{}", "replace_clones": "--replace-clones"}),
        Action.COLLAGE: ("curate collage", {"project": "{}", "images": "{}"}),
        Action.COLLECT: ("collect", {"address": "{}", "into": "--into {}"}),
        Action.CONVERT: ("adapter convert", {"adapter": "{}", "out": "--out {}"}),
        Action.CROP: ("curate crop", {"project": "{}", "image": "{}", "box": "--box {}"}),
        Action.CUT: ("curate cut", {"project": "{}", "image": "{}"}),
        Action.DRAW_ROUND: ("curate round", {"project": "{}"}),
        Action.EXAMINE: (
            "exam",
            {"project": "{}", "snapshots": "--snapshots {}", "pictures": "--pictures {}"},
        ),
        Action.EXPAND: ("prompt expand", {"template": "{}"}),
        Action.FETCH: ("library get", {"reference": "{}", "into": "--into {}"}),
        Action.GENERATE: (
            "generate",
            {"prompt": '"{}"', "n": "--n {}", "adapters": "--adapters {}", "out": "--out {}"},
        ),
        Action.GRID: ("grid", {"prompt": '"{}"'}),
        Action.INSPECT: ("inspect", {"project": "{}"}),
        Action.KEEP: ("curate keep", {"project": "{}", "images": '"{}"'}),
        Action.LABEL: ("curate label", {"project": "{}", "image": "{}", "facet": '--as "{}"'}),
        Action.LIST_ADAPTERS: ("library list", {}),
        Action.LIST_DECISIONS: ("curate log", {"project": "{}"}),
        Action.LIST_JOBS: ("queue list", {}),
        Action.NEW: (
            "new",
            {
                "project": "{}",
                "subject": "--subject {}",
                "name": "--name {}",
                "trigger": "--trigger {}",
                "images": "--images {}",
            },
        ),
        Action.PLAN: ("plan", {"project": "{}"}),
        Action.REPEAT: ("curate repeats", {"project": "{}", "image": "{}", "times": "--times {}"}),
        Action.RUN_JOBS: ("queue run", {}),
        Action.SCAN: ("library scan", {"folder": "{}"}),
        Action.SEARCH: ("library search", {"words": "{}"}),
        Action.SHOWCASE: ("showcase", {"template": "{}", "adapter": "--adapter {}"}),
        Action.SHOW_ADAPTER: ("adapter show", {"adapter": "{}"}),
        Action.SOLVE: ("curate solve", {"project": "{}"}),
        Action.TAG: (
            "tag",
            {"project": "{}", "tagger": "--tagger {}", "explain": "--explain {}", "write": "--write"},
        ),
        Action.TIDY: ("curate auto", {"project": "{}"}),
        Action.TRAIN: ("train", {"project": "{}", "set": "--set {}", "resume": "--resume", "probe": "--probe"}),
        Action.UNDO: ("curate undo", {"project": "{}"}),
    }
)


#: Fields of errors that commands take without an option before them, as their help calls them.
POSITIONAL: _Patterns = MappingProxyType({"reference": "REF"})


def command_words(remedy: Remedy) -> str:
    """``lorasmith inspect my-lora``, ``--base doodle``, ``--set rank=16``."""
    if isinstance(remedy, Do):
        command, patterns = COMMANDS[remedy.action]
        given = dict(remedy.arguments)
        words = (_word(pattern, given.pop(name)) for name, pattern in patterns.items() if name in given)
        line = " ".join((program(), command, *words))
        if given:
            raise ValueError(f"{remedy.action} takes no {', '.join(given)}")
        return line
    if isinstance(remedy, Give):
        option = _option(remedy.field)
        return option if remedy.value is None else f"{option} {_value(remedy.value)}"
    if isinstance(remedy, Set):
        return f"--set {shlex.quote(f'{remedy.key}={remedy.value}')}"
    return plain_words(remedy)


def _option(field: str) -> str:
    from lorasmith.cli.spec_options import options_of_fields

    return POSITIONAL.get(field) or options_of_fields().get(field) or f"--{field.replace('_', '-')}"


def _word(pattern: str, value: object) -> str:
    if '"' in pattern:
        return pattern.format(str(value).replace('"', '\\"'))
    return pattern.format(_value(value))


def _value(value: object) -> str:
    from lorasmith.dataset.folders import printable

    values = value if isinstance(value, tuple) else (value,)
    return " ".join(shlex.quote(printable(str(each))) for each in values)
