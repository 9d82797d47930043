"""Precision: which numbers a base gets, and that half-precision bases compute the same but for rounding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lorasmith.bases import hardware
from lorasmith.bases.base import load_base, open_base
from lorasmith.bases.hardware import Use, WideGroupNorm, choose_dtype, precision_of, skip_divisions
from lorasmith.bases.precision import Precision
from lorasmith.events import StepDone, finish
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from tests.projects import build_project

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "device", "use", "fast", "expected"),
    [
        ("auto", CPU, "training", True, torch.float32),
        ("auto", CPU, "drawing", True, torch.float32),
        ("auto", CPU, "exam", True, torch.bfloat16),
        ("auto", CPU, "exam", False, torch.float32),
        ("bf16", CPU, "training", False, torch.bfloat16),
        ("fp32", CPU, "exam", True, torch.float32),
        ("auto", GPU, "training", True, torch.bfloat16),
        ("auto", GPU, "drawing", True, torch.bfloat16),
        ("auto", GPU, "training", False, torch.float32),
        ("auto", GPU, "drawing", False, torch.float16),
        ("fp16", GPU, "drawing", True, torch.float16),
    ],
)
def test_the_numbers_suit_the_machine_and_the_use(
    precision: Precision,
    device: torch.device,
    use: Use,
    fast: bool,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "_multiplies_bf16", lambda: fast)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: fast)
    assert choose_dtype(precision, device, use) == expected


def test_every_choice_has_a_word() -> None:
    assert [precision_of(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)] == ["fp32", "bf16", "fp16"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wide_group_norm_computes_in_fp32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.GroupNorm(4, 16)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = (torch.randn(2, 16, 5, 5) * 30 + 100).to(dtype)
    wide = WideGroupNorm.like(layer.to(dtype))
    expected = F.group_norm(x.float(), 4, layer.weight.float(), layer.bias.float()).to(dtype)
    assert torch.equal(wide(x), expected)
    assert wide.weight is layer.weight


def test_divisions_by_one_are_left_out_and_nothing_changes(tiny_base_folder: Path) -> None:
    base = load_base(tiny_base_folder)
    x, t, hidden = torch.randn(2, 4, 8, 8), torch.tensor([5, 500]), base.encode(["hat"] * 2).hidden

    def denoise() -> tuple[Tensor, Counter[str]]:
        start = x.clone().requires_grad_()
        with _Counting() as counted:
            out = base.denoiser(start, t, encoder_hidden_states=hidden).sample
            (gradient,) = torch.autograd.grad(out.square().sum(), start)
        return torch.cat([out, gradient]), counted.calls

    spared, calls = denoise()
    scaled = [
        (module, name)
        for module in base.denoiser.modules()
        for name in ("output_scale_factor", "rescale_output_factor")
        if name in vars(module)
    ]
    assert len(scaled) > 10
    for module, name in scaled:
        setattr(module, name, 1.0)
    plain, before = denoise()
    assert torch.equal(spared, plain)
    assert before["aten.div.Tensor"] - calls["aten.div.Tensor"] == 2 * len(scaled)  # forward and backward
    scaled[0][0].output_scale_factor = 2.0
    skip_divisions(base.denoiser)
    assert scaled[0][0].output_scale_factor == 2.0


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[str(func)] += 1
        return func(*args, **(kwargs or {}))


def test_a_base_in_bf16_draws_what_it_draws_in_fp32(tiny_base_folder: Path) -> None:
    wide, half = (open_base(tiny_base_folder, each) for each in ("fp32", "bf16"))
    assert half.dtype == torch.bfloat16
    assert any(isinstance(layer, WideGroupNorm) for layer in half.denoiser.modules())
    x = torch.randn(2, *wide.latent_shape((64, 64)), generator=torch.Generator().manual_seed(1))
    texts = ["red hat", "smile"]
    t = torch.tensor([0.01, 0.7])
    with torch.no_grad():
        one = wide.denoise(x, t, wide.encode(texts))
        other = half.denoise(x.bfloat16(), t, half.encode(texts)).float()
    assert float((one - other).norm() / one.norm()) < 0.03


def test_a_picture_says_in_which_numbers_it_was_drawn(tiny_base_folder: Path) -> None:
    pipeline = Pipeline(open_base(tiny_base_folder, "bf16"))
    spec = PictureSpec("red", seed=3, steps=2)
    (picture,) = finish(pipeline.draw([spec]))
    assert picture.drawing is not None
    assert picture.drawing.precision == "bf16"
    again = finish(pipeline.redraw(picture.spec, picture.drawing))
    assert again.image.tobytes() == picture.image.tobytes()


def test_factors_are_fp32_on_a_base_in_bf16(tmp_path: Path, tiny_base_folder: Path) -> None:
    recipe = """
    resolution = 64
    bucket = { min = 32, max = 128, step = 32 }
    batch_size = 2
    rank = 2
    alpha = 2
    clip_skip = 1
    epochs = 2
    save_every = "1 epoch"
    optimizer.name = "adamw"
    preserve.kind = "differential"
    """
    losses = {}
    for precision in ("fp32", "bf16"):
        project = build_project(
            tmp_path / precision, recipe + f'precision = "{precision}"\n', base=str(tiny_base_folder)
        )
        events: list[object] = []
        done = finish(train(project, read_recipe(project)), events.append)
        losses[precision] = [event.loss for event in events if isinstance(event, StepDone)]
        moved = load_file(done.adapter)
        assert any(bool(tensor.any()) for key, tensor in moved.items() if key.endswith("lora_up.weight"))
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
    assert losses["bf16"] != losses["fp32"]


def test_a_prediction_given_wins_over_the_file(tiny_base_folder: Path) -> None:
    assert load_base(tiny_base_folder).parametrisation.prediction == "epsilon"
    given = open_base(tiny_base_folder, "fp32", "training", "v_prediction")
    assert given.parametrisation.prediction == "v_prediction"
