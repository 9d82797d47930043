"""What is known about tags: short tables of ours, in the form of `tag_key` (lower case, spaces).

Features by subject kind with their place on the dial (T4), tags that exclude each other or follow from each other
(T9), faces made of signs, core tags (T3), and groups for an orderly caption.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lorasmith.project import SubjectKind
from lorasmith.tags.implications import is_implying
from lorasmith.tags.words import tag_key

#: Faces made of signs that taggers write as tags: their underscores are no spaces.
FACES = frozenset(
    (
        *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", ">_o", "3_3", "6_9", "@_@", "^_^"),
        *("d_d", "o_o", "u_u", "v_v", "x_x", "t_t", "|_|", "||_||"),
    )
)

#: Spellings that people mix; the right-hand one is what taggers and bases were trained on.
ALIASES: Mapping[str, str] = {
    "1 girl": "1girl",
    "one girl": "1girl",
    "1 boy": "1boy",
    "one boy": "1boy",
    "2 girls": "2girls",
    "2 boys": "2boys",
    "fullbody": "full body",
    "full-body": "full body",
    "full body shot": "full body",
    "upperbody": "upper body",
    "upper-body": "upper body",
    "closeup": "close-up",
    "close up": "close-up",
    "lookingatviewer": "looking at viewer",
    "blond hair": "blonde hair",
}

#: Tags that say how many there are, and how much of them is seen: they are never part of a subject.
COUNTS = frozenset(
    (
        *(f"{count}{who}" for count in ("2", "3", "4", "5", "6+") for who in ("girls", "boys")),
        *("1girl", "1boy", "1other", "1person", "2people", "solo", "solo focus", "multiple girls", "multiple boys"),
        *("no humans", "couple", "group"),
    )
)
FRAMING = frozenset(
    (
        *("portrait", "upper body", "lower body", "cowboy shot", "full body", "close-up", "wide shot", "profile"),
        *("from behind", "from side", "from above", "from below", "from front", "dutch angle", "foreshortening"),
        *("looking at viewer", "looking away", "looking back", "facing viewer", "straight-on", "eye focus"),
        *("hair focus", "silhouette", "pov"),
    )
)
PRAISE = frozenset(
    ("masterpiece", "best quality", "high quality", "great quality", "highres", "absurdres", "amazing quality", "4k")
)
SEVERAL = frozenset(
    (
        *("2girls", "3girls", "4girls", "5girls", "6+girls", "2boys", "3boys", "4boys", "5boys", "6+boys"),
        *("2people", "multiple girls", "multiple boys", "couple", "group", "crowd"),
    )
)
"""More than one person is seen: hair, eyes and mouths may differ."""

_SHADES: tuple[tuple[str, ...], ...] = (
    ("black",),
    ("brown", "light brown", "dark brown"),
    ("blonde", "blond", "yellow", "golden", "platinum blonde"),
    ("red",),
    ("orange",),
    ("green", "light green", "dark green"),
    ("blue", "light blue", "dark blue", "aqua", "turquoise", "teal", "cyan"),
    ("purple", "violet", "light purple"),
    ("pink", "light pink"),
    ("white", "grey", "gray", "silver"),
)
COLOURS = tuple(colour for shades in _SHADES for colour in shades)


@dataclass(frozen=True)
class Exclusion:
    """Tags of different `sides` do not go together, unless one of `unless` is there; `personal` ones may when
    several persons are seen."""

    name: str
    sides: tuple[frozenset[str], ...]
    unless: frozenset[str] = frozenset()
    personal: bool = False


def _exclusion(name: str, *sides: str, unless: str = "", personal: bool = False) -> Exclusion:
    parts = tuple(frozenset(side.split(", ")) for side in sides)
    return Exclusion(name, parts, frozenset(filter(None, unless.split(", "))), personal)


def _colours(noun: str, unless: str, personal: bool) -> Exclusion:
    sides = tuple(frozenset(f"{colour} {noun}" for colour in shades) for shades in _SHADES)
    return Exclusion(f"colour of {noun}", sides, frozenset(unless.split(", ")), personal)


EXCLUSIONS: tuple[Exclusion, ...] = (
    _exclusion("number of girls", "1girl", "2girls", "3girls", "4girls", "5girls", "6+girls"),
    _exclusion("number of boys", "1boy", "2boys", "3boys", "4boys", "5boys", "6+boys"),
    _exclusion("number of girls", "1girl", "multiple girls"),
    _exclusion("number of boys", "1boy", "multiple boys"),
    _exclusion("number of people", "solo, 1person", ", ".join(sorted(SEVERAL))),
    _exclusion("anybody there", "no humans", "1girl, 1boy, 1person, solo, " + ", ".join(sorted(SEVERAL))),
    _exclusion("time of day", "day, daytime, noon", "night, nighttime, midnight"),
    _exclusion("place", "indoors", "outdoors"),
    _exclusion("framing", "portrait", "upper body", "cowboy shot", "full body", "lower body"),
    _exclusion("framing", "close-up", "cowboy shot", "full body", "wide shot"),
    _exclusion("angle", "from above", "from below"),
    _exclusion("angle", "from behind", "from front", "from side"),
    _exclusion("colours", "monochrome, greyscale, grayscale", "colorful, colourful"),
    _exclusion("mouth", "open mouth, open smile", "closed mouth, flat mouth", personal=True),
    _exclusion("mood", "smile, open smile, grin", "frown", "flat mouth", personal=True),
    _exclusion("eyes", "open eyes", "closed eyes", "wink, one eye closed", personal=True),
    _exclusion("posture", "standing", "sitting", "lying", personal=True),
    _exclusion("length of hair", "bald", "short hair", "medium hair", "long hair, very long hair", personal=True),
    _exclusion("skin", "pale skin, fair skin", "tan skin, tanned skin, tan", "brown skin", "dark skin", personal=True),
    _colours("hair", "multicolored hair, two-tone hair, gradient hair, streaked hair, colored inner hair", True),
    _colours("eyes", "heterochromia, multicolored eyes, gradient eyes, two-tone eyes", True),
    _colours("background", "gradient background, two-tone background, multicolored background", False),
)


def _sides() -> Mapping[str, tuple[tuple[int, int], ...]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for number, exclusion in enumerate(EXCLUSIONS):
        for side, keys in enumerate(exclusion.sides):
            for key in keys:
                places.setdefault(key, []).append((number, side))
    return {key: tuple(found) for key, found in places.items()}


#: Tag -> (exclusion, side) for every exclusion that it takes part in.
SIDES: Mapping[str, tuple[tuple[int, int], ...]] = _sides()


def find_conflicts(keys: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(what it is about, the tags that exclude each other) for the tags of one image, given as `tag_key`s."""
    met: dict[int, dict[int, list[str]]] = {}
    for key in keys:
        for number, side in SIDES.get(key, ()):
            met.setdefault(number, {}).setdefault(side, []).append(key)
    found: dict[tuple[str, ...], str] = {}
    for number, sides in met.items():
        exclusion = EXCLUSIONS[number]
        if len(sides) < 2 or not exclusion.unless.isdisjoint(keys):
            continue
        if exclusion.personal and not SEVERAL.isdisjoint(keys):
            continue
        found.setdefault(tuple(key for side in sides.values() for key in side), exclusion.name)
    return tuple((name, tags) for tags, name in found.items())


