"""Blocks that wait in the host's memory: the same bits, and the order in which they travel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base, load_base, open_base
from lorasmith.bases.block_swap import BlockSwap, Move, PlainRoad, Travel, spread
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.precision import Weights
from lorasmith.bases.text.options import PLAIN_TEXT
from lorasmith.errors import BaseError
from lorasmith.events import Note, SampleDrawn, StepDone, Validated, finish
from lorasmith.exam.run import run_exam
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.recipe import Recipe, write_recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.steps.passes import Pass, Passes
from tests.families.anima_models import build_anima
from tests.families.klein_models import build_klein
from tests.families.roads import SHORT, build_project, run
from tests.families.zimage_models import build_zimage
from tests.tags.models import make_tagger
from tests.tiny import build_tiny_base

CPU = torch.device("cpu")


class PoisonedRoad(PlainRoad):
    """What is away is not a number, so that whoever reads it shows."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.fetched = 0

    def home(self, tensor: Tensor) -> Tensor:
        return super().home(tensor).clone()

    def away(self, home: Tensor) -> Tensor:
        worst = (
            torch.zeros((), dtype=home.dtype) if home.dtype == torch.int8 else torch.full((), torch.nan).to(home.dtype)
        )
        return worst.expand(home.shape)

    def fetch(self, homes: Sequence[Tensor]) -> Travel:
        self.fetched += 1
        return super().fetch(homes)


class Recorder:
    """Moves as words, and the most blocks that were there at once."""

    def __init__(self) -> None:
        self.moves: list[str] = []
        self.here: set[int] = set()
        self.most = 0

    def __call__(self, move: Move, number: int) -> None:
        self.moves.append(f"{move} {number}")
        if move == "fetch":
            assert number not in self.here
            self.here.add(number)
        if move == "leave":
            self.here.remove(number)
        if move == "compute":
            assert number in self.here
        self.most = max(self.most, len(self.here))

    def take(self) -> list[str]:
        moves, self.moves = self.moves, []
        return moves


def test_swapped_blocks_are_spread() -> None:
    assert spread(2, 6) == [2, 5]
    assert spread(6, 6) == [0, 1, 2, 3, 4, 5]
    assert spread(0, 6) == []
    for of in (5, 28, 34):
        for count in range(of + 1):
            assert len(set(spread(count, of))) == count


def test_the_schedule() -> None:
    """Each is fetched one block ahead, once a pass, and at most two are there."""
    blocks = [nn.Linear(4, 4).requires_grad_(False) for _ in range(6)]
    recorder = Recorder()
    swap = BlockSwap(blocks, 3, PoisonedRoad(), recorder)
    assert swap.numbers == (1, 3, 5)

    def run(x: Tensor) -> Tensor:
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False) if torch.is_grad_enabled() else block(x)
        return x

    x = torch.randn(2, 4, requires_grad=True)
    y = run(x)
    there = recorder.take()
    y.sum().backward()  # type: ignore[no-untyped-call]
    back = recorder.take()
    assert there == ["fetch 1", "fetch 3", "compute 1", "leave 1", "fetch 5", "compute 3", "leave 3", "compute 5"]
    assert back == ["fetch 3", "compute 5", "leave 5", "fetch 1", "compute 3", "leave 3", "compute 1"]
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    with torch.no_grad():  # the next pass begins with the first again, which the last one sends for
        run(x)
        assert recorder.take() == [
            "fetch 3",
            "compute 1",
            "leave 1",
            "fetch 5",
            "compute 3",
            "leave 3",
            "fetch 1",
            "compute 5",
        ]
        run(x)
        assert recorder.take()[:3] == ["leave 5", "fetch 3", "compute 1"]
    assert recorder.most == 2


FAMILIES = ("sd1", "sdxl", "doodle", "anima", "zimage", "klein")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {
        "sd1": build_tiny_base(root / "sd1"),
        "sdxl": build_tiny_base(root / "sdxl", "sdxl"),
        "doodle": doodle_folder(),
        "anima": build_anima(root / "anima", num_layers=4),
        "zimage": build_zimage(root / "zimage"),
        "klein": build_klein(root / "klein", num_single_layers=3),
    }


def new_factors(base: Base) -> Adapter:
    return new_adapter(
        base,
        name="a",
        rank=2,
        alpha=2,
        text_encoder=False,
        groups=("attention", "mlp"),
        generator=torch.Generator().manual_seed(0),
    )


