"""Axes: what each place changes, and how they act together."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError, UsageError
from lorasmith.generation.grids.axes import (
    CONTROL,
    STILL,
    Axis,
    Draft,
    adapter_axis,
    base_axis,
    field_axis,
    order_axis,
    part_axis,
    strength_axis,
    swap_axis,
)
from lorasmith.generation.grids.typed import axis_kinds, read_axis
from lorasmith.generation.spec import Hires, PictureSpec

REQUEST = PictureSpec("a red hat, blue sky", negative="red nose")


def prompts(*axes: Axis, draft: Draft | None = None) -> list[str]:
    """The finished prompts of all places, the last axis fastest."""
    drafts = [draft or Draft(REQUEST)]
    for axis in axes:
        drafts = [edit(each) for each in drafts for edit in axis.edits]
    return [each.finished().prompt for each in drafts]


def test_strengths_with_and_without_control() -> None:
    adapter = Draft(REQUEST, adapter="zbk")
    assert prompts(strength_axis([0.5, -1]), draft=adapter) == [
        *("a red hat, blue sky", "a red hat, blue sky <lora:zbk:0.5>", "a red hat, blue sky <lora:zbk:-1>"),
    ]
    assert strength_axis([0, 0.5]).labels == (CONTROL, "strength 0.5")  # one control, not two
    assert strength_axis([0.5], control=False).labels == ("strength 0.5",)


def test_the_two_parts_of_an_adapter() -> None:
    axes = (adapter_axis(["a", None]), part_axis("te", [0, 1]), part_axis("unet", [0, 0.5]))
    assert [text.removeprefix("a red hat, blue sky").strip() for text in prompts(*axes)] == [
        *("", "<lora:a:te=0:unet=0.5>", "<lora:a:te=1:unet=0>", "<lora:a:te=1:unet=0.5>"),
        *("", "", "", ""),
    ]


def test_swaps_act_on_both_prompts_everywhere() -> None:
    edit = swap_axis([("red", "green")]).edits[0]
    final = edit(Draft(REQUEST)).finished()
    assert (final.prompt, final.negative) == ("a green hat, blue sky", "green nose")


def test_swaps_of_two_axes_do_not_take_each_others_words() -> None:
    x, y = swap_axis([("red hat", "blue cap")]), swap_axis([("blue", "red")])
    assert prompts(x, y) == ["a blue cap, red sky"]  # one after another it would be "a red cap, red sky"
    inner = swap_axis([("cap", "wig")])
    assert prompts(x, inner) == ["a blue wig, blue sky"]  # what was put in may be searched
    with pytest.raises(PromptError, match='"wool" is neither in the prompt'):
        prompts(x, swap_axis([("wool", "silk")]))
    with pytest.raises(PromptError):
        prompts(swap_axis([("", "silk")]))


def test_orders_trade_places() -> None:
    draft = Draft(PictureSpec("hat, a red hat and sky"))
    assert prompts(order_axis(["hat", "red hat"]), draft=draft) == ["hat, a red hat and sky", "red hat, a hat and sky"]
    assert len(order_axis(["a", "b", "c"])) == 6
    with pytest.raises(PromptError, match='"moon" is not in the prompt'):
        prompts(order_axis(["sky", "moon"]))
    for wrong in (["a"], ["a", "a"], list("abcdef")):
        with pytest.raises(UsageError, match="2 to 5 different parts"):
            order_axis(wrong)


def test_fields_and_their_parts() -> None:
    edit = field_axis("hires.scale", [1.5]).edits[0]
    assert edit(Draft(REQUEST)).spec.hires == Hires(scale=1.5)
    kept = edit(Draft(PictureSpec("a", hires=Hires(steps=7)))).spec.hires
    assert kept == Hires(scale=1.5, steps=7)
    with pytest.raises(UsageError, match="no picture to start from"):
        field_axis("init.strength", [0.5]).edits[0](Draft(REQUEST))


def test_bases_go_by_their_folder_unless_two_are_alike() -> None:
    assert base_axis(["doodle", "models/sd15"]).labels == ("doodle", "sd15")
    assert base_axis(["a/sd", "b/sd"]).labels == ("a/sd", "b/sd")
    assert base_axis(["b"]).edits[0](Draft(REQUEST, base="a")).base == "b"


def test_an_axis_that_changes_nothing() -> None:
    assert prompts(STILL) == [REQUEST.prompt]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("strength=0.6,1", (CONTROL, "strength 0.6", "strength 1")),
        ("Seed = 1, 2", ("seed 1", "seed 2")),
        ("seed=1-5 (+2)", ("seed 1", "seed 3", "seed 5")),
        ("cfg=3.5", ("cfg 3.5",)),
        ("sampler=Euler a,DDIM", ("sampler Euler a", "sampler DDIM")),
        ("clip skip=1,2", ("clip skip 1", "clip skip 2")),
        ('prompt=cat,"dog, big",', ("cat", "dog, big", "(nothing)")),
        ('prompt=cat, "dog, big"', ("cat", "dog, big")),
        ("prompt=cat => dog, horse", ("dog", "horse")),
        ("prompt=cat => dog, red => blue", ("cat → dog", "red → blue")),
        ("prompt=0.8 => 0.2..0.6/0.2", ("0.2", "0.4", "0.6")),
        ('prompts="a cat, red",a dog', ("a cat, red", "a dog")),
        ("adapter=a,none", ("a", CONTROL)),
        ("snapshot=a", ("a",)),
        ("size=64x64, 128x96", ("64x64", "128x96")),
        ("denoising=0.3", ("hires denoising 0.3",)),
        ("tiling=yes,no", ("tiling True", "tiling False")),
        ("order=a,b", ("a, b", "b, a")),
        ("negative=,bad", ("(no negative prompt)", "bad")),
        ("blocks=MIDD", ("blocks MIDD",)),
        ("unet=0.5", ("denoiser strength 0.5",)),
        ("base=doodle", ("doodle",)),
    ],
)
def test_axes_as_typed(text: str, labels: tuple[str, ...]) -> None:
    assert read_axis(text).labels == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strenght=1", 'Did you mean "strength"'),
        ("1,2,3", "Write KIND=VALUES"),
        ("strength=0.6,x", '"x" is not a number'),
        ("seed=1.5", "not a whole number"),
        ("seed=", "seed"),
        ("prompt=", "something to search for"),
        ("prompt=dog,cat => horse", "takes the place of"),
        ("sampler=,DDIM", "an empty value"),
        ("adapter=a,", "an empty value"),
        ("size=64", "WIDTHxHEIGHT"),
        ("tiling=maybe", "neither yes nor no"),
        ('prompts="a', "do not pair up"),
    ],
)
def test_axes_not_understood(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_axis(text)


def test_every_field_of_the_request_is_an_axis() -> None:
    kinds = axis_kinds()
    assert len(kinds) == len(set(kinds))
    for field in ("seed", "steps", "cfg", "sampler", "schedule", "eta", "variation.strength", "hires.upscaler"):
        assert field in kinds
    assert "compat" not in kinds
