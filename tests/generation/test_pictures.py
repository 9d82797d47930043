"""Pictures keep their recipe: PNG chunks out and in, other tools' texts, free names."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from lorasmith.bases.base import Base
from lorasmith.errors import ImageError
from lorasmith.events import finish
from lorasmith.generation.infotext import read_infotext, split_infotext, write_infotext
from lorasmith.generation.pictures import claim_free_path, read_picture, save_picture
from lorasmith.generation.request import Request, settle
from lorasmith.generation.studio import Studio


def test_a_picture_tells_how_to_draw_it_again(tiny_base: Base, tmp_path: Path) -> None:
    request = Request("röd hår, (a:1.2)", "hat\nsmile", seed=5, steps=2, sampler="DPM++ 2M Karras", clip_skip=2)
    (picture,) = finish(Studio(tiny_base).draw([request]))
    found = read_picture(save_picture(picture, tmp_path / "a.png"))
    assert found.request == picture.request
    assert found.infotext == picture.infotext
    assert found.document is not None
    assert found.document["base"] == {"name": tiny_base.name, "hash": tiny_base.content_hash}
    (again,) = finish(Studio(tiny_base).draw([found.request]))
    assert again.image.tobytes() == picture.image.tobytes()


def test_the_text_is_what_the_web_ui_writes(tiny_base: Base) -> None:
    request, settings = settle(Request("a cat\nwith <lora:x:1>", "bad", seed=3, cfg=7.5, clip_skip=2), tiny_base)
    text = write_infotext(request, settings, "my, model", "ab" * 32, {"x:1": "0123456789abcdef", "y": "f" * 64})
    assert text.splitlines()[:3] == ["a cat", "with <lora:x:1>", "Negative prompt: bad"]
    assert text.splitlines()[3].startswith(
        "Steps: 20, Sampler: DDIM, Schedule type: Automatic, CFG scale: 7.5, Seed: 3, Size: 64x64, "
        'Model hash: ababababab, Model: "my, model", Clip skip: 2, '
        'Lora hashes: "x1: 0123456789ab, y: ffffffffffff", '
    )
    assert read_infotext(text) == Request(request.prompt, "bad", 3, 20, 7.5, "DDIM", width=64, height=64, clip_skip=2)


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
    request = read_picture(picture).request
    assert request == Request("cat, dog", "x,\ny", 7, 30, 6.0, "DPM++ 2M Karras", 512, 768)


def test_a_last_line_with_few_fields_is_prompt() -> None:
    assert split_infotext("a cat\nmood: happy, time: noon") == ("a cat\nmood: happy, time: noon", "", {})
    assert read_infotext("") == Request("")


def test_a_picture_without_a_recipe_and_a_file_that_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert read_picture(tmp_path / "plain.png").request is None
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png"):
        read_picture(tmp_path / "text.png")


def test_names_are_never_used_twice(tmp_path: Path) -> None:
    (tmp_path / "picture-0041.png").touch()
    (tmp_path / "picture-x.png").touch()
    assert claim_free_path(tmp_path, "picture").name == "picture-0042.png"
    assert claim_free_path(tmp_path, "picture").name == "picture-0043.png"
    assert claim_free_path(tmp_path / "new", "grid").name == "grid-0001.png"
