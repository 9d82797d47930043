"""Lists and searches with every filter; duplicates; what is refused is not shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import UsageError
from lorasmith.events import finish
from lorasmith.library.entry import ORDERS, Filters, HubFacts
from lorasmith.library.index import LibraryIndex
from lorasmith.library.searching import match_words
from tests.library.files import write_adapter
from tests.refusal_words import refused_words


@pytest.fixture
def filled(library: LibraryIndex, loras: Path) -> LibraryIndex:
    frequency = json.dumps({"5_x": {"red hat": 40, "smile": 12}, "1_y": {"red hat": 2, "blue_hair": 9}})
    write_adapter(loras / "blueHair2.safetensors", 1, modelspec__trigger_phrase="zbk girl, blue hair")
    write_adapter(
        loras / "people" / "anna.safetensors", 2, rank=64, ss_tag_frequency=frequency, ss_sd_model_name="pony"
    )
    write_adapter(loras / "own.safetensors", 3, ss_training_comment="lorasmith 0.1.0", ss_base_model_version="sd_v1")
    write_adapter(loras / "flux.safetensors", 4, layer="lora_unet_double_blocks_0_img_attn_qkv")
    hub = {"modelId": 5, "id": 6, "model": {"name": "Winter nights", "nsfw": True}, "description": "<b>a snowy one</b>"}
    (loras / "flux.civitai.info").write_text(json.dumps(hub))
    finish(library.scan())
    library.note(library.find("anna"), rating=4, favourite=True, notes="a fine adapter")
    library.collect("best", library.find("anna"))
    return library


def names(library: LibraryIndex, **filters: Any) -> list[str]:
    return [entry.name for entry in library.entries(Filters(**filters)).entries]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["anna", "blueHair2", "flux", "own"]),
        ({"family": "sdxl"}, ["anna", "blueHair2"]),
        ({"family": "sd1"}, ["own"]),
        ({"algorithm": "lora"}, ["anna", "blueHair2", "flux", "own"]),
        ({"algorithm": "lokr"}, []),
        ({"trigger": "ZBK_girl"}, ["blueHair2"]),
        ({"trigger": "blue hair"}, []),
        ({"tag": "red hat"}, ["anna"]),
        ({"tag": "hat red"}, []),
        ({"source": "civitai"}, ["flux"]),
        ({"unlabelled": True}, ["anna", "blueHair2", "own"]),
        ({"collection": "best"}, ["anna"]),
        ({"rating": 4}, ["anna"]),
        ({"rating": 5}, []),
        ({"favourite": True}, ["anna"]),
        ({"mine": True}, ["own"]),
        ({"mature": False}, ["anna", "blueHair2", "own"]),
        ({"smallest": 100_000}, ["anna"]),
        ({"largest": 100_000}, ["blueHair2", "flux", "own"]),
        ({"kind": "base"}, []),
        ({"state": "gone"}, []),
        ({"words": "blue"}, ["anna", "blueHair2"]),
        ({"words": "blue", "family": "sd1"}, []),
        ({"words": "hair zbk"}, ["blueHair2"]),
        ({"words": "bluehair"}, ["blueHair2"]),
        ({"words": "winter"}, ["flux"]),
        ({"words": "snow"}, ["flux"]),
        ({"words": "fine adapt"}, ["anna"]),
        ({"words": '"red hat"'}, ["anna"]),
        ({"words": '"hat red"'}, []),
        ({"words": 'AND OR NOT * " : ^ ( -'}, []),
        ({"words": "pony"}, ["anna"]),
    ],
)
def test_filters(filters: Mapping[str, Any], expected: list[str], filled: LibraryIndex) -> None:
    assert sorted(names(filled, **filters), key=str.casefold) == expected


def test_names_come_before_tags(filled: LibraryIndex) -> None:
    assert names(filled, words="blue") == ["blueHair2", "anna"]


def test_a_folder_is_a_filter(filled: LibraryIndex, loras: Path) -> None:
    assert names(filled, folder=str(loras / "people")) == ["anna"]
    assert names(filled, folder=str(loras / "peop")) == []


def test_pages_and_orders(filled: LibraryIndex) -> None:
    whole = filled.entries()
    assert (whole.total, whole.more) == (4, False)
    assert [entry.name for entry in filled.entries(offset=1, limit=2).entries] == ["blueHair2", "flux"]
    assert filled.entries(offset=9).entries == ()
    first = {order: filled.entries(order=order).entries[0].name for order in ORDERS}
    assert (first["name"], first["size"], first["rating"]) == ("anna", "anna", "anna")
    assert [entry.name for entry in filled.entries(Filters(words="blue"), order="name").entries] == [
        "anna",
        "blueHair2",
    ]


def test_words_are_never_a_query_of_their_own() -> None:
    assert match_words("") is None
    assert match_words('"') is None
    assert match_words("a-b") == '"a"* AND "b"*'
    assert match_words('x "y z"') == '"x"* AND "y z"'
    assert match_words("name:x") == '"name"* AND "x"*'


def test_the_family_may_come_from_a_sidecar(library: LibraryIndex, loras: Path) -> None:
    write_adapter(loras / "a.safetensors", 1, layer="lora_te1_text_model_encoder_layers_0_self_attn_q_proj")
    write_adapter(loras / "b.safetensors", 2, layer="lora_unet_double_blocks_0_img_attn_qkv")
    finish(library.scan())
    a, b = library.entries().entries
    assert a.family is None
    assert a.reason
    assert b.family is None
    assert "Flux" in b.reason
    (loras / "a.civitai.info").write_text(json.dumps({"baseModel": "Illustrious"}))
    (loras / "b.civitai.info").write_text(json.dumps({"baseModel": "Flux.1 D"}))
    finish(library.scan())
    assert [entry.family for entry in library.entries().entries] == ["sdxl", "Flux.1 D"]


def test_duplicates(library: LibraryIndex, loras: Path) -> None:
    whole = write_adapter(loras / "a.safetensors", 1)
    (loras / "b.safetensors").write_bytes(whole.read_bytes())
    write_adapter(loras / "c.safetensors", 1, ss_output_name="another")
    write_adapter(loras / "d.safetensors", 2)
    finish(library.scan())
    same, alike = library.duplicates()
    assert [[entry.name for entry in group] for group in same] == [["a", "b"]]
    assert [[entry.name for entry in group] for group in alike] == [["a", "b", "c"]]


def test_what_is_refused_is_not_shown(library: LibraryIndex, loras: Path) -> None:
    minor, sexual = refused_words()
    write_adapter(loras / "a.safetensors", 1, modelspec__trigger_phrase=f"{sexual} {minor}")
    write_adapter(loras / "b.safetensors", 2)
    finish(library.scan())
    page = library.entries(Filters(kind="", state=""))
    assert [entry.name for entry in page.entries] == ["b"]
    assert page.refused == 1
    assert library.find("a") == []
    assert names(library, words=minor) == []


def test_notes_are_checked(filled: LibraryIndex) -> None:
    with pytest.raises(UsageError, match="1 to 5"):
        filled.note(filled.find("anna"), rating=6)
    filled.note(filled.find("anna"), rating=0, favourite=False)
    (entry,) = filled.find("anna")
    assert (entry.rating, entry.favourite, entry.notes) == (None, False, "a fine adapter")
    filled.collect("best", [entry], out=True)
    assert filled.collections() == {}


def test_what_a_hub_says_stays_with_the_bytes(filled: LibraryIndex, loras: Path) -> None:
    (entry,) = filled.find("anna")
    filled.set_hub(entry, HubFacts("huggingface", "somebody/anna", "abc", name="Anna", mature=True))
    (loras / "people" / "anna.json").write_text(json.dumps({"notes": "x"}))
    finish(filled.scan())
    (entry,) = filled.find("anna")
    assert entry.hub is not None
    assert (entry.hub.model_id, entry.notes) == ("somebody/anna", "a fine adapter")
    assert names(filled, source="huggingface") == ["anna"]
    write_adapter(entry.path, 9)
    finish(filled.scan())
    assert filled.find("anna")[0].hub is None
    assert names(filled, words="fine") == ["anna"]


def test_forgotten_notes_are_kept_aside(filled: LibraryIndex, loras: Path) -> None:
    assert filled.forget(filled.find("own")) is None
    kept = filled.forget(filled.find("anna"))
    assert kept is not None
    assert json.loads(kept.read_text("utf-8"))["notes"] == "a fine adapter"
    assert names(filled) == ["blueHair2", "flux"]
    assert names(filled, words="fine") == []
    assert (loras / "own.safetensors").is_file()
    assert finish(filled.scan()).new == 2
