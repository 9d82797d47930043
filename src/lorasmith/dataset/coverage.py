"""What a dataset of each kind should show, and what it does show: from tags and from the user's own labels.

A facet is one thing to be shown ("from behind"), an axis a question ("view") whose facets are the answers. An image
shows a facet when one of its words says so. The words are those of common taggers; a label that the user gives may be
any of them, or the facet's own name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding
from lorasmith.dataset.reading import Item
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

WORDED = 0.5
"""Coverage is judged where at least this share of the images has words; else nobody can tell."""


@dataclass(frozen=True)
class Facet:
    """One thing that a set should show: `rule` asks for it in `least` images, or in that `share` of them.

    `words` say so (an entry such as "* background" is an ending). With `rest`, every image with words that answers its
    axis in no other way counts: a picture is seen from the front unless it says otherwise. A facet whose `least` is 0
    is welcome. `after` names a facet without which this one is not asked for.
    """

    name: str
    rule: str
    words: frozenset[str]
    least: int = 1
    share: float = 0.0
    rest: bool = False
    after: str = ""


@dataclass(frozen=True)
class Axis:
    """A question and its answers."""

    name: str
    facets: tuple[Facet, ...]


@dataclass(frozen=True)
class Cover:
    """The images that show a facet, and how many should (`wanted`; 0: welcome)."""

    axis: str
    facet: Facet
    images: tuple[str, ...]
    wanted: int

    @property
    def enough(self) -> bool:
        return len(self.images) >= self.wanted

    def as_json(self) -> dict[str, object]:
        """One entry of the "coverage" of an inspection's document."""
        return {
            "axis": self.axis,
            "facet": self.facet.name,
            "rule": self.facet.rule,
            "images": len(self.images),
            "wanted": self.wanted,
        }


def _facet(name: str, rule: str, words: str, **more: int | float | str) -> Facet:
    """A facet of comma-separated `words`; its own name is always one of them."""
    said = frozenset(word.strip() for word in (name, *words.split(",")) if word.strip())
    return Facet(name, rule, said, **more)  # type: ignore[arg-type]


_FACE = "portrait, close-up, close up, face focus, headshot, head shot, face shot, face only"
_BODY = "upper body, cowboy shot, half body, half-length portrait, medium shot, bust, three-quarter shot"
_WHOLE = "full-body, full shot, wide shot, whole body, full length, full-length portrait"
_FRONT = "looking at viewer, facing viewer, front view, from front, from the front, straight-on, facing camera, frontal"
_BACK = "from the back, back view, seen from behind, facing away, looking back, rear view, back"
_SIDE = "from the side, side view, profile, in profile, left side, right side, facing left, facing right, side"
_LEFT, _RIGHT = "facing left, left profile, from left, left view", "facing right, right profile, from right, right view"
_SHORT = "foreshortened, reaching towards viewer, outstretched arm, outstretched hand"
_NIGHT = "night sky, midnight, at night, starry sky, moonlight, nighttime"
_EVENING = "sunset, dusk, twilight, golden hour, dawn, sunrise, at dusk"
_DAY = "daytime, daylight, sunlight, blue sky, noon, morning, sunny"
_PEOPLE = "1girl, 1boy, 1person, people, person, crowd, 2girls, 2boys, multiple girls, multiple boys, man, woman"
_ANIMALS = "animal, animals, cat, dog, bird, birds, horse, fish, deer, rabbit, cow"
_CUT = "close-up, close up, cropped, section, detail, cropped section"

FRAMING = "framing"
VIEW = "view"


def _framing(rule: str, *, least: int = 1) -> Axis:
    return Axis(
        FRAMING,
        (
            _facet("face", rule, _FACE, least=least),
            _facet("face and body", rule, _BODY, least=least),
            _facet("full body", rule, _WHOLE, least=0),
        ),
    )


def _angles(rule: str) -> tuple[Facet, ...]:
    return (
        _facet("from above", rule, "high angle, view from above, top view, aerial view, bird's-eye view", least=0),
        _facet("from below", rule, "low angle, view from below, worm's-eye view", least=0),
        _facet("dutch angle", rule, "tilted view, tilted", least=0),
    )


def _sides(rule: str, least: int) -> tuple[Facet, ...]:
    return (
        _facet("front", rule, _FRONT, least=least, rest=True),
        _facet("from behind", rule, _BACK, least=least),
        _facet("from side", rule, _SIDE, least=least),
    )


