"""What prompts cost: parsing beside a grammar of the A1111 language in lark, templates beside dynamicprompts.

Processor time, both sides in alternation in one process. The lark grammar is our own wording of the published one
(Earley, as there); the template has three levels and forty options.

Run: python -m benchmarks.prompts [--quick]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import lark
from dynamicprompts.parser.parse import parse as their_parse

from benchmarks.timing import machine, ratio_line
from lorasmith.prompts import parse
from lorasmith.prompts.dynamic import expand, read_template

GRAMMAR = r"""
start: (prompt | /[][():]/+)*
prompt: (emphasized | scheduled | alternate | plain | WHITESPACE)*
emphasized: "(" prompt ")" | "(" prompt ":" prompt ")" | "[" prompt "]"
scheduled: "[" [prompt ":"] prompt ":" [WHITESPACE] NUMBER [WHITESPACE] "]"
alternate: "[" prompt ("|" [prompt])+ "]"
WHITESPACE: /\s+/
plain: /([^\\\[\]():|]|\\.)+/
%import common.SIGNED_NUMBER -> NUMBER
"""

SHOWCASE = (
    "masterpiece, {2::close-up|upper body|cowboy shot|full body} of zbk, "
    "{smile|grin|{light|heavy} blush|{open|closed} mouth, {happy|sad|angry}}, "
    "{red|blue|green|{dark|light} {purple|orange}} {hat|scarf|{leather|denim|silk} jacket}, "
    "{standing|sitting|{walking|running} {in the rain|at night|by the sea}}, "
    "{city|forest|beach|mountains|{old|new} castle}, {film grain|bokeh|{soft|hard} light}"
)


def long_prompt(length: int = 1_000) -> str:
    """Words with emphasis, edits and alternation, as people write them."""
    pieces = ["a (portrait:1.2) of zbk", "[day:night:0.5]", "detailed background", "((smile))", "[cat|dog] ears"]
    pieces += ["blue hat", "[clouds::8]", "masterpiece", "best quality", "looking at viewer"]
    draw = random.Random(1)
    text = ""
    while len(text) < length:
        text += draw.choice(pieces) + ", "
    return text[:length].rsplit(",", 1)[0]


def alternate(sides: Mapping[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """Median seconds of processor time of one call; each side is called its number of times in a round."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (call, times) in sides.items():
            start = time.process_time()
            for _ in range(times):
                call()
            seconds[name].append((time.process_time() - start) / times)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args(argv).quick
    warnings.simplefilter("ignore")
    print(machine())
    prompt, grammar = long_prompt(), lark.Lark(GRAMMAR)
    template = read_template(SHOWCASE)
    count = 2_000
    seconds = alternate(
        {
            "prompt, ours": (lambda: parse(prompt, 20), 20),
            "prompt, lark": (lambda: grammar.parse(prompt), 1),
            "template, ours": (lambda: read_template(SHOWCASE), 20),
            "template, dynamicprompts": (lambda: their_parse(SHOWCASE), 1),
            f"{count} expansions, ours": (lambda: list(expand(template, count)), 1),
        },
        2 if quick else 7,
    )
    options = SHOWCASE.count("|") + SHOWCASE.count("{")
    print(f"prompt of {len(prompt)} characters; template of {len(SHOWCASE)} characters, {options} options")
    for name, value in seconds.items():
        print(f"{name:>26}: {1000 * value:.3f} ms")
    rate = count / seconds[f"{count} expansions, ours"]
    print(ratio_line("prompt, milliseconds to parse and schedule", 1000 * seconds["prompt, ours"], at_most=1))
    print(ratio_line("prompt, lark / ours", seconds["prompt, lark"] / seconds["prompt, ours"], at_least=100))
    print(ratio_line("random expansions a second / 20,000", rate / 20_000, at_least=1))
    print(
        ratio_line(
            "template, dynamicprompts / ours",
            seconds["template, dynamicprompts"] / seconds["template, ours"],
            at_least=100,
        )
    )


if __name__ == "__main__":
    main()
