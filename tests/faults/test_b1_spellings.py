"""B1, B5: one layer is one layer, whatever a tool calls it. The sources stand in `spell_adapters.NAMINGS`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.description import describe
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.keys import read_key
from lorasmith.adapters.surgery.merging import merge
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import find_family
from lorasmith.cli.main import run
from lorasmith.errors import AdapterError
from tests.adapters.drawing import draw, trained_adapter
from tests.faults.make_adapters import KOHYA, lora, make_adapter
from tests.faults.spell_adapters import NAMINGS, TENSORS, everywhere, spell

FAMILIES = ("sd1", "sdxl", "doodle")


@pytest.fixture(scope="module")
def bases(family_folders: dict[str, Path]) -> dict[str, Base]:
    return {name: load_base("doodle" if name == "doodle" else family_folders[name]) for name in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("naming", NAMINGS)
def test_every_spelling_is_the_same_adapter(
    naming: str, family: str, bases: Mapping[str, Base], tmp_path: Path
) -> None:
    """The same layers with the same change, the same family, and the same picture."""
    base = bases[family]
    names = NAMINGS[naming]
    part = None if names.unet is not None and names.text is not None else "unet" if names.unet is not None else "te"
    if naming == "LyCORIS wrapper, a text encoder" and family == "sdxl":
        pytest.skip("it names none of the two text encoders; their widths tell them in public models")
    random = Random(f"{naming} {family}")
    facts = {"ss_base_model_version": base.family.header_facts().version}
    for tensors in random.sample(list(TENSORS), 3):
        own = everywhere(base, part, random.randrange(1000))
        path = tmp_path / f"{tensors}.safetensors"
        save_file(spell(own, base, naming, tensors), path, facts)
        read = load_adapter(path)
        assert_same(fit_adapter(read, base), own)
        # By its header: the embedded base is sd1 in kohya's words, which widths tell apart in files of its layers.
        assert describe(path).family in ({"doodle", "sd1"} if family == "doodle" else {family})
        with AdapterBank(base, [own]).attached():
            want = drawn(base)
        with AdapterBank(base, [read]).attached():
            torch.testing.assert_close(drawn(base), want, rtol=1e-4, atol=1e-4)


OTHERS: dict[str, dict[str, Any]] = {
    "loha": {"algorithm": "loha", "conv_rank": 2},
    "lokr": {"algorithm": "lokr", "conv_rank": 2},
    "dora": {"dora": True, "conv_rank": 2},
    "tucker": {"tucker": True, "conv_rank": 2},
    "full": {"algorithm": "full"},
    "norm": {"algorithm": "norm"},
    "oft": {"algorithm": "oft"},
    "boft": {"algorithm": "boft"},
    "glora": {"algorithm": "glora"},
    "biased": {"algorithm": "biased"},
    "oft_input": {"algorithm": "oft_input"},
    "boft_input": {"algorithm": "boft_input"},
}


@pytest.mark.parametrize("algorithm", OTHERS)
def test_every_algorithm_is_read_under_every_name(algorithm: str, bases: Mapping[str, Base], tmp_path: Path) -> None:
    """Tools change names of layers, and keep LyCORIS's names of what is not LoRA."""
    base = bases["sdxl"]
    own = trained_adapter(base, **OTHERS[algorithm])
    for number, (naming, names) in enumerate(NAMINGS.items()):
        tensors: dict[str, torch.Tensor] = {}
        expected: dict[str, LayerFactors] = {}
        for layer, factors in own.layers.items():
            target = base.layers[layer]
            name = names.unet if target.part == "unet" else names.text
            if name is None or naming == "LyCORIS wrapper, a text encoder":
                continue
            expected[layer] = factors
            tensors |= {f"{name(target)}.{key}": each.contiguous() for key, each in factors.to_tensors().items()}
        if not tensors:
            continue
        path = tmp_path / f"{number}.safetensors"
        save_file(tensors, path, {"ss_base_model_version": "sdxl_base_v1-0"})
        read = fit_adapter(load_adapter(path), base)
        assert read.layers.keys() == expected.keys(), naming
        for layer, factors in expected.items():
            assert type(read.layers[layer]) is type(factors), naming
            for key, tensor in factors.to_tensors().items():
                assert torch.equal(read.layers[layer].to_tensors()[key], tensor), (naming, layer, key)


