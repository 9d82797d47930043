"""What is checked before anything is drawn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import find_family
from lorasmith.errors import LorasmithError
from lorasmith.generation.advice import advise_guidance
from lorasmith.generation.base_facts import BaseFacts, facts_of, known_facts
from lorasmith.generation.checks import check, final_size, settle
from lorasmith.generation.spec import PARAMETERS, Hires, PictureSpec, StoredInit, Variation, read_spec


def test_defaults_come_from_the_base(tiny_base: Base) -> None:
    spec = settle(PictureSpec("a", sampler="euler A"), facts_of(tiny_base))
    assert (spec.width, spec.height, spec.cfg, spec.sampler) == (64, 64, 7.0, "Euler a")
    assert (
        spec == settle(spec, facts_of(tiny_base)) == PictureSpec("a", sampler="Euler a", width=64, height=64, cfg=7.0)
    )
    tiny_base.family = find_family("doodle")
    assert settle(PictureSpec("a"), facts_of(tiny_base)).cfg == 1.75


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_base_tells_the_same_before_and_after_it_is_loaded(family_folders: dict[str, Path], family: str) -> None:
    known, facts = known_facts(str(family_folders[family])), facts_of(load_base(family_folders[family]))
    assert known == facts or known == replace(facts, text_layers=None)
    assert known_facts("nowhere") == BaseFacts()
    assert known_facts("doodle") == BaseFacts(
        resolution=128, cfg=1.75, factor=8, text_layers=3, tiles=True, text_widths=(128,)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 100}, "width: 100 is not a multiple of 8. Near: 96 or 104"),
        ({"height": 8}, "height: 8 is not between 64 and 4096"),
        ({"steps": 0}, "steps: 0 is not between 1 and 1000"),
        ({"steps": 2.5}, "steps: 2.5 is not a whole number"),
        ({"seed": -1}, "seed: -1"),
        ({"cfg": float("nan")}, "cfg: nan is not a number"),
        ({"cfg": -1}, "cfg: -1 is not between"),
        ({"sampler": "DPM++ 2M Karas"}, r'Did you mean "DPM\+\+ 2M Karras"'),
        ({"clip_skip": 9}, "clip_skip: 9 is not between 1 and 3"),
        ({"emphasis": "no-norm"}, 'Did you mean "no norm"'),
        ({"compat": "A1111"}, "unknown dialect"),
    ],
)
def test_wrong_values(tiny_base: Base, values: dict[str, Any], message: str) -> None:
    with pytest.raises(LorasmithError, match=message):
        settle(PictureSpec("a", **values), facts_of(tiny_base))


def test_what_a_picture_is_is_known_without_torch() -> None:
    code = (
        "import sys\n"
        "from lorasmith.generation.checks import check\n"
        "from lorasmith.generation.infotext import read_infotext\n"
        "check(read_infotext('a'))\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'numpy', 'PIL'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_is_left_to_the_base_is_checked_as_far_as_it_is_known() -> None:
    larger = PictureSpec("a", width=128, hires=Hires(4.0))
    assert final_size(larger, BaseFacts()) is None
    assert final_size(larger, BaseFacts(resolution=512)) == (512, 2048)
    assert check(larger) == larger
    with pytest.raises(LorasmithError, match=r"hires\.scale: height 8192"):
        check(larger, BaseFacts(resolution=2048))
    with pytest.raises(LorasmithError, match="clip_skip: 12 is not between 1 and 3"):
        check(PictureSpec(clip_skip=12), BaseFacts(text_layers=3))


def test_documents_are_read_as_they_were_written() -> None:
    spec = PictureSpec(
        "a",
        cfg=3.5,
        variation=Variation(3, 0.5),
        init=StoredInit(image="f" * 64, strength=0.5),
        hires=Hires(1.5, prompt="", steps=3),
    )
    assert read_spec(spec.as_json()) == spec
    assert read_spec({"prompt": "a", "unheard": 1, "seed": 3}) == PictureSpec("a", seed=3)
    over = {"path": "a.png", "hash": "b", "strength": 0.5, "mask": None, "resize": "crop"}
    assert read_spec({"prompt": "a", "init": over}) == PictureSpec("a")
    for wrong in ({}, {"prompt": 3}, {"prompt": "a", "seed": True}, {"prompt": "a", "hires": {"x": 1}}):
        assert read_spec(wrong) is None
    assert replace(spec, base="doodle").as_json() == spec.as_json()


def test_every_field_has_its_words() -> None:
    assert len(PARAMETERS) > 20
    for known in PARAMETERS.values():
        assert known.help.endswith((".", "...")), known.name
        assert known.checked(known.default) == known.default


def test_guidance_that_a_base_is_not_made_for() -> None:
    plain, guided = PictureSpec("a"), PictureSpec("a", cfg=5.0)
    away = PictureSpec("a", negative="b")
    assert advise_guidance([plain, guided, away], "Doodle", 5.0) == ()
    assert [each.message for each in advise_guidance([PictureSpec("a", negative="b", cfg=1.0)], "Doodle", 5.0)] == [
        "a negative prompt has no effect at CFG 1."
    ]
    assert advise_guidance([plain], "turbo", 1.0) == ()
    told = advise_guidance([guided, guided, away], "turbo", 1.0)
    assert len(told) == 2
    assert told[0].message.startswith("turbo is made for CFG 1; CFG 5 takes twice the time")
