"""What a run does besides learning: where it starts, what it keeps, what it tells, how it meets a lack of memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.files import load_adapter, read_header, save_adapter
from lorasmith.bases.base import Base
from lorasmith.bases.families import evidence
from lorasmith.container import read_container
from lorasmith.errors import RecipeError, TrainingError
from lorasmith.events import Done, Event, Note, SnapshotSaved, StepDone, finish
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from lorasmith.training.steps.trainer_group import TrainerGroup
from tests.checkpoints import write_checkpoint
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 2
rank = 2
alpha = 1
layers = ["attention"]
epochs = 3
save_every = "1 step"
lr = { unet = 1e-3, text_encoder = 0 }
optimizer.name = "adamw"
"""


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))


def run_all(project: Project, base: Base, **overrides: str) -> tuple[Done, list[Event]]:
    events: list[Event] = []
    recipe = read_recipe(project, overrides)
    return finish(train(project, recipe, base=base), events.append), events


def factors_of(path: Path) -> dict[str, torch.Tensor]:
    adapter = load_adapter(path)
    return {f"{name}.{field}": t for name, each in adapter.layers.items() for field, t in each.trained().items()}


def test_the_last_snapshots_are_kept_and_steps_are_told(project: Project, tiny_base: Base) -> None:
    done, events = run_all(project, tiny_base, keep_last="2")
    saved = [event.path for event in events if isinstance(event, SnapshotSaved)]
    assert len(saved) == 6
    assert sorted((done.run / "snapshots").iterdir()) == saved[-2:]
    steps = [event for event in events if isinstance(event, StepDone)]
    bands = steps[-1].bands
    assert bands
    assert set(bands) <= {"0-249", "250-499", "500-749", "750-999"}
    assert all(0 < loss < 10 for loss in bands.values())
    assert (steps[-1].speed or 0) > 0
    assert (steps[-1].memory or 0) > 1 << 20
    logged = [json.loads(line) for line in (done.run / "events.jsonl").read_text().splitlines()]
    assert [entry["bands"] for entry in logged if entry["event"] == "step"][-1] == bands


def test_training_goes_on_from_weights(project: Project, tiny_base: Base) -> None:
    first, _ = run_all(project, tiny_base)
    start = first.adapter.rename(project.root / "start.safetensors")
    again, events = run_all(project, tiny_base, init='"start.safetensors"', epochs="1")
    before, after = factors_of(start), factors_of(again.adapter)
    assert before.keys() == after.keys()
    moved = max(float((after[key] - before[key]).abs().max()) for key in before)
    assert 0 < moved < 0.02, "two steps away from where it started"
    assert [event.step for event in events if isinstance(event, StepDone)] == [1, 2]
    for overrides, message in (
        ({"rank": "4"}, "It was trained with rank = 2"),
        ({"alpha": "2"}, "alpha 1 there, 2 here"),
        ({"algorithm": '"loha"'}, "is lora there, this recipe trains loha"),
        ({"layers": '["mlp"]'}, "are not trained by this recipe"),
        ({"init": '"absent.safetensors"'}, "no such file"),
    ):
        with pytest.raises(RecipeError, match=message):
            run_all(project, tiny_base, **{"init": '"start.safetensors"', **overrides})
    part = load_adapter(start)
    some = dict(list(part.layers.items())[:1])
    save_adapter(project.root / "part.safetensors", type(part)("part", some, {}))
    done, _ = run_all(project, tiny_base, init='"part.safetensors"', epochs="1")
    assert factors_of(done.adapter).keys() == before.keys()


def test_a_private_file_tells_only_what_readers_need(project: Project, tiny_base: Base) -> None:
    done, _ = run_all(project, tiny_base, private="true", epochs="1")
    header = read_header(done.adapter).metadata
    assert {key for key in header if key.startswith("ss_")} == {
        "ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args",
    }  # fmt: skip
    assert header["modelspec.trigger_phrase"] == "zbk"
    assert header["modelspec.architecture"]
    assert header["sshs_model_hash"]
    whole = json.dumps(dict(header))
    for word in ("red hair", "thumbnail", "images", "modelspec.date", "lorasmith", "usage"):
        assert word not in whole
    open_one, _ = run_all(project, tiny_base, epochs="1")
    assert len(read_header(open_one.adapter).metadata) > 60


def lacking(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Passes of more than `most` rows have no memory."""
    from lorasmith.training.steps import passes

    denoise = passes.Passes._denoise

    def tight(self: Any, columns: Any, asked: Any) -> Any:
        if sum(len(each.captions) for each in asked) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return denoise(self, columns, asked)

    monkeypatch.setattr(passes.Passes, "_denoise", tight)


def test_a_lack_of_memory_is_told_or_met(project: Project, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = run_all(project, tiny_base, batch_size="3")
    lacking(monkeypatch, 1)
    with pytest.raises(TrainingError, match=r"3 rows at once: 2\.00 GiB more were asked for.*fit_memory"):
        run_all(project, tiny_base, batch_size="3")
    met, events = run_all(project, tiny_base, batch_size="3", fit_memory="true")
    notes = [event.message for event in events if isinstance(event, Note) and event.level == "warning"]
    assert [note for note in notes if "going on with 2 at once" in note]
    assert [note for note in notes if "going on with 1 at once" in note]
    one, other = factors_of(whole.adapter), factors_of(met.adapter)
    for key, tensor in one.items():
        torch.testing.assert_close(other[key], tensor, rtol=2e-2, atol=2e-5)
    assert met.loss == pytest.approx(whole.loss, rel=1e-4)
    lacking(monkeypatch, 0)
    with pytest.raises(TrainingError, match="1 row at once"):
        run_all(project, tiny_base, fit_memory="true")


def test_other_faults_of_torch_are_no_lack_of_memory(
    project: Project, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(TrainerGroup, "advance", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        run_all(project, tiny_base, fit_memory="true")


def test_the_base_s_header_is_read_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_checkpoint(tmp_path / "small.safetensors", "sd1")
    read: list[Path] = []

    def watched(path: Path, *more: Any) -> Any:
        read.append(path)
        return read_container(path, *more)

    monkeypatch.setattr(evidence, "read_container", watched)
    recipe = "resolution = 64\nbatch_size = 1\nepochs = 1\nprediction = 'epsilon'\nclip_skip = 1\nrank = 2"
    project = build_project(tmp_path / "p", recipe, base=str(base))
    finish(train(project, read_recipe(project)))
    assert read == [base]
