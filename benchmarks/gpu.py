"""Everything that a GPU is asked here, in one command: steps, memory, many adapters, sweeps, drawing; true shapes.

Random weights in the shapes of SD 1.5 (512 x 512), SDXL or Anima (1024 x 1024), nothing is fetched. LoRA of rank 16 on
the attentions' linear layers; a step is forward, backward, clipping and AdamW, the base in bf16, factors in fp32.

- step: beside the frozen base (a gradient to its input) and beside PEFT as diffusers' scripts train (fp32 factors under
  bf16 autocast), at 1, 2, 4 and 8 rows: rows a second, and the share of what the device can do, by counted operations
  over the rate of a large product measured here, and over the card's published rate where it is known;
- memory: the most of a step of one row as it is, with checkpointing, int8, fp8, half the blocks swapped;
- mixed: a batch of eight rows with eight adapters, with one, with none;
- switching: from one adapter's file to another, and a change of strength;
- compiled: a step of one row through torch.compile, held against a plain one; on a GPU alone;
- sweep: four and eight adapters in a pass, and one after another;
- drawing: a picture's passes (guided) and its decoding, one, four and eight at once.

Each part is by itself: what does not fit into memory is told, and the others go on. Without a GPU, and with --quick,
tiny shapes: that the parts work, no figures.

Run: python -m benchmarks.gpu [--true-shape sd1|sdxl|anima]... [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_bases import GpuBase, make_base, shapes
from benchmarks.many_adapters import adapter_of, make_adapters
from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.compiled import CompiledDenoiser
from lorasmith.bases.compressed import compress_model
from lorasmith.generation.adapter_sets import AdapterSet, Member, identify
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.flat import FlatGroup, clip_gradients

RANK = 16
MIXED = 8
PICTURE_STEPS = 20
TINY_ROUNDS = 5
"""Where a pass takes milliseconds, one that another process interrupts would be taken for the truth."""
PUBLISHED = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "RTX 5090": 209e12,
}
"""Operations a second in bf16 by the data sheets, dense, sums in fp32; the first name counts that a device's has in
it."""


@dataclass
class Report:
    """What was found: figures by shape and part, ratios, and what failed."""

    device: str
    shape: str = ""
    shapes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def part(self, name: str) -> dict[str, Any]:
        """The figures of a part of the shape at hand."""
        return self.shapes.setdefault(self.shape, {}).setdefault(name, {})

    def note(self, part: str, name: str, value: float, unit: str) -> None:
        self.part(part)[name] = value
        print(f"  {name}: {value:.4g} {unit}", flush=True)

    def ratio(self, name: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        goal = {"at_most": at_most} if at_most is not None else {"at_least": at_least}
        self.ratios.append({"name": name, "value": value, **goal})

    def guarded(self, part: str, call: Callable[[], None]) -> bool:
        """Run a part. Where memory does not suffice that is told; any other fault is a failure of this benchmark."""
        try:
            call()
            return True
        except (torch.OutOfMemoryError, MemoryError) as fault:
            self.part(part)["out of memory"] = _first_line(fault)
            print(f"  {part}: out of memory ({_first_line(fault)})", flush=True)
        except Exception as fault:
            self.part(part)["failed"] = f"{type(fault).__name__}: {_first_line(fault)}"
            self.failed.append(f"{self.shape}: {part}")
            print(f"  {part}: failed: {type(fault).__name__}: {_first_line(fault)}", flush=True)
        finally:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return False


def _first_line(fault: BaseException) -> str:
    return (str(fault) or type(fault).__name__).splitlines()[0]


@dataclass(frozen=True)
class Bench:
    """One shape on one device."""

    own: GpuBase
    report: Report
    rounds: int
    word: str

    def medians(self, sides: dict[str, Callable[[], object]]) -> dict[str, float]:
        return alternate(sides, self.rounds, warmup=min(2, self.rounds), clock=clock)

    def bank(self, count: int, *, trainable: bool, base: Any = None) -> AdapterBank:
        base = self.own.base if base is None else base
        return AdapterBank(base, [adapter_of(self.own.base, k, RANK) for k in range(count)], trainable=trainable)


def clock() -> float:
    """Seconds, once all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def bank_step(own: GpuBase, bank: AdapterBank, rows: int, *, again: bool = False) -> Callable[[], None]:
    """A training step of all adapters of a bank, each on an equal share of the rows."""
    count = len(bank.names)
    groups = [[FlatGroup("unet", bank.factors("unet", column))] for column in range(count)]
    optimizers = [OPTIMIZERS["adamw"].make(each) for each in groups]
    inputs = own.inputs(rows)
    bank.set_strengths(torch.eye(count).repeat_interleave(rows // count, dim=0) if count > 1 else torch.ones(1, 1))

    def recompute(module: Any, *args: Any) -> Any:
        was = bank.remember()
        return checkpoint(module.__call__, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), was))

    def step() -> None:
        base = bank.base
        with bank.attached(), base.family.recomputing(base.denoiser, recompute) if again else nullcontext():
            loss = own.denoise(*inputs, base=base).float().square().flatten(1).mean(dim=1).sum()
            loss.backward()  # type: ignore[no-untyped-call]
        for each, optimizer in zip(groups, optimizers, strict=True):
            clip_gradients(each, 1.0)
            optimizer.step({"unet": 1e-4})
            each[0].grad.zero_()

    return step


