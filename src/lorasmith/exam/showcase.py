"""A showcase (C2, C7): varied pictures from one template, on several bases and with several adapters, judged by eye.

NAME/showcase.json     template, seeds, and every picture with its prompt
NAME/marks.json        which are kept and which rejected, by picture
NAME/sheet.png         all of them, numbered, with the hit rate
NAME/index.html        the page to judge them on
NAME/cells/*.png       the pictures, each with template, seeds and prompt inside
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from lorasmith.errors import UsageError
from lorasmith.events import Work
from lorasmith.exam.contact import BAD, GOOD, PLAIN, small
from lorasmith.exam.figures import Figure, wilson
from lorasmith.generation.grids.axes import CONTROL, STILL, Axis, Draft, label_base
from lorasmith.generation.grids.drawing import Cell, Order, Wanted, check_drafts, draw_order
from lorasmith.generation.grids.folders import VERSION, claim_folder, working_in
from lorasmith.generation.grids.marks import KIND, read_record
from lorasmith.generation.grids.page import PageAxis, Shown, address, draw_page
from lorasmith.generation.grids.publishing import infotext_of, tell_settings
from lorasmith.generation.grids.workers import OpenPipeline
from lorasmith.generation.pictures import save_image
from lorasmith.generation.sheets import contact_sheet
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import split_networks
from lorasmith.prompts.dynamic import Expansion, Method, Seeds, Template, expand
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import write_file

RECORD, MARKS, SHEET, PAGE = "showcase.json", "marks.json", "sheet.png", "index.html"
WORTHY = 0.8  # C2
FEWEST = 10  # C2: pictures for each base
MOST = 20  # C7
RED_FLAG = 4  # C7
IN_A_ROW = 5
SHOWN_SIDE = 256
KEEP, REJECT = "keep", "reject"


@dataclass(frozen=True)
class Column:
    """One base with one adapter, or with none."""

    base: str
    adapter: str | None

    @property
    def label(self) -> str:
        return f"{self.adapter or CONTROL} on {label_base(self.base)}"


@dataclass(frozen=True)
class ShowcaseSpec:
    """What a showcase shows: `n` prompts of the template for each column.

    Picture i has image seed `seed + i`, in every column. Its prompt is rolled by the same seed, so that columns can be
    compared; with `vary` each column goes on where the last one stopped, for more variety.
    """

    template: Template
    columns: tuple[Column, ...]
    n: int
    spec: PictureSpec
    strength: float = WORTHY
    mode: Method = "random"
    seed: int = 0
    vary: bool = False

    def expansions(self, column: int) -> list[Expansion]:
        """The prompts of a column. Raises PromptError, RefusedError; UsageError for what cannot vary."""
        if self.vary and self.mode != "random":
            raise UsageError(f"prompts that vary by column are drawn at random, not {self.mode}.")
        return list(
            expand(
                self.template, self.n, Seeds(self.seed, self.seed + column * self.n if self.vary else None), self.mode
            )
        )


@dataclass(frozen=True)
class Showcase:
    """A drawn showcase: cells column by column, and the marks by picture."""

    plan: ShowcaseSpec
    folder: Path
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Judged:
    """The hit rates by column and over all, and what they say."""

    columns: tuple[tuple[str, Figure], ...]
    total: Figure
    waiting: int
    advice: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Figures with their intervals."""
        return {
            "hit_rate": self.total.as_json(),
            "by": [{"name": name, "hit_rate": figure.as_json()} for name, figure in self.columns],
            "not_judged": self.waiting,
            "advice": list(self.advice),
        }


def draw_showcase(plan: ShowcaseSpec, open_pipeline: OpenPipeline, folder: Path) -> Work[Showcase]:
    """Draw what is not there yet; a picture that cannot be drawn says why.

    Raises PromptError, RefusedError, UsageError for a folder that holds other things, and StorageError for one into
    which another process draws.
    """
    with working_in(folder, RECORD):
        showcase = yield from _draw(plan, open_pipeline, folder)
    return showcase


def _draw(plan: ShowcaseSpec, open_pipeline: OpenPipeline, folder: Path) -> Work[Showcase]:
    drafts: list[Draft | str] = []
    labels = []
    for index, column in enumerate(plan.columns):
        for number, made in enumerate(plan.expansions(index)):
            if column.adapter in {network.name for network in split_networks(made.prompt).networks}:
                raise UsageError(
                    f"the template calls {column.adapter} itself.", hint="Leave its tag out: every column has its own."
                )
            spec = replace(plan.spec, prompt=made.prompt, seed=made.seed)
            drafts.append(Draft(spec, column.base, column.adapter, plan.strength, plan.strength, origin=made))
            labels.append(f"{column.label} {number + 1:02d}")
    places = yield from check_drafts(drafts, labels, open_pipeline, folder)
    each = len(places) // len(plan.columns)
    x = Axis("picture", tuple(str(number + 1) for number in range(each)), STILL.edits * each)
    y = Axis("column", tuple(column.label for column in plan.columns), STILL.edits * len(plan.columns))
    order = Order(replace(plan.spec, prompt=plan.template.text), x, y, STILL, folder, places)
    grid = yield from draw_order(order, open_pipeline)
    showcase = Showcase(plan, folder, tuple(grid.page(0)))
    _write_record(showcase, places)
    return showcase


