"""Each caption rule by itself."""

from __future__ import annotations

import pytest

from lorasmith.tags.rules import RULES
from lorasmith.tags.rules.rule import Context, Source, Tags, matcher
from lorasmith.tags.settings import TagsTable


def work(rule: str, tags: Tags, source: Source = "caption", **settings: object) -> Tags:
    (wanted,) = (one for one in RULES if one.name == rule)
    return wanted.apply(tags, Context(("zbk",), TagsTable.model_validate(settings), source))


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_with_nothing_to_do_changes_nothing(rule: str) -> None:
    assert work(rule, ("zbk", "smile", "red hat")) == ("zbk", "smile", "red hat")


def test_underscores_only_for_taggers_and_not_in_faces() -> None:
    tags = ("blue_eyes", "^_^", "||_||", "x_x", "score_9")
    assert work("underscores", tags, "tagger") == ("blue eyes", "^_^", "||_||", "x_x", "score 9")
    assert work("underscores", tags, "caption") == tags


def test_duplicates_keep_the_first_spelling() -> None:
    assert work("duplicates", ("Smile", "hat", "smile", "SMILE")) == ("Smile", "hat")


@pytest.mark.parametrize("undesired", ["a tag,B_Tag", "  A_TAG ,  b tag ,", ["a tag", "b_tag"], ["a tag , b tag"]])
def test_undesired_lists_are_forgiving(undesired: object) -> None:
    assert work("undesired", ("a_tag", "b tag", "a tag too"), undesired=undesired) == ("a tag too",)


def test_absorbing_by_pattern() -> None:
    tags = ("blonde hair", "hair", "hair ornament", "blue_eyes")
    assert work("absorb", tags, absorb="* hair, *eyes") == ("hair", "hair ornament")


def test_additions_are_not_repeated() -> None:
    assert work("add", ("smile",), add="Smile, hat") == ("smile", "hat")


def test_patterns_are_literal_but_for_the_star() -> None:
    matches = matcher(("a?", "[x]*", "b?*", "chair (object)"))
    tags = ("a?", "ab", "[x] y", "x", "bc", r"chair_\(object\)")
    assert [tag for tag in tags if matches(tag)] == ["a?", "[x] y", r"chair_\(object\)"]