def gradients(base: Base, adapter: Adapter | None = None) -> list[Tensor]:
    """Of a training step of an adapter with an effect; and the output of a pass without gradients."""
    bank = AdapterBank(base, [adapter or new_factors(base)], trainable=True)
    with torch.no_grad():
        for factor in bank.factors("unet"):
            factor.add_(0.01 * torch.randn(factor.shape, generator=torch.Generator().manual_seed(1)))
    size = (64, 64)
    x_t = torch.randn(2, *base.latent_shape(size), generator=torch.Generator().manual_seed(2))
    asked = Pass(x_t, torch.tensor([0.3, 0.8]), ("smile", "blue hair"), size, adapted_text=False, checkpointing=True)
    with bank.attached():
        passes = Passes(base, bank, Conditioner(base, PLAIN_TEXT))
        with torch.no_grad():
            plain = passes.run({0: Pass(x_t, asked.t, asked.captions, size, adapted=False)})[0]
        output = passes.run({0: asked})[0]
        output.square().mean().backward()  # type: ignore[no-untyped-call]
    found = [factor.grad for factor in bank.factors("unet") if factor.grad is not None]
    assert len(found) == len(bank.factors("unet"))
    return [plain, output.detach(), *found]


@pytest.mark.parametrize("weights", ["full", "int8", "fp8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_swapped_blocks_compute_the_same_bits(folders: dict[str, Path], family: str, weights: Weights) -> None:
    want = gradients(load_base(folders[family], weights=weights))
    base = load_base(folders[family], weights=weights)
    blocks = base.family.blocks(base.denoiser)
    assert len(blocks) > 3
    recorder, road = Recorder(), PoisonedRoad()
    base.swap = BlockSwap(blocks, len(blocks), road, recorder)
    assert id(next(base.denoiser.parameters())) not in base.swap.tensors  # tells where the base computes
    got = gradients(base)
    assert all(torch.equal(one, other) for one, other in zip(want, got, strict=True))
    computed = [int(move.split()[1]) for move in recorder.moves if move.startswith("compute")]
    forth = list(range(len(blocks)))
    back = computed[2 * len(blocks) :]
    assert computed[: 2 * len(blocks)] == [*forth, *forth]  # the bare base, then the adapter
    assert back == list(range(len(blocks) - 1, back[-1] - 1, -1))  # and its gradients
    early = {id(module) for block in blocks[: back[-1]] for module in block.modules()}
    adapted = {id(base.module(name)) for name in new_factors(base).layers}
    assert not early & adapted  # what comes before the first adapted layer needs none
    assert recorder.most == 2
    assert road.fetched == 3 * len(blocks) - 1 - max(0, back[-1] - 1)  # where a pass turns, a block is there already


def test_a_whole_run_on_swapped_blocks(folders: dict[str, Path], tmp_path: Path) -> None:
    """Preservation, validation and samples included: the same files, the same pictures."""
    made: list[tuple[bytes, list[float], list[bytes]]] = []
    for name in ("all there", "swapped"):
        base = load_base(folders["anima"])
        if name == "swapped":
            blocks = base.family.blocks(base.denoiser)
            base.swap = BlockSwap(blocks, 3, PoisonedRoad())
        project = build_project(tmp_path / name, folders["anima"])
        done, events = run(project, base, SHORT | RUN)
        losses = [event.loss for event in events if isinstance(event, StepDone)]
        losses += [event.loss for event in events if isinstance(event, Validated)]
        samples = [event.path for event in events if isinstance(event, SampleDrawn)]
        pipeline = Pipeline(base, AdapterCache([done.adapter]))
        specs = [PictureSpec("zbk <lora:zbk:3>", seed=seed, steps=2, width=64, height=64) for seed in range(8)]
        pictures = [picture.image.tobytes() for picture in finish(pipeline.draw(specs))]
        assert samples
        assert len(losses) > 3
        pictures += [Image.open(path).tobytes() for path in samples]
        layers = load_adapter(done.adapter).layers.values()
        learned = [tensor for factors in layers for tensor in factors.to_tensors().values()]
        made.append((b"".join(tensor.numpy().tobytes() for tensor in learned), losses, pictures))
    assert made[0][:2] == made[1][:2]
    for one, other in zip(made[0][2], made[1][2], strict=True):  # merged weights on one side, beside it on the other
        apart = np.abs(np.frombuffer(one, np.uint8).astype(int) - np.frombuffer(other, np.uint8))
        assert apart.max() <= 1


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_dora_computes_the_same_bits_wherever_its_weights_lie(folders: dict[str, Path], family: str) -> None:
    """Convolutions, too; swapped, and at each place beside a cache line's start."""
    base = load_base(folders[family])
    adapter = new_adapter(
        base,
        name="a",
        rank=2,
        alpha=2,
        conv_rank=2,
        text_encoder=False,
        groups=("attention", "mlp", "conv"),
        generator=torch.Generator().manual_seed(0),
        dora=True,
    )
    want = gradients(base, adapter)
    for place in (None, 0, 1, 2, 4):
        other = load_base(folders[family])
        if place is None:
            blocks = other.family.blocks(other.denoiser)
            other.swap = BlockSwap(blocks, len(blocks), PoisonedRoad())
        else:
            for weight in other.denoiser.parameters():
                room = torch.empty(weight.numel() + place)[place:].view(weight.shape)
                weight.data = room.copy_(weight.data)
        got = gradients(other, adapter)
        assert all(torch.equal(one, more) for one, more in zip(want, got, strict=True)), place


RUN = {
    "resolution": "64",
    "checkpointing": "true",
    "sample.prompts": '["zbk, smile"]',
    "sample.steps": "2",
    "preserve.kind": '"differential"',
    "validation.share": "0.25",
    "validation.every": '"2 steps"',
    "save_every": '"2 steps"',
}


def test_an_exam_on_swapped_blocks(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same verdict and the same pictures, to the byte: of int8 weights, which are merged on neither side."""
    opened: list[PoisonedRoad | None] = []

    def open_here(name: str, *how: object) -> Base:
        precision, use, prediction, weights, count = how
        assert (precision, use, prediction) == ("fp32", "exam", None)
        base = load_base(name, weights=weights)  # type: ignore[arg-type]
        road = PoisonedRoad() if count else None
        if road is not None:
            base.swap = BlockSwap(base.family.blocks(base.denoiser), int(str(count)), road)
        opened.append(road)
        return base

    monkeypatch.setattr("lorasmith.bases.base.open_base", open_here)
    project = build_project(tmp_path / "p", folders["anima"], 'side = 64\nweights = "int8"\nstacking_pictures = 0\n')
    make_tagger(project.root / "judge")
    done, _ = run(project, load_base(folders["anima"]), SHORT | {"resolution": "64"})
    verdicts = [finish(run_exam(project, [done.adapter], {"blocks_to_swap": count})) for count in (0, 3)]
    there, swapped = verdicts
    assert opened[0] is None
    assert opened[1] is not None
    assert opened[1].fetched > 0
    assert there.figures == swapped.figures
    assert there.base == swapped.base
    sheets = [sorted(verdict.report.parent.glob("answers/*.png")) for verdict in verdicts]
    assert len(sheets[0]) > 1
    assert [file.read_bytes() for file in sheets[0]] == [file.read_bytes() for file in sheets[1]]
    assert Image.open(there.report.with_name("grid.png")).tobytes() == (
        Image.open(swapped.report.with_name("grid.png")).tobytes()
    )


def test_an_exam_on_a_cpu_says_that_it_swaps_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", folders["anima"], "side = 64\nblocks_to_swap = 2\n")
    make_tagger(project.root / "judge")
    base = load_base(folders["anima"])
    done, _ = run(project, base, SHORT | {"resolution": "64"})
    for event in run_exam(project, [done.adapter], base=base):
        if isinstance(event, Note) and event.message == (
            "[exam] blocks_to_swap = 2 does nothing on a CPU, which has one memory."
        ):
            return
    pytest.fail("nothing was said")


def test_a_recipe_asks_for_it() -> None:
    with pytest.raises(ValueError, match="blocks_to_swap = 4 needs checkpointing = true"):
        Recipe(epochs=1, blocks_to_swap=4)
    recipe = Recipe(epochs=1, blocks_to_swap=4, checkpointing=True)
    assert "blocks_to_swap" in write_recipe(recipe)


def test_on_a_cpu_it_does_nothing_and_says_so(folders: dict[str, Path], tmp_path: Path) -> None:
    assert open_base(folders["anima"], blocks_to_swap=2).swap is None
    project = build_project(tmp_path / "p", folders["anima"])
    wanted = {**RUN, "blocks_to_swap": "2", "sample.prompts": "[]", "preserve.kind": '"none"'}
    _, events = run(project, load_base(folders["anima"]), SHORT | wanted)
    notes = [event.message for event in events if isinstance(event, Note)]
    assert any("blocks_to_swap = 2 does nothing on a CPU" in note for note in notes)


def test_more_blocks_than_there_are(folders: dict[str, Path]) -> None:
    base = load_base(folders["anima"])
    with pytest.raises(BaseError, match="blocks_to_swap = 5: its denoiser has 4 blocks"):
        base.swap_blocks(5, CPU)
    assert base.swap is None
    assert base.swap_blocks(4, CPU).swap is not None
