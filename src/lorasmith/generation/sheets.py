"""Labelled sheets of pictures: what stands above a column and beside a row, in readable letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

LETTERS = 15  # pixels
TITLE_LETTERS = 19
GAP = 4
MARGIN = 10
LEAST_CELL = 192  # smaller pictures are shown enlarged
WIDEST_ROW_LABEL = 240
PAPER, INK, SOFT, FAINT, ALARM = (255, 255, 255), (25, 25, 25), (105, 105, 105), (235, 235, 235), (170, 30, 30)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Table:
    """A labelled table's geometry and head, drawn band by band so that its size does not matter.

    `cell` is the size of a picture; `left` and `top` are where the first one lies.
    """

    width: int
    height: int
    cell: tuple[int, int]
    left: int
    top: int
    head: Image.Image
    beside: tuple[tuple[str, ...], ...]

    def band(self, row: int, content: Sequence[Image.Image | str]) -> Image.Image:
        """One row of pictures with its label and the gap below it; a text says why there is no picture."""
        letters = _font(LETTERS)
        width, height = self.cell
        band = Image.new("RGB", (self.width, height + GAP), PAPER)
        pen = ImageDraw.Draw(band)
        if row < len(self.beside):
            _write(pen, self.beside[row], (MARGIN, 0), height, letters, INK)
        for column, cell in enumerate(content):
            x = self.left + column * (width + GAP)
            if isinstance(cell, str):
                pen.rectangle((x, 0, x + width - 1, height - 1), FAINT)
                _write(pen, _wrap(cell, letters, width - 2 * GAP), (x + GAP, 0), height, letters, ALARM)
            else:
                shown = _fit(cell.convert("RGB"), width, height)
                band.paste(shown, (x + (width - shown.width) // 2, (height - shown.height) // 2))
        return band

    def bands(self, rows: Iterable[Sequence[Image.Image | str]]) -> Iterator[Image.Image]:
        """The whole table from top to bottom; `rows` are taken one at a time."""
        yield self.head
        for row, content in enumerate(rows):
            yield self.band(row, content)
        yield Image.new("RGB", (self.width, MARGIN), PAPER)


def plan_table(
    cell: tuple[int, int],
    across: int,
    down: int,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    title: str = "",
    note: str = "",
) -> Table:
    """A table of `across` by `down` pictures of size `cell`; `note` stands small below the title."""
    letters, big = _font(LETTERS), _font(TITLE_LETTERS)
    width, height = cell
    beside = tuple(tuple(_wrap(label, letters, WIDEST_ROW_LABEL)) for label in rows)
    left = MARGIN + max((_width(line, letters) for lines in beside for line in lines), default=-GAP) + 2 * GAP
    above = [_wrap(label, letters, width) for label in columns]
    full = left + across * (width + GAP) + MARGIN
    room = max(full, 2 * LEAST_CELL) - 2 * MARGIN
    heading = _wrap(title, big, room) if title else []
    below = _wrap(note, letters, room) if note else []
    widths = [round(_width(line, big)) for line in heading] + [round(_width(line, letters)) for line in below]
    full = max(full, MARGIN * 2 + max(widths, default=0))
    line, big_line = LETTERS + 4, TITLE_LETTERS + 6
    head_height = len(heading) * big_line + len(below) * line + (2 * GAP if below else 0)
    top = MARGIN + head_height + max((len(lines) for lines in above), default=0) * line + GAP
    head = Image.new("RGB", (full, top), PAPER)
    pen = ImageDraw.Draw(head)
    for index, text in enumerate(heading):
        pen.text((MARGIN, MARGIN + index * big_line), text, INK, font=big)
    for index, text in enumerate(below):
        pen.text((MARGIN, MARGIN + len(heading) * big_line + index * line), text, SOFT, font=letters)
    for column, lines in enumerate(above):
        x = left + column * (width + GAP)
        for index, text in enumerate(reversed(lines)):
            pen.text((x + width // 2, top - GAP - index * line), text, INK, font=letters, anchor="md")
    return Table(full, top + down * (height + GAP) + MARGIN, cell, left, top, head, beside)


def draw_sheet(
    cells: Sequence[Sequence[Image.Image | str]],
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    title: str = "",
    note: str = "",
) -> Image.Image:
    """A table of pictures; a text in place of a picture says why there is none.

    `columns` label the columns and `rows` the rows, where given. All pictures are shown at the size of the largest,
    small ones enlarged by a whole factor.
    """
    across = max((len(row) for row in cells), default=0)
    table = plan_table(_cell_size(cells), across, len(cells), columns, rows, title, note)
    sheet = Image.new("RGB", (table.width, table.height), PAPER)
    y = 0
    for band in table.bands(cells):
        sheet.paste(band, (0, y))
        y += band.height
    return sheet


def contact_sheet(
    pictures: Sequence[Image.Image], labels: Sequence[str] = (), columns: int = 8, title: str = ""
) -> Image.Image:
    """Pictures side by side, `columns` in a row, each with its label below it, where labels are given."""
    if not labels:
        rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
        return draw_sheet(rows, title=title)
    letters = _font(LETTERS)
    width, height = _cell_size([pictures])
    cards: list[Image.Image | str] = []
    wrapped = [_wrap(label, letters, width) for label in labels]
    room = max(len(lines) for lines in wrapped) * (LETTERS + 4) + GAP
    for picture, lines in zip(pictures, wrapped, strict=True):
        card = Image.new("RGB", (width, height + room), PAPER)
        shown = _fit(picture.convert("RGB"), width, height)
        card.paste(shown, ((width - shown.width) // 2, 0))
        pen = ImageDraw.Draw(card)
        for index, text in enumerate(lines):
            pen.text((width // 2, height + GAP + index * (LETTERS + 4)), text, INK, font=letters, anchor="ma")
        cards.append(card)
    return draw_sheet([cards[start : start + columns] for start in range(0, len(cards), columns)], title=title)


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _cell_size(cells: Sequence[Sequence[Image.Image | str]]) -> tuple[int, int]:
    return shown_size(cell.size for row in cells for cell in row if not isinstance(cell, str))


def shown_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The size at which pictures of these sizes are shown in one table."""
    known = list(sizes)
    width = max((size[0] for size in known), default=LEAST_CELL)
    height = max((size[1] for size in known), default=LEAST_CELL)
    factor = max(1, -(-LEAST_CELL // max(width, height)))
    return width * factor, height * factor


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    factor = min(width / image.width, height / image.height)
    if factor == 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _write(
    pen: ImageDraw.ImageDraw,
    lines: Sequence[str],
    corner: tuple[float, float],
    height: int,
    font: Font,
    ink: tuple[int, int, int],
) -> None:
    """Lines centred in `height`, as many as fit."""
    step = LETTERS + 4
    lines = lines[: max(1, height // step)]
    y = corner[1] + (height - len(lines) * step) / 2
    for index, text in enumerate(lines):
        pen.text((corner[0], y + index * step), text, ink, font=font)


def _width(text: str, font: Font) -> int:
    return round(font.getlength(text))


def _wrap(text: str, font: Font, width: int) -> list[str]:
    """Lines no wider than `width`; a word that is wider alone is cut."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            wider = f"{line} {word}".strip()
            if _width(wider, font) <= width:
                line = wider
                continue
            if line:
                lines.append(line)
            while _width(word, font) > width and len(word) > 1:
                kept = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or _width(word[:n], font) <= width)
                lines.append(word[:kept])
                word = word[kept:]
            line = word
        lines.append(line)
    return lines
