"""What is handed over: kohya's folder form, its dataset file, and the zip."""

from __future__ import annotations

import os
import tomllib
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import ImageError, ProjectError
from lorasmith.events import Event, Progress, finish
from lorasmith.images.cleaning import is_plain
from lorasmith.images.opening import open_rgb
from lorasmith.project import Project
from lorasmith.tags.building import build_dataset, pack_zip
from lorasmith.tags.pipeline import Captioning
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings

SECRET = "51.4779N 0.0015W"


def build(project: Project, dataset: Dataset | None = None, captions: Mapping[str, str] | None = None) -> Path:
    dataset = dataset or read(project)
    told = captions or {item.name: f"zbk, {item.caption or ''}" for item in dataset.items}
    return finish(build_dataset(project, dataset, Captioning(told, ())))


def secret_photo(file: Path, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = SECRET, orientation
    draw(5, (64, 48)).save(file, "JPEG", exif=exif, quality=90)


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_metadata_never_reaches_what_is_built_or_packed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    images = project.root / "images"
    secret_photo(images / "lying.jpg")
    secret_photo(images / "standing.jpg", 6)
    draw(1).save(images / "plain.png")
    before = {path: path.read_bytes() for path in images.iterdir()}
    folder = build(project)
    assert listing(folder / "1_zbk") == [
        *("lying.jpg", "lying.txt", "plain.png", "plain.txt", "standing.png", "standing.txt")
    ]
    assert (folder / "1_zbk/plain.png").is_symlink(), "what carries nothing is only linked to"
    assert not (folder / "1_zbk/lying.jpg").is_symlink()
    packed = pack_zip(project, tmp_path / "out.zip")
    with zipfile.ZipFile(packed) as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    pictures = [folder / "1_zbk" / name for name in ("lying.jpg", "plain.png", "standing.png")]
    assert len(contents) == 6
    for data in (*contents, *(path.read_bytes() for path in pictures)):
        assert SECRET.encode() not in data
    assert all(is_plain(path) for path in pictures)
    for made, source in zip(pictures, ("lying.jpg", "plain.png", "standing.jpg"), strict=True):
        assert np.array_equal(np.asarray(open_rgb(made)), np.asarray(open_rgb(images / source)))
    assert before == {path: path.read_bytes() for path in images.iterdir()}


def test_the_dataset_file_says_what_kohyas_trainer_must_know(tmp_path: Path) -> None:
    project = make_project(tmp_path, trigger="zbk, drawing")
    save_drawings(project.root / "images" / "5_my_chair", 1, caption="a")
    save_drawings(project.root / "images", 1, 1, caption="b")
    dataset = read(project)
    told = Captioning({item.name: "x" for item in dataset.items}, ())
    events: list[Event] = []
    work = build_dataset(project, dataset, told, general={"shuffle_caption": True}, buckets={"resolution": [512, 512]})
    folder = finish(work, events.append)
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(1, 2), (2, 2)]
    text = (folder / "dataset.toml").read_text("utf-8")
    assert tomllib.loads(text) == {
        "general": {"caption_extension": ".txt", "keep_tokens": 2, "shuffle_caption": True},
        "datasets": [
            {
                "resolution": [512, 512],
                "subsets": [
                    {"image_dir": str(folder / "1_zbk"), "num_repeats": 1, "class_tokens": "zbk"},
                    {"image_dir": str(folder / "5_my_chair"), "num_repeats": 5, "class_tokens": "my chair"},
                ],
            }
        ],
    }


def test_decided_repeats_make_the_folders(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images" / "5_main", 2, caption="a")
    dataset = read(project)
    decided = replace(dataset, items=(replace(dataset.items[0], repeats=9), dataset.items[1]))
    folder = build(project, decided)
    assert listing(folder) == [
        *("5_main/001.png", "5_main/001.txt"),
        *("9_main/000.png", "9_main/000.txt"),
        "dataset.toml",
    ]


def test_a_crop_is_cut_out(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    secret_photo(project.root / "images" / "a.jpg", 6)
    dataset = read(project)
    (item,) = dataset.items
    folder = build(project, replace(dataset, items=(replace(item, crop=(8, 16, 40, 60)),)))
    made = folder / "1_zbk" / "a.png"
    assert not made.is_symlink()
    assert np.array_equal(np.asarray(open_rgb(made)), np.asarray(open_rgb(item.path))[16:60, 8:40])


def test_a_caption_is_one_line_and_never_an_empty_file(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 2)
    folder = build(project, captions={"000.png": "one\ntwo", "001.png": ""})
    assert (folder / "1_zbk/000.txt").read_bytes() == b"one two\n"
    assert (folder / "1_zbk/001.txt").read_bytes() == b"\n"


def test_odd_names_become_plain_ones_and_none_is_lost(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    composed, split = unicodedata.normalize("NFC", "\u00e9"), unicodedata.normalize("NFD", "\u00e9")
    names = [f"{composed}.png", f"{split}.png", "x" * 250 + ".png", "a b[1].png", "a.png", "a.jpg", "A.png", "a.b.png"]
    for seed, name in enumerate(names):
        draw(seed, (32, 32)).save(images / name)
    (images / os.fsdecode(b"\xff\n\x1b.png")).write_bytes((images / "a.png").read_bytes())
    folder = build(project)
    made = [path for path in listing(folder / "1_zbk") if not path.endswith(".txt")]
    assert len(made) == len(names) + 1
    assert len({path.casefold() for path in made}) == len(made)
    for path in made:
        assert path.isprintable()
        assert (folder / "1_zbk" / path).with_suffix(".txt").is_file()
    assert {"A.png", "a-2.jpg", "a-3.png", "a.b.png", "a_b_1.png"} <= set(made)


def test_one_picture_that_breaks_leaves_the_old_folder(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    file = save_drawings(project.root / "images", 1, caption="a")[0]
    dataset = read(project)
    build(project, dataset)
    file.write_bytes(b"no picture any more")
    with pytest.raises(ImageError, match=r"000\.png"):
        build(project, dataset)
    assert listing(project.built_dataset) == ["1_zbk/000.png", "1_zbk/000.txt", "dataset.toml"]
    assert [path.name for path in project.built_dataset.parent.iterdir()] == ["dataset"]


def test_the_zip_is_flat_with_unique_stems_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    for folder in ("5_a", "2_b"):
        save_drawings(project.root / "images" / folder, 2, caption=folder)
    build(project)
    target = tmp_path / "deep" / "out.zip"
    packed = pack_zip(project, target).read_bytes()
    with zipfile.ZipFile(target) as archive:
        assert sorted(archive.namelist()) == sorted(
            f"{stem}{end}" for stem in ("000", "000-2", "001", "001-2") for end in (".png", ".txt")
        )
        assert archive.read("000.txt") == b"zbk, 2_b\n"
        assert archive.read("000-2.txt") == b"zbk, 5_a\n"
        assert archive.read("000-2.png") == (project.root / "images/5_a/000.png").read_bytes()
    build(project)
    assert pack_zip(project, target).read_bytes() == packed


def test_packing_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    save_drawings(project.root / "images", 1)
    with pytest.raises(ProjectError, match=r"nothing was built yet.*tag the images .*write"):
        pack_zip(project, tmp_path / "out.zip")
    build(project)
    (tmp_path / "notes.zip").write_text("mine")
    with pytest.raises(ProjectError, match="something else"):
        pack_zip(project, tmp_path / "notes.zip")
    assert (tmp_path / "notes.zip").read_text() == "mine"
