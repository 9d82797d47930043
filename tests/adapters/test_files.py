"""Adapter files: what is written, what other tools make of it, what is refused."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.container import DTYPES, read_header, serialise
from lorasmith.adapters.files import load_adapter, read_tensors, save_adapter
from lorasmith.adapters.header import (
    LEGACY_HASH,
    MODEL_HASH,
    addnet_hash,
    build_header,
    check_hashes,
    modelspec,
    network_facts,
)
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.errors import AdapterError, StorageError
from tests.adapters.drawing import draw, noisy_latents, trained_adapter
from tests.tiny import diffusers_pipeline

LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def small(down: Tensor | None = None, up: Tensor | None = None, **metadata: str) -> Adapter:
    factors = LoraFactors(torch.ones(2, 4) if down is None else down, torch.ones(3, 2) if up is None else up, 1.0)
    return Adapter("small", {LAYER: factors}, metadata)


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    safetensors.torch.save_file(tensors, path, metadata)
    return path


class TestContainer:
    def test_our_bytes_are_the_librarys_but_for_the_order_of_the_metadata(self) -> None:
        tensors = {
            f"k{i}.{name}": torch.arange(6).reshape(2, 3).to(dtype) for i in range(3) for name, dtype in DTYPES.items()
        }
        metadata = {"ss_a": 'é\n"x\\ \x01\x7f 猫', "b": "2", "ss_c": "3"}
        theirs, ours = safetensors.torch.save(tensors, metadata), serialise(tensors, metadata)
        assert len(theirs) == len(ours)
        length = struct.unpack("<Q", ours[:8])[0]
        assert theirs[8 + length :] == ours[8 + length :]
        assert json.loads(theirs[8 : 8 + length]) == json.loads(ours[8 : 8 + length])
        assert safetensors.torch.save(tensors) == serialise(tensors, {})

    def test_equal_content_is_equal_bytes(self) -> None:
        tensors = {"b": torch.ones(2), "a": torch.zeros(3)}
        turned = dict(reversed(tensors.items()))
        assert serialise(tensors, {"x": "1", "y": "2"}) == serialise(turned, {"y": "2", "x": "1"})

    def test_the_header_is_read_alone(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.safetensors", {"x": torch.zeros(2, 3, dtype=torch.float16)}, {"k": "v"})
        header = read_header(path)
        assert dict(header.metadata) == {"k": "v"}
        assert (header.tensors["x"].dtype, header.tensors["x"].shape) == ("F16", (2, 3))
        assert path.stat().st_size - header.start == 12


class TestHashes:
    def test_hashes_are_those_of_the_file_rewritten_by_the_library(self, tmp_path: Path) -> None:
        """The definition of sd-scripts, with the library's writer (formats.md 8); large enough for the window."""
        tensors = {
            f"{LAYER}.lora_down.weight": torch.randn(64, 6000).half(),
            f"{LAYER}.lora_up.weight": torch.randn(4000, 64).half(),
            f"{LAYER}.alpha": torch.tensor(8.0).half(),
        }
        metadata = {"ss_steps": "1", "ss_tag_frequency": "é" * 5000, "modelspec.title": "t"}
        adapter = Adapter("a", {LAYER: LoraFactors.from_tensors(_by_suffix(tensors))}, metadata)
        path = save_adapter(tmp_path / "a.safetensors", adapter)
        rewritten = safetensors.torch.save(
            safetensors.torch.load_file(path),
            {key: value for key, value in metadata.items() if key.startswith("ss_")},
        )
        start = 8 + struct.unpack("<Q", rewritten[:8])[0]
        written = read_header(path).metadata
        assert written[MODEL_HASH] == hashlib.sha256(rewritten[start:]).hexdigest() == addnet_hash(path)
        assert written[LEGACY_HASH] == hashlib.sha256(rewritten[0x100000:0x110000]).hexdigest()[:8]
        assert written[LEGACY_HASH] != "e3b0c442"
        assert {key: written[key] for key in metadata} == metadata

    def test_a_small_file_has_the_legacy_hash_of_nothing(self, tmp_path: Path) -> None:
        path = save_adapter(tmp_path / "a.safetensors", small())
        assert read_header(path).metadata[LEGACY_HASH] == "e3b0c442"

    def test_a_wrong_record_is_found(self, tmp_path: Path) -> None:
        path = save_adapter(tmp_path / "a.safetensors", small())
        tensors, metadata = read_tensors(path), dict(read_header(path).metadata)
        assert check_hashes(tensors, metadata).ok is True
        assert check_hashes(tensors, metadata | {MODEL_HASH: f"0x{metadata[MODEL_HASH].upper()}"}).ok is True
        assert check_hashes(tensors, metadata | {MODEL_HASH: "0" * 64}).ok is False
        assert check_hashes(tensors, {}).ok is None

    def test_hashes_of_another_tool_are_not_carried_along(self, tmp_path: Path) -> None:
        path = save_adapter(tmp_path / "a.safetensors", small(sshs_model_hash="wrong", ss_steps="1"))
        assert check_hashes(read_tensors(path), read_header(path).metadata).ok is True


