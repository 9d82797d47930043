"""What the adapter should have learnt, read from its training set: identity, what is free, what was never shown.

What captions leave out is absorbed by the trigger (T4): so the identity is what a judge finds in nearly every
training image and no caption names. What captions name stays free; values of a free group that no training image
shows are the material of the flexibility questions (C4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lorasmith.bases.tag_space import TagSpace
from lorasmith.errors import ExamError, did_you_mean
from lorasmith.exam.judges import Attributes, Group
from lorasmith.exam.sheets.kinds import asks_of, contradictions, counts_of
from lorasmith.project import SubjectKind
from lorasmith.tags.knowledge import FEATURES, feature_of
from lorasmith.tags.words import split_tags, tag_key, without_trigger

#: An attribute belongs to the identity from this share of the training images on ...
IDENTITY_SHARE = 0.9
#: ... if no more than this share of the captions names its group.
NAMED_SHARE = 0.1
#: What is seen in so many images is the set's, where nothing hangs on it but what else could be drawn.
MOST = 0.6
#: A group must be visible in this share of the images before anything is said about it.
LEAST_VISIBLE = 0.2
#: A longer piece of a caption is a sentence, in which tags are looked for as phrases.
SENTENCE_WORDS = 5


@dataclass(frozen=True)
class Subject:
    """The subject of one adapter.

    `identity`: group -> tag; `constant`: tags of (nearly) every caption that no judge reads, such as "1person";
    `shown`: free group -> one entry a training image (None: the caption does not name it), so that drawing an entry
    draws from what was seen; `unseen`: free group -> values that the base knows and no training image shows;
    `captions`: the captions' tags without the trigger; `unnamed`: groups that captions leave to the trigger and in
    which the judge finds no value common to nearly all images, so that it has no word for what may be there;
    `contrary`: trait's group -> (group, value) of what contradicts it, where no world knows that.
    """

    trigger: str
    kind: str
    identity: Mapping[str, str]
    constant: tuple[str, ...]
    shown: Mapping[str, tuple[str | None, ...]]
    unseen: Mapping[str, tuple[str, ...]]
    style: str | None
    captions: tuple[tuple[str, ...], ...]
    unnamed: tuple[str, ...] = ()
    contrary: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def recognised(self, seen: Attributes, hidden: frozenset[str] = frozenset()) -> bool:
        """Whether a picture shows the whole identity, as far as the question lets it be seen."""
        return all(seen.get(group) == tag for group, tag in self.identity.items() if group not in hidden)


def read_subject(
    *,
    trigger: str,
    kind: str,
    captions: Sequence[str],
    seen: Sequence[Attributes],
    groups: Mapping[str, Group],
    world: TagSpace | None,
    identity: Sequence[str] = (),
    ask: Sequence[str] = (),
    wordless: bool = False,
) -> Subject:
    """Read a subject from its captions and from what the judge sees in its images (same order).

    `wordless`: somebody else can judge a subject in which the judge finds nothing common (a style that has no name).
    Raises ExamError when no identity is found otherwise, or a given tag is unknown to the judge.
    """
    if not captions:
        raise ExamError("there are no training captions to make questions from.")
    tags = tuple(split_tags(without_trigger(caption, trigger)) for caption in captions)
    named = [{name: find_tag(group, caption) for name, group in groups.items()} for caption in tags]
    given = _given(identity, groups, "identity")
    usual = [] if world else [tag for tag in asks_of(kind) if any(group.of(tag) for group in groups.values())]
    own = {name: group for name, group in groups.items() if name not in usual}
    if world and kind == "style":  # what its pixels make of skin or hair is no trait (T11)
        own = {name: group for name, group in own.items() if name == world.style_group}
    traits = given or _infer_identity(named, seen, own, world)
    traits |= {name: groups[name].tags[0] for name in counts_of(kind, groups) if _always(name, named)}
    if not traits and not wordless:
        raise ExamError(
            "nothing is common to the training images that the captions leave out, as far as the judge can see.",
            hint='Say what makes up the subject: [exam] identity = ["red hair", ...].',
        )
    free = [name for name in groups if name not in traits]
    shown = {name: tuple(row[name] for row in named) for name in free if any(row[name] for row in named)}
    style_group = world.style_group if world else "style"
    # A stranger's own features make the judge waver; in a style of most images new things can be drawn all the same.
    sure = IDENTITY_SHARE if kind == "style" else MOST
    style = traits.get(style_group) or _usual(style_group, named, seen, sure)
    unseen: dict[str, tuple[str, ...]] = {}
    asked = _given_lists(ask or usual, groups)

    def of_subject(name: str) -> bool:
        return _is_the_subjects(groups[name], kind, named, seen)

    for name in free:
        if ask:
            values: tuple[str, ...] = asked.get(name, ())
        elif asked and name not in shown:
            taken = _shown_values(name, named, seen, captioned=False)
            values = tuple(value for value in asked.get(name, ()) if tag_key(value) not in taken)
        elif world and name in world.groups and not (name == style_group or of_subject(name)):
            taken = _shown_values(name, named, seen, captioned=name in shown)
            values = tuple(v for v in world.within(name, style) if tag_key(v) not in taken)
        else:
            values = ()
        if values:
            unseen[name] = values
    unnamed = tuple(name for name in free if name not in shown and _ever_seen(name, seen))
    contrary = {} if world else _contrary(traits, groups)
    return Subject(trigger, kind, traits, _constant(tags, groups), shown, unseen, style, tags, unnamed, contrary)


def find_tag(group: Group, caption: Sequence[str]) -> str | None:
    """The group's tag that a caption names: as a tag, or as the longest phrase inside a sentence."""
    for piece in caption:
        tag = group.of(piece)
        if tag is not None:
            return tag
    sentences = [f" {tag_key(piece).replace('.', ' ')} " for piece in caption if len(piece.split()) >= SENTENCE_WORDS]
    phrases = sorted(group.tags, key=len, reverse=True)
    return next((tag for tag in phrases if any(f" {tag_key(tag)} " in text for text in sentences)), None)


