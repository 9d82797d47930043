"""The embedded base's world: valid prompts only, and nobody is judged by what cannot be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import random_prompts, read_tag_space
from lorasmith.errors import BaseError
from lorasmith.exam.judges import Group
from lorasmith.exam.questions import REPORTING, flexibility_sheet, hit_sheet
from lorasmith.exam.subject import Subject, read_subject

DOCUMENT: dict[str, Any] = {
    "palettes": {
        "background": {"red": "e05252", "blue": "5aa7e8"},
        "hair colour": {"black": "2a2226", "red": "c0392b"},
        "clothing": {"green": "58b368", "white": "f4f4f4"},
        "skin": {"pale": "ffe0c8"},
    },
    "held_out_palettes": {"hair colour": {"turquoise": "00cfc4"}},
    "hides": {"bald": ["hair colour"], "face mask": ["mouth"]},
    "close_up_share": 0.4,
    "close_up_hair": ["bald"],
    "close_up_bare": ["mohawk"],
    "styles": {
        "one": {
            "tag": "one style",
            "parts": {
                "hair": {"values": {"bald": [], "mohawk": [], "long hair": []}, "held_out": {"turban": []}},
                "mouth": {"values": {"smile": [], "frown": []}},
                "accessory": {"share": 0.4, "values": {"face mask": [], "earrings": []}},
            },
            "colours": {"hair colour": [], "skin": [], "clothing": []},
        },
        "two": {
            "tag": "two style",
            "parts": {"hair": {"values": {"bob cut": []}}, "mouth": {"values": {"grin": []}}},
            "colours": {"hair colour": [], "skin": []},
        },
        "three": {"tag": "three style", "held_out": True, "parts": {}, "colours": {}},
    },
}
WORLD = read_tag_space(DOCUMENT)


def test_what_is_held_out_is_not_part_of_the_world() -> None:
    assert WORLD.styles() == ("one style", "two style")
    tags = {tag for group in WORLD.groups.values() for tag in group.tags}
    assert not tags & {"turban", "turquoise hair", "three style"}
    assert {"red hair", "red background", "green shirt", "pale skin", "close-up"} <= tags
    assert WORLD.groups["accessory"].optional
    assert not WORLD.groups["mouth"].optional


def test_random_prompts_are_valid() -> None:
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        drawn = WORLD.draw(random)
        tags = WORLD.prompt(drawn)
        seen |= set(tags)
        assert tags[:2] == (drawn["style"], "1person")
        if drawn["style"] == "two style":
            assert not {"face mask", "smile", "green shirt"} & set(tags)
        if "close-up" in tags:
            assert not {"long hair", "mohawk", "bob cut", "green shirt"} & set(tags)
        if "bald" in tags:
            assert not {"red hair", "black hair"} & set(tags)
        if "face mask" in tags:
            assert not {"smile", "frown"} & set(tags)
    assert {tag for group in WORLD.groups.values() for tag in group.tags} <= seen


def test_hidden_are_what_is_covered_cut_off_or_not_of_the_style() -> None:
    assert WORLD.hidden({"style": "one style", "shot": "portrait"}) == set()
    assert WORLD.hidden({"style": "one style", "shot": "close-up", "hair": "bald"}) == {"hair colour", "clothing"}
    assert WORLD.hidden({"style": "one style", "shot": "close-up", "hair": "long hair"}) == {"hair", "clothing"}
    assert WORLD.hidden({"style": "two style", "shot": "portrait"}) == {"clothing", "accessory"}
    assert WORLD.hidden({"style": "three style", "accessory": "face mask"}) == {"mouth"}


def test_the_embedded_bases_own_world_can_be_read() -> None:
    own = read_tag_space(world())
    assert len(own.styles()) >= 4
    assert {"style", "shot", "hair", "skin", "mouth", "background"} <= set(own.groups)
    random = np.random.default_rng(1)
    assert len({own.prompt(own.draw(random)) for _ in range(100)}) > 90


def test_another_form_is_refused() -> None:
    with pytest.raises(BaseError, match=r"world\.json is not in the known form"):
        read_tag_space({"groups": {}})


def _turbaned() -> Subject:
    """A subject of style one with a held-out turban, seen in close-ups half of the time."""
    groups = {name: Group(name, tuple(group.tags), group.optional) for name, group in WORLD.groups.items()}
    groups["hair"] = Group("hair", (*groups["hair"].tags, "turban"), False)
    captions, seen = [], []
    for i in range(20):
        shot, mouth = ("close-up", "portrait")[i % 2], ("smile", "frown")[i // 2 % 2]
        captions.append(f"zbk, 1person, {shot}, {mouth}, red background")
        look = {
            "style": "one style",
            "shot": shot,
            "hair": "turban",
            "hair colour": "red hair",
            "skin": "pale skin",
        }
        if shot == "close-up":
            # What a judge says of hair that is cut off is noise.
            look["hair"] = ("bald", "mohawk", "long hair")[i % 3]
        clothing = "green shirt" if i % 4 == 1 else "white shirt"
        seen.append({**look, "mouth": mouth, "accessory": None, "background": "red background", "clothing": clothing})
    return read_subject(trigger="zbk", kind="character", captions=captions, seen=seen, groups=groups, world=WORLD)


def test_identity_is_read_where_it_can_be_seen() -> None:
    subject = _turbaned()
    assert subject.identity == {
        "style": "one style",
        "hair": "turban",
        "hair colour": "red hair",
        "skin": "pale skin",
    }
    assert subject.unseen == {"accessory": ("face mask", "earrings"), "background": ("blue background",)}


def test_questions_know_what_they_hide() -> None:
    subject = _turbaned()
    hits = hit_sheet(subject, WORLD, 40, 0, REPORTING)
    assert {("close-up" in q.prompt, q.hidden) for q in hits} == {
        (True, frozenset({"hair", "clothing"})),
        (False, frozenset()),
    }
    close = {"style": "one style", "hair": "mohawk", "hair colour": "red hair", "skin": "pale skin"}
    assert subject.recognised(close, frozenset({"hair"}))
    assert not subject.recognised(close)
    for question in flexibility_sheet(subject, WORLD, 60, 0, REPORTING):
        assert not set(question.asked) & question.hidden
        if "face mask" in question.prompt:
            assert "smile" not in question.prompt
            assert "frown" not in question.prompt


def test_random_prompts_are_a_function_of_their_seed() -> None:
    prompts = random_prompts(WORLD, 30, seed=1)
    assert prompts == random_prompts(WORLD, 30, seed=1) != random_prompts(WORLD, 30, seed=2)
    assert {prompt.split(", ")[0] for prompt in prompts} == {"one style", "two style"}


def test_what_is_hidden_in_one_style_only() -> None:
    own = read_tag_space(world())
    glasses = {"style": "personas style", "accessory": "glasses", "eyes": "wink"}
    assert "eyes" in own.hidden(glasses)
    assert "eyes" not in own.hidden(glasses | {"style": "micah style"})
    close = {"style": "micah style", "shot": "close-up"}
    assert "background" in own.hidden(close)
    assert "background" not in own.hidden(close | {"hair": "bald"})
