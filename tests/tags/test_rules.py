"""Each caption rule by itself, and what all of them keep to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from lorasmith.project import SubjectKind
from lorasmith.tags.rows import Tags
from lorasmith.tags.rules import RULES
from lorasmith.tags.rules.images import is_named
from lorasmith.tags.rules.rule import Crowd, RuleResult, Ruling, Scene, Source, View, matcher
from lorasmith.tags.settings import TagsTable
from lorasmith.tags.words import split_tags, tag_key


def rule_on(
    rule: str,
    tags: Tags,
    view: View,
    source: Source = "caption",
    others: Sequence[Tags] = (),
    subject: SubjectKind = SubjectKind.CHARACTER,
    known: frozenset[str] = frozenset(),
    trigger: Tags = ("zbk",),
    **settings: object,
) -> RuleResult | None:
    """The outcome of one rule for one image of a set; `others` are the tags of the rest of the set."""
    (wanted,) = (one for one in RULES if one.name == rule)
    table = TagsTable.model_validate(settings)
    work = wanted.prepare(Scene(table, subject, trigger, source, Crowd(lambda: (tags, *others)), known))
    return None if work is None else work(tags, view)


def work(rule: str, tags: Tags, source: Source = "caption", view: View | None = None, **rest: object) -> Tags:
    outcome = rule_on(rule, tags, view or View("a.png"), source, **rest)  # type: ignore[arg-type]
    return tags if outcome is None else outcome.tags


def scored(**scores: float) -> View:
    return View("a.png", {name.replace("_", " "): score for name, score in scores.items()})


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_with_nothing_to_do_changes_nothing(rule: str) -> None:
    tags = ("zbk", "smile", "red hat")
    assert rule_on(rule, tags, View("a.png")) is None


def test_rules_have_names_ids_and_reasons() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) > 20
    assert all(rule.id.startswith("T") and rule.why for rule in RULES)


WORDS = split_tags(
    "zbk, ZBK, zbl, 1girl, 1 girl, 2girls, Blonde_Hair, blonde hair, long hair, red hair, blue_eyes, smile, Smile, "
    "red shirt, shirt, day, night, watermark, open_mouth, closed mouth, ^_^, a_b_c, photo of zbk, low quality, hat, "
    "anime screencap, portrait, full body, a woman sitting on a chair, grin, wooden chair, sword, katana, weapon"
)
EVERYTHING: dict[str, Any] = {
    "faithful": 1.0,
    "undesired": "watermark, *b_c",
    "absorb": "hat",
    "add": "Drawing",
    "style": "anime screencap",
    "background": "crossover",
    "fused": 0.5,
    "unify": ["hair", "eyes"],
    "doubt": 0.1,
    "sure": 0.5,
    "arrange": "groups",
    "images": {"*.png": {"add": ["hat", "cap"], "remove": "*smile*"}},
    "aliases": {"grin": "big smile"},
    "thresholds": {"general": 0.3, "day": 0.9},
}


@pytest.mark.parametrize("subject", [SubjectKind.CHARACTER, SubjectKind.ASSET])
@pytest.mark.parametrize("source", ["caption", "tagger", "both"])
@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_rulings_lead_from_the_tags_before_to_those_after(rule: str, source: Source, subject: SubjectKind) -> None:
    """The contract behind --explain: nothing vanishes, appears or changes without a ruling that says so."""
    random = Random(7)
    table: dict[str, Any] = EVERYTHING | ({"core": "auto"} if subject is SubjectKind.ASSET else {})
    drawn = [("smile", *random.choices(WORDS, k=random.randrange(12))) for _ in range(60)]
    sets = [tuple(tag for tag in tags if tag != "zbl" or {"zbk", "ZBK"}.isdisjoint(tags)) for tags in drawn]
    others = [*sets[:8], *(("zbk", "blonde hair", "blue_eyes", "smile", "freckles"),) * 12]
    known = frozenset(map(tag_key, WORDS)) - {"zbl"}
    spoken = 0
    for tags in sets:
        scores = {tag: random.random() for tag in tags}
        view = View("a.png", scores, {}, random.choice((None, "a man, on a chair")), random.choice(("", "blurred")))
        outcome = rule_on(rule, tags, view, source, others, subject, known, **table)
        if outcome is None:
            continue
        spoken += 1
        assert outcome.rulings
        balance = Counter(tags)
        for ruling in outcome.rulings:
            if ruling.fate in ("dropped", "changed"):
                balance.subtract([ruling.tag])
            if ruling.fate == "added":
                balance.update([ruling.tag])
            if ruling.fate == "changed":
                assert ruling.became
                balance.update([ruling.became])
            assert ruling.fate in ("kept", "moved", "dropped", "changed", "added")
        assert +balance == Counter(outcome.tags), (rule, tags, outcome)
        assert min(balance.values(), default=0) >= 0, (rule, tags, outcome)
        again = rule_on(rule, outcome.tags, view, source, others, subject, known, **table)
        if rule != "sentence":
            assert again is None or again.tags == outcome.tags, "a rule that has worked has nothing left to do"
    silent = {"thresholds": "tagger", "silent": ""}.get(rule, source)
    works = {
        "underscores": ("tagger", "both"),
        "typos": ("caption", "both"),
        "doubtful": ("caption", "both"),
        "unsure": ("tagger",),
    }
    if silent == source and source in works.get(rule, (source,)):
        assert spoken, "the rule had something to do"


def test_thresholds_by_tag_then_category_then_all() -> None:
    view = View("a.png", {"smile": 0.4, "hat": 0.4, "somebody": 0.8, "series": 0.5}, {"somebody": 4, "series": 3})
    tags = ("smile", "hat", "somebody", "series")
    assert work("thresholds", tags, "tagger", view) == ("smile", "hat", "series")
    assert work("thresholds", tags, "tagger", view, thresholds={"Smile": 0.5}) == ("hat", "series")
    assert work("thresholds", tags, "tagger", view, thresholds={"copyright": 0.6}) == ("smile", "hat")
    assert work("thresholds", tags, "tagger", view, character_threshold=0.7) == tags
    assert work("thresholds", tags, "caption", view, threshold=0.9) == tags, "captions are not thresholded"


def test_underscores_only_for_taggers_and_not_in_faces() -> None:
    tags = ("blue_eyes", "^_^", "||_||", "x_x", "score_9", "(o)_(o)", "<o>_<o>")
    spaced = ("blue eyes", "^_^", "||_||", "x_x", "score 9", "(o)_(o)", "<o>_<o>")
    assert work("underscores", tags, "tagger") == spaced
    assert work("underscores", tags, "caption") == tags


def test_aliases_of_the_user_go_before_ours() -> None:
    assert work("aliases", ("1 Girl", "fullbody")) == ("1girl", "full body")
    assert work("aliases", ("fullbody", "Big_Hat"), aliases={"fullbody": "whole body", "big hat": "large hat"}) == (
        "whole body",
        "large hat",
    )


def test_a_misspelt_trigger_is_mended_where_the_trigger_is_missing() -> None:
    others: list[Tags] = [("zbk", "smile")] * 3
    assert work("typos", ("zbl", "smile"), others=others) == ("zbk", "smile")
    assert work("typos", ("bzk", "smile"), others=others) == ("zbk", "smile"), "two letters swapped"
    assert work("typos", ("zbk", "zbl"), others=others) == ("zbk", "zbl"), "beside the trigger it is another word"
    assert work("typos", ("zbl",), others=[*others, ("zbk", "zbl")]) == ("zbl",), "also in another caption"
    assert work("typos", ("zbl",), others=others, known=frozenset(("zbl",))) == ("zbl",), "the tagger's own word"
    assert work("typos", ("zbl",), others=[("smile",)] * 5) == ("zbl",), "captions that never have the trigger"
    assert work("typos", ("zebra",), others=others) == ("zebra",)


def test_duplicates_keep_the_first_spelling() -> None:
    assert work("duplicates", ("Smile", "hat", "smile", "SMILE")) == ("Smile", "hat")


@pytest.mark.parametrize("undesired", ["a tag,B_Tag", "  A_TAG ,  b tag ,", ["a tag", "b_tag"], ["a tag , b tag"]])
def test_undesired_lists_are_forgiving(undesired: object) -> None:
    assert work("undesired", ("a_tag", "b tag", "a tag too"), undesired=undesired) == ("a tag too",)


@pytest.mark.parametrize(
    ("tags", "view", "left"),
    [
        (("1girl", "2girls"), scored(**{"1girl": 0.9, "2girls": 0.4}), ("1girl",)),
        (("day", "night", "sky"), scored(day=0.4, night=0.6, sky=0.1), ("night", "sky")),
        (("open mouth", "closed mouth"), scored(open_mouth=0.5, closed_mouth=0.5), ("open mouth", "closed mouth")),
        (("open mouth", "closed mouth"), View("a.png"), ("open mouth", "closed mouth")),
        (("blonde hair", "black hair"), scored(blonde_hair=0.5, black_hair=0.7), ("black hair",)),
        (
            ("blonde hair", "black hair", "two-tone hair"),
            scored(blonde_hair=0.5, black_hair=0.7),
            ("blonde hair", "black hair", "two-tone hair"),
        ),
        (("blonde hair", "black hair", "2girls"), scored(black_hair=0.7), ("blonde hair", "black hair", "2girls")),
        (("blue hair", "aqua hair"), scored(blue_hair=0.7), ("blue hair", "aqua hair")),
    ],
)
def test_of_excluding_tags_the_likelier_stays(tags: Tags, view: View, left: Tags) -> None:
    assert work("conflicts", tags, view=view) == left


def test_tags_that_the_tagger_does_not_know_are_not_outvoted() -> None:
    known, view = frozenset(("day",)), scored(day=0.4)
    assert work("conflicts", ("day", "night"), view=view, known=known) == ("day", "night")


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        (("red shirt", "shirt"), ("red shirt",)),
        (("Shirt", "dark_red_shirt", "red shirt"), ("dark_red_shirt",)),
        (("katana", "sword", "weapon"), ("katana",)),
        (("no hat", "hat"), ("no hat", "hat")),
        (("2girls", "multiple girls"), ("2girls",)),
        (("big zbk", "zbk"), ("big zbk", "zbk")),
        (("shirts", "shirt"), ("shirts", "shirt")),
    ],
)
def test_what_another_tag_implies_goes(tags: Tags, left: Tags) -> None:
    assert work("implied", tags) == left


def test_low_quality_is_said_where_it_was_measured() -> None:
    poor = View("a.png", poor="blurred")
    assert work("quality", ("smile", "Blurry"), view=poor) == ("smile", "Blurry", "low quality", "worst quality")
    assert work("quality", ("smile",), view=View("a.png")) == ("smile",)
    assert work("quality", ("smile",), view=poor, quality="ugly") == ("smile", "ugly")
    assert work("quality", ("smile",), view=poor, quality="") == ("smile",)


def test_hair_and_eyes_get_one_tag_each() -> None:
    blonde: Tags = ("blonde hair", "long hair", "blue eyes", "smile")
    odd: Tags = ("red hair", "long hair", "closed eyes")
    unify = ["hair", "eyes"]
    assert work("unify", blonde, others=[blonde, odd], unify=unify) == (*("blonde_zbk_hair", "blue_zbk_eyes", "smile"),)
    assert work("unify", odd, others=[blonde, blonde], unify=unify) == ("red hair", "blonde_zbk_hair", "closed eyes")
    assert work("unify", blonde, others=[blonde], unify="hair", trigger=("my girl",))[0] == "blonde_my_girl_hair"
    assert work("unify", blonde, others=[odd, odd, odd], unify="eyes") == blonde, "no eyes are consistent"


def test_absorbing_by_pattern() -> None:
    tags = ("blonde hair", "hair", "hair ornament", "blue_eyes")
    assert work("absorb", tags, absorb="* hair, *eyes") == ("hair", "hair ornament")


ZBK: Tags = (
    "1girl",
    "freckles",
    "blue eyes",
    "pale skin",
    "muscular",
    "blonde hair",
    "beard",
    "open eyes",
    "red shirt",
)


@pytest.mark.parametrize(
    ("dial", "left"),
    [
        (0, ZBK),
        ("flexible", ("1girl", "blue eyes", "pale skin", "muscular", "blonde hair", "beard", "open eyes", "red shirt")),
        (0.5, ("1girl", "muscular", "blonde hair", "beard", "open eyes", "red shirt")),
        ("faithful", ("1girl", "beard", "open eyes", "red shirt")),
        (1, ("1girl", "open eyes", "red shirt")),
    ],
)
def test_the_dial_from_flexible_to_faithful(dial: object, left: Tags) -> None:
    assert work("absorb", ZBK, others=[ZBK] * 3, faithful=dial) == left


def test_the_dial_for_taggers_is_faithful_to_people_and_half_way_else_and_at_nothing_for_written_captions() -> None:
    assert work("absorb", ZBK, "caption", others=[ZBK]) == ZBK
    faithful = work("absorb", ZBK, others=[ZBK], faithful="faithful")
    assert work("absorb", ZBK, "tagger", others=[ZBK]) == faithful
    assert work("absorb", ZBK, "tagger", others=[ZBK], subject=SubjectKind.COUPLE) == faithful
    chair = ("handle", "wooden seat", "engraving", "red background")
    kept = work("absorb", chair, "tagger", others=[chair], subject=SubjectKind.ASSET)
    assert kept == work("absorb", chair, others=[chair], subject=SubjectKind.ASSET, faithful="balanced")
    assert kept == ("engraving", "red background")
    assert "blue eyes" in work("absorb", ZBK, others=[ZBK], faithful=1, keep="blue*")


@pytest.mark.parametrize(
    ("subject", "tags", "left"),
    [
        (SubjectKind.BACKGROUND, ("brick wall", "window", "night", "1girl"), ("night", "1girl")),
        (SubjectKind.ASSET, ("wooden chair", "handle", "red background"), ("red background",)),
        (SubjectKind.CLOTHING, ("long sleeves", "lace", "smile"), ("smile",)),
        (SubjectKind.POSE, ("arms up", "standing", "smile"), ("smile",)),
        (SubjectKind.CONCEPT, ("hands", "long fingers", "smile"), ("smile",)),
        (SubjectKind.STYLE, ("blonde hair", "window", "hands"), ("blonde hair", "window", "hands")),
        (SubjectKind.COUPLE, ("blonde hair", "window"), ("window",)),
    ],
)
def test_what_makes_up_a_subject_depends_on_its_kind(subject: SubjectKind, tags: Tags, left: Tags) -> None:
    assert work("absorb", tags, others=[tags], subject=subject, faithful=1) == left


@pytest.mark.parametrize(
    "tag", ["half-shaved hair", "mohawk", "hair bun", "double buns", "gray hair", "bowl cut", "bald"]
)
def test_the_embedded_worlds_hair_is_hair(tag: str) -> None:
    assert work("absorb", (tag, "smile"), others=[(tag,)], faithful=1) == ("smile",)


@pytest.mark.parametrize("tag", ["closed eyes", "star eyes", "wink", "glasses", "red shirt", "close-up", "open smile"])
def test_the_embedded_worlds_moods_and_clothes_are_not(tag: str) -> None:
    assert work("absorb", (tag, "pale skin"), others=[(tag, "pale skin")], faithful=1) == (tag,)


def test_rare_elements_keep_their_tags() -> None:
    odd: Tags = ("red hair", "smile")
    usual: list[Tags] = [("blonde hair", "smile")] * 30
    assert work("absorb", odd, others=usual, faithful=1) == odd
    assert work("absorb", usual[0], others=[odd, *usual], faithful=1) == ("smile",)
    assert work("absorb", odd, others=usual, absorb="red hair") == ("smile",), "the user's own list is not overruled"
    assert work("absorb", odd, others=usual, faithful=1, rare_images=1) == ("smile",)
    assert work("absorb", odd, others=usual, faithful=1, off="rare") == ("smile",)
    assert work("absorb", odd, others=[odd] * 14 + usual, faithful=1) == ("smile",), "15 images are not rare"
    outcome = rule_on("rare", odd, View("a.png"), others=usual, faithful=1)
    assert outcome is not None
    assert outcome.rulings == (Ruling("red hair", "kept", "in 1 of 31 images only: stays promptable"),)


def test_rare_features_of_a_person_need_a_sure_tagger() -> None:
    tags: Tags = ("mohawk", "sunglasses", "grin", "red shirt")
    usual: list[Tags] = [("bob cut", "grin")] * 20
    scores = dict.fromkeys(tags, 0.55)
    doodle = View("a.png", {**scores, "sunglasses": 0.9}, tagger="doodle 0f0f")
    assert work("unsure", tags, "tagger", doodle, others=usual) == ("sunglasses", "grin", "red shirt")
    outcome = rule_on("unsure", tags, doodle, "tagger", others=usual)
    assert outcome is not None
    assert outcome.rulings == (Ruling("mohawk", "dropped", "in 1 of 21 images, and its score 0.55 is under 0.70"),), (
        "moods and clothes are left alone"
    )
    assert work("unsure", tags, "tagger", doodle, others=[tags] * 20) == tags, "none of these is rare"
    assert work("unsure", tags, "tagger", doodle, others=usual, rare_images=1) == tags
    assert work("unsure", tags, "tagger", doodle, others=usual, keep="mohawk") == tags
    assert work("unsure", tags, "tagger", doodle, others=usual, thresholds={"mohawk": 0.4}) == tags
    assert work("unsure", tags, "tagger", doodle, others=usual, sure=0) == tags
    assert work("unsure", tags, "caption", doodle, others=usual) == tags, "what somebody wrote is not doubted"
    other = View("a.png", scores, tagger="some/tagger 0f0f")
    assert work("unsure", tags, "tagger", other, others=usual) == tags, "their thresholds are their own"
    assert work("unsure", tags, "tagger", other, others=usual, sure=0.6) == ("grin", "red shirt")


def test_fused_tags_are_absorbed_but_not_counts_and_framing() -> None:
    tags: Tags = ("zbk", "1girl", "portrait", "red hat", "smile")
    others: list[Tags] = [tags] * 18 + [("zbk", "1girl", "portrait", "red hat")]
    assert work("fused", tags, others=others, fused=0.96) == ("zbk", "1girl", "portrait", "smile")
    assert work("fused", tags, others=others, fused=0.9) == ("zbk", "1girl", "portrait")
    assert work("fused", tags, others=others, fused=0.9, keep="smile") == ("zbk", "1girl", "portrait", "smile")
    assert work("fused", tags, others=others) == tags, "off for captions that somebody wrote, unless asked for"
    assert work("fused", tags, "tagger", others=[tags] * 8) == ("zbk", "1girl", "portrait"), "on for a tagger's tags"
    assert work("fused", tags, "tagger", others=[tags] * 8, fused=0) == tags
    assert work("fused", tags, "tagger", others=[tags] * 6) == tags, "seven images say too little"


def test_what_a_look_is_called_goes_with_the_trigger_sooner() -> None:
    """A tagger that names the style in seven of ten pictures of a person does not see another one in the rest."""
    tags: Tags = ("zbk", "micah style", "smile")
    others: list[Tags] = [tags] * 7 + [("zbk", "personas style")] * 2
    assert work("fused", tags, "tagger", others=others) == ("zbk", "smile")
    assert work("fused", others[-1], "tagger", others=[tags, *others[:-1]]) == others[-1], "another look is told"
    assert work("fused", tags, "tagger", others=others[4:] * 2) == tags, "six of eleven may be chance"
    assert work("fused", tags, "tagger", others=others, fused=0.95) == tags, "what is set holds for all tags"
    assert work("fused", tags, others=others) == tags


def test_additions_are_not_repeated() -> None:
    assert work("add", ("smile",), add="Smile, hat") == ("smile", "hat")
    assert work("background", ("smile",), background="crossover") == ("smile", "crossover")


def test_the_style_stands_in_front_once() -> None:
    assert work("style", ("smile", "Anime_Screencap"), style="anime screencap") == ("anime screencap", "smile")
    assert work("style", ("smile",), style="a, b") == ("a", "b", "smile")


def test_sentences() -> None:
    view = View("a.png", sentence="a woman with blonde hair, sitting on a chair")
    parts: Tags = ("a woman with blonde hair", "sitting on a chair")
    assert work("sentence", ("smile",), view=view) == (*parts, "smile")
    assert work("sentence", ("smile",), view=view, sentence="after") == ("smile", *parts)
    assert work("sentence", ("smile",), view=view, sentence="instead") == parts
    assert work("sentence", ("smile",), view=view, sentence="none") == ("smile",)
    assert work("sentence", parts, view=view, sentence="instead") == parts, "the caption is the sentence"


def test_tags_in_an_order() -> None:
    tags: Tags = ("red background", "smile", "portrait", "1girl", "hat")
    assert work("arrange", tags, arrange="name") == ("1girl", "hat", "portrait", "red background", "smile")
    assert work("arrange", tags, arrange="groups") == ("1girl", "portrait", "smile", "hat", "red background")
    view = scored(smile=0.9, hat=0.95, portrait=0.5)
    assert work("arrange", tags, view=view, arrange="score")[-3:] == ("hat", "smile", "portrait")


def test_corrections_of_single_images() -> None:
    images = {"a.png": {"add": "hat", "remove": "Smile"}, "*.jpg": {"remove": "*"}, "sub/*": {"add": "below"}}
    assert work("images", ("smile", "x"), view=View("a.png"), images=images) == ("x", "hat")
    assert work("images", ("smile", "x"), view=View("5_x/a.png"), images=images) == ("x", "hat")
    assert work("images", ("smile", "x"), view=View("b.jpg"), images=images) == ()
    assert work("images", ("smile",), view=View("sub/b.png"), images=images) == ("smile", "below")
    assert work("images", ("smile",), view=View("b.png"), images=images) == ("smile",)
    assert is_named("5_x/a[1].png", "a[1].png"), "a name with brackets is a name first"


def test_a_silent_style() -> None:
    assert work("silent", ("smile", "hat"), describe="nothing") == ()


@pytest.mark.parametrize(
    ("subject", "settings", "caption"),
    [
        (SubjectKind.CHARACTER, {}, "zbk, smile"),
        (SubjectKind.CHARACTER, {"core": "auto"}, "zbk person focus, smile"),
        (SubjectKind.COUPLE, {"core": "auto"}, "zbk couple focus, smile"),
        (SubjectKind.BACKGROUND, {"core": "auto"}, "zbk scenery focus, smile"),
        (SubjectKind.ASSET, {"core": "auto"}, "zbk (object) focus, smile"),
        (SubjectKind.CHARACTER, {"core": "NAME c_4boys focus"}, "zbk c_4boys focus, smile"),
        (SubjectKind.CHARACTER, {"prefix": "photo of NAME"}, "photo of zbk, smile"),
    ],
)
def test_forms_of_the_core_tag(subject: SubjectKind, settings: dict[str, Any], caption: str) -> None:
    wanted = split_tags(caption)
    assert work("trigger", ("smile",), subject=subject, **settings) == wanted
    assert work("trigger", ("smile", "zbk"), subject=subject, **settings) == wanted
    assert work("trigger", wanted, subject=subject, **settings) == wanted


def test_patterns_are_literal_but_for_the_star() -> None:
    matches = matcher(("a?", "[x]*", "b?*", "chair (object)"))
    tags = ("a?", "ab", "[x] y", "x", "bc", r"chair_\(object\)")
    assert [tag for tag in tags if matches(tag)] == ["a?", "[x] y", r"chair_\(object\)"]


def test_the_parts_of_a_collage_may_contradict_each_other() -> None:
    scores = {"day": 0.9, "night": 0.4}
    assert work("conflicts", ("day", "night"), "tagger", View("a.png", scores)) == ("day",)
    assert work("conflicts", ("day", "night"), "tagger", View("a.png", scores, collage=True)) == ("day", "night")