def _infer_identity(
    named: Sequence[Mapping[str, str | None]],
    seen: Sequence[Attributes],
    groups: Mapping[str, Group],
    world: TagSpace | None,
) -> dict[str, str]:
    """Twice, because the identity itself can hide things (a turban hides the hair's colour)."""
    traits: dict[str, str] = {}
    for _ in range(2):
        hidden = [_hidden(world, row, picture, traits) for row, picture in zip(named, seen, strict=True)]
        traits = _common(named, seen, hidden, groups)
    return traits


def _hidden(
    world: TagSpace | None, named: Mapping[str, str | None], seen: Attributes, traits: Mapping[str, str]
) -> frozenset[str]:
    """The groups that a training image cannot show: by its caption, the traits, and the looks of what nothing hides
    (what a judge says of a covered group is noise)."""
    if world is None:
        return frozenset()
    coverable = {group for hiding in world.hidings for group in hiding.groups}
    looks = {group: tag for group, tag in seen.items() if group not in coverable}
    return world.hidden({**looks, **traits, **{group: tag for group, tag in named.items() if tag is not None}})


def _common(
    named: Sequence[Mapping[str, str | None]],
    seen: Sequence[Attributes],
    hidden: Sequence[frozenset[str]],
    groups: Mapping[str, Group],
) -> dict[str, str]:
    traits = {}
    for name in groups:
        if sum(row[name] is not None for row in named) > NAMED_SHARE * len(named):
            continue
        looks = [picture.get(name) for picture, covered in zip(seen, hidden, strict=True) if name not in covered]
        if len(looks) < LEAST_VISIBLE * len(seen):
            continue
        tag, count = Counter(looks).most_common(1)[0]
        if tag is not None and count >= IDENTITY_SHARE * len(looks):
            traits[name] = tag
    return traits


