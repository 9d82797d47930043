"""Texts that are read before the first step: the same bits as without, no encoder needed after it, and what forbids
it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.text.away import AwayPromptEncoder
from lorasmith.bases.text.options import PLAIN_TEXT
from lorasmith.errors import RecipeError
from lorasmith.events import Event, Progress, SampleDrawn, StepDone, finish
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from tests.families.anima_models import build_anima
from tests.families.klein_models import build_klein
from tests.families.zimage_models import build_zimage
from tests.projects import build_project
from tests.tiny import build_tiny_base

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 2
clip_skip = 1
target_steps = 4
save_every = "100 steps"
rank = 4
lr = { unet = 5e-3, text_encoder = 0 }
optimizer.name = "adamw"
loss.min_snr_gamma = 0
noise.offset = 0
caption = { shuffle = false, dropout = 0.3, keep_separator = "smile" }
preserve = { kind = "differential", share = 0.5, blank = 0.5, prompts = ["a plain picture"] }
validation = { share = 0.34, every = "2 steps" }
"""
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "sd1": lambda folder: build_tiny_base(folder, "sd1"),
    "sdxl": lambda folder: build_tiny_base(folder, "sdxl"),
    "anima": build_anima,
    "zimage": build_zimage,
    "klein": build_klein,
}


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS[request.param](tmp_path_factory.mktemp("texts") / "tiny")


def learn(project: Project, base: Base, **settings: str) -> tuple[dict[str, torch.Tensor], list[Event]]:
    events: list[Event] = []
    done = finish(train(project, read_recipe(project, settings), base=base), events.append)
    return load_file(done.adapter), events


def test_the_same_bits_with_and_without(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(folder))
    plain, events = learn(project, load_base(folder), cache_text_encoder_outputs="false")
    assert not any(isinstance(event, Progress) and event.stage == "encoding captions" for event in events)
    base, read = load_base(folder), list[int]()
    encode = type(base.prompt_encoder).encode

    def counted(self: Any, tokens: Any, options: Any) -> Any:
        read.append(len(tokens))
        return encode(self, tokens, options)

    monkeypatch.setattr(type(base.prompt_encoder), "encode", counted)
    cached, more = learn(project, base)
    told = [event for event in more if isinstance(event, Progress) and event.stage == "encoding captions"]
    assert len(read) == len(told) == told[-1].total, "each text once, and none once steps are done"
    assert set(read) == {1}
    assert isinstance(base.prompt_encoder, AwayPromptEncoder)
    assert cached.keys() == plain.keys()
    assert all(torch.equal(cached[key], plain[key]) for key in plain)
    losses = [[event.loss for event in all_ if isinstance(event, StepDone)] for all_ in (events, more)]
    assert len(losses[0]) == 4
    assert losses[0] == losses[1]


def test_samples_need_no_encoder_either(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(folder))
    settings = {"sample.prompts": '["zbk, smile", "[a:b:0.5] hat"]', "sample.steps": "2", "save_every": '"2 steps"'}
    plain, drawn = learn(project, load_base(folder), cache_text_encoder_outputs="false", **settings)
    base, steps = load_base(folder), list[bool]()
    encode = AwayPromptEncoder.encode

    def counted(self: Any, tokens: Any, options: Any) -> Any:
        steps.append(True)
        return encode(self, tokens, options)

    monkeypatch.setattr(AwayPromptEncoder, "encode", counted)
    cached, more = learn(project, base, **settings)
    assert not steps, "none comes back"
    pictures = [[event.path.read_bytes() for event in all_ if isinstance(event, SampleDrawn)] for all_ in (drawn, more)]
    assert len(pictures[0]) >= 4
    assert [decoded(each) for each in pictures[0]] == [decoded(each) for each in pictures[1]]
    assert all(torch.equal(cached[key], plain[key]) for key in plain)


def decoded(data: bytes) -> bytes:
    """The pixels of a picture, whose file also tells when and by what it was made."""
    return Image.open(io.BytesIO(data)).tobytes()


def test_encoders_are_there_while_they_read_alone(folder: Path) -> None:
    base = load_base(folder)
    encoder, moves = base.prompt_encoder, list[tuple[Any, str]]()
    models = [each.model for each in base.text_encoders]
    away = AwayPromptEncoder(encoder, models, torch.device("meta"), lambda model, to: moves.append((model, str(to))))
    assert moves == [(model, "cpu") for model in models]
    moves.clear()
    context = away.encode(away.tokenize(["zbk, smile"], PLAIN_TEXT), PLAIN_TEXT)
    assert moves == [(model, to) for to in ("meta", "cpu") for model in models]
    assert torch.equal(context.hidden, base.encode(["zbk, smile"]).hidden)
    moves.clear()
    with pytest.raises((ValueError, IndexError, RuntimeError, TypeError)):
        away.encode([()], PLAIN_TEXT)
    assert [to for _, to in moves[-len(models) :]] == ["cpu"] * len(models), "whatever happens"


def test_a_denoiser_waits_until_it_is_called(folder: Path) -> None:
    base = load_base(folder)
    base.hold_denoiser(0, torch.device("meta"))
    assert base.device.type == "meta"
    assert next(base.vae.parameters()).device.type == "meta"
    assert next(base.denoiser.parameters()).device.type == "cpu"
    base.place_denoiser()
    assert next(base.denoiser.parameters()).device.type == "meta"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr.text_encoder": "1e-4"}, "needs text encoders that do not learn: set lr.text_encoder = 0"),
        ({"caption.shuffle": "true"}, "caption.shuffle makes new ones at every visit. Set caption.shuffle = false"),
        ({"caption.tag_dropout": "0.1"}, "caption.tag_dropout makes new ones at every visit"),
    ],
)
def test_what_forbids_it_is_named(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    project = build_project(tmp_path, RECIPE)
    assert not read_recipe(project, settings).caches_text
    with pytest.raises(RecipeError, match=message):
        read_recipe(project, {**settings, "cache_text_encoder_outputs": "true"})
