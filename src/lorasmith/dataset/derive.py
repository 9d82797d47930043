"""Make pictures from a dataset's images: altered copies (D7), collages (D8), parts of a single image (D14), and adopted
drawings (D15). They lie in the project's `made/` folder with their lineage; the user's own are never changed.

What one call makes is one step among the decisions, so that it can be undone; the files stay, and serve again when the
same is made again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from lorasmith.dataset.decisions import Decision, read_decisions, record
from lorasmith.dataset.generated import GenerationFacts, list_pictures, read_drawing
from lorasmith.dataset.lineage import Lineage, add_lineage, read_lineage
from lorasmith.dataset.reading import MADE, Dataset, Item
from lorasmith.dataset.wording import add_tags, word_alteration, word_collage, word_prompt
from lorasmith.errors import UsageError
from lorasmith.events import Event, Progress, Work
from lorasmith.images.alteration import OPERATIONS, Operation, alter
from lorasmith.images.collage import LIMITS, Layout, make_collage
from lorasmith.images.crops import LEAST_SIDE, Box, Part, Pattern, cut, open_part, propose_parts
from lorasmith.images.opening import open_rgb
from lorasmith.project import Project, SubjectKind, safe_name
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file
from lorasmith.storage.locks import alone

CUTS_FEWEST, CUTS_MOST, CUTS = 15, 20, 18
"""How many pictures the first round of a single-image dataset has (D14)."""

ROUND_TWO = 2
SECOND_ROUND = 25, 35
"""How many images the dataset of round two has at the least and at the most (D15)."""

_FIXED: frozenset[Operation] = frozenset({"flip", "grayscale"})
"""Operations without parameters: a second copy would be the same."""

_CHANGES: tuple[Operation, ...] = ("grayscale", "flip", "aspect", "rotate", "overlay", "enhance")
_WHOLES: tuple[Operation, ...] = ("overlay", "rotate", "crop", "enhance")
PATTERNS: dict[SubjectKind, Pattern] = {
    SubjectKind.CHARACTER: "figure",
    SubjectKind.COUPLE: "figure",
    SubjectKind.POSE: "figure",
    SubjectKind.CLOTHING: "object",
    SubjectKind.ASSET: "object",
    SubjectKind.BACKGROUND: "place",
    SubjectKind.CONCEPT: "place",
    SubjectKind.STYLE: "place",
}
"""How a single image of each kind is cut up."""


@dataclass(frozen=True)
class Derived:
    """A made picture: its file, its content's sha256, the operation, and the names of what it was made from.
    `existed` when the very same was there before."""

    path: Path
    sha256: str
    operation: str
    sources: tuple[str, ...]
    existed: bool = False

    @property
    def name(self) -> str:
        """Its name below `made/`."""
        return self.path.name

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "operation": self.operation,
            "sources": list(self.sources),
            "existed": self.existed,
        }


@dataclass(frozen=True)
class Sketch:
    """A picture about to be made: pixels, file stem, lineage, and the caption when there is one."""

    image: Image.Image
    stem: str
    lineage: Lineage
    sources: tuple[str, ...]
    caption: str | None
    label: str | None = None


def alter_images(
    project: Project, items: Sequence[Item], operations: Sequence[Operation], *, count: int = 1, seed: int = 0
) -> Work[tuple[Derived, ...]]:
    """`count` altered copies of each image, by each of `operations` in turn. Mirroring and greyscale are done once at
    most. Raises ImageError, StorageError."""
    total = len(items) * count
    return (yield from _make(project, _altered_copies(items, operations, count, seed), total))


def replace_clones(
    project: Project, dataset: Dataset, operations: Sequence[Operation], *, seed: int = 0
) -> Work[tuple[Derived, ...]]:
    """Altered copies in place of identical ones (D7): of each set of them the first stays, for each other an altered
    copy is made and the copy rejected. Raises ImageError, StorageError."""
    copies: dict[str, list[Item]] = {}
    for item in dataset.items:
        if item.lineage is None:
            copies.setdefault(item.facts.sha256, []).append(item)
    clones = [same for same in copies.values() if len(same) > 1]
    rejections = [
        Decision(same[0].facts.sha256, "reject", (same[0].name,), "replaced by altered copies", name=same[1].name)
        for same in clones
    ]
    extra = [_captioned(item, same) for same in clones for item in same[1:]]
    return (yield from _make(project, _varied(extra, operations, seed), len(extra), rejections))


def combine(project: Project, items: Sequence[Item], layout: Layout) -> Work[tuple[Derived, ...]]:
    """One collage of the images, in their order (D8). Raises UsageError for a number that does not fit."""
    least, most = LIMITS[layout]
    if not least <= len(items) <= most:
        remedy = Sentence("Choose another ", Give("layout"), ", or other images.")
        message = f"a collage in layout {layout} takes {least} to {most} images, not {len(items)}."
        raise UsageError(message, remedy=remedy)
    return (yield from _make(project, _collage(items, layout), 1))


def cut_up(
    project: Project,
    item: Item,
    drawn: Sequence[Part] = (),
    *,
    named: bool = True,
    mirrored: bool = True,
    count: int = CUTS,
    seed: int = 0,
) -> Work[tuple[Derived, ...]]:
    """A dataset from one image (D14): its parts, and changed copies of parts and whole until there are `count`,
    greyscale among them.

    Parts are the `drawn` ones, or else proposed by the kind of subject; the names of drawn ones go into captions and
    labels if `named`. Nothing is `mirrored` unless that is allowed. Raises UsageError for a part that is outside of the
    image or too small, for too many of them, or for a count out of range.
    """
    if not CUTS_FEWEST <= count <= CUTS_MOST:
        hint = f"The first round has {CUTS_FEWEST} to {CUTS_MOST} pictures (D14)."
        raise UsageError(f"{count} is out of range.", field="count", hint=hint)
    if len(drawn) >= count:
        raise UsageError(f"{len(drawn)} boxes, {count} pictures.", hint="Draw fewer boxes, so that greyscale has room.")
    image = open_part(item.path, item.crop)
    for part in drawn:
        check_box(part.box, image.size, item.name)
    parts = tuple(drawn) or propose_parts(image, PATTERNS[project.lora.subject])
    labels = {part.box: part.name for part in drawn if named}
    return (yield from _make(project, _cuts(item, image, parts, labels, mirrored, count, seed), count))


def adopt(
    project: Project, drawings: Mapping[Path, GenerationFacts | None], *, round_number: int = ROUND_TWO
) -> Work[tuple[Derived, ...]]:
    """Take pictures that were drawn and kept into the dataset (D15), as copies without metadata. How they were drawn
    (`read_drawings`) goes into their lineage, and the prompt becomes the caption. Raises ImageError, StorageError."""
    if round_number < ROUND_TWO:
        message = f"{round_number}: what was drawn is round 2 at the earliest."
        raise UsageError(message, field="round", hint="Give 2 or more.")
    return (yield from _make(project, _adopted(drawings, round_number), len(drawings)))


def read_drawings(sources: Sequence[Path]) -> dict[Path, GenerationFacts | None]:
    """How each picture that `sources` name was drawn; None where its text does not say. Raises DatasetError."""
    return {path: read_drawing(path) for path in list_pictures(sources)}


def check_box(box: Box, size: tuple[int, int], name: str) -> None:
    """Raise UsageError unless `box` is inside a picture of `size` and large enough to show something."""
    left, top, right, bottom = box
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        hint = "A box is x,y,width,height in pixels, from the upper left corner."
        given = f"{left},{top},{right - left},{bottom - top}"
        message = f"{given} is not inside {name}, which has {size[0]}x{size[1]} pixels."
        raise UsageError(message, field="box", hint=hint)
    if min(right - left, bottom - top) < LEAST_SIDE:
        hint = f"Its shorter side must have {LEAST_SIDE} pixels or more."
        raise UsageError(f"{right - left}x{bottom - top} pixels show nothing.", field="box", hint=hint)


def _altered_copies(items: Sequence[Item], operations: Sequence[Operation], count: int, seed: int) -> Iterator[Sketch]:
    for item in items:
        image = open_part(item.path, item.crop)
        done: set[Operation] = set()
        for number in range(count):
            operation = operations[number % len(operations)]
            if operation in _FIXED and operation in done:
                continue
            done.add(operation)
            yield _alteration(item, image, operation, seed + number)


def _varied(items: Sequence[Item], operations: Sequence[Operation], seed: int) -> Iterator[Sketch]:
    """One altered copy of each image; the operations go round, so that copies of one image differ."""
    for number, item in enumerate(items):
        operation = operations[number % len(operations)]
        yield _alteration(item, open_part(item.path, item.crop), operation, seed + number)


def _captioned(item: Item, copies: Sequence[Item]) -> Item:
    """The copy with the caption of another identical one when it has none."""
    return (
        item if item.caption else replace(item, caption=next((copy.caption for copy in copies if copy.caption), None))
    )


def _alteration(item: Item, image: Image.Image, operation: Operation, seed: int) -> Sketch:
    altered = alter(image, operation, seed)
    parameters = dict(altered.parameters) | _crop_fact(item)
    caption = None if item.caption is None else word_alteration(item.caption, operation, parameters)
    lineage = Lineage(operation, (item.facts.sha256,), parameters, seed)
    suffix = "" if operation in _FIXED else f"-{seed}"
    return Sketch(altered.image, f"{_stem(item)}-{operation}{suffix}", lineage, (item.name,), caption)


def _collage(items: Sequence[Item], layout: Layout) -> Iterator[Sketch]:
    picture = make_collage([open_part(item.path, item.crop) for item in items], layout)
    lineage = Lineage("collage", tuple(item.facts.sha256 for item in items), {"layout": layout})
    names = tuple(item.name for item in items)
    caption = word_collage([item.caption for item in items])
    yield Sketch(picture, "-".join([*map(_stem, items[:3]), layout]), lineage, names, caption)


def _cuts(
    item: Item, image: Image.Image, parts: Sequence[Part], labels: dict[Box, str], mirrored: bool, count: int, seed: int
) -> Iterator[Sketch]:
    """The parts; greyscale, mirrored, turned, tinted and reshaped wholes; then changed parts, round and round."""
    parts = parts[: count - 1]
    changes = tuple(operation for operation in _CHANGES if mirrored or operation != "flip")
    for part in parts:
        yield _part(item, image, part, labels.get(part.box))
    made = len(parts)
    for whole in changes[:-1]:
        if made < count:
            made += 1
            yield _alteration(item, image, whole, seed)
    for turn in range(len(changes)):
        for place, part in enumerate(parts):
            if made < count:
                made += 1
                operation = changes[(turn + place) % len(changes)]
                yield _changed_part(item, image, part, labels.get(part.box), operation, seed)
    for number in range(count - made):  # few parts, or an image too small for any: more changed copies of the whole
        yield _alteration(item, image, _WHOLES[number % len(_WHOLES)], seed + 1 + number)


def _part(item: Item, image: Image.Image, part: Part, label: str | None) -> Sketch:
    parameters = {"box": list(part.box), "part": part.name} | _crop_fact(item)
    lineage = Lineage("cut", (item.facts.sha256,), parameters)
    stem = f"{_stem(item)}-{part.name}"
    return Sketch(cut(image, part.box), stem, lineage, (item.name,), _part_caption(item, label), label)


def _changed_part(
    item: Item, image: Image.Image, part: Part, label: str | None, operation: Operation, seed: int
) -> Sketch:
    altered = alter(cut(image, part.box), operation, seed)
    parameters = {"box": list(part.box), "part": part.name, operation: dict(altered.parameters)} | _crop_fact(item)
    lineage = Lineage(f"cut, {operation}", (item.facts.sha256,), parameters, seed)
    caption = _part_caption(item, label)
    if caption is not None:
        caption = word_alteration(caption, operation, altered.parameters)
    return Sketch(altered.image, f"{_stem(item)}-{part.name}-{operation}", lineage, (item.name,), caption, label)


def _part_caption(item: Item, label: str | None) -> str | None:
    """The whole's caption; of a part that the user drew and named, with that name."""
    if item.caption is None:
        return None
    return add_tags(item.caption, (label,)) if label else item.caption


