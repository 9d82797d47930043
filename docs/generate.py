"""Write the generated pages (commands, recipe, exam, rules, performance) and the drawing of the house.
A test fails when they are stale.

.venv/bin/python docs/generate.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import Family
from lorasmith.cli.main import VERBS, build_app
from lorasmith.dataset.rules import RULES as DATASET_RULES
from lorasmith.exam.settings import ExamTable
from lorasmith.recipe.memory import memory_of, nearest_switches
from lorasmith.recipe.recipe import Recipe
from lorasmith.recipe.reference import recipe_keys
from lorasmith.schema import TableModel
from lorasmith.tags.review import CHECKS
from lorasmith.tags.rules import RULES as CAPTION_RULES
from lorasmith.tags.settings import TagsTable

HERE = Path(__file__).parent
_NOTE = "<!-- Written by docs/generate.py; change the code, then run it again. -->\n"
_WIDTH = 90


def commands_page() -> str:
    """The help of every command, as a terminal of 90 columns shows it."""
    root = typer.main.get_command(build_app(set(VERBS)))
    lines = ["# Commands", "", _NOTE, "Every command takes `--json` where a script may want to read its result."]
    for path, text in _helps(root, ["lorasmith"]):
        lines += ["", f"## `{' '.join(path)}`", "", "```", text, "```"]
    return "\n".join(lines) + "\n"


def _helps(command: Any, path: list[str]) -> Iterator[tuple[list[str], str]]:
    import click

    context = command.context_class(command, info_name=" ".join(path), terminal_width=_WIDTH, max_content_width=_WIDTH)
    with context:
        yield path, click.unstyle(command.get_help(context)).strip()
    for name, child in getattr(command, "commands", {}).items():
        yield from _helps(child, [*path, name])


def recipe_page() -> str:
    """Every key of `[recipe]` with its default, and the presets."""
    lines = ["# The recipe", "", _NOTE]
    lines += [
        "A recipe starts from the preset for the kind of subject and the base's family; `[recipe]` in `lora.toml` lies",
        "on top of it, and `--set KEY=VALUE` on top of that. Unknown keys are refused.",
        "",
        "| key | default | meaning |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{key.path}` | `{key.default}` | {_cell(key.meaning)} |" for key in recipe_keys()]
    lines += ["", "## Presets", "", "What a preset changes of the defaults (R4, R5); `*` is for every kind of subject."]
    for family in FAMILIES.values():
        for kind, preset in family.presets.items():
            lines += ["", f"### {family.name}, {kind}", "", "| key | value |", "| --- | --- |"]
            lines += [f"| `{key}` | `{value}` |" for key, value in _flat(preset.values, "")]
    return "\n".join(lines) + "\n"


def _keys(model: type[TableModel], prefix: str) -> Iterator[tuple[str, object, str]]:
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, TableModel):
            yield from _keys(nested, f"{prefix}{name}.")
        else:
            default = field.get_default(call_default_factory=True)
            yield f"{prefix}{name}", default, _cell(field.description or "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def rules_page() -> str:
    """The dataset and caption rules that are checked and applied."""
    lines = ["# Rules", "", _NOTE, "## Dataset rules (`lorasmith inspect`)", "", "| id | rule |", "| --- | --- |"]
    lines += [f"| {rule.id} | {rule.title} |" for rule in DATASET_RULES]
    lines += ["", "## Caption rules (`lorasmith tag`), in the order in which they work", ""]
    lines += ["| name | serves | what it does |", "| --- | --- | --- |"]
    lines += [f"| {rule.name} | {rule.id} | {rule.why} |" for rule in CAPTION_RULES]
    lines += ["", "## Caption checks (`lorasmith inspect`)", "", "| id | check |", "| --- | --- |"]
    lines += [f"| {check.id} | {check.title} |" for check in CHECKS]
    lines += ["", "## `[tags]`", "", "| key | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in _keys(TagsTable, "")]
    return "\n".join(lines) + "\n"


_KEYS = ("<!-- keys -->\n", "<!-- end of keys -->\n")


def exam_page() -> str:
    """The page as it is written by hand, with every key of `[exam]` and its default between two marks."""
    text = (HERE / "exam.md").read_text("utf-8")
    before, _, rest = text.partition(_KEYS[0])
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in _keys(ExamTable, "")]
    return before + _KEYS[0] + "\n" + "\n".join(lines) + "\n\n" + _KEYS[1] + rest.partition(_KEYS[1])[2]


CARD_SIZES = (6, 8, 12, 16, 24)
SIDE = 1024
GB = 2**30
RATES = {"unet": 1e-4, "text_encoder": 0}


def counted_families() -> list[Family]:
    """Those made for pictures of this side whose memory was counted."""
    return [each for each in FAMILIES.values() if each.cost.counted is not None and each.resolution == SIDE]


def recipe_on(family: Family, rows: int) -> Recipe:
    """A LoRA of rank 16 on attention and MLP, text encoders frozen, the base in bf16."""
    values = {"epochs": 1, "precision": "bf16", "rank": 16, "batch_size": rows, "resolution": SIDE}
    recipe = Recipe.model_validate({**values, "preserve": {"kind": "none"}, "lr": RATES, "caption": {"shuffle": False}})
    recipe.__dict__["cost"] = family.cost  # of the public model, which need not lie here
    return recipe


def cards_table() -> str:
    """A row for each family and number of rows, a column for each card."""
    lines = ["| base, rows | as it is | " + " | ".join(f"{card} GB" for card in CARD_SIZES) + " |"]
    lines.append("| --- " * (len(CARD_SIZES) + 2) + "|")
    for family in counted_families():
        for rows in (1, 2):
            recipe = recipe_on(family, rows)
            cells = [_switches(nearest_switches(recipe, SIDE * SIDE, card * GB)) for card in CARD_SIZES]
            held = memory_of(recipe, SIDE * SIDE).total / GB
            lines.append(f"| {family.title}, {rows} | {held:.1f} GB | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _switches(switches: Mapping[str, Any] | None) -> str:
    if switches is None:
        return "no"
    return ", ".join(f"`{key} = {_toml(value)}`" for key, value in switches.items()) or "yes"


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


_CARDS = ("<!-- cards -->\n", "<!-- end of cards -->\n")


def performance_page() -> str:
    """The page as it is written by hand, with what fits which card between two marks."""
    text = (HERE / "performance.md").read_text("utf-8")
    before, _, rest = text.partition(_CARDS[0])
    return before + _CARDS[0] + "\n" + cards_table() + "\n" + _CARDS[1] + rest.partition(_CARDS[1])[2]


PAGES = {
    "commands.md": commands_page,
    "recipe.md": recipe_page,
    "exam.md": exam_page,
    "rules.md": rules_page,
    "performance.md": performance_page,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
    subprocess.run([sys.executable, "-m", "docs.house"], cwd=HERE.parent, check=True)
