"""Acceptance 2: 300 files of mixed tools. What the library tells by headers alone is what loading them tells: family,
algorithm, rank, triggers, hashes; or "unknown" with the reason."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorasmith.adapters.description import describe
from lorasmith.adapters.header import check_hashes
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.doodle import doodle_folder
from lorasmith.errors import AdapterError
from lorasmith.events import finish
from lorasmith.library.entry import Filters, LibraryEntry
from lorasmith.library.index import LibraryIndex
from tests.adapters.drawing import trained_adapter
from tests.adapters.test_lycoris import FILES as LYCORIS
from tests.adapters.test_lycoris import LAYERS, as_lycoris_saves
from tests.faults.make_adapters import FILES, PEFT, lora, make_adapter
from tests.faults.spell_adapters import NAMINGS, TENSORS, everywhere, spell
from tests.faults.test_b1_spellings import OTHERS
from tests.faults.test_b2_peft import KINDS, stir

lycoris = pytest.importorskip("lycoris.modules")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")

FAMILIES = ("sd1", "sdxl", "doodle")
FOREIGN: Mapping[str, tuple[dict[str, Tensor], dict[str, str]]] = {
    "flux": (lora("lora_unet_double_blocks_0_img_attn_qkv", 64, 192), {}),
    "flux, ComfyUI": (lora("diffusion_model.single_blocks.3.linear1", 64, 192), {}),
    "flux, diffusers": (lora("transformer.single_transformer_blocks.0.attn.to_q", 64, 64, PEFT, None), {}),
    "flux, with a header": (
        lora("lora_unet_double_blocks_0_img_attn_qkv", 64, 192),
        {"ss_base_model_version": "flux1"},
    ),
    "sd3": (lora("lora_unet_joint_blocks_0_x_block_attn_qkv", 64, 192), {}),
    "anima": (lora("lora_unet_llm_adapter_blocks_0_self_attn_q_proj", 64, 64), {}),
    "wan": (lora("diffusion_model.blocks.0.self_attn.q", 64, 64, PEFT, None), {}),
    "lumina": (lora("lora_unet_noise_refiner_0_attention_qkv", 64, 192), {}),
    "either": (lora("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768, 768), {}),
    "nobody's": (lora("lora_unet_what_is_this", 64, 64), {}),
}
#: The family that the library says, None for unknown, and a word of the reason.
EXPECTED: Mapping[str, tuple[str | None, str]] = {
    "flux": (None, "Flux"),
    "flux, ComfyUI": (None, "Flux"),
    "flux, diffusers": (None, "Flux"),
    "flux, with a header": ("flux1", ""),
    "sd3": (None, "Stable Diffusion 3"),
    "anima": ("anima", ""),
    "wan": (None, "Wan"),
    "lumina": (None, "Lumina"),
    "either": (None, "sd1 or sdxl"),
    "nobody's": (None, "no known family"),
}


def spelt(bases: Mapping[str, Base]) -> Iterator[tuple[dict[str, Tensor], dict[str, str]]]:
    """A LoRA in every tool's names, of three families."""
    for seed, (family, naming) in enumerate((family, naming) for family in FAMILIES for naming in NAMINGS):
        names = NAMINGS[naming]
        part = None if names.unet is not None and names.text is not None else "unet" if names.unet is not None else "te"
        version = {"ss_base_model_version": bases[family].family.header_facts().version}
        for step in range(3):
            tensors = list(TENSORS)[(seed + step) % len(TENSORS)]
            yield spell(everywhere(bases[family], part, seed), bases[family], naming, tensors), version


def other_algorithms(base: Base) -> Iterator[tuple[dict[str, Tensor], dict[str, str]]]:
    """Every algorithm under six tools' names."""
    namings = [names for names in NAMINGS.values() if names.unet is not None][::2][:6]
    for given in OTHERS.values():
        own = trained_adapter(base, **given)
        for names in namings:
            tensors: dict[str, Tensor] = {}
            for layer, factors in own.layers.items():
                name = names.unet if base.layers[layer].part == "unet" else names.text
                if name is not None:
                    path = name(base.layers[layer])
                    tensors |= {f"{path}.{key}": each.contiguous() for key, each in factors.to_tensors().items()}
            yield tensors, {"ss_base_model_version": "sdxl_base_v1-0", "ss_output_name": "recorded"}


def of_lycoris() -> Iterator[tuple[dict[str, Tensor], dict[str, str]]]:
    """What lycoris's own modules save, two layers of each kind where there are."""
    torch.manual_seed(0)
    for kind, layers, _, values in LYCORIS.values():
        for layer in layers[:2]:
            given = {"lora_dim": 4, "alpha": 2} | values
            module = getattr(lycoris, kind)("lora_unet_layer", copy.deepcopy(LAYERS[layer]), 1.0, **given)
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            saved = as_lycoris_saves(module)
            yield {f"lora_unet_layer.{key}": tensor for key, tensor in saved.items()}, {}


def of_peft(base: Path, folder: Path) -> None:
    """Folders as PEFT writes them, one for every method."""
    names = ["to_q", "to_k", "to_out.0", "ff.net.2"]
    configs: dict[str, Any] = {kind: make(names) for kind, make in KINDS.items()}
    configs["LoRA"] = peft.LoraConfig(r=4, lora_alpha=8, target_modules=names, init_lora_weights=False)
    configs["DoRA"] = peft.LoraConfig(r=2, use_dora=True, target_modules=names, init_lora_weights=False)
    for kind, config in configs.items():
        wrapped = peft.get_peft_model(load_base(base).denoiser, config)
        stir(wrapped)
        wrapped.save_pretrained(folder / kind / "unet")


