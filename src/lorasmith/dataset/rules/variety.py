"""D4: at least two examples of everything that shall be promptable."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import FRAMING, VIEW, Cover, Subset, cover, divide, prefix
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind

_BODIES = (SubjectKind.CHARACTER, SubjectKind.COUPLE, SubjectKind.CLOTHING)
_POSES = (
    *("standing", "sitting", "lying", "kneeling", "walking", "running", "jumping", "crouching", "squatting", "dancing"),
    *("arms up", "crossed arms", "hand on own hip", "leaning forward", "arms behind back", "fighting stance"),
)
_OUTFITS = (
    *("* shirt", "* dress", "* uniform", "* jacket", "* coat", "* skirt", "* hoodie", "* sweater", "* suit", "kimono"),
    *("armor", "* kimono", "* armor", "* outfit", "* swimsuit", "* hat"),
)
_BACKGROUNDS = (
    *("* background", "indoors", "outdoors", "forest", "beach", "city", "street", "room", "classroom", "kitchen"),
    *("mountain", "field", "garden", "desert", "* room"),
)
_LEAST = 2
_NAMED = 8


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note for what only one image shows; a warning when all images are close-ups, or none shows the face."""
    for subset in divide(evidence):
        covered = cover(evidence.subject, subset)
        yield from _once(evidence, subset, covered)
        yield from _one_sided(evidence, subset, covered)


def _once(evidence: Evidence, subset: Subset, covered: tuple[Cover, ...]) -> Iterator[Finding]:
    single = {entry.facet.name: entry.images[0] for entry in covered if len(entry.images) == 1 and _angle(entry)}
    for word in _wardrobe(evidence, subset) if covered else ():
        single.setdefault(*word)
    if single:
        named = list(single)[:_NAMED]
        more = f" and {len(single) - _NAMED} more" if len(single) > _NAMED else ""
        message = f"{prefix(subset)}in one image only: {', '.join(named)}{more}."
        advice = f"Add another example of each that you want to prompt for; {_LEAST} are the least."
        yield Finding("D4", "note", message, advice, tuple(dict.fromkeys(single.values())))


def _angle(entry: Cover) -> bool:
    return entry.axis in (FRAMING, VIEW)


def _wardrobe(evidence: Evidence, subset: Subset) -> Iterator[tuple[str, str]]:
    """(word, image) for each pose, outfit and background that one image alone has."""
    if evidence.subject not in _BODIES:
        return
    wanted = frozenset((*_POSES, *_OUTFITS, *_BACKGROUNDS))
    endings = tuple(word[1:] for word in wanted if word.startswith("*"))
    images: dict[str, list[str]] = {}
    for name, said in subset.said.items():
        for word in said:
            if word in wanted or word.endswith(endings):
                images.setdefault(word, []).append(name)
    for word, names in sorted(images.items()):
        if len(names) < _LEAST:
            yield word, names[0]


def _one_sided(evidence: Evidence, subset: Subset, covered: tuple[Cover, ...]) -> Iterator[Finding]:
    if evidence.subject in (SubjectKind.BACKGROUND, SubjectKind.ASSET):
        return
    framing = {entry.facet.name: set(entry.images) for entry in covered if entry.axis == FRAMING}
    if not framing:
        return
    near, *rest = framing.values()
    far = set[str]().union(*rest)
    if near and not far:
        message = f"{prefix(subset)}all {len(near)} images whose framing is known are portraits or close-ups."
        advice = "Prompts for a full body will fail: add images that show more than the head."
        yield Finding("D4", "warning", message, advice)
    elif far and not near:
        message = f"{prefix(subset)}all {len(far)} images whose framing is known show the body, none the face alone."
        yield Finding("D4", "warning", message, "Prompts for a portrait will fail: add some close ones.")


RULE = Rule("D4", "variety: two examples of each pose, angle, background and outfit, and not only close-ups", check)
