"""Prompts that cost much: their parts have an end, and no say in the memory; they stop between two parts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from lorasmith.bases.base import Base
from lorasmith.errors import PromptError, Stopped
from lorasmith.generation import denoise_calls
from lorasmith.generation.batching import Stepper
from lorasmith.generation.conditioning import TextReader
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts.composition import MOST_SUBPROMPTS

SMALL: dict[str, Any] = {"steps": 2, "width": 64, "height": 64, "sampler": "Euler", "seed": 3}


def parts(count: int, text: str = "red hat {}") -> str:
    return " AND ".join(text.format(number) for number in range(count))


def draw(base: Base, prompt: str) -> Any:
    stepper = Stepper(base)
    stepper.add(PictureSpec(prompt=prompt, **SMALL), "picture")
    while True:
        for _, picture in stepper.step().finished:
            return picture


def count_rows(base: Base, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(rows, vectors of each) of every pass of the denoiser from here on."""
    seen: list[tuple[int, int]] = []
    really = type(base).denoise

    def denoise(self: Base, x: torch.Tensor, t: torch.Tensor, context: Any, size: tuple[int, int]) -> torch.Tensor:
        seen.append((len(context), context.length))
        return really(self, x, t, context, size)

    monkeypatch.setattr(type(base), "denoise", denoise)
    return seen


def test_parts_are_told_in_passes_of_bounded_size(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoise_calls, "MOST_ROWS", 10**6)
    seen = count_rows(tiny_base, monkeypatch)
    whole = draw(tiny_base, parts(40))
    assert seen == [(41, 77)] * 2
    for rows, vectors, most in ((8, 10**6, 8), (10**6, 5 * 77, 5), (10**6, 1, 1)):
        seen.clear()
        monkeypatch.setattr(denoise_calls, "MOST_ROWS", rows)
        monkeypatch.setattr(denoise_calls, "MOST_VECTORS", vectors)
        apart = draw(tiny_base, parts(40))
        assert max(count for count, _ in seen) == most
        assert sum(count for count, _ in seen) == 2 * 41
        a, b = (torch.frombuffer(bytearray(each.image.tobytes()), dtype=torch.uint8).int() for each in (whole, apart))
        assert (a - b).abs().max() <= 2


def test_ordinary_pictures_need_one_pass(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_rows(tiny_base, monkeypatch)
    stepper = Stepper(tiny_base, batch_size=20)
    for number in range(20):
        stepper.add(PictureSpec(prompt=f"hat {number}", **SMALL), number)
    stepper.step()
    assert seen == [(40, 77)]


def test_it_stops_between_two_parts(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoise_calls, "MOST_ROWS", 2)
    seen = count_rows(tiny_base, monkeypatch)
    stepper = Stepper(tiny_base)
    stepper.add(PictureSpec(prompt=parts(40), **SMALL), "picture")
    with pytest.raises(Stopped):
        stepper.step(lambda: len(seen) > 3)
    assert len(seen) == 4
    assert stepper.progress("picture")[0] == 0


def test_a_text_that_changes_is_encoded_when_its_turn_comes(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    really = TextReader.encode

    def encode(self: Any, text: Any, adapter_set: Any) -> Any:
        encoded.append(text)
        return really(self, text, adapter_set)

    monkeypatch.setattr(TextReader, "encode", encode)
    stepper = Stepper(tiny_base)
    stepper.add(PictureSpec(prompt="[red|blue] hat", **{**SMALL, "steps": 4}), "picture")
    counts = [len(encoded)]
    while len(stepper):
        stepper.step()
        counts.append(len(encoded))
    assert counts == [2, 2, 3, 4, 5], "the negative and the first; then one a step"


@pytest.mark.parametrize("count", [MOST_SUBPROMPTS + 1, 3000])
def test_there_is_a_most(tiny_base: Base, count: int) -> None:
    stepper = Stepper(tiny_base)
    with pytest.raises(PromptError, match=f"{count} parts joined by AND, the most are {MOST_SUBPROMPTS}"):
        stepper.add(PictureSpec(prompt=parts(count, "a"), **SMALL), "picture")
    assert len(stepper) == 0
    stepper.add(PictureSpec(prompt=parts(MOST_SUBPROMPTS, "a"), **SMALL), "picture")


LONG = """
import resource
from lorasmith.bases.base import open_base
from lorasmith.generation.batching import Stepper
from lorasmith.generation.spec import PictureSpec

stepper = Stepper(open_base("doodle"))
for prompt in (
    "a b c d " * 2500,
    " AND ".join(["cat"] * 63 + ["a b c d " * 600]),
    "[cat|dog|sky|sea|sun] " + "a b c d " * 2480,
    " ".join(f"[a{n}|b{n}|c{n % 7}]" for n in range(1500))[:20000],
    " AND ".join(["[red|blue|green|x] hat"] * 64),
    "\\u6f22\\u00e9" * 10000,
):
    assert len(prompt) <= 20000
    stepper.add(PictureSpec(prompt=prompt, steps=20), 0)
    for _ in range(2):
        stepper.step()
    stepper.remove(0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_whatever_stands_in_twenty_thousand_characters_memory_is_bounded() -> None:
    told = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 1500, "MiB, on the embedded base"