def mark_pictures(
    folder: Path, keep: Iterable[int] = (), reject: Iterable[int] = (), clear: Iterable[int] = ()
) -> None:
    """Mark pictures by their numbers. Raises UsageError for a number that is not there or marked both ways."""
    pictures = {picture["number"]: picture for picture in read_record(folder / RECORD).get("pictures", [])}
    marks = read_all_marks(folder)
    kept, rejected, cleared = set(keep), set(reject), set(clear)
    for number in sorted(kept | rejected | cleared):
        if number not in pictures or "key" not in pictures[number]:
            raise UsageError(f"there is no picture {number}.", where=folder, hint=f"There are 1 to {len(pictures)}.")
        if (number in kept) + (number in rejected) + (number in cleared) > 1:
            raise UsageError(f"picture {number} cannot be marked in two ways.")
        marks.pop(pictures[number]["key"], None)
        if number not in cleared:
            marks[pictures[number]["key"]] = KEEP if number in kept else REJECT
    write_marks(folder, marks)


def write_marks(folder: Path, marks: Mapping[str, str]) -> None:
    """Replace the showcase's marks. Raises UsageError for a mark of a picture that is not in it, StorageError."""
    record = read_record(folder / RECORD)
    known = {picture.get("key") for picture in record.get("pictures", [])}
    strange = [key for key in marks if key not in known]
    if strange:
        raise UsageError(f"{strange[0]}: no picture of this showcase.", where=folder)
    document = {"kind": KIND, "version": VERSION, "of": record.get("id"), "marks": dict(marks)}
    write_file(folder / MARKS, json.dumps(document, indent=1) + "\n")


def read_all_marks(folder: Path) -> dict[str, str]:
    """The marks by picture key; of pictures that are gone none. Raises UsageError."""
    if not (folder / RECORD).is_file():
        remedy = Do(Action.SHOWCASE, template="TEMPLATE", adapter="FILE")
        raise UsageError("is no showcase.", where=folder, hint="Draw one:", remedy=remedy)
    keys = {picture.get("key") for picture in read_record(folder / RECORD).get("pictures", [])}
    if not (folder / MARKS).is_file():
        return {}
    marks = read_record(folder / MARKS).get("marks")
    if not isinstance(marks, dict):
        raise UsageError("is no file of marks.", where=folder / MARKS)
    return {key: mark for key, mark in marks.items() if key in keys and mark in (KEEP, REJECT)}


def judge(folder: Path) -> Judged:
    """The hit rates by the marks, with what C2 and C7 say of them. Raises UsageError."""
    pictures = read_record(folder / RECORD).get("pictures", [])
    marks = read_all_marks(folder)
    by: dict[str, list[str | None]] = {}
    for picture in pictures:
        if "key" in picture:
            by.setdefault(str(picture["column"]), []).append(marks.get(picture["key"]))
    columns = tuple((name, _rate(found)) for name, found in by.items())
    everything = [mark for found in by.values() for mark in found]
    total = _rate(everything)
    return Judged(columns, total, everything.count(None), tuple(_advise(columns, total, everything)))


