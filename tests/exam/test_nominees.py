"""Which snapshots enter the choice: by the held-out loss, or evenly; the mean of the last ones with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.container import header_bytes, payload_bytes
from lorasmith.adapters.files import read_tensors
from lorasmith.exam.nominees import held_out_losses, nearest_loss, nominate, with_average


def _run(root: Path, steps: range, losses: dict[int, float] | None = None) -> list[Path]:
    """A run of snapshots whose one factor is the step; `losses` of held-out images by step, the base's is 2."""
    files = []
    for step in steps:
        file = root / "snapshots" / f"toy-step{step:06}.safetensors"
        if step == steps[-1]:
            file = root / "toy.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            "lora_unet_mid.lora_up.weight": torch.full((4, 2), float(step), dtype=torch.float16),
            "lora_unet_mid.lora_down.weight": torch.ones((2, 4), dtype=torch.float16),
        }
        file.write_bytes(header_bytes(tensors, {"ss_steps": str(step)}) + payload_bytes(tensors))
        files.append(file)
    events = [{"event": "validation", "step": step, "loss": loss, "base": 2.0} for step, loss in (losses or {}).items()]
    (root / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"event": "step"\n')
    return files


def _steps(files: list[Path]) -> list[int]:
    return [int(read_tensors(file)["lora_unet_mid.lora_up.weight"][0, 0]) for file in files]


def test_the_lowest_loss_and_what_comes_after_it_are_nominated(tmp_path: Path) -> None:
    losses = {100: 1.8, 200: 1.4, 300: 1.2, 400: 1.0, 500: 1.05, 600: 1.1, 700: 1.3, 800: 1.5}
    files = _run(tmp_path, range(100, 900, 100), losses)
    assert held_out_losses(tmp_path)[400] == 0.5
    assert nearest_loss(held_out_losses(tmp_path), files[2]) == 0.6
    # Smoothed over neighbours 500 is the lowest: 1.0625 at 400, 1.05 at 500.
    assert _steps(nominate(files, 3)) == [500, 700, 800]


def test_the_last_one_is_always_there(tmp_path: Path) -> None:
    files = _run(tmp_path, range(100, 700, 100), {step: 2 - step / 1000 for step in range(100, 700, 100)})
    assert _steps(nominate(files, 2)) == [500, 600]
    assert nominate(files, 9) == files


def test_without_held_out_images_the_first_third_is_left_out(tmp_path: Path) -> None:
    files = _run(tmp_path, range(100, 1000, 100))
    assert held_out_losses(tmp_path) == {}
    assert nearest_loss({}, files[0]) is None
    assert _steps(nominate(files, 3)) == [400, 600, 900]


def test_the_mean_of_the_last_ones_is_a_candidate(tmp_path: Path) -> None:
    files = _run(tmp_path / "run", range(100, 700, 100))
    found = with_average(files, 3, tmp_path / "cache")
    assert _steps(found) == [300, 600, 500]
    assert found[-1].name == "toy-average.safetensors"
    assert tmp_path / "cache" in found[-1].parents
    assert read_tensors(found[-1])["lora_unet_mid.lora_up.weight"].dtype == torch.float16
    before = found[-1].stat().st_mtime_ns
    assert with_average(files, 3, tmp_path / "cache") == found
    assert found[-1].stat().st_mtime_ns == before
    assert with_average(files, 1, tmp_path / "cache") == [files[-1]]
    assert with_average(files[:1], 3, tmp_path / "cache") == files[:1]


def test_bands_are_compared_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(
        json.dumps(
            {
                "event": "validation",
                "step": 5,
                "loss": 1.0,
                "base": 1.0,
                "bands": {"0-249": 0.1, "750-999": 2.0},
                "base_bands": {"0-249": 0.2, "750-999": 2.0},
            }
        )
    )
    assert held_out_losses(tmp_path)[5] == pytest.approx(0.75)
