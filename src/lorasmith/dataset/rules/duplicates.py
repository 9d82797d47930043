"""D12: duplicates, near-duplicates and images without a clear subject go."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Sequence

from lorasmith.dataset.evidence import Evidence, Group, plain
from lorasmith.dataset.findings import AutoFix, Finding, Rule
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

BLURRED = 0.1
"""Reblur ratio at 256 pixels above which a picture counts as blurred: sharp ones stay under 0.06, pictures enlarged
twofold under 0.085; fourfold enlargement gives 0.085 to 0.2, a blur of 3 pixels in 512 0.2 and more."""
SOFT, SOFTLY, ENOUGH = 0.2, 2.5, 8
"""Where a set of `ENOUGH` images is soft by its style (a glow), a picture is blurred from so many times the median's
ratio on, and from `SOFT` on in any set."""
TINY = 0.35
"""A picture whose shorter side is under this part of the median's is tiny."""
DARK, BRIGHT, PALE, FLAT, BLACK = 0.9, 0.9, 0.25, 0.1, 0.99
"""Shares of dark and of bright pixels, the contrast under which a bright picture is washed out, and any one flat; the
share of dark pixels from which a flat one is nearly black: nobody sees what it shows, and it goes."""
NIGHTLY = 0.25
"""Where a larger share of a set is nearly black, that is meant."""
LOW_QUALITY = frozenset(
    {
        *(
            "low quality",
            "worst quality",
            "bad quality",
            "blurry",
            "blurred",
            "lowres",
            "low resolution",
            "out of focus",
        ),
        *(
            "jpeg artifacts",
            "compression artifacts",
            "very low quality",
            "blurry image",
            "dark",
            "night",
            "overexposed",
        ),
    }
)
"""Tags that say of a picture what is wrong with it (T7)."""

_AFAR = frozenset({"very wide shot", "far away", "tiny subject", "subject in the distance", "in the distance"})
_BODIES = (SubjectKind.CHARACTER, SubjectKind.COUPLE, SubjectKind.CLOTHING, SubjectKind.POSE)
_WORDS = {
    "same": "identical to",
    "near": "a near-duplicate of",
    "mirrored": "a mirror image of",
    "padded": "a copy with borders of",
    "cropped": "cut out of",
}
_REMARKS = {
    "mirrored": " (A mirrored copy is harmless when the subject looks the same from both sides.)",
    "cropped": " (A crop is welcome when it shows a detail that shall be learnt.)",
}


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning for every group of one picture (a note for crops), and for blurred, tiny and badly exposed images.

    Images that are tagged as low quality, or that the user decided to keep, are not named again.
    """
    better = {name: group.keep for group in evidence.groups if group.kind != "cropped" for name in group.images[1:]}
    survivors = {group.keep for group in evidence.groups if group.kind != "cropped"} - better.keys()
    for group in evidence.groups:
        yield _duplicates(group, evidence, better.get(group.keep))
    blurred = _blurred(evidence)
    tiny = tuple(name for name in _tiny(evidence) if name not in blurred)
    lit = tuple(name for name in _badly_exposed(evidence) if name not in (*blurred, *tiny))
    black = _nearly_black(evidence, lit)
    badly_lit = tuple(name for name in lit if name not in black)
    advice = "Remove them, or tag them low quality, blurry (T7), so that the blur is not learnt."
    yield from _unclear(evidence, blurred, "blurred or enlarged", advice, survivors)
    yield from _unclear(evidence, tiny, "tiny", "Get them larger, or remove them: they teach no details.", survivors)
    advice = "Replace them, or remove them: they show nothing."
    yield from _unclear(evidence, black, "nearly black", advice, survivors)
    advice = "Brighten or replace them, or tag what they show (dark, night, overexposed)."
    yield from _unclear(evidence, badly_lit, "almost black, white or flat", advice, None)
    yield from _afar(evidence)


def low_quality(evidence: Evidence) -> tuple[str, ...]:
    """The images that measure as blurred, tiny or badly exposed, whatever is said of them."""
    found = {*_blurred(evidence), *_tiny(evidence), *_badly_exposed(evidence)}
    return tuple(item.name for item in evidence.items if item.name in found)


def is_tagged_low(evidence: Evidence, name: str) -> bool:
    """Whether an image's tags or labels, or the caption that was built of them, say that its quality is low."""
    built = {plain(tag) for tag in evidence.built.get(name, ())}
    return not (evidence.words[name] | built).isdisjoint(LOW_QUALITY)


