"""A9: tag files of gallery-dl, dotted stems, links, decomposed names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from lorasmith.dataset.create import create_project
from lorasmith.dataset.folders import find_files
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.selection import select_images
from lorasmith.dataset.sources import open_source
from lorasmith.dataset.sources.source import Piece, SourceOptions
from lorasmith.errors import DatasetError
from lorasmith.events import finish
from lorasmith.project import SubjectKind
from lorasmith.tags.imported import read_imported
from lorasmith.tags.imports import import_tags
from lorasmith.tags.pipeline import write_captions
from tests.dataset.sources.pieces import Opened
from tests.faults.make_dataset import made, make_decomposed_name, make_dotted_stems, make_links, make_tag_files, put
from tests.faults.projects import project_of


def test_tag_files_of_gallery_dl_are_captions(tmp_path: Path) -> None:
    """gallery-dl, gallery_dl/postprocessor/metadata.py: mode "tags" writes {filename}.{extension}.txt, a tag a line."""
    folder = made(make_tag_files, tmp_path / "E")
    assert Opened(folder).files["a0.txt"] == b"1girl, smile"
    dataset = finish(read_dataset(project_of(folder)))
    assert [item.caption for item in dataset.items] == ["1girl\nsmile"] * 2
    assert dataset.orphans == ()
    assert set(write_captions(project_of(folder), dataset).captions.values()) == {"zbk, 1girl, smile"}


def test_the_exact_stem_goes_first(tmp_path: Path) -> None:
    folder = made(make_tag_files, tmp_path / "E")
    (folder / "a0.txt").write_text("mine")
    opened = Opened(folder)
    assert opened.files["a0.txt"] == b"mine"
    assert list(opened.left_out) == ["a0.jpg.txt"]
    assert finish(read_dataset(project_of(folder))).items[0].caption == "mine"


def test_two_pictures_of_one_stem_keep_their_own_tag_files(tmp_path: Path) -> None:
    for extension in ("png", "jpg"):
        put(tmp_path / f"E/a.{extension}", extension)
        (tmp_path / f"E/a.{extension}.txt").write_text(extension)
    work = create_project(
        tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[tmp_path / "E"]
    )
    dataset = finish(read_dataset(finish(work).project))
    assert {item.name: item.caption for item in dataset.items} == {"a.jpg": "jpg", "a.png": "png"}


def test_an_import_of_dotted_stems(tmp_path: Path) -> None:
    folder = made(make_dotted_stems, tmp_path / "G")
    project = project_of(folder / "images")
    dataset = finish(read_dataset(project))
    imported = finish(import_tags(project, dataset, folder / "tags"))
    assert (imported.matched, imported.unmatched) == (("img.png",), ("img.1",))
    ((tags,),) = read_imported(project).values()
    assert tags.tags == "right"


def test_a_decomposed_name_is_found_composed(tmp_path: Path) -> None:
    folder = made(make_decomposed_name, tmp_path / "M")
    (folder / "\u00e9tude.txt").write_text("1girl")
    dataset = finish(read_dataset(project_of(folder)))
    (item,) = dataset.items
    assert item.caption == "1girl"
    assert dataset.orphans == ()
    for wanted in ("\u00e9tude.png", "\u00e9tude", "\u00e9*", unicodedata.normalize("NFD", "\u00e9tude.png")):
        assert select_images(dataset, [wanted]) == (item,)


def test_corrections_for_a_decomposed_name(tmp_path: Path) -> None:
    folder = made(make_decomposed_name, tmp_path / "M")
    project = project_of(folder, tags='images = {"\u00e9tude.png" = {add = "hat"}}')
    assert list(write_captions(project, finish(read_dataset(project))).captions.values()) == ["zbk, hat"]


def test_links_that_lead_out_are_named_with_the_way_out(tmp_path: Path) -> None:
    """huggingface_hub, file_download.py: a snapshot holds links into ../../blobs."""
    folder = made(make_links, tmp_path / "H") / "snap"
    with pytest.raises(DatasetError, match="follow_links"):
        Opened(folder)
    put(folder / "1.png", 1)
    assert "a link that leads out" in Opened(folder).left_out["0.png"]
    offer = open_source(folder, SourceOptions(follow_links=True))
    assert [str(piece.place) for piece in offer.contents if isinstance(piece, Piece)] == ["0.png", "1.png"]


def test_followed_folders_do_not_go_round(tmp_path: Path) -> None:
    put(tmp_path / "out/a.png", 1)
    put(tmp_path / "in/b.png", 2)
    (tmp_path / "in/more").symlink_to(tmp_path / "out")
    (tmp_path / "in/again").symlink_to(tmp_path / "out")
    (tmp_path / "in/round").symlink_to(tmp_path / "in")
    found = find_files(tmp_path / "in", follow_links=True)
    assert [place.name for place in found.images] == ["again/a.png", "b.png"]
