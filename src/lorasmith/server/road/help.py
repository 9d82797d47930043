"""Every rule, key and figure with its text, from where the docs have it, too."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorasmith.dataset.rules import RULES
from lorasmith.exam.report import WORDS
from lorasmith.exam.settings import ExamTable
from lorasmith.recipe.reference import recipe_keys
from lorasmith.server.native.schemas import Told
from lorasmith.server.road.dependencies import TheWorkshop
from lorasmith.tags.review import CHECKS
from lorasmith.tags.rules import RULES as CAPTION_RULES
from lorasmith.tags.settings import TagsTable

router = APIRouter(prefix="/help", tags=["help"])


class HelpEntry(Told):
    """A rule's id, a key's path or a figure's name, with its text."""

    name: str
    text: str
    default: str = ""


class HelpSection(Told):
    """Entries of a kind."""

    title: str
    entries: list[HelpEntry]


class HelpAnswer(Told):
    """All texts."""

    sections: list[HelpSection]


@router.get("", response_model=HelpAnswer)
def get_help(workshop: TheWorkshop) -> dict[str, Any]:
    """The texts of all rules, keys and figures."""
    del workshop
    return {
        "sections": [
            _section("Dataset rules", [(rule.id, rule.title, "") for rule in RULES]),
            _section("Caption checks", [(check.id, check.title, "") for check in CHECKS]),
            _section("Caption rules", [(rule.name, f"{rule.why} ({rule.id})", "") for rule in CAPTION_RULES]),
            _section("Recipe", [(key.path, key.meaning, str(key.default)) for key in recipe_keys()]),
            _section("Exam figures", [(name, " ".join(words), "") for name, words in WORDS.items()]),
            _section("Exam settings", _keys(ExamTable)),
            _section("Caption settings", _keys(TagsTable)),
        ]
    }


def _section(title: str, entries: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {"title": title, "entries": [{"name": n, "text": t, "default": d} for n, t, d in entries]}


def _keys(table: Any) -> list[tuple[str, str, str]]:
    fields = table.model_fields.items()
    return [(name, each.description or "", str(each.get_default(call_default_factory=True))) for name, each in fields]
