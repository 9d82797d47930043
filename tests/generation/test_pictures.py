"""Pictures keep their recipe: PNG chunks out and in, other tools' texts, free names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from lorasmith.bases.base import Base, load_base
from lorasmith.errors import ImageError, UsageError
from lorasmith.events import finish
from lorasmith.generation.base_facts import facts_of
from lorasmith.generation.checks import settle
from lorasmith.generation.infotext import read_infotext, split_infotext, write_infotext
from lorasmith.generation.pictures import Drawing, read_init, read_picture, save_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import Hires, PictureSpec, Variation
from lorasmith.storage.files import add_file


@pytest.fixture(scope="module")
def tiny_base(tiny_base_folder: Path) -> Base:
    """One for all tests here: drawing leaves no trace in it."""
    return load_base(tiny_base_folder)


WAYS = {
    "plain": PictureSpec("röd hår, (a:1.2)", "hat\nsmile", seed=5, steps=2, sampler="DPM++ 2M Karras", clip_skip=2),
    "varied": PictureSpec(
        "red", seed=5, steps=2, sampler="Euler a", schedule="Karras", eta=0.5, variation=Variation(9, 0.3), tiling=True
    ),
    "larger": PictureSpec("red", steps=2, hires=Hires(1.5, steps=1, denoising=0.6, upscaler="Lanczos", prompt="blue")),
    "resized": PictureSpec("red", steps=2, hires=Hires(width=72, height=80, denoising=0.6, negative="hat")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_tells_how_to_draw_it_again(tiny_base: Base, tmp_path: Path, way: str, suffix: str) -> None:
    spec = WAYS[way]
    (picture,) = finish(Pipeline(tiny_base).draw([spec]))
    found = read_picture(save_picture(picture, tmp_path / f"a{suffix}"))
    assert found.spec == picture.spec
    assert found.infotext == picture.infotext
    assert found.document is not None
    assert found.document["base"] == {"name": tiny_base.name, "hash": tiny_base.content_hash}
    # The A1111 text alone tells it too.
    alone = read_infotext(picture.infotext)
    if way == "plain":
        assert (alone.sampler, alone.schedule) == ("DPM++ 2M", "Karras")
        alone = replace(alone, sampler="DPM++ 2M Karras", schedule="Automatic")
    assert alone == picture.spec
    if suffix == ".jpg":
        return
    with Image.open(tmp_path / f"a{suffix}") as saved:
        assert saved.convert("RGB").tobytes() == picture.image.tobytes()
    drawing = found.drawing
    assert drawing is not None
    again = finish(Pipeline(tiny_base).redraw(found.restore(), drawing))
    assert again.image.tobytes() == picture.image.tobytes()
    assert found.pixels == again.as_json()["pixels"]


def test_a_picture_over_another_one_is_restored_from_where_that_lies(tiny_base: Base, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "start.png")
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "mask.png")
    init = read_init(tmp_path / "start.png", 0.5, tmp_path / "mask.png")
    (picture,) = finish(Pipeline(tiny_base).draw([PictureSpec("red", steps=3, init=init)]))
    file = read_picture(save_picture(picture, tmp_path / "out.png"))
    again = file.restore()
    assert again == picture.spec
    (redrawn,) = finish(Pipeline(tiny_base).draw([again]))
    assert redrawn.image.tobytes() == picture.image.tobytes()
    (tmp_path / "start.png").rename(tmp_path / "moved.png")
    with pytest.raises(ImageError, match="Say where it is now with init = FILE"):
        file.restore()
    assert file.restore(tmp_path / "moved.png") == again
    Image.new("RGB", (64, 64)).save(tmp_path / "moved.png")
    with pytest.raises(ImageError, match="its pixels are others"):
        file.restore(tmp_path / "moved.png")


def test_comments_of_other_tools_in_either_order(tmp_path: Path) -> None:
    text = "a kat, Ж\nSteps: 9, Sampler: Euler, CFG scale: 6, Seed: 7"
    for number, body in enumerate(
        (b"UNICODE\0" + text.encode("utf-16-le"), b"UNICODE\0" + text.encode("utf-16-be"), text.encode())
    ):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = body
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", (8, 8)).save(path, exif=exif)
        spec = read_picture(path).spec
        assert spec is not None
        assert (spec.prompt, spec.steps, spec.seed) == ("a kat, Ж", 9, 7)


@pytest.mark.parametrize(
    "document",
    ["[]", '{"request": 3}', '{"request": {"prompt": 3}}', '{"request": {"prompt": "a", "hires": {"x": 1}}}', "{" * 9],
)
def test_a_strange_recipe_is_no_recipe(tmp_path: Path, document: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("lorasmith", document)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=chunks)
    found = read_picture(tmp_path / "a.png")
    assert found.spec is None
    assert found.drawing is None
    with pytest.raises(ImageError, match="tells no prompt"):
        found.restore()


def test_unknown_kinds_of_pictures_are_refused(tiny_base: Base, tmp_path: Path) -> None:
    (picture,) = finish(Pipeline(tiny_base).draw([PictureSpec("red", steps=1)]))
    with pytest.raises(UsageError, match="Known: "):
        save_picture(picture, tmp_path / "a.gif")
    long = replace(picture, infotext="long " * 20_000)
    with pytest.raises(UsageError, match="too long for a JPEG"):
        save_picture(long, tmp_path / "a.jpg")
    assert read_picture(save_picture(long, tmp_path / "a.webp")).infotext == long.infotext


def test_the_text_is_what_the_web_ui_writes(tiny_base: Base) -> None:
    spec = settle(PictureSpec("a cat\nwith <lora:x:1>", "bad", seed=3, cfg=7.5, clip_skip=2), facts_of(tiny_base))
    text = write_infotext(spec, "my, model", "ab" * 32, {"x:1": "0123456789abcdef", "y": "f" * 64})
    assert text.splitlines()[:3] == ["a cat", "with <lora:x:1>", "Negative prompt: bad"]
    assert text.splitlines()[3].startswith(
        "Steps: 20, Sampler: DDIM, Schedule type: Automatic, CFG scale: 7.5, Seed: 3, Size: 64x64, "
        'Model hash: ababababab, Model: "my, model", Clip skip: 2, '
        'Lora hashes: "x1: 0123456789ab, y: ffffffffffff", '
    )
    assert read_infotext(text) == PictureSpec(spec.prompt, "bad", 3, 20, 7.5, "DDIM", width=64, height=64, clip_skip=2)


def test_other_tools_texts(tmp_path: Path) -> None:
    text = (
        "cat, dog\nNegative prompt: x,\ny\n"
        "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6, Seed: 7, "
        'Size: 512x768, Model: "a \\"b\\", c", Version: v1.10.1'
    )
    prompt, negative, values = split_infotext(text)
    assert (prompt, negative, values["Model"]) == ("cat, dog", "x,\ny", 'a "b", c')
    picture = tmp_path / "theirs.png"
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(picture, pnginfo=chunks)
    spec = read_picture(picture).spec
    assert spec == PictureSpec("cat, dog", "x,\ny", 7, 30, 6.0, "DPM++ 2M", 512, 768, schedule="Karras")


def test_automatic_is_read_as_the_web_ui_means_it(tiny_base: Base) -> None:
    line = "Steps: 30, Sampler: {}, Schedule type: Automatic, CFG scale: 6, Seed: 7"
    assert read_infotext(line.format("DPM++ 2M")).schedule == "Karras"
    assert read_infotext(line.format("Euler a")).schedule == "Automatic"
    assert read_infotext("Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 6, Seed: 7").sampler == "DPM++ 2M Karras"
    for name, told in (("DPM++ 2M", "Uniform"), ("DPM++ SDE Karras", "Karras"), ("Heun", "Automatic")):
        spec = settle(PictureSpec("a", sampler=name), facts_of(tiny_base))
        assert f"Schedule type: {told}," in write_infotext(spec, "m", "ab" * 32, {})


def test_a_last_line_with_few_fields_is_prompt() -> None:
    assert split_infotext("a cat\nmood: happy, time: noon") == ("a cat\nmood: happy, time: noon", "", {})
    assert read_infotext("") == PictureSpec("")


def test_a_picture_without_a_recipe_and_a_file_that_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert read_picture(tmp_path / "plain.png").spec is None
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png"):
        read_picture(tmp_path / "text.png")


def test_names_are_never_used_twice(tmp_path: Path) -> None:
    (tmp_path / "picture-0041.png").touch()
    (tmp_path / "picture-x.png").touch()
    assert add_file(tmp_path, "picture", ".png", b"one").name == "picture-0042.png"
    assert add_file(tmp_path, "picture", ".png", b"two").name == "picture-0043.png"
    assert add_file(tmp_path / "new", "grid", ".png", b"three").read_bytes() == b"three"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["grid-0001.png"]


OLD_DOCUMENTS = {
    "1": {
        "version": 1,
        "request": {
            "prompt": "a hat",
            "negative": "",
            "seed": 3,
            "steps": 2,
            "cfg": 7.0,
            "sampler": "Euler a",
            "width": 64,
            "height": 64,
            "clip_skip": 1,
            "emphasis": "original",
            "compat": None,
        },
    },
    "2": {
        "version": 2,
        "request": {
            "prompt": "a hat",
            "negative": "b",
            "seed": 3,
            "steps": 2,
            "cfg": 7.0,
            "sampler": "Euler a",
            "width": 64,
            "height": 64,
            "clip_skip": 1,
            "emphasis": "no norm",
            "compat": "a1111",
            "schedule": "Karras",
            "eta": 0.5,
            "variation": {"seed": 4, "strength": 0.25},
            "init": None,
            "hires": {
                "scale": 1.0,
                "width": 96,
                "height": 96,
                "steps": None,
                "denoising": 0.5,
                "upscaler": "Lanczos",
                "prompt": "blue",
                "negative": None,
            },
            "tiling": True,
        },
        "drawing": {"rows": 1, "place": 0, "merged": False, "threads": 1},
    },
}


@pytest.mark.parametrize("version", OLD_DOCUMENTS)
def test_documents_of_older_versions_are_read(tiny_base: Base, tmp_path: Path, version: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("lorasmith", json.dumps(OLD_DOCUMENTS[version]))
    Image.new("RGB", (8, 8)).save(tmp_path / "old.png", pnginfo=chunks)
    found = read_picture(tmp_path / "old.png")
    plain = PictureSpec("a hat", seed=3, steps=2, cfg=7.0, sampler="Euler a", width=64, height=64)
    if version == "2":
        hires = Hires(1.0, 96, 96, denoising=0.5, upscaler="Lanczos", prompt="blue")
        plain = replace(plain, negative="b", emphasis="no norm", compat="a1111", schedule="Karras", eta=0.5)
        plain = replace(plain, variation=Variation(4, 0.25), hires=hires, tiling=True)
    assert found.spec == plain
    picture = finish(Pipeline(tiny_base).redraw(found.restore(), found.drawing or Drawing()))
    assert picture.spec == plain
