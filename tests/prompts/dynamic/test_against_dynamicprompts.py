"""Differential: templates made at random, outside that library's known faults; the same lists, the same chances."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from dynamicprompts.enums import SamplingMethod
from dynamicprompts.sampling_context import SamplingContext
from dynamicprompts.wildcards import WildcardManager

from lorasmith.prompts.dynamic import Wildcards, count_prompts, expand

pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own

SETTLED = 3.9  # standard errors: one template in 10,000 goes beyond


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wildcards")
    (folder / "colours.txt").write_text("red\ngreen\n# no colour\nblue\nred\n")
    (folder / "in").mkdir()
    (folder / "in" / "animals.txt").write_text("cat\n{big|small} dog\n")
    (folder / "tree.yaml").write_text("hats:\n  - cap\n  - 3::beret\nshoes: {old: [boot], new: [clog, sandal]}\n")
    (folder / "list.json").write_text('["one", "two"]')
    return folder


class Maker:
    """Templates of up to three levels. Every option is a word of its own, since the library loses equal ones."""

    def __init__(self, draw: random.Random, weighted: bool = False) -> None:
        self.draw, self.weighted, self.words = draw, weighted, 0

    def word(self) -> str:
        self.words += 1
        return f"w{self.words}"

    def option(self, depth: int) -> str:
        kind = self.draw.random()
        if depth and kind < 0.35:
            return self.choice(depth - 1) + (f" {self.word()}" if kind < 0.15 else "")
        return self.word()

    def choice(self, depth: int) -> str:
        options = [self.option(depth) for _ in range(self.draw.randint(2, 3))]
        head = self.draw.choice(["", "", "", "2$$", "1-2$$", "2$$ & $$", "-2$$", "0-1$$"])
        if self.weighted and self.draw.random() < 0.5:
            options[0] = f"{self.draw.choice(['2', '.5', '3.0'])}::{options[0]}"
        if not head and self.draw.random() < 0.1:
            options.append("")
        return "{" + head + "|".join(options) + "}"

    def template(self) -> str:
        parts = []
        for _ in range(self.draw.randint(1, 3)):
            name = self.word()
            parts.append(
                self.draw.choice(
                    [
                        self.word(),
                        self.choice(2),
                        self.choice(1),
                        self.draw.choice(["__colours__", "__in/*__", "__shoes/**__", "__list__", "{2$$__colours__}"]),
                        f"${{{name}={self.choice(0)}}}${{{name}}}",
                        f"${{{name}:{self.choice(0)}}}",
                        f"%{{{self.word()} ... {self.word()}$${self.choice(0)}}}",
                        f"(x:1.2) [{self.word()}:{self.word()}:0.5] <lora:{self.word()}:0.8>",
                    ]
                )
            )
        return ", ".join(parts)


def theirs(template: str, method: SamplingMethod, folder: Path, n: int, seed: int = 0) -> list[str]:
    context = SamplingContext(
        default_sampling_method=method, wildcard_manager=WildcardManager(folder), rand=random.Random(seed)
    )
    return [str(result) for result in context.sample_prompts(template, n)]


def test_combinatorial_lists_are_equal_in_order(folder: Path) -> None:
    maker_draw, wildcards = random.Random(11), Wildcards(folder)
    compared = 0
    for _ in range(80):
        template = Maker(maker_draw, weighted=True).template()
        count = count_prompts(template, wildcards)
        n = min(count, 200)
        ours = [each.prompt for each in expand(template, n, 0, "combinatorial", wildcards)]
        assert ours == theirs(template, SamplingMethod.COMBINATORIAL, folder, n + (count == n)), template
        compared += len(ours)
    assert compared > 1_000


def test_cyclical_lists_are_equal(folder: Path) -> None:
    maker_draw, wildcards = random.Random(5), Wildcards(folder)
    compared = 0
    for _ in range(40):
        template = Maker(maker_draw).template()
        if "%{" in template:  # the library's cyclical sampler has none
            continue
        ours = [each.prompt for each in expand(template, 20, 0, "cyclical", wildcards)]
        assert ours == theirs(template, SamplingMethod.CYCLICAL, folder, 20), template
        compared += 1
    assert compared > 20


def test_random_draws_are_in_the_set_with_the_librarys_frequencies(folder: Path) -> None:
    maker_draw, wildcards = random.Random(23), Wildcards(folder)
    n, compared = 2_000, 0
    while compared < 8:
        template = Maker(maker_draw, weighted=True).template()
        count = count_prompts(template, wildcards)
        if not 2 <= count <= 60 or "__" in template:
            continue
        known = {each.prompt for each in expand(template, None, 0, "combinatorial", wildcards)}
        ours = Counter(each.prompt for each in expand(template, n, 1, "random", wildcards))
        peer = Counter(theirs(template, SamplingMethod.RANDOM, folder, n))
        assert set(ours) <= known, template
        for prompt in known:
            mean = (ours[prompt] + peer[prompt]) / (2 * n)
            error = (2 * mean * (1 - mean) / n) ** 0.5
            assert abs(ours[prompt] - peer[prompt]) / n <= SETTLED * error + 2 / n, (template, prompt)
        compared += 1


def test_weights_of_wildcards_and_of_picks(folder: Path) -> None:
    wildcards = Wildcards(folder)
    hats = Counter(each.prompt for each in expand("__hats__", 4_000, 3, "random", wildcards))
    assert hats["beret"] / 4_000 == pytest.approx(0.75, abs=0.03)
    pairs = Counter(each.prompt for each in expand("{2$$3::a|b|0::c}", 4_000, 3))
    assert set(pairs) == {"a,b", "b,a"}
    assert pairs["a,b"] / 4_000 == pytest.approx(0.75, abs=0.03)
    sizes = Counter(each.prompt.count(",") for each in expand("{1-3$$a|b|c}", 3_000, 3))
    assert all(sizes[commas] / 3_000 == pytest.approx(1 / 3, abs=0.04) for commas in range(3))