def frozen_step(own: GpuBase, rows: int) -> Callable[[], None]:
    """Forward, and backward to the input."""
    x, t, context = own.inputs(rows)

    def step() -> None:
        start = x.clone().requires_grad_()
        loss = own.denoise(start, t, context).float().square().mean()
        torch.autograd.grad(loss, [start])

    return step


def peft_step(own: GpuBase, denoiser: Any, rows: int) -> Callable[[], None]:
    """As diffusers' scripts train: fp32 factors, the pass under autocast, torch's clipping and AdamW."""
    parameters = [each for each in denoiser.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    inputs = own.inputs(rows)
    half = own.base.dtype != torch.float32

    def step() -> None:
        with torch.autocast(own.device.type, dtype=own.base.dtype, enabled=half):
            output = own.denoise(*inputs, denoiser=denoiser)
        output.float().square().mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def with_peft(own: GpuBase) -> Any:
    """A copy of the denoiser with PEFT's layers at the same places."""
    denoiser = copy.deepcopy(own.base.denoiser)
    adapted = adapter_of(own.base, 0, RANK).layers
    paths = [own.base.targets[name].path for name in adapted]
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=paths), denoiser)
    for each in denoiser.parameters():
        if each.requires_grad:
            each.data = each.data.float()
    return denoiser.to(own.device)


def measured_rate(own: GpuBase) -> float:
    """Operations a second of a large product in the base's numbers."""
    side = 8192 if own.device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=own.device, dtype=own.base.dtype) for _ in range(2))
    seconds = alternate({"product": lambda: a @ b}, 10, warmup=3, clock=clock)["product"]
    return float(2 * side**3 / seconds)


def published_rate(device: str) -> float | None:
    return next((rate for name, rate in PUBLISHED.items() if name in device), None)


def steps(bench: Bench) -> None:
    """Rows a second, beside the frozen base and PEFT."""
    own, report = bench.own, bench.report
    rate = measured_rate(own)
    report.note("step", "a large product", rate / 1e12, "TFLOP/s")
    bank = bench.bank(1, trainable=True)
    with FlopCounterMode(display=False) as counted:
        bank_step(own, bank, 1)()
    flops = counted.get_total_flops()
    report.note("step", "operations of a row", flops / 1e12, "TFLOP, counted")
    published = published_rate(report.device)
    theirs: list[Any] = []
    report.guarded("PEFT's copy", lambda: theirs.append(with_peft(own)))
    for rows in own.rows:

        def measure(rows: int = rows) -> None:
            sides: dict[str, Callable[[], object]] = {
                "frozen": frozen_step(own, rows),
                "ours": bank_step(own, bank, rows),
            }
            if theirs:
                sides["peft"] = peft_step(own, theirs[0], rows)
            seconds = bench.medians(sides)
            for side, value in seconds.items():
                report.note("step", f"{side}, {rows} rows", rows / value, "rows/s")
            share = flops * rows / seconds["ours"]
            report.note("step", f"share of a large product's rate, {rows} rows", share / rate, "")
            if published is not None:
                report.note("step", f"share of the published rate, {rows} rows", share / published, "")
            word = f"{bench.word}, {rows} rows"
            report.ratio(f"{word}: LoRA step / frozen base", seconds["ours"] / seconds["frozen"], at_most=1.1)
            if theirs:
                report.ratio(f"{word}: LoRA step / PEFT's", seconds["ours"] / seconds["peft"], at_most=1.0)
            report.ratio(f"{word}: share of a large product's rate", share / rate, at_least=0.4)

        if not report.guarded(f"step, {rows} rows", measure):
            break


