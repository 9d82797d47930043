"""Groups are remembered until something that decides them changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ImageFilter

from lorasmith.dataset import fingerprinting
from lorasmith.dataset.fingerprinting import measure_blur, remember_groups
from lorasmith.dataset.index import open_index
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.images.fingerprints import Fingerprint, fingerprint
from lorasmith.images.similarity import Thumbnail
from tests.dataset.projects import make_project
from tests.dataset.test_likeness import signature
from tests.images.drawings import draw


def refuse() -> Thumbnail:
    raise AssertionError("looked at again")


def test_groups_are_found_again_without_a_look(tmp_path: Path) -> None:
    image = draw(1)
    made = [signature("a", image), signature("b", image.resize((128, 128))), signature("c", draw(2))]
    blind = [replace(one, thumbnail=refuse, inner_thumbnail=refuse, unframed_thumbnail=refuse) for one in made]
    with open_index(tmp_path) as index:
        first = remember_groups(index, made, frozenset())
        assert [(group.kind, group.images) for group in first] == [("near", ("a", "b"))]
        assert remember_groups(index, blind, frozenset()) == first
        with pytest.raises(AssertionError, match="looked at again"):
            remember_groups(index, [replace(blind[0], captioned=True), *blind[1:]], frozenset())
        assert remember_groups(index, made, frozenset({frozenset({"a", "b"})})) == ()
    with open_index(tmp_path) as index:
        assert remember_groups(index, blind, frozenset({frozenset({"a", "b"})})) == ()


def test_blur_is_measured_once_until_the_images_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    sharp = draw(1)
    sharp.save(folder / "sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(6)).save(folder / "soft.png")
    looked: list[str] = []
    plain = fingerprint

    def watched(path: Path) -> Fingerprint:
        looked.append(path.name)
        return plain(path)

    monkeypatch.setattr(fingerprinting, "fingerprint", watched)
    dataset = finish(read_dataset(make_project(tmp_path)))
    with open_index(tmp_path / "index") as index:
        first = finish(measure_blur(index, dataset))
        assert {Path(name).name for name in first} == {"sharp.png", "soft.png"}
        low, high = sorted(first.values())
        assert low < high
        assert Path(max(first, key=first.__getitem__)).name == "soft.png"
        assert sorted(looked) == ["sharp.png", "soft.png"]
        monkeypatch.setattr(fingerprinting, "take_signatures", None)  # not even the files are asked
        assert finish(measure_blur(index, dataset)) == first
        monkeypatch.undo()
        (folder / "soft.png").unlink()  # went away after it was read
        draw(2).save(folder / "new.png")
        again = finish(measure_blur(index, finish(read_dataset(make_project(tmp_path)))))
        assert {Path(name).name for name in again} == {"sharp.png", "new.png"}
