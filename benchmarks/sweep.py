"""Eight adapters trained in one pass over the frozen base, against eight one after another; micro-batch 1 each.

Twice: whole steps (forward, backward, clipping, AdamW) on a random UNet of 25M parameters in the SD 1 shape, rank 8
on the linear layers of its attentions; and whole runs of 30 steps on the embedded base, from the images to the files,
twice, the second time in the other order. A full run takes about five minutes on two cores.

What the one pass saves is what a pass costs besides arithmetic on rows: reading the frozen weights once instead of
eight times, and calling every operation once. The arithmetic itself is the same, so that on a CPU whose cores are
busy with one row already the gain is small; a GPU that one row does not fill gains more (not measured here).

Run: python -m benchmarks.sweep [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.adapter_step import adapters, base_of, inputs, small_unet
from benchmarks.example_project import copy_with_recipe
from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import load_base
from lorasmith.events import finish
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.flat import FlatGroup, clip_gradients
from lorasmith.project import open_project
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.loop import train, train_sweep

COUNT = 8
SETTINGS = """
[recipe]
target_steps = {steps}
batch_size = 1
preserve.kind = "none"
save_every = "100000 steps"
[sweep]
seed = [1, 2, 3, 4, 5, 6, 7, 8]
"""


def steps_on_unet(rounds: int) -> dict[str, float]:
    """Median seconds of a step of all eight: in one pass, and one after another."""
    base = base_of(small_unet())
    fresh = adapters(base, COUNT)
    together = AdapterBank(base, fresh, trainable=True)
    together.set_strengths(torch.eye(COUNT))
    alone = [AdapterBank(base, [adapter], trainable=True) for adapter in fresh]
    sides = {
        "one pass": [step_of(together, COUNT)],
        "one by one": [step_of(bank, 1) for bank in alone],
    }
    calls: dict[str, Callable[[], object]] = {
        name: lambda steps=steps: [step() for step in steps]  # type: ignore[misc]
        for name, steps in sides.items()
    }
    return alternate(calls, rounds)


def step_of(bank: AdapterBank, rows: int) -> Callable[[], None]:
    """A training step of the bank's adapters, a row each."""
    unet = bank.base.denoiser
    groups = [[FlatGroup("unet", bank.factors("unet", column))] for column in range(rows)]
    optimizers = [OPTIMIZERS["adamw"].make(each) for each in groups]
    x, t, hidden = inputs(rows)

    def step() -> None:
        with bank.attached():
            output = unet(x, t, encoder_hidden_states=hidden, return_dict=False)[0]
            output.square().flatten(1).mean(dim=1).sum().backward()
        for each, optimizer in zip(groups, optimizers, strict=True):
            clip_gradients(each, 1.0)
            optimizer.step({"unet": 1e-4})
            each[0].grad.zero_()

    return step


def runs_on_doodle(steps: int) -> dict[str, float]:
    """Seconds of a sweep of eight seeds, and of eight runs, with the embedded base loaded."""
    with tempfile.TemporaryDirectory() as folder:
        root = copy_with_recipe(Path(folder) / "project", SETTINGS.format(steps=steps))
        project, base = open_project(root), load_base("doodle")
        variants = read_sweep(project)
        finish(train(project, variants[0].recipe.model_copy(update={"epochs": 1, "target_steps": 1}), base=base))

        def one_by_one() -> None:
            for variant in variants:
                finish(train(project, variant.recipe, base=base))

        def one_pass() -> None:
            assert len(finish(train_sweep(project, variants, base=base)).variants) == COUNT

        seconds = {"one by one": 0.0, "one pass": 0.0}
        order: list[tuple[str, Callable[[], None]]] = [("one by one", one_by_one), ("one pass", one_pass)]
        for turn in (order, order[::-1]):
            for name, call in turn:
                begun = time.perf_counter()
                call()
                seconds[name] += time.perf_counter() - begun
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps")
    quick = parser.parse_args(argv).quick
    print(machine(), f"{torch.get_num_threads()} threads")
    step = steps_on_unet(1 if quick else 8)
    for word, seconds in step.items():
        print(f"25M UNet, a step of {COUNT}, {word}: {1000 * seconds:.0f} ms")
    runs = runs_on_doodle(1 if quick else 30)
    for word, seconds in runs.items():
        print(f"Doodle, twice {COUNT} runs, {word}: {seconds:.1f} s")
    print(ratio_line("25M UNet: one by one / one pass", step["one by one"] / step["one pass"], at_least=1.25))
    print(ratio_line("Doodle: one by one / one pass", runs["one by one"] / runs["one pass"], at_least=1.25))


if __name__ == "__main__":
    main()
