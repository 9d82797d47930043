"""The pictures of a card: out of showcases, those that were kept, as varied as twenty of them can be (C7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lorasmith.errors import RefusedError, UsageError
from lorasmith.exam.figures import wilson
from lorasmith.exam.showcase import KEEP, MOST, RECORD, REJECT, read_all_marks
from lorasmith.generation.grids.marks import read_record
from lorasmith.library.cards.card import CardFigure, CardPicture
from lorasmith.library.hashes import hash_file
from lorasmith.project import Project
from lorasmith.tags.refusal import refuse

SIDE = 16
"""Pictures are compared at this size: colours and places, no texture."""
_WORDS = re.compile(r"[^,<>()\[\]|]+")


def find_showcases(project: Project | None, given: Sequence[Path] = ()) -> list[Path]:
    """The showcases that are given, else those in the project and here. Raises UsageError for one that is none."""
    for folder in given:
        if not (folder / RECORD).is_file():
            raise UsageError("is no showcase.", where=folder)
    if given:
        return list(given)
    places = [*([project.root / "showcases"] if project is not None else []), Path("showcases")]
    found = {path.parent.resolve(): path.parent for place in places for path in sorted(place.glob(f"*/{RECORD}"))}
    return list(found.values())


def showcase_pictures(folders: Sequence[Path], adapter: Path, name: str) -> list[CardPicture]:
    """The pictures that this very file drew in showcases, with their marks; what another one of its name drew is left
    out. In prompts the adapter is called `name`."""
    from lorasmith.generation.pictures import read_picture

    payload = hash_file(adapter).payload
    found: list[CardPicture] = []
    for folder in folders:
        marks = read_all_marks(folder)
        for each in read_record(folder / RECORD).get("pictures", []):
            called = each.get("adapter")
            path = folder / str(each.get("path", ""))
            mark = marks.get(str(each.get("key")), "")
            if not isinstance(called, str) or "path" not in each or not path.is_file():
                continue
            infotext = read_picture(path).infotext or ""
            drew = re.search(rf"{re.escape(called.replace(':', ''))}: ([0-9a-f]{{8,}})", infotext)
            if (drew is None and called.rpartition("/")[2] != adapter.stem) or (
                drew is not None and payload and not payload.startswith(drew[1])
            ):
                continue
            picture = CardPicture(
                path=path,
                prompt=str(each.get("prompt", "")),
                negative=_negative(infotext),
                seed=each.get("seed"),
                base=str(each.get("base", "")),
                infotext=infotext,
                mark=mark,
            )
            found.append(_renamed(picture, called, name))
    return found


def choose_pictures(pictures: Sequence[CardPicture], most: int = MOST) -> list[CardPicture]:
    """At most so many, kept ones before others, each next one as unlike those before it as can be, by prompt, picture
    and base; rejected ones and refused prompts are left out. In the order of choice."""
    left = [picture for picture in pictures if picture.mark != REJECT and _may_show(picture.prompt)]
    kept = [picture for picture in left if picture.mark == KEEP]
    rest = [picture for picture in left if picture.mark != KEEP]
    looks = {id(picture): _look(picture.path) for picture in left}
    chosen: list[CardPicture] = []
    for waiting in (kept, rest):
        while waiting and len(chosen) < most:
            best = max(
                range(len(waiting)),
                key=lambda number: min((_unlike(waiting[number], each, looks) for each in chosen), default=0.0),
            )
            chosen.append(waiting.pop(best))
    return chosen


def judge_by_eye(pictures: Sequence[CardPicture]) -> CardFigure | None:
    """The share of kept ones among those that somebody has judged (C2); None where nobody has."""
    kept, judged = sum(each.mark == KEEP for each in pictures), sum(bool(each.mark) for each in pictures)
    rate = wilson(kept, judged)
    return CardFigure(rate.value, rate.low, rate.high, judged) if judged else None


def _unlike(one: CardPicture, other: CardPicture, looks: dict[int, NDArray[np.float32]]) -> float:
    """0 for the same, up to 3: the share of tags that differ, the pictures' mean difference, another base."""
    mine, theirs = set(_tags(one.prompt)), set(_tags(other.prompt))
    words = 1 - len(mine & theirs) / max(1, len(mine | theirs))
    colours = float(np.abs(looks[id(one)] - looks[id(other)]).mean()) * 2
    return words + min(1.0, colours) + (one.base != other.base)


def _tags(prompt: str) -> Iterator[str]:
    yield from (tag for found in _WORDS.findall(prompt) if (tag := found.strip().lower()))


def _look(path: Path) -> NDArray[np.float32]:
    from lorasmith.images.opening import open_small

    image = open_small(path, SIDE).resize((SIDE, SIDE))
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def _may_show(text: str) -> bool:
    try:
        refuse(text, "prompt")
    except RefusedError:
        return False
    return True


def _negative(infotext: str) -> str:
    from lorasmith.generation.infotext import split_infotext

    return split_infotext(infotext)[1] if infotext else ""


def _renamed(picture: CardPicture, called: str, name: str) -> CardPicture:
    """The same, in whose texts the adapter has the name that it is published by."""
    call = re.compile(rf"<(lora|lyco):{re.escape(called)}(?=[:>])")
    said = call.sub(rf"<\1:{name}", picture.infotext)
    said = re.sub(rf"(Lora hashes: \"?(?:[^\"\n]*, )?){re.escape(called.replace(':', ''))}: ", rf"\g<1>{name}: ", said)
    return replace(picture, prompt=call.sub(rf"<\1:{name}", picture.prompt), infotext=said)
