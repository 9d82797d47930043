"""Z-Image's layers at true size, in every tool's spelling; what diffusers makes of our files, and we of theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.adapters.surgery.respelling import Spelling, respell
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.zimage import ZIMAGE
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from tests.adapters.drawing import trained_adapter
from tests.families.zimage_models import build_zimage, load_pipeline

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


def parts(base: Base) -> list[list[str]]:
    names = [name for name in base.layers if re.fullmatch(r"lora_unet_layers_\d+_attention_to_q", name)]
    return [[name.replace("to_q", f"to_{each}") for each in "qkv"] for name in names]


def acts(base: Base, file: Path) -> Tensor:
    bank = AdapterBank(base, [load_adapter(file)])
    x_t, t = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4, 0.9])
    with torch.no_grad(), bank.attached():
        bank.set_strengths(torch.ones(2, 1))
        return base.denoise(x_t, t, base.encode(["a girl, smile", ""]))


@pytest.mark.parametrize("form", ["joined", "one", "loha", "diff"])
def test_q_k_and_v_in_one_act_as_apart(base: Base, tmp_path: Path, form: str) -> None:
    """Joined is as musubi-tuner's converter for ComfyUI joins them, alpha three times; the others: trained as one."""
    adapter = trained_adapter(base, rank=2, alpha=1.0, text_encoder=False)
    apart = {
        f"{name}.{suffix}": each.clone()
        for name, factors in adapter.layers.items()
        for suffix, each in factors.to_tensors().items()
    }
    fused = dict(apart)
    generator = torch.Generator().manual_seed(1)
    for names in parts(base):
        whole = names[0].replace("to_q", "qkv")
        taken = [
            {key: fused.pop(f"{name}.{key}") for key in ("lora_down.weight", "lora_up.weight", "alpha")}
            for name in names
        ]
        wide, high = taken[0]["lora_down.weight"].shape[1], taken[0]["lora_up.weight"].shape[0]
        new: dict[str, Tensor] = {}
        if form == "joined":
            new["lora_down.weight"] = torch.cat([each["lora_down.weight"] for each in taken])
            new["lora_up.weight"] = torch.block_diag(*[each["lora_up.weight"] for each in taken])  # type: ignore[no-untyped-call]
            new["alpha"] = taken[0]["alpha"] * 3
        elif form == "one":
            new["lora_down.weight"] = torch.randn(2, wide, generator=generator) * 0.1
            new["lora_up.weight"] = torch.randn(3 * high, 2, generator=generator) * 0.1
            new["alpha"] = torch.tensor(1.0)
        elif form == "loha":
            new = {f"hada_w{at}_a": torch.randn(3 * high, 2, generator=generator) * 0.3 for at in (1, 2)}
            new |= {f"hada_w{at}_b": torch.randn(2, wide, generator=generator) * 0.3 for at in (1, 2)}
            new["alpha"] = torch.tensor(1.0)
        else:
            new["diff"] = torch.randn(3 * high, wide, generator=generator) * 0.1
        fused |= {f"{whole}.{key}": each for key, each in new.items()}
        for at, name in enumerate(names):
            rows = slice(at * high, (at + 1) * high)
            for key in ("lora_down.weight", "lora_up.weight", "alpha"):
                del apart[f"{name}.{key}"]
            for key, each in new.items():
                cut = key in ("lora_up.weight", "hada_w1_a", "hada_w2_a", "diff")
                apart[f"{name}.{key}"] = (each[rows] if cut else each).clone()
    save_file(fused, tmp_path / "fused.safetensors")
    save_file(apart, tmp_path / "apart.safetensors")
    ours, want = (acts(base, tmp_path / f"{each}.safetensors") for each in ("fused", "apart"))
    torch.testing.assert_close(ours, want, rtol=1e-5, atol=1e-5)
    read = load_adapter(tmp_path / "fused.safetensors")
    assert read.layers.keys() == adapter.layers.keys()
    if form == "joined":
        ranks = {factors.rank for factors in read.layers.values()}
        assert ranks == {2}, "each has its own ranks again"


def test_what_cannot_be_cut_says_so(tmp_path: Path) -> None:
    name = "lora_unet_layers_0_attention_qkv"
    save_file(
        {f"{name}.oft_blocks": torch.zeros(4, 2, 2), f"{name}.alpha": torch.tensor(1.0)}, tmp_path / "a.safetensors"
    )
    with pytest.raises(AdapterError, match=r"attention_qkv is for 3 layers in one, and what it has .* cannot be cut"):
        load_adapter(tmp_path / "a.safetensors")