def drawn(base: Base) -> torch.Tensor:
    if base.family.name != "doodle":
        return draw(base)
    x = torch.randn(1, *base.latent_shape((64, 64)), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return base.denoise(x, torch.tensor([0.6]), base.encode(["1girl, red hair"]))


def assert_same(read: Adapter, own: Adapter) -> None:
    assert read.layers.keys() == own.layers.keys()
    for name, factors in own.layers.items():
        shape = tuple(int(size or 1) for size in factors.extent)
        up, down = factors.as_product(shape)
        theirs_up, theirs_down = read.layers[name].as_product(shape)
        torch.testing.assert_close(theirs_up @ theirs_down, up @ down, rtol=1e-5, atol=1e-6)


def test_a_layer_in_two_spellings_is_merged_into_one(tmp_path: Path) -> None:
    """diffusers, loaders/lora_conversion_utils.py, _maybe_map_sgm_blocks_to_diffusers: where both spellings are in one
    file, Stability's are thrown away; so none may be written."""
    both = tmp_path / "both.safetensors"
    files = [make_adapter(tmp_path, name) for name in ("kohya_sgm", "diffusers")]
    assert run(["adapter", "merge", *(f"{file}:0.5" for file in files), "--out", str(both)]) == 0
    assert set(load_file(both)) == {f"{KOHYA}.{key}" for key in ("lora_down.weight", "lora_up.weight", "alpha")}
    assert run(["adapter", "verify", str(both)]) == 0
    (factors,) = load_adapter(both).layers.values()
    weight = torch.zeros(640, 2048)
    (one,) = load_adapter(files[0]).layers.values()
    torch.testing.assert_close(factors.delta_weight(weight), one.delta_weight(weight), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize(
    "second", ["lora_te1_text_model_", "lora_te_", "text_encoder.text_model.", "clip_l.text_model."]
)
def test_text_encoders_too(second: str, tmp_path: Path) -> None:
    """OneTrainer, load_lora_util.py, to_canonical: `lora_te` and `lora_te1` of the only text encoder."""
    layer = "encoder.layers.0.self_attn.q_proj"
    flat = layer if "." in second else layer.replace(".", "_")
    paths = []
    for number, name in enumerate((f"lora_te_text_model_{layer.replace('.', '_')}", f"{second}{flat}")):
        paths.append(tmp_path / f"{number}.safetensors")
        save_file(lora(name, 768, 768), paths[-1])
    merged = merge([load_adapter(path) for path in paths], [0.5, 0.5])
    assert list(merged.adapter.layers) == [f"lora_te_text_model_{layer.replace('.', '_')}"]


def test_a_file_with_both_spellings_of_a_layer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "twice.safetensors"
    name = KOHYA.replace("input_blocks_4_1", "down_blocks_1_attentions_0")
    save_file(lora(KOHYA, 2048, 640) | lora(name, 2048, 640), path)
    with pytest.raises(AdapterError, match=r"input_blocks_4_1.*twice, in two spellings"):
        load_adapter(path)
    assert run(["adapter", "verify", str(path)]) == 1


def test_families_that_differ_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sdxl = make_adapter(tmp_path, "kohya_sgm")
    base = load_base("doodle")
    doodle = save_adapter(tmp_path / "doodle.safetensors", everywhere(base, "unet", 1))
    foreign = make_adapter(tmp_path, "anima_header_sd2_width")
    out = tmp_path / "out.safetensors"
    for other, word in ((doodle, "doodle is for doodle"), (foreign, "is for anima")):
        assert run(["adapter", "merge", str(sdxl), str(other), "--out", str(out)]) == 7
        told = capsys.readouterr().err
        assert "different families: kohya_sgm is for sdxl" in told
        assert word in told
        assert not out.exists()


def test_of_models_of_other_sizes_the_base_tells_which_are_the_same(bases: Mapping[str, Base], tmp_path: Path) -> None:
    """Stability's numbers count residual blocks, so that they are another model's where blocks have fewer of them."""
    base = bases["sdxl"]
    own = everywhere(base, "unet", 5)
    paths = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for path, naming in zip(paths, ("kohya", "diffusers"), strict=True):
        save_file(spell(own, base, naming, "lora_A, lora_B"), path, {"ss_base_model_version": "sdxl_base_v1-0"})
    adapters = [load_adapter(path) for path in paths]
    with pytest.raises(AdapterError, match="depends on the base"):
        merge(adapters, [0.5, 0.5])
    assert merge(adapters, [0.5, 0.5], base=base).adapter.layers.keys() == own.layers.keys()


def test_names_of_true_models_are_all_known() -> None:
    """Counts at true size, with the layers outside the blocks and the norms; each by every spelling."""
    for family, layers in (("sd1", 278 + 72 + 4), ("sdxl", 788 + 72 + 192 + 7)):
        table = find_family(family).public_layers()
        assert sum(target.kind != "norm" for target in table.values()) == layers
        spellings = find_family(family).spellings(table)
        assert set(spellings.values()) == set(table)


def test_headers_do_not_change_what_is_read(tmp_path: Path) -> None:
    path = make_adapter(tmp_path, "diffusers")
    other = tmp_path / "other.safetensors"
    save_file(load_file(path), other, {"ss_base_model_version": "sdxl_base_v1-0", "note": json.dumps({"a": 1})})
    assert load_adapter(path).layers.keys() == load_adapter(other).layers.keys() == {KOHYA}


def test_the_table_in_the_docs_is_true() -> None:
    """docs/bases.md: each row's example is the layer that it is said to be."""
    page = (Path(__file__).parents[2] / "docs" / "bases.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| `([^`]+)` \| ", page, re.MULTILINE)
    assert len(rows) > 20
    names = find_family("sdxl").spellings(find_family("sdxl").public_layers())
    for key, own in rows:
        read = read_key(key)
        assert read is not None, key
        assert names[read.layer] == own, key


def test_a_layer_that_some_files_have_as_a_convolution_is_merged(tmp_path: Path) -> None:
    """SDXL's `proj_in` is a linear layer; A1111, network_lora.py, create_module, takes either form for either layer."""
    name = "lora_unet_input_blocks_4_1_proj_in"
    linear = lora(name, 640, 640)
    convolved = {key: each[..., None, None] if each.ndim == 2 else each for key, each in linear.items()}
    for number, tensors in enumerate((linear, convolved)):
        save_file(tensors, tmp_path / f"{number}.safetensors")
    both = merge([load_adapter(tmp_path / f"{number}.safetensors") for number in range(2)], [1.0, 1.0]).adapter
    torch.testing.assert_close(
        both.layers[name].delta_weight(torch.zeros(640, 640)), torch.full((640, 640), 8e-4), rtol=1e-3, atol=1e-6
    )


def test_loha_of_onetrainer_on_a_convolution(tmp_path: Path) -> None:
    """OneTrainer, module/LoRAModule.py, LoHaModule and PeftBase.make_weight: factors shaped as convolutions."""
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "hada_w1_a": (6, 2, 1, 1),
        "hada_w1_b": (2, 4, 3, 3),
        "hada_w2_a": (6, 2, 1, 1),
        "hada_w2_b": (2, 4, 3, 3),
    }
    tensors = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    name = "lora_unet_input_blocks_3_0_op"
    path = tmp_path / "loha.safetensors"
    save_file({f"{name}.{key}": each for key, each in tensors.items()} | {f"{name}.alpha": torch.tensor(1.0)}, path)
    one, two = (tensors[f"hada_w{n}_a"].view(6, -1) @ tensors[f"hada_w{n}_b"].view(2, -1) for n in (1, 2))
    (factors,) = load_adapter(path).layers.values()
    want = (one * two * 0.5).view(6, 4, 3, 3)
    torch.testing.assert_close(factors.delta_weight(torch.zeros(6, 4, 3, 3)), want)


@pytest.mark.parametrize(("width", "prefix"), [(768, "lora_te_"), (1280, "lora_te2_")])
def test_a_text_encoder_of_lycoris_s_wrapper_is_told_by_its_width(width: int, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "te.safetensors"
    save_file(lora("lycoris_text_model_encoder_layers_0_self_attn_q_proj", width, width), path)
    assert list(load_adapter(path).layers) == [f"{prefix}text_model_encoder_layers_0_self_attn_q_proj"]
