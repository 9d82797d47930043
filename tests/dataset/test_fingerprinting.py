"""Groups are remembered until something that decides them changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.dataset.fingerprinting import remember_groups
from lorasmith.dataset.index import open_index
from lorasmith.images.looks import Look
from tests.dataset.test_likeness import portrait
from tests.images.drawings import draw


def refuse() -> Look:
    raise AssertionError("looked at again")


def test_groups_are_found_again_without_a_look(tmp_path: Path) -> None:
    image = draw(1)
    made = [portrait("a", image), portrait("b", image.resize((128, 128))), portrait("c", draw(2))]
    blind = [replace(one, look=refuse, inner_look=refuse, unframed_look=refuse) for one in made]
    with open_index(tmp_path) as index:
        first = remember_groups(index, made, frozenset())
        assert [(group.kind, group.images) for group in first] == [("near", ("a", "b"))]
        assert remember_groups(index, blind, frozenset()) == first
        with pytest.raises(AssertionError, match="looked at again"):
            remember_groups(index, [replace(blind[0], captioned=True), *blind[1:]], frozenset())
        assert remember_groups(index, made, frozenset({frozenset({"a", "b"})})) == ()
    with open_index(tmp_path) as index:
        assert remember_groups(index, blind, frozenset({frozenset({"a", "b"})})) == ()