def memory(bench: Bench) -> None:
    """The most of a step of one row, with each switch."""
    own, report = bench.own, bench.report
    on_gpu = own.device.type == "cuda"

    def most(name: str, base: Any, again: bool) -> None:
        step = bank_step(own, bench.bank(1, trainable=True, base=base), 1, again=again)
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        step()
        if on_gpu:
            report.note("memory", name, torch.cuda.max_memory_allocated() / 2**30, "GB")
        else:
            report.note("memory", f"{name}: the step runs", 1, "(memory is measured on a GPU)")

    def in_small(form: str) -> None:
        most(form, compressed(own, home, form), False)

    report.guarded("memory, as it is", lambda: most("as it is", own.base, False))
    report.guarded("memory, checkpointing", lambda: most("checkpointing", own.base, True))
    home = copy.deepcopy(own.base.denoiser).cpu()
    parts = own.base.denoiser
    parts.to("cpu")
    try:
        for form in ("int8", "fp8"):
            report.guarded(f"memory, {form}", partial(in_small, form))
        report.guarded("memory, swapped", lambda: most("half the blocks swapped", swapped(own, home), True))
    finally:
        parts.to(own.device)
    found = report.part("memory")
    if {"checkpointing", "as it is"} <= found.keys():
        saved = found["checkpointing"] / found["as it is"]
        report.ratio(f"{bench.word}: memory with checkpointing / without", saved, at_most=1.0)


def compressed(own: GpuBase, home: Any, form: Any) -> Any:
    denoiser = copy.deepcopy(home)
    compress_model(denoiser, form, own.base.dtype, own.base.family.kept_wide)
    return replace(own.base, denoiser=denoiser.to(own.device), weights=form, _modules={})


