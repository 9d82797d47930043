"""Remedies: values whose words are the face's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.errors import UsageError
from lorasmith.remedies import (
    Action,
    Do,
    Give,
    Install,
    Remedy,
    Sentence,
    Set,
    read_parts,
    worded_by,
    write_parts,
)


def _loud(remedy: Remedy) -> str:
    return f"<{type(remedy).__name__}>"


def test_without_a_face_the_words_are_plain() -> None:
    assert str(Do(Action.TRAIN, project="p", resume=True)) == "train (project = p, resume)"
    assert str(Do(Action.LIST_JOBS)) == "list the jobs"
    assert str(Give("base")) == "base"
    assert str(Give("base", "doodle")) == "base = doodle"
    assert str(Set("lr.unet", 1e-4)) == "lr.unet = 0.0001"
    assert str(Install("video")) == 'pip install "lorasmith[video]"'


def test_a_sentence_is_worded_part_by_part_and_braces_mean_themselves() -> None:
    sentence = Sentence("Mend {it} (", Do(Action.TAG, project="PROJECT"), "), or give ", Give("base"), ".")
    assert str(sentence) == "Mend {it} (tag the images (project = PROJECT)), or give base."
    with worded_by(_loud):
        assert str(sentence) == "Mend {it} (<Do>), or give <Give>."
    assert "PROJECT" in str(sentence), "the face's words went with it"


def test_what_stands_for_a_value_is_filled_in_and_nothing_else_is() -> None:
    sentence = Sentence("Look: ", Do(Action.CROP, project="PROJECT", image="IMAGE", box="X,Y,W,H"))
    assert sentence.about(project="my-lora") == Sentence(
        "Look: ", Do(Action.CROP, project="my-lora", image="IMAGE", box="X,Y,W,H")
    )
    named = Do(Action.INSPECT, project="this one")
    assert named.about(project="my-lora") == named
    assert len({sentence, sentence.about(image="a"), named, Do(Action.INSPECT, project="this one")}) == 3


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("is empty."), "is empty."),
        (UsageError("is empty.", field="name"), "name: is empty."),
        (
            UsageError("is empty.", where="lora.toml", field="name", hint="Say it."),
            "lora.toml: name: is empty. Say it.",
        ),
        (UsageError("is empty.", where="lora.toml: name", field="name"), "lora.toml: name: is empty."),
        (UsageError("lora.toml name = 3: is no text.", field="name"), "lora.toml name = 3: is no text."),
        (UsageError("3 is no name = for that.", field="rank"), "rank: 3 is no name = for that."),
        (
            UsageError("is empty.", where="p", hint="Fill it:", remedy=Do(Action.ADD, project="p")),
            "p: is empty. Fill it: add images (project = p)",
        ),
        (UsageError("is empty.", remedy=Give("name")), "is empty. name"),
    ],
)
def test_an_error_says_what_is_wrong_where_and_the_way_out(error: UsageError, text: str) -> None:
    assert str(error) == text


def test_advice_is_written_so_that_another_face_words_it_again() -> None:
    more = Do(Action.EXAMINE, project="PROJECT", pictures=800, files=(Path("a"), "b"), quick=True)
    others = Set("rank", 16), ", or ", Give("base", "doodle"), ". ", Install("server")
    advice = Sentence("Be sure: ", more, ", or ", *others)
    parts = json.loads(json.dumps(write_parts(advice)))
    again = read_parts(parts)
    assert isinstance(again, Sentence)
    assert again.parts[1] == Do(Action.EXAMINE, project="PROJECT", pictures=800, files=("a", "b"), quick=True)
    assert (str(again), again.parts[3:]) == (str(advice), advice.parts[3:])
    assert str(read_parts(write_parts("Train longer."))) == "Train longer."
    for wrong in ({"do": "fly", "with": {}}, {"x": 1}, 3):
        with pytest.raises(ValueError, match=r"fly|no part of advice"):
            read_parts([wrong])
