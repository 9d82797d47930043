"""What is told of a family from outside: without torch, by headers and configurations, and what is refused on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.vocabulary import read_vocabulary
from lorasmith.errors import BaseError, RecipeError, UsageError
from lorasmith.generation.base_facts import facts_of, known_facts
from lorasmith.generation.checks import settle
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.recipe import read_recipe
from tests.families.reel import REEL
from tests.families.roads import SHORT, build_project, run, told


def test_it_is_told_and_planned_without_torch(tmp_path: Path, folder: Path) -> None:
    project = build_project(tmp_path / "p", folder)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.bases.detection import detect, family_of\n"
        "from lorasmith.bases.families import FAMILIES\n"
        "from lorasmith.cli.main import run\n"
        "from tests.families.reel import REEL\n"
        "FAMILIES.register(REEL)\n"
        f"folder = {str(folder)!r}\n"
        "assert family_of(folder) is REEL is detect(Path(folder)).family\n"
        f"assert run(['plan', {str(project.root)!r}, '--no-rehearse', '--json', '--set', 'rank=8']) == 0\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'onnxruntime'})\n"
        "assert not heavy, heavy\n"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["steps"] == 20
    assert plan["preset"]["family"] == "reel"
    assert plan["preset"]["reasons"] == list(REEL.presets["*"].reasons)
    assert {tuple(bucket["size"]) for bucket in plan["buckets"]} == {(96, 96), (128, 64)}


def test_what_configurations_tell_is_what_the_loaded_base_is(folder: Path, base: Base) -> None:
    assert known_facts(str(folder)).factor == facts_of(base).factor == 16
    assert known_facts(str(folder)).resolution == facts_of(base).resolution == 96
    assert base.parametrisation.prediction == "flow"
    assert base.latent_shape((128, 64)) == (6, 1, 8, 16)


def test_without_it_the_folder_is_another_model(folder: Path) -> None:
    FAMILIES.remove(REEL)
    with pytest.raises(BaseError, match=r"another model: it has a transformer \(ReelTransformer\)"):
        load_base(folder)
    FAMILIES.register(REEL)


def test_latents_have_a_frame_and_a_scale_per_channel(base: Base) -> None:
    pixels = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = base.encode_images(pixels)
    assert z.shape == (2, *base.latent_shape((96, 64)))
    raw = base.vae.down(pixels.unsqueeze(2))
    torch.testing.assert_close(z, (raw - base.vae.mean) / base.vae.std)
    flat = base.decode_latents(z)
    torch.testing.assert_close(flat[:, :, ::8, ::8], torch.nn.functional.avg_pool2d(pixels, 8))


def test_texts_are_one_context_with_a_mask(base: Base) -> None:
    with torch.no_grad():
        both, alone = base.encode(["red", "blue picture, smile, smile, smile, smile"]), base.encode(["red"])
    assert both.mask is not None
    assert both.mask.sum(dim=1).tolist() == [2, 11]
    assert (both.length, alone.length) == (16, 8)
    torch.testing.assert_close(both.hidden[0, :2], alone.hidden[0, :2])


def test_words_are_counted_by_its_own_tokenizer(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "prompt", "explain", "(red:1.2) picture, smile", "--base", folder)["chunks"] == [4]
    assert read_vocabulary(build_project(tmp_path / "p", folder)).tokens == {}, "not in CLIP's form"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("loss.min_snr_gamma", "5", "loss.min_snr_gamma is for bases that predict noise or v"),
        ("noise.offset", "0.1", "noise.offset: .* predicts a flow"),
        ("noise.zero_terminal_snr", "true", "noise.zero_terminal_snr: .* predicts a flow"),
        ("prediction", '"epsilon"', "predicts a flow, and nothing else"),
        ("blocks.lr", "{ IN = 0.5 }", '"IN" is no block of Reel; blocks are B, B00'),
        ("bucket.step", "8", "bucket.step = 8: sides of pictures are multiples of 16 on Reel"),
        ("resolution", "72", "resolution = 72x72: sides of pictures are multiples of 16 on Reel"),
    ],
)
def test_what_it_cannot_learn_is_refused(folder: Path, tmp_path: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(build_project(tmp_path / "p", folder), {key: value})


def test_what_shows_when_the_base_is_there_is_refused_then(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    with pytest.raises(RecipeError, match="clip_skip = 2: the text encoder of colours is read at its end"):
        run(project, base, SHORT | {"clip_skip": "2"})
    with pytest.raises(RecipeError, match="colours has no B07"):
        run(project, base, SHORT | {"blocks.rank": "{ B07 = 2 }"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (PictureSpec("zbk", width=104), "104 is not a multiple of 16"),
        (PictureSpec("zbk", tiling=True), "go on round their edges"),
        (PictureSpec("zbk", clip_skip=2), "2 is not between 1 and 1"),
    ],
)
def test_pictures_that_it_cannot_draw_are_refused(base: Base, spec: PictureSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settle(spec, facts_of(base))
