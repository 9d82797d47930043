"""Z-Image's layers at true size, in every tool's spelling; what diffusers makes of our files, and we of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.zimage import ZIMAGE
from lorasmith.bases.targets import TargetLayer
from tests.families.zimage_models import build_zimage

LAYERS = {name: layer for name, layer in ZIMAGE.public_layers().items() if layer.owner == "transformer"}
SPELLINGS: dict[str, Callable[[TargetLayer], str]] = {
    "musubi-tuner": lambda layer: layer.name,
    "ai-toolkit": lambda layer: f"diffusion_model.{layer.path}",
    "ComfyUI": lambda layer: f"diffusion_model.{next(iter(layer.aliases), layer.path)}",
    "diffusers": lambda layer: f"transformer.{layer.path}",
    "LyCORIS": lambda layer: f"lycoris_{layer.path.replace('.', '_')}",
    "PEFT": lambda layer: f"base_model.model.{layer.path}",
    "OneTrainer": lambda layer: f"lora_transformer_{layer.path.replace('.', '_')}",
}


def tensors(spelling: str, words: tuple[str, str], alpha: bool) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer in LAYERS.values():
        outputs, inputs = ZIMAGE.public_size(layer)
        start = SPELLINGS[spelling](layer)
        down, up = torch.ones(1, inputs or 8, dtype=torch.half), torch.ones(outputs or 8, 1, dtype=torch.half)
        found |= {f"{start}.{words[0]}.weight": down, f"{start}.{words[1]}.weight": up}
        if alpha:
            found[f"{start}.alpha"] = torch.tensor(1.0)
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(build_zimage(tmp_path_factory.mktemp("zimage") / "tiny"))


def test_there_are_210_targets_of_30_layers_and_the_model_has_them() -> None:
    from diffusers import ZImageTransformer2DModel

    with torch.device("meta"):
        model = ZImageTransformer2DModel()
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    own = [each for each in LAYERS.values() if each.group in ("attention", "mlp")]
    assert len(own) == 210
    inside = {name for name in linear if name.startswith("layers.") and "adaLN" not in name}
    assert {each.path for each in own} == inside
    refining = {name for name in linear if "_refiner." in name and "adaLN" not in name}
    assert {each.path for each in LAYERS.values() if each.group == "refiners"} == refining
    assert len(refining) == 28
    assert {each.path for each in LAYERS.values()} == set(linear)
    for layer in LAYERS.values():
        sizes = ZIMAGE.public_size(layer)
        assert sizes in ((0, 0), tuple(linear[layer.path].weight.shape))
    assert sum(sum(ZIMAGE.public_size(each)) for each in own) == ZIMAGE.cost.unet_per_rank


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("words", [("lora_down", "lora_up"), ("lora_A", "lora_B")])
@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_every_spelling_is_read(tmp_path: Path, spelling: str, words: tuple[str, str], alpha: bool) -> None:
    save_file(tensors(spelling, words, alpha), tmp_path / "a.safetensors")
    adapter = load_adapter(tmp_path / "a.safetensors")
    assert origin_of(adapter).family is ZIMAGE
    assert with_own_names(adapter).layers.keys() == LAYERS.keys()