@dataclass(frozen=True)
class Feature:
    """A feature of a subject: from which place on the dial it is absorbed, and its tags (`*` for any letters)."""

    name: str
    level: float
    tags: tuple[str, ...]
    but: tuple[str, ...] = ()


def _feature(name: str, level: float, tags: str, but: str = "") -> Feature:
    return Feature(name, level, tuple(tags.split(", ")), tuple(filter(None, but.split(", "))))


#: States of eyes and hair that come and go: they are moods, not features.
_EYE_STATES = (
    "open eyes, closed eyes, half-closed eyes, star eyes, wide eyes, crying eyes, empty eyes, rolling eyes, "
    "narrowed eyes, covering eyes, covered eyes, covering own eyes, sparkling eyes, heart eyes"
)
_HAIR_STATES = (
    "wet hair, floating hair, messy hair, playing with own hair, adjusting hair, hand in own hair, tying hair"
)
_PERSON = (
    _feature(
        "marks", 0.2, "mole, mole *, freckles, facial mark, scar, scar *, tattoo, * tattoo, birthmark, fang, fangs"
    ),
    _feature("face", 0.3, "thick eyebrows, * eyebrows, * eyelashes, pointy ears, animal ears, * nose, dimples, * jaw"),
    _feature("eyes", 0.4, "* eyes, * pupils, heterochromia, tsurime, tareme", _EYE_STATES),
    _feature("skin", 0.5, "* skin, tan, dark-skinned *"),
    _feature(
        "body", 0.6, "muscular, slim, chubby, plump, fat, tall, short stature, * build, broad shoulders, horns, tail"
    ),
    _feature(
        "hair",
        0.7,
        "* hair, ponytail, * ponytail, twintails, * twintails, pigtails, braid, braids, * braid, * braids, hair bun, "
        "double bun, double buns, bangs, * bangs, ahoge, sidelocks, bob cut, bowl cut, buzz cut, mohawk, afro, "
        "dreadlocks, bald, hime cut, pixie cut, undercut, hair between eyes, drill hair, * drills",
        _HAIR_STATES,
    ),
    _feature("beard", 0.9, "beard, mustache, * beard, * mustache, facial hair, stubble, sideburns, goatee"),
)
_WORN = _feature(
    "worn", 1.0, "glasses, sunglasses, * glasses, * eyewear, eyepatch, mask, * mask, earrings, * earrings, tiara"
)
FEATURES: Mapping[SubjectKind, tuple[Feature, ...]] = {
    SubjectKind.CHARACTER: _PERSON,
    SubjectKind.COUPLE: _PERSON,
    SubjectKind.BACKGROUND: (
        _feature(
            "fittings", 0.3, "door, * door, doors, window, windows, * window, lamp, * lamp, sign, railing, curtains"
        ),
        _feature(
            "structure", 0.5, "wall, walls, * wall, floor, * floor, roof, * roof, ceiling, stairs, pillar, pillars"
        ),
        _feature(
            "parts", 0.5, "column, columns, arch, arches, balcony, chimney, fence, gate, bridge, tower, * tower, tile*"
        ),
        _feature("material", 0.7, "brick, bricks, * brick*, wooden *, stone *, concrete *, marble *, glass *"),
        _feature(
            "building", 0.9, "building, buildings, house, * house, castle, church, temple, shrine, ruins, skyscraper"
        ),
    ),
    SubjectKind.ASSET: (
        _feature(
            "parts", 0.4, "handle, * handle, blade, hilt, guard, wheel, wheels, * wheels, lid, strap, armrest, backrest"
        ),
        _feature(
            "material", 0.5, "wood, wooden *, metal, metal *, stone *, leather, leather *, glass *, gold *, silver *"
        ),
        _feature("ornament", 0.7, "engraving*, emblem, * emblem, * trim, ornate, carved *, jewel, gem, rivet, rivets"),
    ),
    SubjectKind.CLOTHING: (
        _feature(
            "parts", 0.4, "collar, * collar, sleeves, * sleeves, button, buttons, pocket, pockets, zipper, hood, cuffs"
        ),
        _feature(
            "material",
            0.5,
            "lace, lace *, * lace, denim, leather *, silk *, fur trim, * trim, fabric, * fabric, knit *",
        ),
        _feature(
            "ornament",
            0.7,
            "frills, * frills, frilled *, ribbon, * ribbon, bow, * bow, print, * print, striped *, plaid *",
        ),
    ),
    SubjectKind.POSE: (
        _feature(
            "limbs", 0.5, "arm *, arms *, leg *, legs *, hand *, hands *, * hand, * hands, knee *, knees *, * fingers"
        ),
        _feature(
            "posture", 0.8, "standing, sitting, kneeling, lying, squatting, jumping, leaning *, bent over, crossed *"
        ),
    ),
    SubjectKind.CONCEPT: (
        _feature(
            "body", 0.5, "hand, hands, finger, fingers, arm, arms, leg, legs, foot, feet, mouth, lips, tongue, teeth"
        ),
        _feature("parts", 0.7, "* mouth, * tongue, * hand, * hands, * fingers, * arms, * legs, nails, * nails"),
    ),
    SubjectKind.STYLE: (),  # T11: a style is learnt from everything that the tags do not say
}
UNIFIED: Mapping[str, Feature] = {feature.name: feature for feature in _PERSON if feature.name in ("hair", "eyes")}

