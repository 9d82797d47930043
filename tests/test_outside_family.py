"""A family from outside goes the normal road: trained, saved, read again, drawn, merged, examined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.description import describe
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.describe import describe_base
from lorasmith.bases.doodle import tagger_folder
from lorasmith.bases.families import FAMILIES
from lorasmith.cli.main import run
from lorasmith.errors import BaseError, RecipeError
from lorasmith.events import Event, StepDone, finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from tests.projects import build_project, draw_apart
from tests.river import RIVER, build_river


@pytest.fixture(autouse=True)
def _river() -> Iterator[None]:
    FAMILIES.register(RIVER)
    yield
    FAMILIES.remove(RIVER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_river(tmp_path / "river")


def teach(folder: Path, root: Path, recipe: str = "") -> tuple[Path, list[float]]:
    """The adapter that a run makes, and its losses."""
    project = build_project(root, recipe, base=str(folder), sizes=((64, 64),) * 4)
    draw_apart(project.root / "images")
    events: list[Event] = []
    done = finish(train(project, read_recipe(project)), events.append)
    return done.adapter, [event.loss for event in events if isinstance(event, StepDone)]


def test_it_is_recognised_and_described(folder: Path) -> None:
    seen = describe_base(str(folder))
    assert (seen["family"], seen["layers"]) == ("river", {"unet": 12, "text_encoder": 1})
    base = load_base(folder)
    assert (base.family, base.resolution, base.latent_shape((128, 64))) == (RIVER, 64, (4, 1, 8, 16))
    assert base.parametrisation.prediction == "flow"
    FAMILIES.remove(RIVER)
    with pytest.raises(BaseError, match=r"another model: it has a transformer \(RiverDenoiser\)"):
        load_base(folder)
    FAMILIES.register(RIVER)


def test_latents_have_a_frame_and_a_scale_per_channel(folder: Path) -> None:
    base = load_base(folder)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = base.encode_images(pixels)
    assert z.shape == (2, *base.latent_shape((64, 64)))
    raw = base.vae.down(pixels)
    mean, deviation = (torch.tensor(getattr(base.vae.config, f"latents_{name}")) for name in ("mean", "std"))
    torch.testing.assert_close(z[:, :, 0], (raw - mean.view(1, -1, 1, 1)) / deviation.view(1, -1, 1, 1))
    torch.testing.assert_close(base.decode_latents(z), base.vae.up(raw).clamp(-1, 1))


def test_it_learns_twenty_steps_and_the_adapter_acts_when_read_again(folder: Path, tmp_path: Path) -> None:
    recipe = "target_steps = 20\nlr = { unet = 1e-2, text_encoder = 1e-3 }\nflip = true"
    file, losses = teach(folder, tmp_path / "p", recipe)
    assert len(losses) == 20
    assert sum(losses[-5:]) < sum(losses[:5])
    seen = describe(file)
    assert (seen.family, len(seen.adapter.layers), seen.hashes.ok) == ("river", 13, True)
    base = load_base(folder)
    assert not torch.equal(flow(base), flow(base, file))
    assert torch.equal(flow(base), flow(load_base(folder)))


@torch.no_grad()
def flow(base: Base, file: Path | None = None) -> torch.Tensor:
    """What the base says of some noise, with or without an adapter."""
    x = torch.randn(1, *base.latent_shape((64, 64)), generator=torch.Generator().manual_seed(1))
    with ExitStack() as stack:
        if file is not None:
            bank = AdapterBank(base, [load_adapter(file)])
            stack.enter_context(bank.attached())
            bank.set_strengths(torch.ones(1, 1))
        return base.denoise(x, torch.tensor([0.5]), base.encode(["zbk"]))


def test_blocks_and_checkpointing_are_the_family_s(folder: Path, tmp_path: Path) -> None:
    common = "target_steps = 3\nblocks.lr = { IN00 = 0 }\n"
    plain, losses = teach(folder, tmp_path / "a", common)
    _, again = teach(folder, tmp_path / "b", common + "checkpointing = true")
    assert losses == pytest.approx(again, rel=1e-5)
    assert not any("blocks_0" in name for name in load_adapter(plain).layers)
    with pytest.raises(RecipeError, match="has no OUT03"):
        teach(folder, tmp_path / "c", "target_steps = 1\nblocks.lr = { OUT03 = 1 }")
    with pytest.raises(RecipeError, match=r"loss\.min_snr_gamma .* predicts a flow"):
        teach(folder, tmp_path / "d", "loss.min_snr_gamma = 5")


def test_it_is_drawn_merged_and_examined(folder: Path, tmp_path: Path) -> None:
    file, _ = teach(folder, tmp_path / "p", "target_steps = 2")
    draw = ["--base", str(folder), "--adapters", str(file.parent), "--steps", "3", "--out", str(tmp_path / "drawn")]
    assert run(["generate", "(red:1.2) hat <lora:zbk> AND blue", *draw, "--preview", "1"]) == 0
    assert run(["generate", "zbk", *draw, "--hires", "2", "--sampler", "Euler a", "--weights", "int8"]) == 0
    drawn = str(next((tmp_path / "drawn").glob("*.png")))
    assert run(["generate", "zbk", *draw, "--init", drawn, "--mask", drawn, "--strength", "0.7"]) == 0
    merged, taken = tmp_path / "merged", tmp_path / "taken.safetensors"
    assert run(["adapter", "merge", f"{file}:IN=0.5", "--into", str(folder), "--out", str(merged)]) == 0
    assert run(["adapter", "extract", str(merged), str(folder), "--rank", "2", "--out", str(taken)]) == 0
    assert describe(taken).family == "river"
    exam = tmp_path / "p" / "lora.toml"
    settings = f'[exam]\njudge = "{tagger_folder()}"\nidentity = ["red hair"]\npictures = 8\nsteps = 2\n'
    exam.write_text(f"{exam.read_text()}\n{settings}")
    assert run(["exam", str(tmp_path / "p")]) == 0
