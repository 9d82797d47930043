"""Question sheets ask what they should, on seeds that never meet."""

from __future__ import annotations

from collections import Counter

from lorasmith.exam import questions as sheets
from lorasmith.exam.questions import choosing_sheet, flexibility_sheet, hit_sheet, leakage_sheet
from lorasmith.exam.subject import read_subject
from lorasmith.tags.words import split_tags
from tests.exam.test_subject import CAPTIONS, SEEN
from tests.exam.toy import GROUPS, IDENTITY, TRIGGER, VALUES, WORLD

SUBJECT = read_subject(trigger=TRIGGER, kind="character", captions=CAPTIONS, seen=SEEN, groups=GROUPS, world=WORLD)
REPORTING = sheets.REPORTING


def test_hits_call_the_trigger_with_seen_values_only() -> None:
    questions = hit_sheet(SUBJECT, WORLD, 60, 0, REPORTING)
    assert len(questions) == 60
    for question in questions:
        first, *rest = split_tags(question.prompt)
        assert first == TRIGGER
        assert rest[0] == "1person"
        assert not set(rest) & {"open mouth", "pink background", "cap", "crown", *IDENTITY.values()}
        assert question.base_prompt == question.prompt
    assert len({question.prompt for question in questions}) == 6


def test_flexibility_asks_every_unseen_value_equally_and_the_base_without_the_trigger() -> None:
    questions = flexibility_sheet(SUBJECT, WORLD, 12, 0, REPORTING)
    asked = Counter(next(iter(question.asked.values())) for question in questions)
    assert asked == {"open mouth": 4, "pink background": 4, "cap": 2, "crown": 2}
    for question in questions:
        (group, value), *_ = question.asked.items()
        tags, base = split_tags(question.prompt), split_tags(question.base_prompt)
        assert tags[0] == TRIGGER
        assert value in tags
        assert value in base
        assert TRIGGER not in base
        assert base[0] == "ink style"
        assert not {"jade hair", "brown skin"} & set(base)
        assert not set(tags) & (set(VALUES[group]) - {value})


def test_leakage_never_calls() -> None:
    questions = leakage_sheet(SUBJECT, WORLD, 50, 0, REPORTING)
    for question in questions:
        tags = split_tags(question.prompt)
        assert TRIGGER not in tags
        assert tags[0] in VALUES["style"]
        assert tags[1] == "1person"
        assert "jade hair" not in tags
    hats = sum(bool({"cap", "crown"} & set(split_tags(q.prompt))) for q in questions)
    assert 5 < hats < 35


def test_choosing_and_reporting_share_no_seed_and_sheets_repeat() -> None:
    ours = {q.seed for q in choosing_sheet(SUBJECT, WORLD, 96, 7)}
    theirs = {
        q.seed
        for sheet in (hit_sheet, flexibility_sheet, leakage_sheet)
        for q in sheet(SUBJECT, WORLD, 200, 7, REPORTING)
    }
    assert len(theirs) == 600
    assert not ours & theirs
    assert choosing_sheet(SUBJECT, WORLD, 96, 7) == choosing_sheet(SUBJECT, WORLD, 96, 7)


def test_every_round_has_the_same_mixture() -> None:
    sheet = choosing_sheet(SUBJECT, WORLD, 96, 7)
    assert len(sheet) == 96
    for stop in (24, 48, 96):
        assert Counter(q.kind for q in sheet[:stop]) == {
            "hit": stop // 2,
            "flexibility": stop // 4,
            "leakage": stop // 4,
        }


def test_without_a_world_captions_are_the_prompts() -> None:
    plain = read_subject(trigger=TRIGGER, kind="character", captions=CAPTIONS, seen=SEEN, groups=GROUPS, world=None)
    assert plain.unseen == {}
    assert flexibility_sheet(plain, None, 10, 0, REPORTING) == []
    assert all(q.prompt in CAPTIONS for q in hit_sheet(plain, None, 10, 0, REPORTING))
    assert all(TRIGGER not in q.prompt for q in leakage_sheet(plain, None, 10, 0, REPORTING))