def _adopted(drawings: Mapping[Path, GenerationFacts | None], round_number: int) -> Iterator[Sketch]:
    for path, drawing in drawings.items():
        picture = open_rgb(path)
        parameters: dict[str, Any] = {"file": path.name, "round": round_number}
        if drawing is not None:
            parameters |= {
                "prompt": drawing.prompt,
                "negative": drawing.negative,
                "adapters": dict(drawing.adapters),
                "fields": dict(drawing.fields),
            }
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        lineage = Lineage("adopt", (sha,), parameters, drawing.seed if drawing else 0)
        caption = word_prompt(drawing.prompt) if drawing else None
        yield Sketch(picture, f"round{round_number}-{path.stem}", lineage, (str(path),), caption)


def _make(
    project: Project, sketches: Iterator[Sketch], total: int, decisions: Sequence[Decision] = ()
) -> Work[tuple[Derived, ...]]:
    """Write the sketches out, then record them together with `decisions` as one step. One process at a time, so that
    no two give one name to different pictures."""
    with alone(project.cache / "made.lock", "makes pictures"):
        known = dict(read_lineage(project))
        withdrawn = read_decisions(project).withdrawn
        made: list[Derived] = []
        entries: list[Decision] = []
        try:
            for done, sketch in enumerate(sketches, start=1):
                data = _encode(sketch.image)
                sha = hashlib.sha256(data).hexdigest()
                if sha not in {other.sha256 for other in made}:
                    picture = _save(project, sketch, data, sha, known)
                    if picture.existed and sha in withdrawn:
                        picture = replace(picture, existed=False)
                    made.append(picture)
                    if not picture.existed:
                        entries += _entries(picture, sketch)
                yield _progress(done, total)
            entries += decisions
        finally:  # what was made before a fault or a stop is in the dataset, so it is recorded too
            record(project, entries)
    return tuple(made)