def _given(tags: Sequence[str], groups: Mapping[str, Group], key: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags:
        group, spelling = _group_of(tag, groups, key)
        if group in found:
            raise ExamError(f"[exam] {key}: {found[group]!r} and {tag!r} cannot both be seen (group {group}).")
        found[group] = spelling
    return found


def _given_lists(tags: Sequence[str], groups: Mapping[str, Group]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for tag in tags:
        group, spelling = _group_of(tag, groups, "ask")
        found[group] = (*found.get(group, ()), spelling)
    return found


def _group_of(tag: str, groups: Mapping[str, Group], key: str) -> tuple[str, str]:
    for name, group in groups.items():
        spelling = group.of(tag)
        if spelling is not None:
            return name, spelling
    known = [tag for group in groups.values() for tag in group.tags]
    raise ExamError(f"[exam] {key}: the judge does not know {tag!r}.", hint=did_you_mean(tag, known))


def _always(name: str, named: Sequence[Mapping[str, str | None]]) -> bool:
    """Whether nearly every caption names the group."""
    return sum(row[name] is not None for row in named) >= IDENTITY_SHARE * len(named)


def _contrary(traits: Mapping[str, str], groups: Mapping[str, Group]) -> dict[str, tuple[tuple[str, str], ...]]:
    """What the judge knows that contradicts a trait: another colour of it."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, trait in traits.items():
        known = [
            (other, spelling)
            for value in contradictions(trait)
            for other, group in groups.items()
            if (spelling := group.of(value)) is not None and other not in traits
        ]
        if known:
            found[name] = tuple(known)
    return found


def _ever_seen(name: str, seen: Sequence[Attributes]) -> bool:
    return any(picture.get(name) is not None for picture in seen)


def _is_the_subjects(
    group: Group, kind: str, named: Sequence[Mapping[str, str | None]], seen: Sequence[Attributes]
) -> bool:
    """Whether captions leave the group to the trigger and it is what makes up such a subject (T4), or most images show
    something in it: another value of it is no new thing beside the subject but contradicts it, though the judge has no
    word for what is there."""
    if sum(row[group.name] is not None for row in named) > NAMED_SHARE * len(named):
        return False
    made_up = sum(feature_of(tag_key(tag), FEATURES[SubjectKind(kind)]) is not None for tag in group.tags)
    shown = sum(picture.get(group.name) is not None for picture in seen)
    return made_up > len(group.tags) / 2 or shown > len(seen) / 2


def _usual(
    group: str, named: Sequence[Mapping[str, str | None]], seen: Sequence[Attributes], share: float
) -> str | None:
    """The value of so many of the images, or None when they differ."""
    counts = Counter(row.get(group) or picture.get(group) for row, picture in zip(named, seen, strict=True))
    value, count = counts.most_common(1)[0]
    return value if count >= share * len(seen) else None


def _shown_values(
    name: str, named: Sequence[Mapping[str, str | None]], seen: Sequence[Attributes], *, captioned: bool
) -> set[str]:
    """Folded values that training images show: as captioned; where captions are silent, as judged (twice or more,
    so that one wrong look does not take a value out of the questions)."""
    if captioned:
        return {tag_key(row[name] or "") for row in named}
    counts = Counter(picture.get(name) for picture in seen)
    return {tag_key(tag) for tag, count in counts.items() if tag is not None and count >= 2}


def _constant(captions: Sequence[tuple[str, ...]], groups: Mapping[str, Group]) -> tuple[str, ...]:
    counts = Counter(tag for caption in captions for tag in dict.fromkeys(caption))
    judged = {tag_key(tag) for group in groups.values() for tag in group.tags}
    return tuple(tag for tag, n in counts.items() if n >= IDENTITY_SHARE * len(captions) and tag_key(tag) not in judged)