def test_diffusers_takes_what_we_write_and_acts_alike(base: Base, tmp_path: Path) -> None:
    adapter = trained_adapter(base, rank=2, alpha=1.0, text_encoder=False)
    file, out = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32), tmp_path / "d.safetensors"
    respell(file, out, "diffusers", str(base.folder))
    x_t, t = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    with torch.no_grad():
        context = base.encode(["a girl, smile"])
        assert context.mask is not None
        bank = AdapterBank(base, [load_adapter(file)])
        bare = base.denoise(x_t, t, context)
        with bank.attached():
            bank.set_strengths(torch.ones(1, 1))
            ours = base.denoise(x_t, t, context)
        respell(file, tmp_path / "c.safetensors", "comfyui", str(base.folder))
        for taken in (out, file, tmp_path / "c.safetensors"):  # kohya's and ComfyUI's names are read there, too
            pipeline = load_pipeline(base.folder)
            pipeline.load_lora_weights(str(taken))
            layers = [name for name, _ in pipeline.transformer.named_modules() if name.endswith("lora_A")]
            assert len(layers) == len(adapter.layers) == 2 * 7
            theirs = pipeline.transformer(
                [x_t[0].unsqueeze(1)], 1 - t, [context.hidden[0][context.mask[0]]], return_dict=False
            )
            torch.testing.assert_close(ours, -theirs[0][0].squeeze(1).unsqueeze(0), rtol=2e-3, atol=2e-3)  # in half
    assert float((ours - bare).abs().max()) > 0.05
    assert fit_adapter(load_adapter(out), base).layers.keys() == adapter.layers.keys()


def test_a_folder_of_peft_is_read(base: Base, tmp_path: Path) -> None:
    """As PEFT's `save_pretrained` on diffusers' transformer leaves one: paths without a word of the part."""
    from peft import LoraConfig, get_peft_model

    transformer = load_pipeline(base.folder).transformer
    model = get_peft_model(transformer, LoraConfig(r=2, lora_alpha=1, target_modules=["to_q", "to_v", "w1"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path / "peft")
    context = base.encode(["a girl"])
    x_t, t = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    bank = AdapterBank(base, [load_adapter(tmp_path / "peft")])
    with torch.no_grad(), bank.attached():
        bank.set_strengths(torch.ones(1, 1))
        assert context.mask is not None
        ours = base.denoise(x_t, t, context)
        theirs = model([x_t[0].unsqueeze(1)], 1 - t, [context.hidden[0][context.mask[0]]], return_dict=False)
    torch.testing.assert_close(ours, -theirs[0][0].squeeze(1).unsqueeze(0), rtol=1e-4, atol=1e-4)
    assert len(bank.adapter(0, "a", {}).layers) == 4 * 3


@pytest.mark.parametrize("to", ["kohya", "comfyui", "diffusers", "peft"])
def test_what_is_written_is_read_as_it_was(base: Base, tmp_path: Path, to: Spelling) -> None:
    adapter = trained_adapter(base, rank=2, alpha=1.0, text_encoder=True, groups=("attention", "mlp", "refiners"))
    assert len(adapter.layers) == 4 * 7 + 3 * 7
    file, out = save_adapter(tmp_path / "a.safetensors", adapter), tmp_path / "out"
    respell(file, out, to, str(base.folder))
    read = fit_adapter(load_adapter(out), base)
    assert read.layers.keys() == adapter.layers.keys()
    for name, factors in read.layers.items():
        weight = base.module(name).get_parameter("weight")
        want = adapter.layers[name].delta_weight(weight)
        torch.testing.assert_close(factors.delta_weight(weight), want, rtol=2e-3, atol=2e-3)


def test_comfyui_s_names_are_for_every_family_and_algorithm(
    family_folders: dict[str, Path], tmp_path: Path, base: Base
) -> None:
    old = load_base(family_folders["sd1"])
    file = save_adapter(tmp_path / "a.safetensors", trained_adapter(old))
    respell(file, tmp_path / "b.safetensors", "comfyui", str(old.folder))
    with safe_open(tmp_path / "b.safetensors", "pt") as written:
        starts = {key.split(".")[0] for key in written.keys()}  # noqa: SIM118 - no mapping
    assert starts == {"diffusion_model", "text_encoders"}
    loha = trained_adapter(base, algorithm="loha", text_encoder=False)
    respell(save_adapter(tmp_path / "l.safetensors", loha), tmp_path / "c.safetensors", "comfyui", str(base.folder))
    with safe_open(tmp_path / "c.safetensors", "pt") as written:
        keys = set(written.keys())
    assert "diffusion_model.layers.0.attention.to_q.hada_w1_a" in keys
    ia3 = save_adapter(tmp_path / "i.safetensors", trained_adapter(base, algorithm="ia3", text_encoder=False))
    with pytest.raises(AdapterError, match=r"is a ia3, which ComfyUI does not read"):
        respell(ia3, tmp_path / "j.safetensors", "comfyui", str(base.folder))
