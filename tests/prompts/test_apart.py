"""An adapter called apart: its words are its own, and the base's answer without them is taken off."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError, RefusedError
from lorasmith.generation.judging import refuse_picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import parse
from lorasmith.prompts.advice import advise
from tests.refusal_words import refused_words

BOTH = "zbk, smile <lora:zbk:0.8> <lora:ink:0.7:apart=ink style>"


def test_its_words_go_to_it_alone() -> None:
    prompt = parse(BOTH, 8)
    assert [(part.text.strip(), part.weight, [each.name for each in part.networks]) for part in prompt.subprompts] == [
        ("zbk, smile", 1.0, ["zbk"]),
        ("ink style, zbk, smile", 1.0, ["ink"]),
        ("zbk, smile", -1.0, []),
    ]
    assert [entry[2:] for entry in prompt.as_json()["subprompts"]] == [[], ["lora:ink"], ["base"]]
    assert prompt.as_json()["networks"][1]["apart"] == "ink style"


def test_each_of_two_is_added_and_the_base_taken_off_twice() -> None:
    prompt = parse("a <lora:x:apart=x1> <lora:y:apart=y1> AND b :0.5", 8)
    assert [(part.text.strip(), part.weight, [each.name for each in part.networks]) for part in prompt.subprompts] == [
        ("a", 1.0, []),
        ("x1, a", 1.0, ["x"]),
        ("y1, a", 1.0, ["y"]),
        ("a", -2.0, []),
        ("b", 0.5, []),
        ("x1,  b", 0.5, ["x"]),
        ("y1,  b", 0.5, ["y"]),
        ("b", -1.0, []),
    ]
    assert parse(str(prompt), 8).subprompts == prompt.subprompts


def test_so_many_are_told_before_their_texts_are_made() -> None:
    with pytest.raises(PromptError, match="the most are 64"):
        parse("a " * 5000 + "".join(f"<lora:x{n}:apart=y>" for n in range(63)), 8)
    assert len(parse("a" + "".join(f"<lora:x{n}:apart=y>" for n in range(62)), 8).subprompts) == 64


def test_its_trigger_may_stand_in_its_own_words() -> None:
    class Known:
        def trigger(self, name: str) -> str:
            return {"zbk": "zbk", "ink": "ink style"}[name]

    assert advise(BOTH, 8, None, Known())[1] == ()


def test_its_words_are_judged_with_the_rest() -> None:
    one, other = refused_words()
    with pytest.raises(RefusedError):
        refuse_picture(PictureSpec(f"{one} <lora:x:0.8:apart={other}>", cfg=1.0))
