"""`lorasmith base show|convert`, and adapters taken out of bases and put into them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.bases.base import load_base
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families.evidence import read_config
from lorasmith.cli.main import run
from tests.adapters.drawing import trained_adapter
from tests.checkpoints import write_checkpoint


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("ran",))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("base") / "small.safetensors", "sd1", dtype=torch.float16)


def test_show(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["base", "show", str(checkpoint), "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["family"], seen["prediction"], seen["dtypes"]) == ("sd1", None, ["F16"])
    assert seen["layers"] == {"unet": 278, "text_encoder": 12}
    assert run(["base", "show", "doodle"]) == 0
    config = read_config(doodle_folder(), "scheduler", "scheduler_config.json")
    assert config["prediction_type"] in capsys.readouterr().out


def test_a_pickle_is_converted_on_demand_alone(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = safetensors.torch.load_file(checkpoint)
    old, new = tmp_path / "old.ckpt", tmp_path / "new.safetensors"
    torch.save({"state_dict": tensors, "global_step": 3}, old)
    assert run(["base", "show", str(old)]) == 6
    assert "pickled" in capsys.readouterr().err
    assert run(["base", "convert", str(old), "--out", str(new)]) == 0
    again = safetensors.torch.load_file(new)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[key], tensors[key]) for key in tensors)
    assert run(["base", "convert", str(old), "--out", str(new)]) == 11
    capsys.readouterr()
    torch.save({"state_dict": {"a": Evil()}}, old)
    assert run(["base", "convert", str(old), "--out", str(tmp_path / "evil.safetensors")]) == 6
    told = capsys.readouterr()
    assert "more than tensors" in told.err
    assert "ran" not in told.out
    assert not (tmp_path / "evil.safetensors").exists()


def test_in_and_out_of_a_checkpoint(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = load_base(checkpoint, prediction="epsilon")
    adapter = trained_adapter(base, text_encoder=False, size=1.0)
    file = save_adapter(tmp_path / "a.safetensors", adapter)
    new, out = tmp_path / "new.safetensors", tmp_path / "out.safetensors"
    assert run(["adapter", "merge", f"{file}:0.5", "--into", str(checkpoint), "--out", str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == new.stat().st_size
    assert run(["adapter", "extract", str(new), str(checkpoint), "--out", str(out), "--rank", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rank"], told["layers"]) == (4, 192)
    assert told["error"] < 0.05  # half precision
    assert set(load_adapter(out).layers) == set(adapter.layers)
    assert run(["adapter", "verify", str(out)]) == 0
    assert run(["adapter", "merge", str(file), "--into", str(checkpoint), "--out", str(new)]) == 11
    assert "exists already" in capsys.readouterr().err


def test_edit(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = load_base(checkpoint, prediction="epsilon")
    file = save_adapter(tmp_path / "a.safetensors", trained_adapter(base, text_encoder=False, groups=["mlp"]))
    out = tmp_path / "b.safetensors"
    arguments = ["adapter", "edit", str(file), "--set", "trigger=zbk", "--set", "ss_seed=3", "--out", str(out)]
    assert run([*arguments, "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["changed"]
    assert {"modelspec.trigger_phrase", "ss_seed"} <= set(changed)
    assert "sshs_model_hash" not in changed
    assert load_adapter(out).metadata["modelspec.trigger_phrase"] == "zbk"
    assert run(["adapter", "verify", str(out)]) == 0
    third = tmp_path / "c.safetensors"
    assert run(["adapter", "edit", str(out), "--remove", "ss_se*", "--out", str(third)]) == 0
    assert "ss_seed" not in load_adapter(third).metadata
    for wrong in (["--set", "colour=red"], ["--remove", "nothing"], []):
        assert run(["adapter", "edit", str(file), *wrong, "--out", str(tmp_path / "d.safetensors")]) == 2
    assert run(["adapter", "edit", str(file), "--set", "title=x", "--out", str(file)]) == 2
