"""T13: what somebody who looked at an image put right."""

from __future__ import annotations

from fnmatch import fnmatchcase

from lorasmith.tags.rules.rule import CaptionRule, Outcome, Ruling, Scene, Tags, View, Work, append, matcher
from lorasmith.tags.settings import ImageTags


def prepare(scene: Scene) -> Work | None:
    """Take away and add what [tags.images] says of the image."""
    corrections = scene.settings.images
    if not corrections:
        return None
    whole = {pattern: entry for pattern, entry in corrections.items() if not _is_glob(pattern)}
    globs = {pattern: entry for pattern, entry in corrections.items() if _is_glob(pattern)}

    def work(tags: Tags, view: View) -> Outcome | None:
        entries = [entry for name in _names(view.name) if (entry := whole.get(name))]
        entries += [entry for pattern, entry in globs.items() if is_named(view.name, pattern)]
        return _correct(tags, entries) if entries else None

    return work


def is_named(image: str, pattern: str) -> bool:
    """Whether a pattern of [tags.images] (`*`, `?` and `[...]` as in a shell) means the image: by its name, or the end
    of it."""
    return any(name == pattern or fnmatchcase(name, pattern) for name in _names(image))


def _names(image: str) -> tuple[str, ...]:
    """The image's name, and what is left of it when folders are taken off its front."""
    parts = image.split("/")
    return tuple("/".join(parts[start:]) for start in range(len(parts)))


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _correct(tags: Tags, entries: list[ImageTags]) -> Outcome | None:
    unwanted = matcher(tuple(tag for entry in entries for tag in entry.remove))
    dropped = tuple(Ruling(tag, "dropped") for tag in tags if unwanted(tag))
    rest = tuple(tag for tag in tags if not unwanted(tag))
    added = append(rest, tuple(dict.fromkeys(tag for entry in entries for tag in entry.add)))
    if added:
        return Outcome(added.tags, (*dropped, *added.rulings))
    return Outcome(rest, dropped) if dropped else None


RULE = CaptionRule("images", "T13", "set for this image under [tags.images]", prepare)