def swapped(own: GpuBase, home: Any) -> Any:
    denoiser = copy.deepcopy(home)
    base = replace(own.base, denoiser=denoiser, _modules={})
    return base.swap_blocks(max(3, len(base.family.blocks(denoiser)) // 2), own.device) if own.swaps else base


@torch.inference_mode()
def mixed(bench: Bench) -> None:
    """Eight rows with eight adapters, with one, with none."""
    own, report = bench.own, bench.report
    inputs = own.inputs(MIXED)
    eight, one = bench.bank(MIXED, trainable=False), bench.bank(1, trainable=False)
    eight.set_strengths(torch.eye(MIXED))

    def attached(bank: AdapterBank) -> None:
        with bank.attached():
            own.denoise(*inputs)

    seconds = bench.medians(
        {"none": lambda: own.denoise(*inputs), "one": lambda: attached(one), "eight": lambda: attached(eight)}
    )
    for side, value in seconds.items():
        report.note("mixed", f"{side}, a pass of {MIXED} rows", 1000 * value, "ms")
    report.ratio(f"{bench.word}: eight adapters / one", seconds["eight"] / seconds["one"], at_most=1.05)
    report.ratio(f"{bench.word}: eight adapters / none", seconds["eight"] / seconds["none"], at_most=1.12)


def switching(bench: Bench) -> None:
    """From an adapter's file to another, and a change of strength."""
    own, report = bench.own, bench.report
    turn = 0
    with tempfile.TemporaryDirectory() as place:
        files = make_adapters(own.base, Path(place))

        def load() -> tuple[Member, Adapter]:
            nonlocal turn
            turn += 1
            adapter = load_adapter(files[turn % len(files)])
            return Member(adapter.name, None, identify(adapter)), adapter

        def side() -> None:
            member, adapter = load()
            with AdapterSet(own.base, {member: adapter}).acting([{member: 0.8}]):
                pass

        kept: dict[str, Any] = {"merged": None}

        def merged() -> None:
            member, adapter = load()
            bank = AdapterSet(own.base, {member: adapter}).bank
            assert bank is not None
            kept["merged"] = bank.merge(torch.tensor([0.8]), over=kept["merged"])
            with kept["merged"].applied():
                pass

        member, adapter = load()
        standing = AdapterSet(own.base, {member: adapter})

        def strength() -> None:
            nonlocal turn
            turn += 1
            with standing.acting([{member: 0.5 + turn / 1000}]):
                pass

        seconds = bench.medians({"beside the layers": side, "merged": merged, "strength": strength})
    for name, value in seconds.items():
        report.note("switching", name, 1000 * value, "ms")
    report.ratio(f"{bench.word}: ms to change a strength", 1000 * seconds["strength"], at_most=20)


def sweep(bench: Bench) -> None:
    """Four and eight adapters in a pass, and one after another."""
    own, report = bench.own, bench.report
    for count in (4, 8):

        def measure(count: int = count) -> None:
            together = bank_step(own, bench.bank(count, trainable=True), count)
            alone = bank_step(own, bench.bank(1, trainable=True), 1)
            seconds = bench.medians({"one pass": together, "alone": alone})
            report.note("sweep", f"{count} in one pass", 1000 * seconds["one pass"], "ms")
            report.note("sweep", f"{count} one by one", 1000 * count * seconds["alone"], "ms")
            gain = count * seconds["alone"] / seconds["one pass"]
            report.ratio(f"{bench.word}: {count} adapters one by one / in one pass", gain, at_least=1.25)

        report.guarded(f"sweep of {count}", measure)


def compiled(bench: Bench) -> None:
    """A step of one row through torch.compile, and how far its gradients are from a plain one's."""
    own, report = bench.own, bench.report
    if own.device.type != "cuda":
        print("  compiled: left out without a GPU (minutes of compiling)")
        return
    bank = bench.bank(1, trainable=True)
    plain, made = bank_step(own, bank, 1), CompiledDenoiser(own.base.denoiser)

    def compiled_step() -> None:
        with made.used():
            plain()

    def gradients(context: AbstractContextManager[None]) -> list[Tensor]:
        with bank.attached(), context:
            loss = own.denoise(*own.inputs(1)).float().square().mean()
        return list(torch.autograd.grad(loss, bank.factors("unet")))

    right, found = gradients(nullcontext()), gradients(made.used())
    apart = torch.stack([(a - b).norm() for a, b in zip(found, right, strict=True)]).norm()
    report.note("compiled", "gradients apart", float(apart / torch.stack([a.norm() for a in right]).norm()), "")
    seconds = bench.medians({"plain": plain, "compiled": compiled_step})
    report.ratio(f"{bench.word}: compiled step / plain", seconds["compiled"] / seconds["plain"], at_most=1.0)


@torch.inference_mode()
def drawing(bench: Bench) -> None:
    """Seconds of a picture, so many at once: guided passes, and decoding one by one."""
    own, report = bench.own, bench.report
    bank = bench.bank(1, trainable=False)
    passes: dict[str, Callable[[], object]] = {}
    for pictures in (1, 4, 8):

        def draw(inputs: tuple[Any, ...] = own.inputs(2 * pictures)) -> None:  # with and without the text
            with bank.attached():
                own.denoise(*inputs)

        if report.guarded(f"drawing {pictures}", draw):
            passes[str(pictures)] = draw
    passed = bench.medians(passes)
    seconds = {int(count): PICTURE_STEPS * value / int(count) for count, value in passed.items()}
    latents = own.inputs(1)[0]

    def decode() -> None:
        took = bench.medians({"decoding": lambda: own.decode(latents)})["decoding"]
        report.note("drawing", "decoding", took, "s a picture")

    report.guarded("decoding", decode)
    for pictures, value in seconds.items():
        report.note("drawing", f"{PICTURE_STEPS} steps, {pictures} at once", value, "s a picture")
    if 1 in seconds and 8 in seconds:
        report.ratio(f"{bench.word}: drawn one by one / eight at once", seconds[1] / seconds[8], at_least=1.0)


PARTS: dict[str, Callable[[Bench], None]] = {
    "step": steps,
    "memory": memory,
    "mixed": mixed,
    "switching": switching,
    "compiled": compiled,
    "sweep": sweep,
    "drawing": drawing,
}


def measure_shape(
    shape: str, device: torch.device, report: Report, parts: Sequence[str], tiny: bool, rounds: int
) -> None:
    """All that is asked for of one shape."""
    own = make_base(shape, device, tiny=tiny)
    bench = Bench(own, report, TINY_ROUNDS if tiny else rounds, f"{shape}, tiny" if tiny else shape)
    for name in parts:
        report.guarded(name, partial(PARTS[name], bench))


def describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        made = torch.cuda.get_device_properties(device)
        return f"{made.name}, {made.total_memory / 2**30:.0f} GB"
    return machine()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--true-shape", action="append", choices=shapes(), help="sd1 without; can be repeated")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; can be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures as one document")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, few rounds: a smoke check")
    given = parser.parse_args(argv)
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    tiny = given.quick or device.type == "cpu"
    report = Report(describe_device(device))
    print(f"{report.device}, torch {torch.__version__}" + (": tiny shapes, no figures to quote" if tiny else ""))
    unnamed = ["sd1", "anima"] if given.quick else shapes() if tiny else ["sd1"]
    for shape in given.true_shape or unnamed:
        print(f"{shape}:", flush=True)
        report.shape = shape
        report.guarded(
            "all", partial(measure_shape, shape, device, report, given.part or list(PARTS), tiny, given.rounds)
        )
    for each in report.ratios:
        print(ratio_line(each["name"], each["value"], at_most=each.get("at_most"), at_least=each.get("at_least")))
    if given.json is not None:
        document = {
            "device": report.device,
            "torch": torch.__version__,
            "tiny": tiny,
            "rank": RANK,
            "shapes": report.shapes,
            "ratios": report.ratios,
            "failed": report.failed,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if report.failed:
        sys.exit(f"failed: {', '.join(report.failed)}")


if __name__ == "__main__":
    main()
