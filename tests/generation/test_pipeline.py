"""The pipeline: a picture in a batch is the picture alone, adapters act where they are called and leave no trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.header import addnet_hash
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.errors import LorasmithError, PromptError, RefusedError
from lorasmith.events import Event, Note, Progress, finish
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.prepare import cut_ranks
from lorasmith.generation.spec import PictureSpec
from tests.adapters.drawing import trained_adapter

STEPS = 3


@pytest.fixture(scope="module")
def tiny_base(tiny_base_folder: Path) -> Base:
    """One for all tests here: drawing leaves no trace in it."""
    return load_base(tiny_base_folder)


@pytest.fixture
def shelf(tmp_path: Path, tiny_base: Base) -> AdapterCache:
    for seed, name in enumerate(("first", "second")):
        adapter = replace(trained_adapter(tiny_base, rank=4, alpha=4.0, seed=seed), name=name)
        save_adapter(tmp_path / f"{name}.safetensors", adapter, torch.float32)
    return AdapterCache([tmp_path])


def draw(pipeline: Pipeline, *specs: PictureSpec) -> list[Picture]:
    return finish(pipeline.draw(specs))


def distance(a: Picture, b: Picture) -> int:
    """The largest difference of a channel, of 255."""
    return int(np.abs(np.asarray(a.image, int) - np.asarray(b.image, int)).max())


def test_every_picture_of_a_mixed_batch_is_the_picture_alone(tiny_base: Base, shelf: AdapterCache) -> None:
    pipeline = Pipeline(tiny_base, shelf)
    specs = [
        PictureSpec("red hair <lora:first:0.8>", seed=1, steps=STEPS, sampler="Euler a"),
        PictureSpec("blue hat", "smile", seed=2, steps=STEPS, sampler="Euler a", cfg=3.0),
        PictureSpec(
            "red BREAK hat <lora:second:-1> <lora:first:te=0.5:unet=1>", seed=3, steps=STEPS, sampler="Euler a"
        ),
        PictureSpec("[red:blue:2] hair AND hat :0.5", seed=4, steps=STEPS, sampler="Euler a"),
        PictureSpec("zbk <lora:first:1>", seed=5, steps=STEPS, sampler="Euler a", cfg=1.0),
    ]
    together = draw(pipeline, *specs)
    assert len(together) == 5
    for spec, picture in zip(specs, together, strict=True):
        (alone,) = draw(Pipeline(tiny_base, shelf), spec)
        assert distance(alone, picture) <= 1
        assert picture.spec.prompt == spec.prompt
    assert min(distance(a, b) for i, a in enumerate(together) for b in together[:i]) > 5


def test_the_base_is_untouched_between_steps_and_after(tiny_base: Base, shelf: AdapterCache) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_base.denoiser.state_dict().items()}
    work = Pipeline(tiny_base, shelf).draw([PictureSpec("red <lora:first>", steps=STEPS)])
    for _ in work:
        assert not any("forward" in vars(tiny_base.module(name)) for name in tiny_base.targets)
        assert not torch.is_inference_mode_enabled()
    after = tiny_base.denoiser.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_without_adapters_it_is_the_pipelines_own_picture(tiny_base: Base, tiny_base_folder: Path) -> None:
    from diffusers import StableDiffusionPipeline

    with quiet_libraries():
        pipeline = StableDiffusionPipeline.from_pretrained(tiny_base_folder, torch_dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        theirs = pipeline(
            "red hair, smile",
            negative_prompt="hat",
            num_inference_steps=4,
            guidance_scale=5.0,
            height=64,
            width=64,
            generator=torch.Generator().manual_seed(9),
        ).images[0]
    (ours,) = draw(Pipeline(tiny_base), PictureSpec("red hair, smile", "hat", seed=9, steps=4, cfg=5.0))
    assert int(np.abs(np.asarray(ours.image, int) - np.asarray(theirs, int)).max()) <= 1


def test_strengths_and_merging_agree(tiny_base: Base, shelf: AdapterCache) -> None:
    pipeline = Pipeline(tiny_base, shelf)
    called, bare, none = draw(
        pipeline,
        PictureSpec("red hat <lora:first:0.7>", steps=STEPS),
        PictureSpec("red hat ", steps=STEPS),
        PictureSpec("red hat <lora:first:0>", steps=STEPS),
    )
    assert distance(bare, none) == 0
    assert distance(called, bare) > 5
    with AdapterBank(tiny_base, [shelf.get("first")]).merged(torch.tensor([0.7])):
        (merged,) = draw(Pipeline(tiny_base), PictureSpec("red hat ", steps=STEPS))
    assert distance(called, merged) <= 1


def test_text_and_denoiser_strengths_are_apart(tiny_base: Base, shelf: AdapterCache) -> None:
    prompts = ["red", "red <lora:first:1:0>", "red <lora:first:0:1>", "red <lora:first>"]
    pictures = draw(Pipeline(tiny_base, shelf), *(PictureSpec(prompt, steps=STEPS) for prompt in prompts))
    assert min(distance(a, b) for i, a in enumerate(pictures) for b in pictures[:i]) > 1


def test_repeats_sum(tiny_base: Base, shelf: AdapterCache) -> None:
    twice, once = draw(
        Pipeline(tiny_base, shelf),
        PictureSpec("red  <lora:first:0.25><lora:first:0.5>", steps=STEPS),
        PictureSpec("red  <lora:first:0.75>", steps=STEPS),
    )
    assert distance(twice, once) == 0


def test_a_schedule_switches_after_its_step(tiny_base: Base) -> None:
    pipeline = Pipeline(tiny_base)
    switched, never, at_once, second = draw(
        pipeline,
        *(PictureSpec(text, steps=STEPS) for text in ("[red:blue:2]", "[red:blue:3]", "[red:blue:0]", "blue")),
    )
    assert distance(at_once, second) == 0
    (first,) = draw(pipeline, PictureSpec("red", steps=STEPS))
    assert distance(never, first) == 0
    assert distance(switched, never) > 0 < distance(switched, at_once)


def test_and_with_one_part_of_weight_nought_is_the_other_part(tiny_base: Base) -> None:
    both, one = draw(
        Pipeline(tiny_base),
        PictureSpec("red AND blue :0", steps=STEPS, cfg=3.0),
        PictureSpec("red", steps=STEPS, cfg=3.0),
    )
    assert distance(both, one) <= 1


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_other_families(family_folders: dict[str, Path], family: str) -> None:
    pipeline = Pipeline(load_base(family_folders[family]))
    a, b = draw(
        pipeline, PictureSpec("red hat", steps=2, width=72), PictureSpec("(blue:1.4) hat BREAK red", steps=2, width=72)
    )
    assert a.image.size == (72, 64)
    assert distance(a, b) > 0


def test_order_batches_and_progress(tiny_base: Base) -> None:
    seen: list[Event] = []
    specs = [PictureSpec("red", seed=i, steps=1 + i % 2) for i in range(5)]
    pictures = finish(Pipeline(tiny_base, batch_size=2).draw(specs), seen.append)
    assert [picture.spec.seed for picture in pictures] == [0, 1, 2, 3, 4]
    done = [event.done for event in seen if isinstance(event, Progress)]
    assert done == list(range(1, 1 + 2 * 1 + 1 * 2))


def test_many_adapters_have_a_bank_for_each_batch(
    tiny_base: Base, shelf: AdapterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorasmith.generation.batching.SHARED_BANK", 1)
    monkeypatch.setattr("lorasmith.generation.pipeline.SHARED_BANK", 1)
    apart = Pipeline(tiny_base, shelf, batch_size=1)
    specs = [PictureSpec(f"red <lora:{name}>", steps=2) for name in ("first", "second")]
    pictures = draw(apart, *specs)
    monkeypatch.undo()
    for ours, theirs in zip(pictures, draw(Pipeline(tiny_base, shelf), *specs), strict=True):
        assert distance(ours, theirs) <= 1


def test_a_changed_file_is_drawn_with(tiny_base: Base, shelf: AdapterCache) -> None:
    pipeline = Pipeline(tiny_base, shelf)
    spec = PictureSpec("red <lora:first>", steps=2)
    (before,) = draw(pipeline, spec)
    other = trained_adapter(tiny_base, rank=2, alpha=2.0, seed=77)
    save_adapter(shelf.path("first"), other, torch.float32)
    (after,) = draw(pipeline, spec)
    assert distance(before, after) > 0


@pytest.mark.parametrize(
    ("prompt", "kind", "message"),
    [
        ("a <lora:frist:1>", PromptError, "Did you mean first"),
        ("a <lora:first:strong>", PromptError, "not a number"),
        ("a <LORA:first:1>", PromptError, "unknown kind of tag"),
        ("a <lora:first:1:lbw=1,1,1,1,1,1,1,1,1,1,1,1>", PromptError, "not for this base"),
    ],
)
def test_wrong_prompts(
    tiny_base: Base, shelf: AdapterCache, prompt: str, kind: type[LorasmithError], message: str
) -> None:
    pipeline = Pipeline(tiny_base, shelf)
    with pytest.raises(kind, match=message):
        pipeline.check(PictureSpec(prompt))
    with pytest.raises(kind, match=message):
        draw(pipeline, PictureSpec("fine"), PictureSpec(prompt))


def test_refused_prompts(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form of the text is shown to the refusal: as typed, and without what could hide a word."""
    shown: list[str] = []

    def refuse(texts: list[str], where: object) -> None:
        shown.extend(texts)
        raise RefusedError("refused", where=where)

    monkeypatch.setattr("lorasmith.generation.judging.refuse", refuse)
    with pytest.raises(RefusedError):
        draw(Pipeline(tiny_base), PictureSpec("r(e)d AND [a:bl[u]e:1]", "never shown"))
    assert {"r(e)d AND [a:bl[u]e:1]", "red", " a", " blue"} <= set(shown)
    assert not any("never" in text for text in shown)