def _save(project: Project, sketch: Sketch, data: bytes, sha: str, known: dict[str, Lineage]) -> Derived:
    """Lineage first, picture last: a picture that is there always has its lineage."""
    path, existed = _free_path(project, sketch, data)
    if not existed:
        if known.get(sha) != sketch.lineage:
            add_lineage(project, sha, sketch.lineage)
            known[sha] = sketch.lineage
        if sketch.caption is not None:
            write_file(path.with_suffix(".txt"), sketch.caption + "\n")
        write_file(path, data)
    return Derived(path, sha, sketch.lineage.operation, sketch.sources, existed)


def _entries(picture: Derived, sketch: Sketch) -> Iterator[Decision]:
    """What is decided with the making: that it is in, and its label."""
    name = f"{MADE}/{picture.name}"
    yield Decision(picture.sha256, "made", name=name, reason=_reason(picture))
    if sketch.label:
        yield Decision(picture.sha256, "label", sketch.label, name=name)


def _free_path(project: Project, sketch: Sketch, data: bytes) -> tuple[Path, bool]:
    """A path whose stem nobody has but this sketch's own caption, or that of the very same picture (True)."""
    wanted = safe_name(sketch.stem)
    name, number = wanted, 2
    while True:
        path = project.made / f"{name}.png"
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return path, True
        caption = path.with_suffix(".txt")
        if not path.exists() and (not caption.exists() or caption.read_bytes() == f"{sketch.caption}\n".encode()):
            return path, False
        name, number = f"{wanted}-{number}", number + 1


def _encode(image: Image.Image) -> bytes:
    """PNG bytes without any metadata."""
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    buffer = io.BytesIO()
    bare.save(buffer, "PNG")
    return buffer.getvalue()


def _stem(item: Item) -> str:
    parts = PurePosixPath(item.name).with_suffix("").parts
    return "-".join(parts[1:] if item.folder == MADE else parts)


def _crop_fact(item: Item) -> dict[str, Any]:
    """The crop that the image had at that time: the operation worked on it."""
    return {} if item.crop is None else {"crop": list(item.crop)}


def _reason(picture: Derived) -> str:
    return f"{picture.operation} of {', '.join(picture.sources)}"


def _progress(done: int, total: int) -> Event:
    return Progress("making pictures", min(done, total), total)


def check_operations(names: Sequence[str]) -> tuple[Operation, ...]:
    """The operations of these names, or all without any. Raises UsageError for an unknown one."""
    known: dict[str, Operation] = {operation: operation for operation in OPERATIONS}
    for name in names:
        if name not in known:
            hint = f"Operations: {', '.join(OPERATIONS)}."
            raise UsageError(f'"{name}" is not known.', field="operation", hint=hint)
    return tuple(known[name] for name in names) or OPERATIONS
