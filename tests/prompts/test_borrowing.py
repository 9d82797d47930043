"""What a prompt borrows from the bare base: words in their place, texts with and without them, and wrong tags."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError, RefusedError
from lorasmith.generation.judging import refuse_picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import parse
from lorasmith.prompts.borrowing import Borrowed, borrow
from tests.refusal_words import refused_words


@pytest.mark.parametrize(
    ("text", "whole", "without"),
    [
        ("zbk, <base:sunglasses>, smile", "zbk, sunglasses, smile", "zbk, smile"),
        ("zbk, <base:sunglasses>", "zbk, sunglasses", "zbk"),
        ("<base:sunglasses>, zbk", "sunglasses, zbk", "zbk"),
        ("a man with <base:a red hat> in rain", "a man with a red hat in rain", "a man with  in rain"),
        ("<base:(hat:1.2)>, zbk", "(hat:1.2), zbk", "zbk"),
    ],
)
def test_words_stand_where_their_tag_stood(text: str, whole: str, without: str) -> None:
    assert borrow(text) == (whole, (Borrowed(without, 1.0),))


def test_weights_and_several() -> None:
    whole, borrowed = borrow("<base:hat:1.5>, zbk, <base:night:-0.5>")
    assert whole == "hat, zbk, night"
    assert borrowed == (Borrowed("zbk, night", 1.5), Borrowed("hat, zbk", -0.5))
    assert borrow("zbk, hat") == ("zbk, hat", ())


def test_so_many_are_too_many() -> None:
    whole, borrowed = borrow(", ".join(["<base:hat>"] * 31))
    assert (whole.count("hat"), len(borrowed), borrowed[0].without.count("hat")) == (31, 31, 30)
    with pytest.raises(PromptError, match="the most are 31"):
        parse("<base:hat>" * 32, 8)


@pytest.mark.parametrize(("tag", "message"), [
    ("<base: >", "no words"),
    ("<base::2>", "no words"),
    ("<base:hat:11>", "between -10 and 10"),
    ("<base:hat:nan>", "between"),
])  # fmt: skip
def test_wrong_tags_are_told(tag: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        borrow(f"zbk, {tag}")


def test_a_prompt_has_its_parts_and_prints_the_same() -> None:
    prompt = parse("zbk, <base:hat:2> <lora:zbk:0.8> AND night :0.5", 8)
    assert [(part.text, part.weight, not part.networks) for part in prompt.subprompts] == [
        ("zbk, hat", 1.0, False),
        ("zbk, hat", 2.0, True),
        ("zbk", -2.0, True),
        (" night", 0.5, False),
    ]
    again = parse(str(prompt), 8)
    assert (again.subprompts, again.networks) == (prompt.subprompts, prompt.networks)
    assert prompt.as_json()["subprompts"][1] == ["zbk, hat", 2.0, "base"]


def test_a1111_knows_no_such_tag() -> None:
    prompt = parse("zbk, <base:hat>", 8, "a1111")
    assert prompt.unknown == ("<base:hat>",)
    assert [part.text for part in prompt.subprompts] == ["zbk,"]


def test_what_is_borrowed_is_judged_with_the_rest() -> None:
    one, other = refused_words()
    with pytest.raises(RefusedError):
        refuse_picture(PictureSpec(f"{one}, <base:{other}>", cfg=1.0))
    refuse_picture(PictureSpec("zbk, <base:hat:1.1>, smile", negative=f"{one}, {other}", cfg=1.0))
