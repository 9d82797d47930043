"""Compressed bases: a byte a weight, close to the full base, right beside every algorithm, and read without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter
from lorasmith.bases import checkpoint as checkpoint_module
from lorasmith.bases import compressed
from lorasmith.bases.base import Base, load_base, open_base
from lorasmith.bases.compressed import (
    CompressedConv2d,
    CompressedLinear,
    compress,
    compress_model,
    compressible_layers,
    turn_compressed,
    weight_storage,
)
from lorasmith.bases.families import find_family
from lorasmith.bases.families.cost import COMPRESSED_SHARE
from lorasmith.bases.families.stable_diffusion import ENDS
from lorasmith.bases.precision import Weights
from lorasmith.events import StepDone, finish
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.memory import estimate_memory
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.training.loop import train
from tests.adapters import drawing
from tests.adapters.drawing import state_of, trained_adapter
from tests.adapters.test_conformance import VARIANTS, a_toy_is_registered
from tests.adapters.toy import draw, toy_base
from tests.checkpoints import write_checkpoint
from tests.projects import build_project

FORMS: tuple[Weights, ...] = ("fp8", "int8")
WORDS: tuple[Weights, ...] = ("full", "int8")
ERRORS: dict[Weights, float] = {"fp8": 0.03, "int8": 0.012}
"""Relative errors of weights and of what a denoiser makes with them; measured on Doodle: 0.026 and 0.0095."""
MAPS = Path("/proc/self/maps")
on_linux = pytest.mark.skipif(not MAPS.exists(), reason="tells no mappings")


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


def compressed_layers(model: nn.Module) -> list[Any]:
    return [layer for layer in model.modules() if isinstance(layer, CompressedLinear | CompressedConv2d)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(40, 300), (24, 16, 3, 3), (3, 2**20 + 5)])
def test_codes_and_scales_make_the_weight_again(form: Weights, shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight[1] *= 1e-3
    weight[2] = 0
    codes, scales = compress(weight, form)
    assert codes.dtype.itemsize == 1
    assert codes.shape == weight.shape
    assert scales.shape == (shape[0], *(1,) * (len(shape) - 1))
    for row in (0, 1):
        assert error(codes[row].float() * scales[row], weight[row]) < ERRORS[form]
    assert not (codes[2].float() * scales[2]).any()


def test_a_scale_for_each_row_loses_less_than_one_for_all() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 128, generator=generator) * torch.logspace(-5, 0, 64)[:, None]
    for form in FORMS:
        worst = {}
        for way, each in (("row", weight), ("tensor", weight.reshape(1, -1))):
            codes, scales = compress(each, form)
            again = (codes.float() * scales).reshape(weight.shape)
            worst[way] = max(error(*pair) for pair in zip(again, weight, strict=True))
        assert worst["row"] < 0.04 < worst["tensor"]


def test_the_embedded_base_computes_what_it_did_to_the_stated_error() -> None:
    base = load_base("doodle")
    x = torch.randn(2, *base.latent_shape((128, 128)), generator=torch.Generator().manual_seed(1))
    t = torch.tensor([0.1, 0.7])
    with torch.no_grad():
        context = base.encode(["", ""])
    with torch.no_grad():
        expected = base.denoise(x, t, context)
    whole = {path: cast(Tensor, layer.weight) for path, layer in compressible_layers(base.denoiser, ENDS)}
    for form in FORMS:
        for path, weight in whole.items():
            layer = base.denoiser.get_submodule(path)
            if isinstance(layer, CompressedLinear | CompressedConv2d):
                layer.codes, layer.scales = compress(weight, form)
            else:
                turn_compressed(layer, *compress(weight, form), torch.float32)
        with torch.no_grad():
            assert ERRORS[form] / 3 < error(base.denoise(x, t, context), expected) < ERRORS[form]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_compressed_base_takes_a_byte_a_weight_and_computes_about_the_same(
    form: Weights, family: str, family_folders: dict[str, Path]
) -> None:
    full, small = load_base(family_folders[family]), load_base(family_folders[family], weights=form)
    assert (full.weights, small.weights, small.dtype) == ("full", form, torch.float32)
    for whole, part in (
        (full.denoiser, small.denoiser),
        *zip((e.model for e in full.text_encoders), (e.model for e in small.text_encoders), strict=True),
    ):
        layers = compressed_layers(part)
        weights = {path: cast(Tensor, layer.weight) for path, layer in compressible_layers(whole, ENDS)}
        assert len(layers) == len(weights) > 10
        before = sum(tensor.nbytes for tensor in whole.state_dict().values())
        after = sum(tensor.nbytes for tensor in part.state_dict().values())
        saved = sum(3 * weight.numel() - 4 * weight.shape[0] for weight in weights.values())
        assert after == before - saved
        kept = sum(layer.codes.nbytes + layer.scales.nbytes for layer in layers)
        assert kept < 0.29 * sum(weight.nbytes for weight in weights.values())
    with torch.no_grad():
        expected, found = drawing.draw(full), drawing.draw(small)
    assert 0 < error(found, expected) < 3 * ERRORS[form]  # random weights magnify it


def test_it_computes_in_the_numbers_that_were_asked_for(tiny_base_folder: Path) -> None:
    full = open_base(tiny_base_folder, "fp32")
    half = open_base(tiny_base_folder, "bf16", weights="int8")
    assert half.dtype == torch.bfloat16
    layers = compressed_layers(half.denoiser)
    assert {layer.weight.dtype for layer in layers} == {torch.bfloat16}
    assert {layer.codes.dtype for layer in layers} == {torch.int8}
    exact = load_base(tiny_base_folder, weights="int8")
    for one, other in zip(layers, compressed_layers(exact.denoiser), strict=True):
        assert torch.equal(one.weight, other.weight.bfloat16())
    x, t = drawing.noisy_latents()
    texts = ["red hat"] * 4
    with torch.no_grad():
        expected = full.denoise(x, t, full.encode(texts))
        found = half.denoise(x.bfloat16(), t, half.encode(texts))
    assert error(found, expected) < 0.03


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Weights:
    return cast(Weights, request.param)


@pytest.fixture
def toys(form: Weights) -> tuple[Base, Base]:
    """The toy base compressed, and a plain one that has the weights which the compressed one widens."""
    small, plain = toy_base(), toy_base()
    compress_model(small.denoiser, form, torch.float32, ENDS)
    small.weights = form
    for path, layer in compressible_layers(plain.denoiser, ENDS):
        cast(nn.Linear, layer).weight.data = cast(Tensor, small.denoiser.get_submodule(path).weight)
    assert len(compressed_layers(small.denoiser)) == 10
    return small, plain


@pytest.mark.usefixtures(a_toy_is_registered.__name__)
@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_algorithm_acts_as_on_the_widened_weights(toys: tuple[Base, Base], name: str) -> None:
    small, plain = toys
    adapter = trained_adapter(small, **({"conv_rank": 3} | VARIANTS[name]))
    before, bare = state_of(small), draw(small)
    assert torch.equal(bare, draw(plain))
    outcomes = []
    for base in (small, plain):
        bank = AdapterBank(base, [adapter], trainable=True)
        with bank.attached():
            drawn = _learn(base)
        gradients = [cast(Tensor, factor.grad) for factor in bank.factors("unet")]
        bank.set_strengths(torch.zeros(1, 1))
        with bank.attached():
            assert torch.equal(draw(base), bare)
        assert torch.equal(draw(base), bare)
        with bank.merged(torch.tensor([0.7])):
            merged = draw(base)
        assert torch.equal(draw(base), bare)
        outcomes.append([drawn, *gradients, merged])
    assert not torch.allclose(outcomes[0][0], bare, atol=1e-3)
    torch.testing.assert_close(outcomes[0], outcomes[1], rtol=1e-4, atol=1e-5)
    after = state_of(small)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def _learn(base: Base) -> Tensor:
    """One forward and backward pass with gradients for the input too; gives the output."""
    generator = torch.Generator().manual_seed(7)
    x, t = torch.randn(4, 8, 8, 8, generator=generator), torch.randn(4, 10, generator=generator)
    out: Tensor = base.denoiser(x.requires_grad_(), t)
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return out.detach()


@pytest.mark.parametrize("algorithm", ["lora", "dylora", "dora"])
def test_nothing_keeps_a_widened_weight_for_the_backward_pass(toys: tuple[Base, Base], algorithm: str) -> None:
    small, _ = toys
    kind: dict[str, Any] = {"algorithm": "lora", "dora": True} if algorithm == "dora" else {"algorithm": algorithm}
    bank = AdapterBank(small, [trained_adapter(small, conv_rank=3, **kind)], trainable=True)
    weights = {tuple(layer.codes.shape) for layer in compressed_layers(small.denoiser)}
    kept: list[tuple[int, ...]] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), bank.attached():
        _learn(small)
    flat = {(shape[0], torch.Size(shape[1:]).numel()) for shape in weights}
    assert len(kept) > 10
    assert not [shape for shape in kept if shape in weights | flat or shape[::-1] in weights | flat]


def test_magnitudes_remember_the_bytes_and_see_a_merged_weight(toys: tuple[Base, Base]) -> None:
    small, _ = toys
    layer = compressed_layers(small.denoiser)[0]
    assert weight_storage(layer) is layer.codes
    bank = AdapterBank(small, [trained_adapter(small, conv_rank=3)])
    with bank.merged(torch.ones(1)):
        assert weight_storage(layer) is layer.weight
    assert weight_storage(layer) is layer.codes


RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 2
rank = 2
alpha = 2
clip_skip = 1
epochs = 2
conv = { rank = 2 }
save_every = "1 epoch"
optimizer.name = "adamw"
preserve.kind = "differential"
"""


