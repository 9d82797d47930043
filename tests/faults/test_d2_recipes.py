"""D2: every combination of a recipe's keys runs, or is refused by name before any work.

`benchmarks/recipe_fuzz.py` draws the combinations; here stand the faults that it found, one by one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from benchmarks import recipe_fuzz
from benchmarks.recipe_fuzz import Workshop, draw, drawn_keys, fuzz

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.detection import detect
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.text.emphasis import weigh_texts
from lorasmith.bases.text.options import TextOptions
from lorasmith.errors import LorasmithError, RecipeError
from lorasmith.events import Done, finish
from lorasmith.face.stages import plan_training, train_project
from lorasmith.project import Project
from tests.projects import build_project


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    recipe = "resolution = 64\nbucket.min = 32\nbucket.step = 32\nepochs = 1\nbatch_size = 2\nrank = 2"
    return build_project(tmp_path / "p", recipe, base=str(tiny_base_folder))


REFUSED = {
    "no layer by its name": ({"filter.only": '["nothing"]'}, "layers, filter and blocks .* filter.only = "),
    "every layer left out": ({"filter.skip": '["*"]'}, r"filter.skip = \['\*'\]"),
    "every block left alone": (
        {"blocks.rank": "{IN = 0, M = 0, OUT = 0}", "lr.text_encoder": "0"},
        "blocks.rank = {'IN': 0",
    ),
    "a block that this base lacks": ({"blocks.rank": "{IN11 = 3}"}, "blocks: .* has no IN11"),
    "an alpha that no file holds": ({"alpha": "800000"}, "alpha = 800000 is above 65504"),
    "one that is so by its rank": (
        {"alpha": "60000", "rank_stabilised": "true"},
        "alpha = 60000 times the root of rank",
    ),
    "one of a block": ({"blocks.alpha": "{IN = 7e4}"}, "blocks.alpha of IN = 70000"),
    "one of convolutions": ({"conv.alpha": "7e4", "conv.rank": "1"}, "conv.alpha = 70000"),
    "small pictures drawn to preserve": (
        {"preserve.kind": "prior"},
        "preserve.kind = prior: .* 64 to 4096.* is 128x32",
    ),
    "half of them": ({"preserve.kind": "both"}, "preserve.kind = both: "),
    "small samples": ({"resolution": "32", "sample.prompts": '["zbk"]'}, "sample.prompts: .* resolution = 32x32"),
    "samples of many steps": ({"sample.steps": "1001"}, r"sample\.steps"),
    "pictures of many steps": ({"preserve.steps": "1001"}, r"preserve\.steps"),
    "a seed below 0": ({"sample.seed": "-2"}, r"sample\.seed"),
    "no file to start from": ({"init": "nowhere.safetensors"}, 'init = "nowhere.safetensors": no such file'),
    "more layers back than there are": ({"clip_skip": "4"}, "clip_skip = 4: the text encoder of .* has 3 layers"),
    "no class images": ({"preserve.kind": "images"}, 'preserve.folder = "reg": there are no class images'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name_by_the_plan_and_before_any_work(project: Project, case: str) -> None:
    settings, told = REFUSED[case]
    for work in (plan_training(project, settings), train_project(project, settings)):
        with pytest.raises(RecipeError, match=told):
            finish(work)
    assert not (project.cache / "latents").exists()
    assert not list(project.root.glob("runs/*"))


def test_a_picture_too_narrow_names_the_key(tmp_path: Path) -> None:
    project = build_project(tmp_path, "epochs = 1", sizes=((512, 16),))
    with pytest.raises(LorasmithError, match=r"too narrow .*bucket\.step"):
        finish(plan_training(project, {"bucket.step": "32", "resolution": "32", "bucket.no_upscale": "true"}))


@pytest.mark.parametrize("alpha", ["65504", "64"])
def test_alphas_that_files_hold_are_planned(project: Project, alpha: str) -> None:
    assert finish(plan_training(project, {"alpha": alpha})).recipe.alpha == float(alpha)


def test_weights_in_captions_have_a_gradient_where_means_are_0(tiny_base: Base) -> None:
    """sd-scripts (library/sdxl_train_util.py, get_weighted_text_embeddings) divides by the mean; 0 / 0 taught NaN."""
    flat = torch.zeros(1, 3, 4, requires_grad=True)
    weigh_texts(flat, [[1.0, 1.5, 1.0]]).sum().backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1)) + 1
    weighted = hidden * torch.tensor([1.0, 1.5, 1.0])[None, :, None]
    torch.testing.assert_close(weigh_texts(hidden, [[1.0, 1.5, 1.0]]), weighted * hidden.mean() / weighted.mean())
    assert torch.isfinite(
        tiny_base.encode(["a (red:1.3) hat", ""], TextOptions("kohya", emphasis="kohya")).hidden
    ).all()


def test_a_caption_with_weights_trains(project: Project) -> None:
    done = finish(train_project(project, {"caption.weighted": "true", "lr.text_encoder": "1e-4", "target_steps": "2"}))
    assert isinstance(done, Done)
    assert math.isfinite(done.loss)


@pytest.mark.parametrize(("key", "value"), [("loss.v_like", "2.5"), ("loss.debiased", "true")])
def test_losses_that_are_weighed_up_have_not_exploded(project: Project, key: str, value: str) -> None:
    """sd-scripts (library/custom_train_functions.py, add_v_prediction_like_loss) multiplies by up to 1 + share / 0.005;
    such runs ended at the first noisy timestep."""
    values = {"target_steps": "4", "timesteps.min": "900", "loss.min_snr_gamma": "0", key: value}
    done = finish(train_project(project, values))
    assert isinstance(done, Done)
    assert math.isfinite(done.loss)


def test_noise_that_makes_losses_large_has_not_exploded(tmp_path: Path) -> None:
    project = build_project(tmp_path, "resolution = 64\nbucket.min = 64\ntarget_steps = 2\nbatch_size = 2")
    done = finish(train_project(project, {"noise.offset_adaptive": "4.5"}))
    assert isinstance(done, Done)
    assert done.loss > 10


def test_every_key_is_drawn_and_no_fault_is_found(tmp_path: Path) -> None:
    """A few of the combinations of which the benchmark draws 2,000."""
    keys = {key for number in range(600) for key in draw(random.Random(f"{recipe_fuzz.SEED}-{number}"))}
    assert keys == set(drawn_keys())
    tally = fuzz(24, 0, Workshop(tmp_path, ("sd1",)))
    assert tally.ends.total() == 24
    assert tally.ends["ran"] > 4
    assert tally.ends["refused"] > 4
    assert tally.faults == []


def test_the_harness_sees_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recipe_fuzz, "train", fail)
    tally = fuzz(4, 0, Workshop(tmp_path, ("sd1",)))
    assert tally.ends["fault"] > 0
    assert "ZeroDivisionError" in tally.faults[0]


def test_clip_skip_reaches_as_far_as_a_header_tells(family_folders: Mapping[str, Path]) -> None:
    """What the plan reads is what the loaded base says."""
    assert len(family_folders) == 3
    for folder in (*family_folders.values(), doodle_folder()):
        assert detect(folder).most_clip_skip == load_base(folder).prompt_encoder.most_clip_skip == 3
    assert ANIMA.most_clip_skip((28, 6)) == 1, "its texts are read at their ends"


@pytest.mark.parametrize("clip_skip", ["1", "3"])
def test_clip_skip_within_the_layers_is_planned(project: Project, clip_skip: str) -> None:
    assert finish(plan_training(project, {"clip_skip": clip_skip})).recipe.clip_skip == int(clip_skip)