class TestMetadata:
    def test_facts_become_the_texts_of_sd_scripts(self) -> None:
        facts = {"ss_a": True, "ss_b": None, "ss_c": {"x": [1]}, "ss_d": 0.0005, "ss_e": "as is", "ss_f": (1, 2)}
        assert build_header(facts) == {
            "ss_a": "True",
            "ss_b": "None",
            "ss_c": '{"x": [1]}',
            "ss_d": "0.0005",
            "ss_e": "as is",
            "ss_f": "[1, 2]",
        }

    @pytest.mark.parametrize(
        ("family", "version", "architecture", "prediction"),
        [
            ("sd1", "sd_v1", "stable-diffusion-v1/lora", "epsilon"),
            ("sd2", "sd_v2_v", "stable-diffusion-v2-768-v/lora", "v"),
            ("sdxl", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora", "epsilon"),
        ],
    )
    def test_the_family_is_told(
        self,
        family: str,
        version: str,
        architecture: str,
        prediction: str,
        family_folders: dict[str, Path],
    ) -> None:
        base = load_base(family_folders[family])
        adapter = trained_adapter(base, conv_rank=2)
        facts = build_header(network_facts(adapter, base))
        assert facts["ss_base_model_version"] == version
        assert facts["ss_v2"] == str(family == "sd2")
        assert (facts["ss_network_dim"], facts["ss_network_alpha"]) == ("4", "2.0")
        assert json.loads(facts["ss_network_args"]) == {"conv_dim": "2"}
        spec = modelspec(base, title="T", when=datetime(2026, 5, 4, 3, 2, 1, 9), trigger="zbk", license="CC0")
        assert spec["modelspec.architecture"] == architecture
        assert spec["modelspec.prediction_type"] == prediction
        assert spec["modelspec.date"] == "2026-05-04T03:02:01"
        assert spec["modelspec.resolution"] == "64x64"
        assert spec["modelspec.trigger_phrase"] == "zbk"
        assert spec["modelspec.license"] == "CC0"
        assert "modelspec.thumbnail" not in spec


class TestWriting:
    def test_the_same_adapter_gives_the_same_bytes(self, tmp_path: Path, tiny_base: Base) -> None:
        adapter = replace(trained_adapter(tiny_base), metadata={"ss_b": "1", "ss_a": "2"})
        turned = replace(
            adapter,
            layers=dict(reversed(list(adapter.layers.items()))),
            metadata=dict(reversed(list(adapter.metadata.items()))),
        )
        paths = [save_adapter(tmp_path / f"{k}.safetensors", each) for k, each in enumerate((adapter, turned))]
        assert paths[0].read_bytes() == paths[1].read_bytes()

    def test_alpha_is_stored_per_layer_without_dimensions(self, tmp_path: Path, tiny_base: Base) -> None:
        path = save_adapter(tmp_path / "a.safetensors", trained_adapter(tiny_base, conv_rank=3), torch.float32)
        tensors = safetensors.torch.load_file(path)
        assert tensors[f"{LAYER}.alpha"].shape == ()
        assert float(tensors[f"{LAYER}.alpha"]) == 2.0
        conv = "lora_unet_down_blocks_0_resnets_0_conv1"
        assert tensors[f"{conv}.lora_down.weight"].shape == (3, 32, 3, 3)
        assert tensors[f"{conv}.lora_up.weight"].shape == (32, 3, 1, 1)

    def test_broken_factors_are_not_written(self, tmp_path: Path) -> None:
        for value, dtype in ((float("nan"), torch.float32), (1e6, torch.float16)):
            with pytest.raises(AdapterError, match="NaN or infinite"):
                save_adapter(tmp_path / "a.safetensors", small(up=torch.full((3, 2), value)), dtype)
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError):
            save_adapter(tmp_path / "file" / "a.safetensors", small())


