"""Labelled sheets: geometry, enlarged cells, reasons in place of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lorasmith.generation.sheets import ALARM, GAP, LEAST_CELL, contact_sheet, draw_sheet

RED, BLUE = Image.new("RGB", (96, 96), (255, 0, 0)), Image.new("RGB", (96, 96), (0, 0, 255))


def pixels_of(sheet: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    same: np.ndarray = np.all(np.asarray(sheet) == colour, axis=2)
    return same


def test_small_pictures_are_enlarged_and_none_is_covered() -> None:
    sheet = draw_sheet([[RED, BLUE], [BLUE, RED]], ["one", "two"], ["a long label of a row", "b"], "title")
    for colour in ((255, 0, 0), (0, 0, 255)):
        assert pixels_of(sheet, colour).sum() == 2 * LEAST_CELL**2
    red = np.argwhere(pixels_of(sheet, (255, 0, 0)))
    blue = np.argwhere(pixels_of(sheet, (0, 0, 255)))
    assert blue[:, 1].max() - red[:, 1].min() == 2 * LEAST_CELL + GAP - 1


def test_labels_are_drawn_where_they_belong() -> None:
    bare = draw_sheet([[RED]])
    labelled = draw_sheet([[RED]], ["column"], ["row"], "title")
    assert labelled.height > bare.height
    assert labelled.width > bare.width
    top = np.asarray(labelled)[: labelled.height - LEAST_CELL - 20].min(axis=2)
    assert (top < 100).sum() > 50  # dark letters above the picture
    beside = np.asarray(labelled)[:, : labelled.width - LEAST_CELL - 20].min(axis=2)
    assert (beside < 100).sum() > 30


def test_a_reason_stands_in_place_of_a_picture() -> None:
    sheet = draw_sheet([[RED, "adapter unknown, and a word_that_is_far_too_long_for_the_width_of_one_single_cell"]])
    assert pixels_of(sheet, ALARM).sum() > 50
    assert pixels_of(sheet, (255, 0, 0)).sum() == LEAST_CELL**2


def test_contact_sheets_wrap() -> None:
    plain = contact_sheet([RED] * 5, columns=2)
    assert pixels_of(plain, (255, 0, 0)).sum() == 5 * LEAST_CELL**2
    assert plain.height > 3 * LEAST_CELL
    labelled = contact_sheet([RED, BLUE], ["first", "a second label that needs more than one line"], columns=2)
    assert pixels_of(labelled, (255, 0, 0)).sum() == LEAST_CELL**2
    assert labelled.height > LEAST_CELL + 40
