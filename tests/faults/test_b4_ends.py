"""B4: layers outside the blocks are read, drawn with, merged, extracted and converted.

Their names: sd-scripts, networks/lora.py (any module by its path); diffusers, loaders/lora_conversion_utils.py,
_convert_unet_lora_key (`input_blocks.0.0`, `out.2`, `time_embed`, `label_emb`, `time_embedding.linear_1`) and
_convert_text_encoder_lora_key (`text_projection`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.surgery.extraction import extract
from lorasmith.adapters.surgery.insertion import insert
from lorasmith.adapters.surgery.merging import merge
from lorasmith.adapters.surgery.products import Cut
from lorasmith.adapters.surgery.respelling import respell
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.stored import open_stored
from lorasmith.cli.main import run
from lorasmith.events import finish
from tests.adapters.test_diffusers import complaints, output, pipeline_of
from tests.checkpoints import write_checkpoint
from tests.faults.make_adapters import make_adapter
from tests.faults.spell_adapters import everywhere

UNET = {"conv_in", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2"}
ENDS = {
    "sd1": UNET,
    "sd2": UNET,
    "sdxl": UNET | {"add_embedding.linear_1", "add_embedding.linear_2", "text_projection"},
}


def ends_of(base: Base) -> Adapter:
    whole = everywhere(base, None, 4, (2,))
    return replace(
        whole, layers={name: each for name, each in whole.layers.items() if base.layers[name].group == "ends"}
    )


@pytest.fixture(params=sorted(ENDS), scope="module")
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("ends") / "base.safetensors"
    return request.param, write_checkpoint(path, request.param)


def test_every_layer_outside_the_blocks_goes_the_whole_way(checkpoint: tuple[str, Path], tmp_path: Path) -> None:
    family, file = checkpoint
    base, stored = load_base(file, prediction="epsilon"), open_stored(file)
    adapter = ends_of(base)
    assert {base.layers[name].path for name in adapter.layers} == ENDS[family]
    path = save_adapter(tmp_path / "ends.safetensors", adapter, torch.float32)
    bare = output(base)
    for name, factors in adapter.layers.items():
        with AdapterBank(base, [replace(adapter, layers={name: factors})]).attached():
            assert not torch.allclose(output(base), bare, atol=1e-5), name
    bank = AdapterBank(base, [load_adapter(path)])
    with bank.attached():
        want = output(base)
    with bank.merged(torch.ones(1)):
        torch.testing.assert_close(output(base), want, rtol=1e-3, atol=1e-4)

    merged = merge([adapter, adapter], [0.5, 0.5])
    inside, _ = finish(insert(stored, [merged.adapter], [1.0], tmp_path / "inside.safetensors"))
    torch.testing.assert_close(output(load_base(inside, prediction="epsilon")), want, rtol=1e-3, atol=1e-4)
    taken = finish(extract(open_stored(inside), stored, Cut(rank=4), name="taken")).adapter
    assert taken.layers.keys() == adapter.layers.keys()
    with AdapterBank(base, [taken]).attached():
        torch.testing.assert_close(output(base), want, rtol=1e-2, atol=1e-3)

    # diffusers tells the kind and the rank of a text encoder's adapter by its attention's layers.
    whole = everywhere(base, None, 4, (2,)).layers
    more = {name: each for name, each in whole.items() if base.layers[name].path.endswith("layers.0.self_attn.q_proj")}
    both = replace(adapter, layers={**adapter.layers, **more})
    with AdapterBank(base, [both]).attached():
        want = output(base)
    save_adapter(path, both, torch.float32)
    (spelt,), _ = respell(path, tmp_path / "diffusers.safetensors", "diffusers", str(file))
    with AdapterBank(base, [load_adapter(spelt)]).attached():
        torch.testing.assert_close(output(base), want, rtol=2e-2, atol=2e-2)
    pipeline = pipeline_of(base)
    with complaints() as said:
        pipeline.load_lora_weights(spelt)
    assert not [each for each in said if "key" in each.lower()]
    torch.testing.assert_close(output(base), want, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["te2_text_projection", "time_embed", "label_emb", "conv_in"])
@pytest.mark.parametrize("to", ["lora", "kohya", "diffusers", "peft"])
def test_files_with_such_layers_are_converted(name: str, to: str, tmp_path: Path) -> None:
    file, out = make_adapter(tmp_path, name), tmp_path / "out.safetensors"
    assert run(["adapter", "convert", str(file), "--to", to, "--out", str(out)]) == 0
    assert load_adapter(out).layers.keys() == load_adapter(file).layers.keys()
    merged = tmp_path / "merged.safetensors"
    assert run(["adapter", "merge", str(file), str(out), "--out", str(merged)]) == 0
    assert load_adapter(merged).layers.keys() == load_adapter(file).layers.keys()


def test_they_are_read_but_not_trained(family_folders: dict[str, Path]) -> None:
    """sd-scripts trains none of them; the counts of targets stay as they are."""
    base = load_base(family_folders["sdxl"])
    assert not [target for target in base.targets.values() if target.group == "ends"]
    assert sum(target.group == "ends" for target in base.layers.values()) == 7
