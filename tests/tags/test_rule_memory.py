"""What rules remember between the images of a scene."""

from __future__ import annotations

from lorasmith.project import SubjectKind
from lorasmith.tags.rules import RULES
from lorasmith.tags.rules.rule import Scene, View
from lorasmith.tags.settings import TagsTable


def test_one_images_peace_is_not_anothers() -> None:
    """What is remembered between the images of a scene depends on all that decides."""
    (rule,) = (one for one in RULES if one.name == "conflicts")
    prepared = rule.prepare(Scene(TagsTable.model_validate({}), SubjectKind.CHARACTER, ("zbk",), "tagger"))
    assert prepared is not None
    view = View("a.png", {"smile": 0.9, "frown": 0.4})
    outcomes = [
        prepared(tags, view)
        for tags in (("smile", "frown", "2girls"), ("smile", "frown"), ("smile", "hat"), ("Smile", "frown"))
    ]
    assert [outcome and outcome.tags for outcome in outcomes] == [None, ("smile",), None, ("Smile",)]


def test_implied_tags_are_found_after_images_that_had_none() -> None:
    (rule,) = (one for one in RULES if one.name == "implied")
    prepared = rule.prepare(Scene(TagsTable.model_validate({})))
    assert prepared is not None
    outcomes = [
        prepared(tags, View("a.png")) for tags in (("Shirt",), ("red shirt",), ("Shirt", "red shirt"), ("hat",))
    ]
    assert [outcome and outcome.tags for outcome in outcomes] == [None, None, ("red shirt",), None]