def test_an_adapter_learnt_on_a_compressed_base_is_like_one_learnt_on_the_full_base(
    tmp_path: Path, tiny_base_folder: Path
) -> None:
    losses: dict[str, list[float]] = {}
    for form in WORDS:
        project = build_project(tmp_path / form, RECIPE + f'weights = "{form}"\n', base=str(tiny_base_folder))
        events: list[object] = []
        done = finish(train(project, read_recipe(project)), events.append)
        losses[form] = [event.loss for event in events if isinstance(event, StepDone)]
    assert len(losses["full"]) >= 4
    assert losses["int8"] == pytest.approx(losses["full"], rel=0.03)
    assert losses["int8"] != losses["full"]
    base = load_base(tiny_base_folder)
    bare = drawing.draw(base)
    with AdapterBank(base, [load_adapter(done.adapter)]).attached():
        assert not torch.equal(drawing.draw(base), bare)


def test_a_picture_says_how_the_weights_were_kept_and_is_never_merged(tiny_base_folder: Path) -> None:
    pipeline = Pipeline(open_base(tiny_base_folder, "fp32", weights="fp8"))
    (picture,) = finish(pipeline.draw([PictureSpec("red", seed=3, steps=2)]))
    assert picture.drawing is not None
    assert (picture.drawing.weights, picture.drawing.merged) == ("fp8", False)
    again = finish(pipeline.redraw(picture.spec, picture.drawing))
    assert again.image.tobytes() == picture.image.tobytes()
    full = Pipeline(open_base(tiny_base_folder, "fp32"))
    assert finish(full.redraw(picture.spec, picture.drawing)).image.tobytes() != picture.image.tobytes()


