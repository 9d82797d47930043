"""Times as other trainers draw them for a family, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.zimage import ZIMAGE
from lorasmith.errors import RecipeError
from lorasmith.recipe.recipe import parse_recipe, read_recipe, write_recipe
from lorasmith.training.unpacking import unpack
from tests.families.anima_models import build_anima
from tests.families.zimage_models import build_zimage
from tests.projects import build_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_zimage(tmp_path_factory.mktemp("times") / "tiny")


def shifted(t: torch.Tensor, shift: float) -> torch.Tensor:
    return shift * t / (1 + (shift - 1) * t)


MADE = {
    # By the trainers' own lines.
    "musubi-tuner": lambda count: shifted(torch.sigmoid(torch.randn(count)), 2.0),
    "ai-toolkit": lambda count: torch.linspace(1000, 1, 1000)[torch.randint(0, 1000, (count,))] / 1000,
    "OneTrainer": lambda count: torch.randn(count).sigmoid(),
    "diffusion-pipe": lambda count: torch.sigmoid(torch.distributions.Normal(0, 1).sample((count,))),  # type: ignore[no-untyped-call]
    "diffusers": lambda count: shifted(torch.rand(count), 6.0),
}


@pytest.mark.parametrize("trainer", list(ZIMAGE.times))
def test_times_are_drawn_as_the_trainer_draws_them(folder: Path, tmp_path: Path, trainer: str) -> None:
    project = build_project(tmp_path / "p", f'timesteps = {{ like = "{trainer}" }}', base=str(folder))
    sampling = unpack(read_recipe(project)).rows.timesteps
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    ours = torch.tensor([sampling.draw(generator, (1024, 1024)) for _ in range(20_000)])
    theirs = MADE[trainer](20_000)
    parts = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    torch.testing.assert_close(ours.quantile(parts), theirs.quantile(parts), atol=0.012, rtol=0)


def test_what_is_given_beside_it_wins_and_the_recipe_is_whole(folder: Path, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", 'timesteps = { like = "musubi-tuner", shift = 3.0 }', base=str(folder))
    recipe = read_recipe(project)
    assert (recipe.timesteps.sampling, recipe.timesteps.shift) == ("sigmoid", 3.0)
    assert parse_recipe(write_recipe(recipe), where="recipe.toml") == recipe
    assert read_recipe(project, {"timesteps.like": '"OneTrainer"'}).timesteps.sampling == "logit_normal"


def test_unknown_trainers_are_refused(folder: Path, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", 'timesteps.like = "musubi"', base=str(folder))
    with pytest.raises(RecipeError, match=r'"musubi": no trainer whose times for Z-Image.*Known: musubi-tuner'):
        read_recipe(project)
    old = build_project(tmp_path / "old", 'timesteps.like = "kohya"')
    with pytest.raises(RecipeError, match=r"no trainer whose times for Doodle are known.*bases that learn a flow"):
        read_recipe(old)
    anima = build_project(tmp_path / "anima", 'timesteps.like = "kohya"', base=str(build_anima(tmp_path / "a")))
    assert read_recipe(anima).timesteps.shift == 1.0


def test_every_trainer_s_times_say_where_they_are_from() -> None:
    for family in FAMILIES.values():
        for times in family.times.values():
            assert times.source
            assert times.values.keys() <= {"sampling", "mean", "std", "shift"}