def publish_showcase(folder: Path) -> tuple[Path, Path]:
    """Write the sheet and the page anew from record and marks; gives their paths. Raises UsageError, StorageError."""
    record = read_record(folder / RECORD)
    marks, judged = read_all_marks(folder), judge(folder)
    pictures: list[dict[str, Any]] = record.get("pictures", [])
    names = list(dict.fromkeys(str(picture["column"]) for picture in pictures))
    rates = dict(judged.columns)
    parts = []
    for name in names:
        mine = [picture for picture in pictures if picture["column"] == name and "path" in picture]
        framed = [_frame(folder / picture["path"], marks.get(picture["key"])) for picture in mine]
        rate = rates.get(name)
        title = f"{name}: {tell_rate(rate)}" if rate and rate.n else name
        if framed:
            parts.append(contact_sheet(framed, [str(picture["number"]) for picture in mine], IN_A_ROW, title))
    sheet = save_image(_stack(parts), folder / SHEET)
    page = folder / PAGE
    wide = max((sum(picture["column"] == name for picture in pictures) for name in names), default=0)
    cells = [_show(picture, page, marks) for picture in pictures]
    sides = (
        PageAxis("picture", tuple(str(number + 1) for number in range(wide))),
        PageAxis("column", tuple(names)),
        PageAxis("", ("",)),
    )
    if len(names) == 1:  # one line of many would be too long to look at
        cells += [_EMPTY] * (-len(cells) % IN_A_ROW)
        sides = (PageAxis("", ("",) * IN_A_ROW), PageAxis("", ("",) * (len(cells) // IN_A_ROW)), PageAxis("", ("",)))
    shape = _first_size(folder, pictures)
    note = f"{record.get('settings', '')} · keep what you would show: k keeps, x rejects"
    write_file(page, draw_page("showcase", str(record.get("id", "")), record["template"], note, sides, shape, cells))
    return sheet, page


def tell_rate(figure: Figure) -> str:
    """``16 of 20 kept, 80 % (58 to 92 %)``."""
    kept = round(figure.value * figure.n)
    return f"{kept} of {figure.n} kept, {figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})"


def _first_size(folder: Path, pictures: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """The size of the first picture there is."""
    for picture in pictures:
        if "path" in picture:
            with Image.open(folder / picture["path"]) as image:
                return image.size
    return 1, 1


def _rate(marks: Sequence[str | None]) -> Figure:
    return wilson(marks.count(KEEP), marks.count(KEEP) + marks.count(REJECT))


def _advise(columns: Sequence[tuple[str, Figure]], total: Figure, marks: Sequence[str | None]) -> Iterable[str]:
    if not total.n:
        yield "Nothing is judged yet: keep or reject on the page, download the marks, and bring them in."
        return
    few = [name for name, figure in columns if figure.n < FEWEST]
    if few:
        yield f"C2: fewer than {FEWEST} judged pictures for {', '.join(few)}; the interval shows how little that tells."
    if total.low >= WORTHY:
        yield f"C2: at least {WORTHY:.0%} are usable, even at the interval's lower end: worth publishing."
    elif total.value >= WORTHY:
        yield f"C2: {total.value:.0%} are usable, but fewer than {WORTHY:.0%} is still possible: judge more pictures."
    elif total.high >= WORTHY:
        yield f"C2: {total.value:.0%} are usable, and {WORTHY:.0%} is still possible: judge more pictures."
    else:
        yield f"C2: {total.value:.0%} are usable, less than {WORTHY:.0%}: train it further, or choose another snapshot."
    kept = marks.count(KEEP)
    if kept <= RED_FLAG:
        yield f"C7: {kept} kept pictures are a red flag in a showcase; {MOST} fit."
    elif kept > MOST:
        yield f"C7: a showcase holds up to {MOST}; choose among the {kept} that were kept."


def _write_record(showcase: Showcase, places: Sequence[Wanted | str]) -> None:
    plan, folder = showcase.plan, showcase.folder
    pictures: list[dict[str, Any]] = []
    cells = [(column, cell) for column, row in zip(plan.columns, showcase.cells, strict=True) for cell in row]
    for number, ((column, cell), place) in enumerate(zip(cells, places, strict=True), 1):
        facts: dict[str, Any] = {
            "number": number,
            "column": column.label,
            "base": column.base,
            "adapter": column.adapter,
        }
        if isinstance(place, str) or cell.path is None or cell.spec is None:
            pictures.append({**facts, "error": cell.error})
            continue
        facts |= {"key": cell.key, "path": cell.path.relative_to(folder).as_posix(), "prompt": cell.spec.prompt}
        facts |= {"seed": cell.spec.seed, "prompt_seed": place.origin.prompt_seed if place.origin else None}
        pictures.append(facts)
    document = {
        "version": VERSION,
        "id": claim_folder(folder, RECORD),
        "template": plan.template.text,
        "mode": plan.mode,
        "seed": plan.seed,
        "strength": plan.strength,
        "settings": tell_settings(cell.spec for _, cell in cells if cell.spec),
        "pictures": pictures,
    }
    write_file(folder / RECORD, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


_EMPTY = Shown("", "", "", None, None, None)


def _show(picture: Mapping[str, Any], page: Path, marks: Mapping[str, str]) -> Shown:
    number, column = str(picture["number"]), str(picture["column"])
    if "path" not in picture:
        return Shown(number, column, "", None, None, str(picture.get("error", "")))
    path = page.parent / picture["path"]
    text = infotext_of(path)
    return Shown(number, column, "", picture["key"], address(path, page, False), None, text, marks.get(picture["key"]))


def _frame(path: Path, mark: str | None) -> Image.Image:
    """A small copy with its mark as a frame, and a cross over a rejected one, for eyes that do not tell colours."""
    with Image.open(path) as image:
        picture = small(image, SHOWN_SIDE)
    width = max(3, max(picture.size) // 48)
    framed = ImageOps.expand(picture, width, {KEEP: GOOD, REJECT: BAD}.get(mark or "", PLAIN))
    if mark == REJECT:
        pen = ImageDraw.Draw(framed)
        pen.line((0, framed.height, framed.width, 0), BAD, width)
    return framed


def _stack(parts: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new(
        "RGB", (max((part.width for part in parts), default=1), sum(part.height for part in parts) or 1), "white"
    )
    y = 0
    for part in parts:
        whole.paste(part, (0, y))
        y += part.height
    return whole
