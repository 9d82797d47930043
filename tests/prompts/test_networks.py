"""Adapter tags: every positional and named form, repeats, and what is refused."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError
from lorasmith.prompts import Network, split_networks
from lorasmith.prompts.networks import unknown_tag_error


@pytest.mark.parametrize(
    ("tag", "network"),
    [
        ("<lora:x>", Network("x", 1.0, 1.0)),
        ("<lora:x:.8>", Network("x", 0.8, 0.8)),
        ("<lora:x:.8:.5>", Network("x", 0.8, 0.5)),
        ("<lora:x:te=0.5>", Network("x", 0.5, 0.5)),
        ("<lora:x:unet=0.3>", Network("x", 1.0, 0.3)),
        ("<lora:x:0.2:te=0.5:unet=0.3:dyn=8>", Network("x", 0.5, 0.3, 8)),
        ("<lora:x:1:1:16>", Network("x", 1.0, 1.0, 16)),
        ("<lora:x:1:dyn=16>", Network("x", 1.0, 1.0, 16)),
        ("<lora:x: 0.8 >", Network("x", 0.8, 0.8)),
        ("<lora:x:-1>", Network("x", -1.0, -1.0)),
        ("<lora:x:2.5>", Network("x", 2.5, 2.5)),
        ("<lyco:x:0.4>", Network("x", 0.4, 0.4)),
        ("<lora:my file.v1__b-ü:1>", Network("my file.v1__b-ü", 1.0, 1.0)),
        ("<lora:a=b:1>", Network("a=b", 1.0, 1.0)),
        ("<lora:x:0.8:apart=x style, ink>", Network("x", 0.8, 0.8, apart="x style, ink")),
    ],
)
def test_forms(tag: str, network: Network) -> None:
    tags = split_networks(f"a {tag}, b")
    assert tags.networks == (network,)
    assert tags.text == "a , b"


def test_repeats_sum_and_in_a1111_stand_apart() -> None:
    text = "<lora:x:0.5> <lora:y> <lora:x:0.25:1>"
    assert split_networks(text).networks == (Network("x", 0.75, 1.5), Network("y"))
    assert [network.name for network in split_networks(text, "a1111").networks] == ["x", "y", "x"]


@pytest.mark.parametrize("strength", ["x", "", "nan", "inf", "0,8", "te=strong"])
def test_a_strength_that_is_not_a_number_is_refused_and_drops_all_in_a1111(strength: str) -> None:
    text = f"<lora:good:1> <lora:bad:{strength}>"
    with pytest.raises(PromptError, match=r"<lora:bad:.*not a number"):
        split_networks(text)
    assert split_networks(text, "a1111").networks == ()


@pytest.mark.parametrize(("tag", "message"), [
    ("<lora:x:1:uent=0.5>", 'Did you mean "unet"'),
    ("<lora:x:1:1:8:9>", "more than name"),
    ("<lora:x:dyn=0>", "ranks"),
    ("<lora:x:dyn=1.5>", "ranks"),
    ("<lora:x:0.8:apart>", "no words for the adapter"),
    ("<lora:x:0.8:apart= >", "no words for the adapter"),
])  # fmt: skip
def test_items_that_mean_nothing_are_refused(tag: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        split_networks(tag)


def test_in_a1111_an_equals_sign_breaks_the_name() -> None:
    assert split_networks("<lora:a=b:1>", "a1111").networks == (Network("1"),)


def test_other_tags_go_and_are_named() -> None:
    tags = split_networks("a <LORA:x:1> <b> <:c> <lora:> d")
    assert tags.text == "a  <b> <:c> <lora:> d"
    assert tags.networks == ()
    assert tags.unknown == ("<LORA:x:1>",)
    assert 'Did you mean "lora"?' in str(unknown_tag_error(tags.unknown[0]))