def _light(rule: str) -> Axis:
    return Axis("light", (_facet("day", rule, _DAY), _facet("evening", rule, _EVENING), _facet("night", rule, _NIGHT)))


def _environment(rule: str) -> Axis:
    return Axis(
        "environment",
        (
            _facet("rain", rule, "raining, rainy, wet street, umbrella"),
            _facet("snow", rule, "snowing, snowy, winter"),
            _facet("fire", rule, "flame, flames, burning, on fire"),
            _facet("thunder", rule, "lightning, storm, thunderstorm"),
        ),
    )


def _company(rule: str) -> Axis:
    return Axis("company", (_facet("people or animals", rule, f"{_PEOPLE}, {_ANIMALS}"),))


def _viewpoints(rule: str) -> Axis:
    return Axis(VIEW, (*_sides(rule, 0), *_angles(rule), _facet("from afar", rule, "wide shot, panorama", least=0)))


def _sections(rule: str) -> Axis:
    return Axis("sections", (_facet("cropped section", rule, _CUT),))


_CHARACTER = (
    _framing("D5"),
    Axis(
        VIEW,
        (
            *_sides("D5", 1),
            _facet("left side", "D5", _LEFT, after="from side"),
            _facet("right side", "D5", _RIGHT, after="from side"),
            _facet("foreshortening", "D5", _SHORT),
            *_angles("D5"),
        ),
    ),
    Axis(
        "focus",
        (
            _facet("eye focus", "D5", "eyes focus, eye close-up, close-up of eyes, eyes close-up"),
            _facet("hair focus", "D5", "hair close-up, close-up of hair"),
        ),
    ),
)
_COUPLE = (
    Axis(
        FRAMING,
        (
            _facet("both faces", "D8", _FACE),
            _facet("both, face and body", "D8", f"{_BODY}, full body, {_WHOLE}"),
            _facet("full body", "D8", _WHOLE, least=0),
        ),
    ),
    Axis(
        "facing",
        (
            _facet("front-to-front", "D8", "face-to-face, face to face, facing another, eye contact, front to front"),
            _facet("side-by-side", "D8", "side by side"),
            _facet("front-to-side", "D8", "front to side"),
            _facet("back-to-back", "D8", "back to back"),
            _facet("back-to-front", "D8", "hug from behind, hugging from behind, back to front"),
            _facet("back-to-side", "D8", "back to side"),
        ),
    ),
    Axis(
        "interaction",
        (
            _facet(
                "interacting",
                "D8",
                "hug, hugging, holding hands, dancing, handshake, high five, eye contact, headpat, piggyback, "
                "locked arms, arm around shoulder, carrying, facing another, talking, kiss",
            ),
            _facet("not interacting", "D8", "", rest=True),
        ),
    ),
    Axis(VIEW, (*_sides("D8", 0), *_angles("D8"))),
)
_CLOTHING = (
    _framing("D10", least=0),
    Axis(VIEW, (*_sides("D10", 1), *_angles("D10"))),
    _company("D10"),
    _sections("D10"),
)
_CONCEPT = (
    _framing("D11", least=0),
    Axis(VIEW, (*_sides("D11", 0), *_angles("D11"))),
    Axis("focus", (_facet("close focus", "D11", f"{_CUT}, * focus", least=0, share=0.05),)),
)
_POSE = (
    _framing("D11", least=0),
    Axis(VIEW, (*_sides("D11", 0), *_angles("D11"))),
    Axis(
        "surroundings",
        (
            _facet(
                "interacting with the surroundings",
                "D11",
                "leaning, leaning on object, against wall, sitting on object, on chair, on floor, on ground, on bed, "
                "holding, holding object, table, chair, wall, stairs, water, tree, in water",
            ),
        ),
    ),
    Axis("silhouette", (_facet("silhouette", "D11", "backlighting, shadow only"),)),
)