def _duplicates(group: Group, evidence: Evidence, better: str | None) -> Finding:
    """`better` is the image in whose favour the best of the group goes itself."""
    others = group.images[1:]
    what = _WORDS[group.kind] if len(others) == 1 else f"each {_WORDS[group.kind]}"
    message = f"{', '.join(others)}: {what} {group.keep}."
    because = f" ({group.reason.rstrip('.')})" if group.reason else ""
    advice = f"Keep {group.keep}{because}, remove the {'other' if len(others) == 1 else 'others'}."
    if better is not None:
        advice = f"Remove {'it' if len(others) == 1 else 'them'}; {group.keep} itself goes in favour of {better}."
    advice += _REMARKS.get(group.kind, "")
    if group.kind == "cropped":
        return Finding("D12", "note", message, advice, group.images)
    return Finding("D12", "warning", message, advice, group.images, fix=_rejection(others, evidence))


def _unclear(
    evidence: Evidence, names: Iterable[str], what: str, advice: str, survivors: Collection[str] | None
) -> Iterator[Finding]:
    """The finding; it is put right by rejecting the images, but for `survivors`, the best of their copies: a group does
    not go as a whole. None: nothing is rejected."""
    standing = tuple(name for name in names if not is_tagged_low(evidence, name) and name not in evidence.kept)
    if standing:
        message = f"{len(standing)} {what} {'image' if len(standing) == 1 else 'images'}."
        fix = None if survivors is None else _rejection((each for each in standing if each not in survivors), evidence)
        yield Finding("D12", "warning", message, advice, standing, fix=fix)


def _rejection(names: Iterable[str], evidence: Evidence) -> AutoFix | None:
    going = tuple(name for name in names if name not in evidence.kept)
    return AutoFix("reject", going) if going else None


def _blurred(evidence: Evidence) -> tuple[str, ...]:
    blurs = evidence.blur
    usual = statistics.median(blurs.values()) if len(blurs) >= ENOUGH else 0.0
    most = min(SOFT, max(BLURRED, SOFTLY * usual))
    return tuple(name for name, blur in blurs.items() if blur > most)


def _tiny(evidence: Evidence) -> tuple[str, ...]:
    """Images much smaller than most; made ones, such as crops, are as small as they have to be."""
    own = [item for item in evidence.items if item.lineage is None]
    if not own:
        return ()
    usual = statistics.median(min(item.facts.width, item.facts.height) for item in own)
    return tuple(item.name for item in own if min(item.facts.width, item.facts.height) < TINY * usual)


def _badly_exposed(evidence: Evidence) -> tuple[str, ...]:
    return tuple(
        name
        for name, light in evidence.exposure.items()
        if light.dark > DARK or (light.bright > BRIGHT and light.contrast < PALE) or light.contrast < FLAT
    )


def _nearly_black(evidence: Evidence, names: Sequence[str]) -> tuple[str, ...]:
    light = evidence.exposure
    black = tuple(name for name in names if light[name].dark > BLACK and light[name].contrast < FLAT)
    return black if len(black) <= NIGHTLY * len(light) else ()


def _afar(evidence: Evidence) -> Iterator[Finding]:
    if evidence.subject not in _BODIES:
        return
    names = tuple(
        item.name for item in evidence.items if evidence.words[item.name] & _AFAR and item.name not in evidence.kept
    )
    if names:
        message = f"{len(names)} {'image shows' if len(names) == 1 else 'images show'} the subject from far away."
        crop = Do(Action.CROP, project="PROJECT", image="IMAGE", box="X,Y,W,H")
        yield Finding(
            "D12",
            "warning",
            message,
            Sentence("Crop them (", crop, "), or remove them."),
            names,
        )


RULE = Rule("D12", "no duplicates or near-duplicates, nothing blurred, tiny or badly lit", check)
