"""B8: a whole file is in order; its hash is none, correct, LyCORIS's own, or wrong.

sd-scripts hashes the payload (library/train_util.py, precalculate_safetensors_hashes, addnet_hash_safetensors), LyCORIS
each tensor by itself in the order of its modules, with ``0x`` before it (lycoris, utils/__init__.py,
precalculate_safetensors_hashes); diffusers, PEFT and OneTrainer write none that readers of LoRAs look for.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.cli.main import run
from tests.adapters.drawing import draw
from tests.faults.make_adapters import FILES, SGM, make_adapter


@pytest.mark.parametrize("name", FILES)
def test_files_without_a_hash_are_in_order(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = make_adapter(tmp_path, name)
    assert run(["adapter", "verify", str(file), "--json"]) == 0
    (verdict,) = json.loads(capsys.readouterr().out)["adapters"]
    assert (verdict["ok"], verdict["hash"], verdict["problems"]) == (True, "none", [])
    assert run(["adapter", "verify", str(file)]) == 0
    assert "in order (hash: none)" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algo", ["lora", "lokr", "loha"])
def test_a_file_of_lycoris_itself(
    algo: str, tiny_base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lycoris, wrapper.py, create_lycoris and save_weights: drawn here as there, in order with its own hash."""
    import lycoris
    from lycoris.utils import precalculate_safetensors_hashes

    logging.getLogger("LyCORIS").setLevel(logging.ERROR)
    tool: Any = lycoris
    tool.LycorisNetwork.apply_preset({"target_module": ["Transformer2DModel", "ResnetBlock2D"]})
    network = tool.create_lycoris(tiny_base.denoiser, 1.0, linear_dim=2, linear_alpha=1, algo=algo)
    network.apply_to()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    theirs = draw(tiny_base)
    file, hashed = tmp_path / "lycoris.safetensors", tmp_path / "hashed.safetensors"
    network.save_weights(str(file), torch.float32, {})
    tensors = load_file(file)
    assert all(key.startswith("lycoris_") for key in tensors)
    base = load_base(tiny_base.folder)
    with AdapterBank(base, [load_adapter(file)]).attached():
        torch.testing.assert_close(draw(base), theirs, rtol=1e-4, atol=1e-4)
    # As lycoris.kohya, LycorisNetworkKohya.save_weights does.
    save_file(tensors, hashed, {"sshs_model_hash": precalculate_safetensors_hashes(network.state_dict())})
    for path, kind in ((file, "none"), (hashed, "of LyCORIS")):
        assert run(["adapter", "verify", str(path), "--json"]) == 0
        (verdict,) = json.loads(capsys.readouterr().out)["adapters"]
        assert (verdict["ok"], verdict["hash"], verdict["problems"]) == (True, kind, [])


def test_a_hash_of_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ai-toolkit once wrote the hash of no bytes (its issue 130)."""
    file = tmp_path / "a.safetensors"
    save_file(SGM, file, {"sshs_model_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
    assert run(["adapter", "verify", str(file)]) == 1
    assert "sshs_model_hash says e3b0c44298fc" in capsys.readouterr().out


def test_a_rank_that_lycoris_was_given_is_no_lie(tmp_path: Path) -> None:
    """LyCORIS's guide: a huge dim makes LoKr's factors whole."""
    file = tmp_path / "a.safetensors"
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors = {
        f"{name}.lokr_w1": torch.ones(4, 4),
        f"{name}.lokr_w2": torch.ones(8, 8),
        f"{name}.alpha": torch.ones(()),
    }
    save_file(tensors, file, {"ss_network_dim": "10000", "ss_network_module": "lycoris.kohya"})
    assert run(["adapter", "verify", str(file)]) == 0
    save_file(SGM, file, {"ss_network_dim": "32"})
    assert run(["adapter", "verify", str(file)]) == 1