class TestReading:
    def test_missing_and_zero_alpha_mean_the_rank(self, tmp_path: Path) -> None:
        tensors = {f"{LAYER}.lora_down.weight": torch.ones(2, 4), f"{LAYER}.lora_up.weight": torch.ones(3, 2)}
        for alpha in ({}, {f"{LAYER}.alpha": torch.tensor(0.0)}):
            factors = load_adapter(write(tmp_path / "a.safetensors", tensors | alpha)).layers[LAYER]
            assert (factors.rank, factors.alpha) == (2, 2.0)

    @pytest.mark.parametrize("bytes_kept", [0, 5, 8, 40, -1])
    def test_cut_short(self, tmp_path: Path, bytes_kept: int) -> None:
        path = save_adapter(tmp_path / "a.safetensors", small())
        path.write_bytes(path.read_bytes()[:bytes_kept])
        with pytest.raises(AdapterError, match=r"a\.safetensors"):
            load_adapter(path)

    @pytest.mark.parametrize("protocol", [2, 4])
    def test_pickles_are_refused(self, tmp_path: Path, protocol: int) -> None:
        path = tmp_path / "a.safetensors"
        torch.save({"a": 1}, path)
        with pytest.raises(AdapterError, match="pickled"):
            load_adapter(path)
        torch.save({"a": 1}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        with pytest.raises(AdapterError, match="pickled"):
            load_adapter(path)

    def test_no_file_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(AdapterError, match="no such file"):
            load_adapter(tmp_path / "nothing.safetensors")
        with pytest.raises(AdapterError, match="folder"):
            load_adapter(tmp_path)

    @pytest.mark.parametrize(
        "table",
        [
            "[]",
            '{"a": 1}',
            '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
            '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
            '{"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}',
            '{"a": {"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]}}',
            '{"__metadata__": {"x": 1}}',
            "not json",
        ],
    )
    def test_headers_that_contradict_themselves(self, tmp_path: Path, table: str) -> None:
        path = tmp_path / "a.safetensors"
        path.write_bytes(struct.pack("<Q", len(table)) + table.encode() + b"\0" * 8)
        with pytest.raises(AdapterError):
            read_header(path)

    def test_keys_that_nobody_takes_are_listed(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.safetensors", {f"{LAYER}.lora_middle.weight": torch.ones(1)})
        with pytest.raises(AdapterError, match=r"1 of its keys.*lora_middle"):
            load_adapter(path)
        path = write(tmp_path / "b.safetensors", {"model.diffusion_model.out.weight": torch.ones(1)})
        with pytest.raises(AdapterError, match="diffusion_model"):
            load_adapter(path)
        with pytest.raises(AdapterError, match="no tensors"):
            load_adapter(write(tmp_path / "c.safetensors", {}))

    @pytest.mark.parametrize(
        ("down", "up", "alpha"),
        [
            ((2, 4), (3, 5), ()),
            ((2, 4), (3, 2, 1, 1), ()),
            ((2, 4, 3, 3), (3, 2, 3, 3), ()),
            ((2, 4), (3, 2), (2,)),
        ],
    )
    def test_shapes_that_contradict_each_other(
        self, tmp_path: Path, down: tuple[int, ...], up: tuple[int, ...], alpha: tuple[int, ...]
    ) -> None:
        tensors = {
            f"{LAYER}.lora_down.weight": torch.ones(down),
            f"{LAYER}.lora_up.weight": torch.ones(up),
            f"{LAYER}.alpha": torch.ones(alpha),
        }
        with pytest.raises(AdapterError, match=LAYER):
            load_adapter(write(tmp_path / "a.safetensors", tensors))

    def test_nan_is_refused(self, tmp_path: Path) -> None:
        tensors = {f"{LAYER}.lora_down.weight": torch.ones(2, 4), f"{LAYER}.lora_up.weight": torch.ones(3, 2)}
        tensors[f"{LAYER}.lora_up.weight"][0, 0] = float("nan")
        with pytest.raises(AdapterError, match="NaN"):
            load_adapter(write(tmp_path / "a.safetensors", tensors))


@pytest.mark.filterwarnings("ignore::UserWarning:peft")
class TestOtherTools:
    """diffusers and PEFT read our files and we read theirs, with the same output of the denoiser."""

    @pytest.fixture(params=["sd1", "sd2", "sdxl"])
    def base(self, request: pytest.FixtureRequest, family_folders: dict[str, Path]) -> Base:
        return load_base(family_folders[request.param])

    @pytest.mark.parametrize("conv_rank", [0, 3])
    def test_diffusers_draws_our_file(
        self, tmp_path: Path, base: Base, conv_rank: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        adapter = trained_adapter(base, conv_rank=conv_rank)
        path = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32)
        pipeline = diffusers_pipeline(base.folder)
        pipeline.load_lora_weights(path)
        assert not [record for record in caplog.records if "key" in record.getMessage().lower()]
        with AdapterBank(base, [load_adapter(path)]).attached():
            ours = draw(base)
        torch.testing.assert_close(drawn_by(pipeline, base), ours, rtol=0, atol=1e-4)
        assert float((ours - draw(base)).abs().max()) > 0.01

    def test_we_draw_the_file_of_diffusers(self, tmp_path: Path, base: Base) -> None:
        adapter = trained_adapter(base)
        ours = save_adapter(tmp_path / "ours.safetensors", adapter, torch.float32)
        pipeline = diffusers_pipeline(base.folder)
        pipeline.load_lora_weights(ours, adapter_name="one")
        with quiet_libraries():
            _save_from(pipeline, tmp_path / "theirs")
        theirs = load_adapter(tmp_path / "theirs" / "pytorch_lora_weights.safetensors")
        bank = AdapterBank(base, [theirs])
        assert set(bank.layers) == set(adapter.layers)
        with bank.attached():
            again = draw(base)
        with AdapterBank(base, [adapter]).attached():
            torch.testing.assert_close(again, draw(base), rtol=0, atol=1e-4)

    def test_peft_layers_compute_the_same(self, tiny_base: Base) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        adapter = trained_adapter(tiny_base, conv_rank=3, text_encoder=False)
        with AdapterBank(tiny_base, [adapter]).attached():
            ours = draw(tiny_base)
        paths = {tiny_base.targets[name].path: factors for name, factors in adapter.layers.items()}
        config = LoraConfig(
            r=4,
            lora_alpha=2,
            target_modules=list(paths),
            rank_pattern={path: f.rank for path, f in paths.items()},
            alpha_pattern={path: f.alpha for path, f in paths.items()},
        )
        inject_adapter_in_model(config, tiny_base.denoiser)
        for path, factors in paths.items():
            layer: Any = tiny_base.denoiser.get_submodule(path)
            layer.lora_A["default"].weight.data = factors.trained()["down"].clone()
            layer.lora_B["default"].weight.data = factors.trained()["up"].clone()
        torch.testing.assert_close(draw(tiny_base), ours, rtol=0, atol=1e-4)


def drawn_by(pipeline: Any, base: Base) -> Tensor:
    """What `drawing.draw` computes, by the library's pipeline."""
    from tests.adapters.drawing import PROMPTS

    x, t = noisy_latents()
    with torch.no_grad():
        if base.family.name == "sdxl":
            hidden, _, pooled, _ = pipeline.encode_prompt(
                list(PROMPTS), device="cpu", do_classifier_free_guidance=False
            )
            added = {"text_embeds": pooled, "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(len(t), 6)}
            return pipeline.unet(x, 1000 * t, hidden, added_cond_kwargs=added).sample  # type: ignore[no-any-return]
        hidden, _ = pipeline.encode_prompt(list(PROMPTS), "cpu", 1, do_classifier_free_guidance=False)
        return pipeline.unet(x, 1000 * t, hidden).sample  # type: ignore[no-any-return]


def _by_suffix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.split(".", 1)[1]: tensor for key, tensor in tensors.items()}


def _save_from(pipeline: Any, folder: Path) -> None:
    """diffusers' own file of the loaded adapter: PEFT keys, alpha in the metadata."""
    from peft import get_peft_model_state_dict

    parts = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    if hasattr(pipeline, "text_encoder_2"):
        parts["text_encoder_2"] = pipeline.text_encoder_2
    states = {
        f"{name}_lora_layers": get_peft_model_state_dict(part, adapter_name="one") for name, part in parts.items()
    }
    configs = {f"{name}_lora_adapter_metadata": part.peft_config["one"].to_dict() for name, part in parts.items()}
    type(pipeline).save_lora_weights(folder, **states, **configs)