def test_tags_in_the_negative_prompt_do_nothing_and_are_told(tiny_base: Base, shelf: AdapterCache) -> None:
    notes: list[Event] = []
    work = Pipeline(tiny_base, shelf).draw([PictureSpec("red", "hat<lora:nobody:x>", steps=2)])
    (tagged,) = finish(work, notes.append)
    (plain,) = draw(Pipeline(tiny_base), PictureSpec("red", "hat", steps=2))
    assert distance(tagged, plain) == 0
    assert any(isinstance(event, Note) and event.rule == "U1" for event in notes)


def test_pictures_say_which_adapters_acted(tiny_base: Base, shelf: AdapterCache) -> None:
    (picture,) = draw(Pipeline(tiny_base, shelf), PictureSpec("red <lora:first:0.5> <lora:second:0>", steps=2))
    digest = addnet_hash(shelf.path("first"))
    assert [(used.network.name, used.hash) for used in picture.networks] == [("first", digest)]
    assert f'Lora hashes: "first: {digest[:12]}"' in picture.infotext
    assert "second:" not in picture.infotext.splitlines()[-1]


def test_cut_ranks_keep_the_scale(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base, rank=4, alpha=2.0)
    cut = cut_ranks(adapter, 3)
    assert isinstance(cut, Adapter)
    for name, factors in adapter.layers.items():
        kept = cut.layers[name]
        assert isinstance(factors, LoraFactors)
        assert isinstance(kept, LoraFactors)
        assert (kept.rank, kept.scale) == (3, factors.scale)
        assert torch.equal(kept.up, factors.up[:, :3])
    assert cut_ranks(adapter, None) is adapter
    assert cut_ranks(adapter, 99).rank == 4