PLANS: Mapping[SubjectKind, tuple[Axis, ...]] = {
    SubjectKind.CHARACTER: _CHARACTER,
    SubjectKind.COUPLE: _COUPLE,
    SubjectKind.BACKGROUND: (
        _light("D9"),
        _environment("D9"),
        _company("D9"),
        _viewpoints("D9"),
        _sections("D9"),
    ),
    SubjectKind.ASSET: (
        _light("D10"),
        _environment("D10"),
        _company("D10"),
        _viewpoints("D10"),
        _sections("D10"),
    ),
    SubjectKind.CLOTHING: _CLOTHING,
    SubjectKind.POSE: _POSE,
    SubjectKind.CONCEPT: _CONCEPT,
    SubjectKind.STYLE: (_framing("D4", least=0), Axis(VIEW, (*_sides("D4", 0), *_angles("D4")))),
}
"""What each kind should show (D5, D8 to D11). Clothing is planned like an asset that is worn, seen from all sides: our
choice, where the rules are silent. Of a style only its variety is looked at (D4)."""


@dataclass(frozen=True)
class Subset:
    """A dataset, or one member of a bundle (`name`); plans hold for each member."""

    name: str
    items: tuple[Item, ...]
    said: Mapping[str, frozenset[str]] = field(repr=False)

    @property
    def is_worded(self) -> bool:
        """Whether enough of its images have words."""
        return bool(self.items) and sum(map(bool, self.said.values())) >= WORDED * len(self.items)

    def with_word(self, words: Iterable[str]) -> tuple[str, ...]:
        """The images of which one of the words is said; a word "* hair" is any that ends so."""
        wanted = frozenset(words)
        endings = tuple(word[1:] for word in wanted if word.startswith("*"))
        return tuple(
            name
            for name, said in self.said.items()
            if not said.isdisjoint(wanted) or (endings and any(word.endswith(endings) for word in said))
        )


def divide(evidence: Evidence) -> tuple[Subset, ...]:
    """The members of a bundle, each with its images; else the dataset as one part without a name."""
    names = list(evidence.bundle) if evidence.bundle else [""]
    parts = []
    for name in names:
        items = tuple(item for item in evidence.items if not name or item.member == name)
        parts.append(Subset(name, items, {item.name: evidence.words[item.name] for item in items}))
    return tuple(subset for subset in parts if subset.items)


def cover(subject: SubjectKind, subset: Subset) -> tuple[Cover, ...]:
    """What a part shows of the plan of its kind; nothing where too few images have words."""
    if not subset.is_worded:
        return ()
    return tuple(covered for axis in PLANS[subject] for covered in _cover_axis(axis, subset))


def report_missing(evidence: Evidence, rule: str) -> Iterator[Finding]:
    """One note for each part, with all that the plan asks for by `rule` and nobody shows (or too few)."""
    for subset in divide(evidence):
        covered = cover(evidence.subject, subset)
        shown = {entry.facet.name for entry in covered if entry.images}
        lacking = [
            entry
            for entry in covered
            if entry.facet.rule == rule and not entry.enough and (not entry.facet.after or entry.facet.after in shown)
        ]
        if lacking:
            names = ", ".join(_lack(entry) for entry in lacking)
            message = f"{prefix(subset)}not shown, as far as tags and labels tell: {names}."
            yield Finding(
                rule, "note", message, Sentence("Add such images, or label those that you have: ", LABEL, ".")
            )


LABEL = Do(Action.LABEL, project="PROJECT", image="IMAGE", facet="FACET")


def prefix(subset: Subset) -> str:
    """How messages name a member of a bundle."""
    return f"{subset.name}: " if subset.name else ""


def distinct_answers(covered: Sequence[Cover], axis: str) -> tuple[str, ...]:
    """The facets of an axis that some image shows."""
    return tuple(entry.facet.name for entry in covered if entry.axis == axis and entry.images)


def _lack(entry: Cover) -> str:
    return entry.facet.name if entry.wanted <= 1 else f"{entry.facet.name} ({len(entry.images)} of {entry.wanted})"


def _cover_axis(axis: Axis, subset: Subset) -> Iterator[Cover]:
    shown = {facet.name: subset.with_word(facet.words) for facet in axis.facets}
    answered = {name for images in shown.values() for name in images}
    for facet in axis.facets:
        images = shown[facet.name]
        if facet.rest:
            named = set(images)
            images = tuple(
                name for name, said in subset.said.items() if name in named or (said and name not in answered)
            )
        wanted = max(facet.least, math.ceil(facet.share * len(subset.items) - 1e-9))
        yield Cover(axis.name, facet, images, wanted)