#: The core tag of each kind, around the trigger (T3).
CORE: Mapping[SubjectKind, str] = {
    SubjectKind.CHARACTER: "NAME person focus",
    SubjectKind.COUPLE: "NAME couple focus",
    SubjectKind.BACKGROUND: "NAME scenery focus",
    SubjectKind.ASSET: "NAME (object) focus",
    SubjectKind.CLOTHING: "NAME (clothing) focus",
    SubjectKind.POSE: "NAME pose focus",
    SubjectKind.CONCEPT: "NAME concept focus",
    SubjectKind.STYLE: "NAME style",
}


def absorbed_features(kind: SubjectKind, dial: float) -> tuple[Feature, ...]:
    """The features that the trigger of a subject takes over at `dial` in 0..1; none at 0."""
    return tuple(feature for feature in FEATURES[kind] if dial > 0 and feature.level <= dial)


@lru_cache(maxsize=1024)
def pattern(tags: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all of `tags` (`*` for any letters), to match a whole `tag_key` with; None for none."""
    forms = (".*".join(map(re.escape, tag_key(tag).split("*"))) for tag in tags)
    return re.compile("|".join(forms)) if tags else None


def feature_of(key: str, features: Iterable[Feature]) -> Feature | None:
    """The first feature that the tag belongs to."""
    for feature in features:
        but, own = pattern(feature.but), pattern(feature.tags)
        if own is not None and own.fullmatch(key) and not (but is not None and but.fullmatch(key)):
            return feature
    return None


def is_common(key: str) -> bool:
    """Whether every base knows this tag: it stands by itself in one of the tables."""
    return key in COUNTS or key in FRAMING or key in PRAISE or key in SIDES or is_implying(key) or key in COLOURS


_ORDER: tuple[tuple[str, ...], ...] = (
    tuple(sorted(COUNTS)),
    tuple(sorted(FRAMING)),
    tuple(tag for feature in _PERSON for tag in feature.tags),
    ("*eyes", "smile", "* smile", "grin", "frown", "* mouth", "blush", "expressionless", "tongue out", "wink", "angry"),
    (
        "* shirt",
        "shirt",
        "* dress",
        "dress",
        "* skirt",
        "* pants",
        "* hat",
        "hat",
        "* jacket",
        "* shoes",
        "glasses",
        "*wear",
    ),
    ("standing", "sitting", "lying", "walking", "running", "jumping", "holding *", "arms *", "hand *", "hands *"),
)
_LAST = (
    ("indoors", "outdoors", "day", "night", "evening", "sky", "* sky", "scenery", "simple background", "* background"),
    ("low quality", "worst quality", "blurry", *sorted(PRAISE)),
)


@lru_cache(maxsize=65536)
def is_of_person(key: str) -> bool:
    """Whether the tag says what a person is, or wears on head and face: no mood, no clothes, no surroundings."""
    return feature_of(key, (*_PERSON, _WORN)) is not None


@lru_cache(maxsize=65536)
def place_of(key: str) -> int:
    """Where a tag stands in a caption that is ordered from the subject to its surroundings."""
    for number, tags in enumerate((*_ORDER, (), *_LAST)):
        form = pattern(tags)
        if form is not None and form.fullmatch(key):
            return number
    return len(_ORDER)
