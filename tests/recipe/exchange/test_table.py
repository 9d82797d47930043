"""kohya's table: one row an argument, and every reader of it agrees."""

from __future__ import annotations

from typing import Any

import tomlkit

from lorasmith.recipe.exchange import OTHER_TRAINERS
from lorasmith.recipe.exchange.imported import Imported, LeftOut
from lorasmith.recipe.exchange.kohya.header import from_header, recipe_facts
from lorasmith.recipe.exchange.kohya.reading import ROWS
from lorasmith.recipe.exchange.kohya.terms import TERMS
from lorasmith.recipe.exchange.kohya.writing import to_kohya
from lorasmith.recipe.exchange.other_trainer import OtherTrainer, Surroundings
from lorasmith.recipe.exchange.reading import read_file
from lorasmith.recipe.recipe import Recipe


def test_each_argument_and_each_fact_stands_once() -> None:
    arguments = [row.argument for row in ROWS]
    facts = [row.fact for row in ROWS if row.to_header is not None]
    assert len(arguments) > 60
    assert len(set(arguments)) == len(arguments)
    assert len(set(facts)) == len(facts)


def test_what_a_header_tells_is_what_an_export_writes() -> None:
    recipe = Recipe.model_validate(
        {
            "base": "m.safetensors", "target_steps": 10, "noise": {"offset": 0.1, "ip_gamma": 0.2},
            "loss": {"min_snr_gamma": 5.0}, "caption": {"max_tokens": 150}, "max_weight_norm": 2.0, "seed": 9,
        }
    )  # fmt: skip
    written = tomlkit.parse(to_kohya(recipe, name="x")[0]).unwrap()
    told = recipe_facts(recipe)
    both = [term for term in TERMS if term.to_header is not None and term.argument in written]
    assert len(both) > 30
    for term in both:
        assert told[term.fact] in (written[term.argument], None), term.argument


def test_a_header_s_facts_are_read_back() -> None:
    values: dict[str, Any] = {"rank": 4, "noise": {"offset": 0.1}, "clip_skip": 2, "flip": True, "accumulate": 3}
    recipe = Recipe.model_validate({"target_steps": 10, **values})
    facts = {key: str(value) for key, value in recipe_facts(recipe).items()} | {"ss_network_dim": "4"}
    back = from_header(facts, "a")
    assert {key: back.get(key) for key in ("rank", "clip_skip", "flip", "accumulate")} | {
        "noise": {"offset": back.get("noise.offset")}
    } == values


def test_another_trainer_is_one_entry(tmp_path: Any) -> None:
    def write(recipe: Recipe, around: Surroundings) -> tuple[str, list[LeftOut]]:
        return f"{around.name} {recipe.rank}", []

    toy = OtherTrainer(
        "toy", "the toy's JSON", lambda found: "toyRank" in found, lambda found: _imported(found["toyRank"]), write
    )
    (tmp_path / "toy.json").write_text('{"toyRank": 7}')
    OTHER_TRAINERS.register(toy)
    try:
        assert read_file(tmp_path / "toy.json").values == {"rank": 7}
        assert OTHER_TRAINERS["toy"].write is not None
        assert OTHER_TRAINERS["toy"].write(Recipe(epochs=1, rank=3), Surroundings("zbk")) == ("zbk 3", [])
    finally:
        OTHER_TRAINERS.remove(toy)
    assert list(OTHER_TRAINERS) == ["ai-toolkit", "diffusion-pipe", "hub", "kohya", "onetrainer"]
    assert all(trainer.read for trainer in OTHER_TRAINERS.values())
    assert [name for name, trainer in OTHER_TRAINERS.items() if trainer.write] == ["ai-toolkit", "hub", "kohya"]


def _imported(rank: int) -> Imported:
    return Imported("toy", {"rank": rank})


DOCUMENTS: dict[str, dict[str, Any]] = {
    "hub": {"unetLR": 1e-4, "networkDim": 4},
    "kohya": {"network_dim": 4, "unet_lr": 1e-4},
    "ai-toolkit": {"job": "extension", "config": {"name": "x", "process": [{"type": "sd_trainer", "train": {}}]}},
    "onetrainer": {"training_method": "LORA", "model_type": "ANIMA", "optimizer": {"optimizer": "ADAMW"}},
    "diffusion-pipe": {"model": {"type": "sdxl", "unet_lr": 1e-4}, "optimizer": {"type": "adamw"}, "epochs": 3},
}


def test_trainers_know_their_own_files_only() -> None:
    assert DOCUMENTS.keys() == set(OTHER_TRAINERS)
    for name, trainer in OTHER_TRAINERS.items():
        assert trainer.recognises is not None
        assert [other for other, document in DOCUMENTS.items() if trainer.recognises(document)] == [name]