def test_the_plan_s_memory_knows_of_it() -> None:
    whole, small = (estimate_memory(Recipe(epochs=1, weights=form), 512 * 512) for form in WORDS)
    assert whole - small == pytest.approx(0.75 * COMPRESSED_SHARE * find_family("doodle").cost.weight_bytes, rel=1e-3)


@pytest.fixture(scope="module")
def half_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in half precision."""
    return write_checkpoint(tmp_path_factory.mktemp("half") / "half.safetensors", "sd1", dtype=torch.float16)


def _mapped() -> list[tuple[int, int]]:
    """Where in memory this process has safetensors files mapped."""
    places = []
    for line in MAPS.read_text().splitlines():
        if line.endswith(".safetensors"):
            begin, end = line.split()[0].split("-")
            places.append((int(begin, 16), int(end, 16)))
    return places


def _is_mapped(tensor: Tensor, places: list[tuple[int, int]]) -> bool:
    return any(begin <= tensor.data_ptr() < end for begin, end in places)


def _weights(base: Base) -> Iterator[Tensor]:
    for part in (base.denoiser, base.vae, *(encoder.model for encoder in base.text_encoders)):
        yield from part.parameters()


@on_linux
def test_a_file_in_its_own_numbers_is_mapped_not_copied(half_file: Path, tiny_base_folder: Path) -> None:
    for base in (load_base(half_file, torch.float16, "epsilon"), load_base(tiny_base_folder, torch.float32)):
        places = _mapped()
        copied = [tensor.nbytes for tensor in _weights(base) if not _is_mapped(tensor, places)]
        assert sum(copied) < 0.02 * sum(tensor.nbytes for tensor in _weights(base))


@on_linux
def test_weights_are_compressed_one_by_one_from_the_mapped_file(
    half_file: Path, tiny_base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []

    def watch(weight: Tensor, form: Weights) -> tuple[Tensor, Tensor]:
        taken.append(_is_mapped(weight, _mapped()))
        return compress(weight, form)

    monkeypatch.setattr(checkpoint_module, "compress", watch)
    monkeypatch.setattr(compressed, "compress", watch)
    for path in (half_file, tiny_base_folder):
        taken.clear()
        base = load_base(path, torch.bfloat16, "epsilon", "fp8")
        assert len(taken) > 50
        assert all(taken)
        assert {tensor.dtype for tensor in base.denoiser.parameters()} == {torch.bfloat16}


def test_a_file_and_its_full_base_agree(half_file: Path) -> None:
    full = load_base(half_file, torch.float32, "epsilon")
    small = load_base(half_file, torch.float32, "epsilon", "int8")
    layers = compressed_layers(small.denoiser)
    assert len(layers) > 100
    for layer, (_, whole) in zip(layers, compressible_layers(full.denoiser, ENDS), strict=True):
        codes, scales = compress(cast(Tensor, whole.weight), "int8")
        assert torch.equal(layer.codes, codes)
        assert torch.equal(layer.scales, scales)


def test_a_broken_weight_is_refused_before_it_is_compressed(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from lorasmith.errors import BaseError

    good = write_checkpoint(tmp_path / "good.safetensors", "sd1")
    tensors = load_file(good)
    key = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    tensors[key][0, 0, 0, 0] = float("nan")
    save_file(tensors, tmp_path / "bad.safetensors")
    with pytest.raises(BaseError, match="NaN"):
        load_base(tmp_path / "bad.safetensors", prediction="epsilon", weights="int8")
