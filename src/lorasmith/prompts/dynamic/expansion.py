"""From a template to prompts, each with the seeds that give it again, alone.

A prompt depends on its template, the mode, its turn and its prompt seed, and on nothing else: not on how many others
were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

from lorasmith.errors import PromptError, did_you_mean
from lorasmith.prompts.dynamic.drawing import render, roll, rolls
from lorasmith.prompts.dynamic.nodes import Method
from lorasmith.prompts.dynamic.template import Template, read_template
from lorasmith.prompts.dynamic.ways import MANY, Ways
from lorasmith.prompts.dynamic.wildcards import Wildcards
from lorasmith.tags.refusal import refuse

MODES: tuple[Method, ...] = get_args(Method)
MOST_UNASKED = 10_000
GREATEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Seeds:
    """Where the seeds of picture `turn` come from.

    `image` is the first picture's seed; the next ones count on, or all share it with `fixed`. A prompt's seed is its
    image's, unless `prompt` unlinks it: then it is that number, counting on (so that each base may get other prompts
    for the same image seeds, and the other way round).
    """

    image: int = 0
    prompt: int | None = None
    fixed: bool = False

    def of(self, turn: int) -> tuple[int, int]:
        """(image seed, prompt seed) of a picture."""
        image = self.image if self.fixed else self.image + turn
        return image, image if self.prompt is None else self.prompt + turn


@dataclass(frozen=True)
class Expansion:
    """One prompt out of a template, and all that is needed to get it again."""

    template: str
    mode: Method
    turn: int
    seed: int
    prompt_seed: int
    prompt: str

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return asdict(self)


def expand(
    template: str | Template,
    n: int | None = None,
    seed: int | Seeds = 0,
    mode: Method = "random",
    wildcards: Wildcards | None = None,
    *,
    first: int = 0,
    keep_missing: bool = False,
) -> Iterator[Expansion]:
    """The prompts of turns `first` to `first + n - 1`, one by one, nothing computed ahead.

    Combinatorial: `n` None gives all there are (an error beyond 10,000), and no more than there are. Otherwise `n`
    None is one. Raises PromptError for what cannot be read, and RefusedError for a prompt that must not be drawn.
    """
    if mode not in MODES:
        hint = did_you_mean(str(mode), MODES) or f"Known: {', '.join(MODES)}."
        raise PromptError(f"mode = {mode!r}: unknown.", where="template", hint=hint)
    seeds = seed if isinstance(seed, Seeds) else Seeds(seed)
    if first < 0:
        raise PromptError(f"first = {first} is not between 0 and the number of prompts.", where="template")
    for word, value in (("n", n), ("seed", seeds.image), ("prompt seed", seeds.prompt)):
        if value is not None and not 0 <= value <= GREATEST_SEED:
            raise PromptError(f"{word} = {value} is not between 0 and {GREATEST_SEED}.", where="template")
    read = template if isinstance(template, Template) else read_template(template, wildcards, keep_missing)
    ways = Ways()
    if mode == "combinatorial":
        total = ways.count(read.node)
        if n is None and total > MOST_UNASKED:
            raise PromptError(
                f"gives {tell_count(total)} prompts.", where="template", hint="Say how many of them you want."
            )
        n = min(total - first, total if n is None else n)
    return _expand(read, 1 if n is None else n, seeds, mode, first, ways)


def _expand(template: Template, n: int, seeds: Seeds, mode: Method, first: int, ways: Ways) -> Iterator[Expansion]:
    node = template.node
    for turn in range(first, first + n):
        image, prompt_seed = seeds.of(turn)
        if mode == "random":
            prompt = roll(node, prompt_seed, turn, ways)
        else:
            prompt = render(node, mode, turn, ways, rolls(prompt_seed).__next__)
        # No refused phrase has a comma in it, so the parts together are looked at as the whole would be; dynamic
        # prompts repeat their parts, whose look is remembered.
        refuse(prompt.split(","), "prompt")
        yield Expansion(template.text, mode, turn, image, prompt_seed, prompt)


def count_prompts(template: str | Template, wildcards: Wildcards | None = None, keep_missing: bool = False) -> int:
    """How many prompts a template gives in combinatorial mode, without expanding it; counts stop at `ways.MANY`.

    What is rolled (`{~...}`) or goes round (`{@...}`) does not multiply.
    """
    read = template if isinstance(template, Template) else read_template(template, wildcards, keep_missing)
    return Ways().count(read.node)


def tell_count(count: int) -> str:
    """A count in words for a person."""
    return "more than 10^100" if count >= MANY else f"{count:,}" if count < 10**15 else f"about {count:.1e}"
