"""B10, B11 and what cannot be used: init from resized files, DoRA in diffusers, nothing written over, skipping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import SKIPPED, load_adapter, read_header, save_adapter
from lorasmith.adapters.surgery.respelling import respell
from lorasmith.bases.base import Base, load_base
from lorasmith.cli.main import run
from lorasmith.generation.pictures import read_picture
from tests.adapters.drawing import trained_adapter
from tests.adapters.test_diffusers import complaints, output, pipeline_of
from tests.checkpoints import write_checkpoint
from tests.faults.make_adapters import KOHYA, SGM, lora, make_adapter
from tests.projects import build_project
from tests.training.test_runs import RECIPE, factors_of, run_all


class TestNothingIsWrittenOver:
    """As `merge --into` has it."""

    @pytest.mark.parametrize(
        "command",
        [
            ["resize", "A", "--rank", "2"],
            ["convert", "A"],
            ["convert", "A", "--to", "kohya"],
            ["convert", "A", "--to", "diffusers"],
            ["convert", "A", "--to", "peft"],
            ["merge", "A", "B"],
            ["edit", "A", "--set", "trigger=zbk"],
            ["extract", "doodle", "doodle"],
        ],
        ids=" ".join,
    )
    def test_an_existing_file_is_refused(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = {name: str(make_adapter(tmp_path, which)) for name, which in (("A", "kohya_sgm"), ("B", "diffusers"))}
        out = tmp_path / "out.safetensors"
        out.write_text("mine")
        assert run(["adapter", *(files.get(word, word) for word in command), "--out", str(out)]) == 11
        told = capsys.readouterr().err
        assert "out.safetensors: exists already." in told
        assert "Give another name: nothing is written over." in told
        assert out.read_text() == "mine"
        if command[0] != "extract":
            out.unlink()
            assert run(["adapter", *(files.get(word, word) for word in command), "--out", str(out)]) == 0


class TestDoraInDiffusers:
    """diffusers, loaders/lora_pipeline.py, lora_state_dict: `dora_scale` is filtered out with a warning; what it reads
    is `lora_magnitude_vector` (PEFT, tuners/lora/dora.py)."""

    def test_kohya_names_lose_the_magnitudes_and_diffusers_names_keep_them(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "sd1.safetensors", "sd1")
        base = load_base(path, prediction="epsilon")
        file = save_adapter(tmp_path / "dora.safetensors", trained_adapter(base, dora=True, conv_rank=2), torch.float32)
        with AdapterBank(base, [load_adapter(file)]).attached():
            want = output(base)
        pipeline = pipeline_of(base)
        with complaints() as said:
            pipeline.load_lora_weights(file)
        assert [each for each in said if "dora_scale" in each]
        assert not torch.allclose(output(base), want, rtol=1e-2, atol=1e-2)
        pipeline.unload_lora_weights()
        (spelt,), _ = respell(file, tmp_path / "diffusers.safetensors", "diffusers", str(path))
        with complaints() as said:
            pipeline.load_lora_weights(spelt)
        assert not said
        torch.testing.assert_close(output(base), want, rtol=2e-2, atol=2e-2)

    def test_it_is_said(self, tiny_base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = save_adapter(tmp_path / "dora.safetensors", trained_adapter(tiny_base, dora=True))
        assert run(["adapter", "show", str(file)]) == 0
        assert "diffusers drops DoRA's magnitudes under these names" in capsys.readouterr().out
        (spelt,), _ = respell(file, tmp_path / "d.safetensors", "diffusers", str(tiny_base.folder))
        assert run(["adapter", "show", str(spelt)]) == 0
        assert "drops" not in capsys.readouterr().out


class TestSkipUnknown:
    """Whatever cannot be used is named; --skip-unknown goes on with the rest, and the record says so."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A usable layer, one that no SDXL has, and one of an algorithm that nobody knows."""
        odd = {f"{KOHYA.replace('to_k', 'to_v')}.vera_lambda_b": torch.ones(640)}
        return self.written(tmp_path / "odd.safetensors", SGM | odd | lora("lora_unet_motion_modules_0_proj", 64, 64))

    def written(self, path: Path, tensors: dict[str, torch.Tensor]) -> Path:
        save_file(tensors, path, {"ss_base_model_version": "sdxl_base_v1-0"})
        return path

    def test_it_is_named(self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for command in (["show"], ["convert", "--out", str(tmp_path / "o.safetensors")], ["verify"]):
            assert run(["adapter", command[0], str(file), *command[1:]]) in (1, 7)
            told = capsys.readouterr()
            assert "1 of its keys belong to no known adapter algorithm: " in told.out + told.err
            assert "vera_lambda_b" in told.out + told.err
            assert "The rest can be used: --skip-unknown." in told.out + told.err

    @pytest.mark.parametrize("command", ["resize", "merge", "convert", "kohya", "diffusers", "peft"])
    def test_the_rest_goes_on(
        self, command: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out.safetensors"
        words = {
            "resize": ["resize", str(file), "--rank", "2"],
            "merge": ["merge", str(file), str(make_adapter(tmp_path, "diffusers"))],
            "convert": ["convert", str(file)],
        }.get(command, ["convert", str(file), "--to", command])
        assert run(["adapter", *words, "--out", str(out), "--skip-unknown", "--json"]) == 0
        skipped = json.loads(capsys.readouterr().out)["skipped"]
        assert f"{KOHYA.replace('to_k', 'to_v')}.vera_lambda_b" in skipped
        spelt = command in ("kohya", "diffusers", "peft")
        assert ("lora_unet_motion_modules_0_proj" in skipped) == spelt
        header = read_header(out / "unet" / "adapter_model.safetensors" if command == "peft" else out)
        assert json.loads(header.metadata[SKIPPED]) == skipped
        assert KOHYA in load_adapter(out).layers

    def test_drawing_goes_on_and_the_picture_says_so(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        base = load_base("doodle")
        own = trained_adapter(base, text_encoder=False, size=0.02)
        file = save_adapter(tmp_path / "odd.safetensors", own, torch.float32)
        more = lora("lora_unet_motion_modules_0_proj", 64, 64) | {"lora_unet_conv_in.strange": torch.ones(2)}
        save_file(load_file(file) | more, file)
        words = ["generate", "1girl <lora:odd:1>", "--adapters", str(tmp_path), "--steps", "1", "--json", "--seed", "1"]
        out = ["--out", str(tmp_path / "drawn")]
        assert run([*words, *out]) == 7
        assert "--skip-unknown" in capsys.readouterr().err
        assert run([*words, *out, "--skip-unknown"]) == 0
        told = json.loads(capsys.readouterr().out)
        left = ["lora_unet_conv_in.strange", "lora_unet_motion_modules_0_proj"]
        assert {name: sorted(keys) for name, keys in told["skipped"].items()} == {"odd": left}
        document = read_picture(Path(told["pictures"][0]["path"])).document
        assert document is not None
        assert sorted(document["adapters"][0]["skipped"]) == left

    def test_into_a_checkpoint(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        base = write_checkpoint(tmp_path / "base.safetensors", "sd1")
        adapter = trained_adapter(load_base(base, prediction="epsilon"))
        file = save_adapter(tmp_path / "odd.safetensors", adapter, torch.float32)
        shifted = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"  # has no bias
        more = {"lora_unet_strange.what": torch.ones(1), f"{shifted}.diff_b": torch.ones(32)}
        save_file(load_file(file) | more, file)
        out = tmp_path / "out.safetensors"
        words = ["adapter", "merge", str(file), "--into", str(base), "--out", str(out)]
        assert run(words) == 7
        assert run([*words, "--skip-unknown", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["skipped"] == [shifted, "lora_unet_strange.what"]
        assert json.loads(read_header(out).metadata[SKIPPED]) == [shifted, "lora_unet_strange.what"]

    def test_an_adapter_of_another_family_is_no_rest(self, tmp_path: Path) -> None:
        make_adapter(tmp_path, "kohya_sgm")
        words = ["generate", "1girl <lora:kohya_sgm:1>", "--adapters", str(tmp_path), "--steps", "1", "--skip-unknown"]
        assert run([*words, "--out", str(tmp_path / "drawn")]) == 7


def test_a_run_starts_from_our_own_resized_file(tmp_path: Path, tiny_base: Base) -> None:
    """B10: each layer has the rank and the alpha of the file."""
    recipe = RECIPE.replace("epochs = 3", "epochs = 1").replace("rank = 2", "rank = 4")
    project = build_project(tmp_path / "p", recipe, base=str(tiny_base.folder))
    layers = {
        name: each
        for name, each in trained_adapter(tiny_base, rank=4, alpha=4.0, text_encoder=False).layers.items()
        if tiny_base.layers[name].group == "attention"
    }
    whole = save_adapter(tmp_path / "whole.safetensors", Adapter("whole", layers, {}), torch.float32)
    for number, cut in enumerate((["--keep", "0.8"], ["--rank", "2"], ["--ratio", "1.5"])):
        small = project.root / f"small{number}.safetensors"
        assert run(["adapter", "resize", str(whole), *cut, "--out", str(small)]) == 0
        done, _ = run_all(project, tiny_base, init=f'"{small.name}"')
        made, start = load_adapter(done.adapter), load_adapter(small)
        ranks = {name: (factors.rank, factors.alpha) for name, factors in made.layers.items()}
        assert ranks == {name: (factors.rank, factors.alpha) for name, factors in start.layers.items()}
        before, after = factors_of(small), factors_of(done.adapter)
        assert 0 < max(float((after[key] - before[key]).abs().max()) for key in before) < 0.02