@pytest.fixture(scope="module")
def folder(family_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, with a trigger in every second header and a sidecar beside every third file."""
    root = tmp_path_factory.mktemp("mixed")
    bases = {name: load_base("doodle" if name == "doodle" else family_folders[name]) for name in FAMILIES}
    sources = {"spelt": spelt(bases), "algorithm": other_algorithms(bases["sdxl"]), "lycoris": of_lycoris()}
    for source, files in sources.items():
        (root / source).mkdir()
        for number, (tensors, metadata) in enumerate(files):
            if not tensors:
                continue
            facts = metadata | ({"modelspec.trigger_phrase": f"{source}{number}"} if number % 2 else {})
            path = root / source / f"{source}-{number}.safetensors"
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, facts or None)
            if number % 3 == 0:
                path.with_suffix(".json").write_text(json.dumps({"activation text": f"beside {source} {number}"}))
    (root / "faults").mkdir()
    for name in FILES:
        make_adapter(root / "faults", name)
    (root / "foreign").mkdir()
    for name, (tensors, metadata) in FOREIGN.items():
        save_file(tensors, root / "foreign" / f"{name}.safetensors", metadata or None)
    of_peft(family_folders["sd1"], root / "peft")
    whole = (root / "faults" / "kohya_sgm.safetensors").read_bytes()
    (root / "broken").mkdir()
    (root / "broken" / "cut.safetensors").write_bytes(whole[:-7])
    (root / "broken" / "page.safetensors").write_bytes(b"<html>404</html>" * 50)
    (root / "broken" / "pickle.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    save_file({"emb_params": torch.zeros(2, 768)}, root / "broken" / "embedding.safetensors")
    save_file({"bundle_emb.a.clip_l": torch.zeros(2, 768)}, root / "broken" / "bundle.safetensors")
    save_file(lora("lora_unet_x", 4, 4) | {"lora_unet_y.strange": torch.zeros(1)}, root / "broken" / "keys.safetensors")
    return root


@pytest.fixture(scope="module")
def entries(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[LibraryEntry]:
    with LibraryIndex.open(tmp_path_factory.mktemp("index") / "library.db") as library:
        library.add_folder(folder)
        library.add_folder(doodle_folder().parent)
        finish(library.scan())
        return list(library.every(Filters(kind="", state="")))


def test_there_are_300(entries: list[LibraryEntry]) -> None:
    assert len(entries) >= 300
    assert len({(entry.family, entry.algorithms) for entry in entries}) > 30


def test_headers_tell_what_loading_tells(entries: list[LibraryEntry], folder: Path) -> None:
    compared = 0
    for entry in entries:
        if entry.kind != "adapter" or entry.problem:
            continue
        told = describe(entry.path).as_json()
        where = entry.path.relative_to(folder)
        assert entry.family == told["family"], where
        assert bool(entry.family) != bool(entry.reason), where
        assert list(entry.algorithms) == told["algorithms"], where
        whole_factors = "lokr" in entry.algorithms or "dora" in entry.algorithms
        assert entry.rank == told["rank"] or (entry.rank is None and whole_factors), where
        compared += 1
    assert compared >= 290


def test_hashes_are_those_of_the_tools(entries: list[LibraryEntry]) -> None:
    for entry in entries:
        if not entry.path.is_file():
            continue
        data = entry.path.read_bytes()
        assert entry.sha256 == hashlib.sha256(data).hexdigest()
        assert entry.autov1 == (hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8] if len(data) > 0x100000 else "")
        if entry.kind == "adapter" and not entry.problem:
            report = check_hashes(load_file(entry.path), {})
            assert entry.payload == report.computed["sshs_model_hash"], entry.path


def test_triggers_are_those_of_headers_and_sidecars(entries: list[LibraryEntry]) -> None:
    seen = 0
    for entry in entries:
        source, dash, number = entry.name.rpartition("-")
        if not dash or entry.path.parent.name != source:
            continue
        header = (f"{source}{number}",) if int(number) % 2 else ()
        beside = (f"beside {source} {number}",) if int(number) % 3 == 0 else ()
        assert entry.triggers == header + beside, entry.path
        seen += 1
    assert seen > 250


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_known_has_a_reason(name: str, entries: list[LibraryEntry]) -> None:
    (entry,) = (entry for entry in entries if entry.name == name)
    family, word = EXPECTED[name]
    assert entry.family == family
    assert word in entry.reason
    assert entry.algorithms == ("lora",)


def test_what_is_no_adapter_is_named(entries: list[LibraryEntry], folder: Path) -> None:
    broken = {entry.name: entry for entry in entries if entry.path.parent == folder / "broken"}
    assert set(broken) == {"cut", "page", "pickle", "embedding", "bundle", "keys"}
    assert "cut short" in broken["cut"].problem
    assert "not a safetensors file" in broken["page"].problem
    assert "pickled" in broken["pickle"].problem
    assert "embeddings alone" in broken["bundle"].problem
    assert "no known algorithm" in broken["keys"].problem
    assert (broken["embedding"].kind, bool(broken["embedding"].problem)) == ("other", True)
    for name in ("bundle", "keys"):
        with pytest.raises(AdapterError):
            describe(broken[name].path)
    (base,) = (entry for entry in entries if entry.kind == "base")
    assert (base.family, base.path) == ("doodle", doodle_folder())


def test_folders_of_peft_have_the_name(entries: list[LibraryEntry], folder: Path) -> None:
    found = {entry.name for entry in entries if entry.path.is_relative_to(folder / "peft")}
    assert found == {f"{kind}-unet" for kind in (*KINDS, "LoRA", "DoRA")}
