"""Adapters' extensions, printing a prompt back, and 10,000 texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorasmith.errors import PromptError
from lorasmith.prompts import Network, parse, split_networks
from lorasmith.prompts.compatibility import Compat
from lorasmith.prompts.networks import Moment


def network(tag: str) -> Network:
    (found,) = split_networks(tag).networks
    return found


@pytest.mark.parametrize("name", ["my lora", "v1.5.2", "foo__bar", "Ünïcode 名", "a-b_c (d)", "a=b"])
def test_names(name: str) -> None:
    assert network(f"<lora:{name}:0.5>") == Network(name, 0.5, 0.5)
    assert network(str(Network(name, 0.5, 0.5))) == Network(name, 0.5, 0.5)


def test_a_curve_runs_straight_between_its_moments() -> None:
    found = network("<lora:x:0@0,1@0.5,0@1.0>")
    assert found == Network("x", 1.0, 1.0, curve=((Moment(0), 0.0), (Moment(0.5, True), 1.0), (Moment(1.0, True), 0.0)))
    assert not found.is_steady
    assert [found.unet_at(step, 8) for step in range(1, 9)] == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25]
    assert network("<lora:x:0.4:0.2@2,-1@6>").te == 0.4
    late = network("<lora:x:te=0.4:unet=0.2@2,-1@6>")
    assert (late.te, late.unet) == (0.4, -1.0)
    assert [late.unet_at(step, 10) for step in (1, 3, 5, 7, 10)] == pytest.approx([0.2, 0.2, -0.4, -1, -1])


def test_windows() -> None:
    found = network("<lora:x:0.8:start=2:end=0.5>")
    assert [found.unet_at(step, 10) for step in range(1, 11)] == [0, 0, 0.8, 0.8, 0.8, 0, 0, 0, 0, 0]
    assert network("<lora:x:step=2-5>") == network("<lora:x:start=2:stop=5>")
    assert network("<lora:x>").is_steady
    assert network("<lora:x:0.7>").unet_at(9, 9) == 0.7


def test_block_weights() -> None:
    assert network("<lora:x:lbw=MIDD>").blocks == tuple(map(float, "10001111111100000"))
    assert network("<lora:x:1:lbw=1,0,.5,0,0,0,0,0,0,0,0,0>").blocks[:3] == (1.0, 0.0, 0.5)
    assert network("<lora:x:1:in=0.5:out=0>").blocks == (1.0, *[0.5] * 6, 1.0, *[0.0] * 9)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("<lora:x:1@x>", "no moment"),
        ("<lora:x:x@1>", "not a number"),
        ("<lora:x:start=soon>", "no moment"),
        ("<lora:x:lbw=MIDDD>", "MIDD"),
        ("<lora:x:lbw=1,2>", "2 block weights"),
        ("<lora:x:bad:te=1>", "not a number"),
        ("<lora:x:1e308><lora:x:1e308>", "not a number"),
    ],
)
def test_wrong_extensions(tag: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        split_networks(tag)


def test_a1111_knows_none_of_them() -> None:
    assert split_networks("<lora:x:0.5:lbw=MIDD:start=2>", "a1111").networks == (Network("x", 0.5, 0.5),)
    assert split_networks("<lora:x:1@0>", "a1111").networks == ()


def test_repeats_sum_only_where_they_act_alike() -> None:
    assert len(split_networks("<lora:x:0.5:end=3><lora:x:0.5>").networks) == 2
    assert len(split_networks("<lora:x:0@0,1@5><lora:x:0@0,1@5>").networks) == 2
    assert split_networks("<lora:x:0.5:end=3><lora:x:1:end=3>").networks[0].unet == 1.5


PIECES = [
    *"()[]<>|:\\=.-+ eé\n",
    "AND",
    "BREAK",
    "lora",
    "te=",
    "1.5",
    "3",
    "[a:b:",
    "<lora:x:",
    "<lora:x:0.5>",
    "0@1,",
]
PIECES += ["<lora:y:1:start=2:lbw=MIDD>", "<z:1>", ":end=0.5>", "<lora:x:0@0,1@1>", "\ud800", "٣"]
# Each letter of a private range stands for a piece: one draw of the library makes a whole text.
LETTERS = {0xE000 + at: piece for at, piece in enumerate(PIECES)}
ALPHABET = st.characters(min_codepoint=0xE000, max_codepoint=0xE000 + len(PIECES) - 1)
TEXTS = st.text(ALPHABET, max_size=20).map(lambda text: text.translate(LETTERS)) | st.text(max_size=12)


@settings(max_examples=1_000, deadline=None, database=None, derandomize=True)
@given(st.lists(TEXTS, min_size=10, max_size=10), st.sampled_from([None, "a1111"]))
def test_any_text_prints_back_to_what_it_says_or_is_our_error(texts: list[str], compat: Compat) -> None:
    for text in texts:  # 10,000 in all
        try:
            prompt = parse(text, 7, compat)
            assert prompt.attention
        except PromptError:
            continue
        if compat is None:
            assert parse(str(prompt), 7) == prompt


def test_tags_that_form_when_a_tag_goes() -> None:
    text = "<lo<lora:x:1>ra:y:1> b <lora:z:0.5>"
    prompt = parse(text, 3)
    assert prompt.text == "<lora:y:1> b "
    assert parse(str(prompt), 3) == prompt
