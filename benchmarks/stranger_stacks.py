"""Stacking (C5): strangers' characters in a stranger's style, two adapters called together, judged by the renderer.

A character in that style is what the style does to the pixels of its own pictures: its colours at their places are
looked for as `stranger_truth` does, with limits learnt from its pictures so changed. The figure is the joint success
over the product of the two alone, on the same seeds: called together, and with the style called apart
(`<lora:NAME:0.8:apart=WORDS>`, docs/prompts.md).

Run: python -m benchmarks.stranger_stacks [--quick] [--style NAME] [--only NAME ...] [--label WORD] [--out DIR] after
`python -m benchmarks.strangers` with that label and DIR, whose adapters it takes. `--quick` trains two small sets for
a few steps and shows only whether it runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.stranger_truth import SIDE, Truth, cut_square, is_portrait_of, read_truth
from benchmarks.strangers import HERE, QUICK, SETS, SMALL, Asked, Bench, named_groups, questions, run_set
from benchmarks.timing import machine, ratio_line
from lorasmith.exam.drawing import Row
from lorasmith.exam.figures import wilson
from lorasmith.project import open_project

Change = Callable[[Image.Image], Image.Image]


def change_of(pixels: str) -> Change:
    """What the maker of strangers does to a square picture's pixels in this style."""
    spec = importlib.util.spec_from_file_location("stranger_styles", HERE / "doodle/stranger_styles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    style = module.STYLES[pixels]
    return lambda picture: style(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), SIDE)


def changed_truth(bench: Bench, file: Path, change: Change) -> Truth:
    """The truth of a character whose pictures, and the base's, are changed so."""
    bare = {style: [change(picture) for picture in pictures] for style, pictures in bench.bare.items()}
    return read_truth(file, bare, lambda pictures: bench.through([change(picture) for picture in pictures]))


def limit(bench: Bench, person: Truth, style: Truth, change: Change) -> list[int]:
    """How many of the character's own portraits, changed and given back by the autoencoder, count as both."""
    good = [name for name, each in person.told["files"].items()
            if each["good"] and is_portrait_of(each, each["seen"]["style"])]  # fmt: skip
    back = bench.through([change(cut_square(person.folder / name)) for name in good])
    own = str(person.told["style"])
    return [sum(_all(person, picture, own) and _all(style, picture, own) for picture in back), len(good)]


def _all(truth: Truth, picture: Image.Image, style: str | None) -> bool:
    return all(truth.marks(picture, style).values())


def with_style(asked: Asked, trigger: str, style: str) -> str:
    """The prompt with the style's trigger behind the character's."""
    return asked.prompt.replace(trigger, f"{trigger}, {style}", 1)


def stack(
    bench: Bench, file: Path, label: str, style: Truth, partner: Path, strengths: tuple[float, float, float]
) -> dict[str, Any]:
    """How often each is right alone, and both together; `strengths`: of the person, the style, and the style apart."""
    strength, other, apart = strengths
    name = file.stem
    project = open_project(bench.out / "projects" / name)
    adapter = project.runs / label / f"{name}.safetensors"
    plain = read_truth(file, bench.bare, bench.through)
    change = change_of(str(style.told["pixels"]))
    both = changed_truth(bench, file, change)
    asked = questions(bench, plain, named_groups(project, plain), bench.pictures, 4)
    trigger, word = str(plain.told["trigger"]), str(style.told["trigger"])
    prompts = [with_style(each, trigger, word) for each in asked]
    rows = [Row(each.prompt, each.seed, adapter, strength) for each in asked]
    rows += [Row(each.prompt.replace(trigger, word, 1), each.seed, partner, other) for each in asked]
    rows += [
        Row(prompt, each.seed, adapter, strength, beside=((partner, other),))
        for prompt, each in zip(prompts, asked, strict=True)
    ]
    call = f"<lora:{partner.stem}:{apart:g}:apart={word}>"
    rows += [Row(f"{each.prompt} {call}", each.seed, adapter, strength) for each in asked]
    pictures = bench.draw(rows, [adapter, partner])
    n, own = len(asked), str(plain.told["style"])
    sheet = Image.new("RGB", (8 * SIDE, 4 * SIDE))
    for row in range(4):
        for column, picture in enumerate(pictures[row * n : row * n + 8]):
            sheet.paste(picture.resize((SIDE, SIDE)), (column * SIDE, row * SIDE))
    sheet.save(bench.out / label / f"stack-{name}-{style.told['name']}.png")
    alone = sum(_all(plain, picture, own) for picture in pictures[:n])
    styled = sum(_all(style, picture, own) for picture in pictures[n : 2 * n])
    seen = [(_all(both, picture, own), _all(style, picture, own)) for picture in pictures[2 * n :]]
    return {
        "name": name,
        "with": style.told["name"],
        "strengths": list(strengths),
        "n": n,
        "ours": alone,
        "theirs": styled,
        "together": _counts(seen[:n]),
        "apart": _counts(seen[n:]),
        "limit": limit(bench, both, style, change),
        "separations": {key: round(value, 3) for key, value in both.separations().items()},
    }


def _counts(seen: Sequence[tuple[bool, bool]]) -> dict[str, int]:
    return {
        "person": sum(person for person, _ in seen),
        "style": sum(look for _, look in seen),
        "joint": sum(person and look for person, look in seen),
    }


def tell(found: Sequence[dict[str, Any]]) -> None:
    """A line a character, and the lines of acceptance."""
    print(f"{'set':9} {'alone':>6} {'style':>6}  limit      joint (person, style in it), over the product")
    ratios: dict[str, list[float]] = {"together": [], "apart": []}
    for each in found:
        n, told = each["n"], []
        product = each["ours"] * each["theirs"] / n / n
        for way, known in ratios.items():
            seen = each[way]
            known.append(seen["joint"] / n / product if product else 0.0)
            joint = wilson(seen["joint"], n)
            told.append(
                f"{way} {seen['joint']} ({seen['person']}, {seen['style']}) {known[-1]:.2f} "
                f"({joint.low / max(product, 1 / n):.2f} to {joint.high / max(product, 1 / n):.2f})"
            )
        own, of = each["limit"]
        print(f"{each['name']:9} {each['ours']:6} {each['theirs']:6}  {own} of {of}   {'   '.join(told)}")
    for way, known in ratios.items():
        words = f"a character with a style, {way}, joint over product, median"
        print(ratio_line(words, statistics.median(known), at_least=0.75))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stranger_stacks", description=__doc__.splitlines()[0])
    parser.add_argument("--style", default="flis", metavar="NAME", help="the style's set (flis keeps colours)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these characters alone")
    parser.add_argument("--label", default="defaults", help="the runs' name")
    parser.add_argument(
        "--strengths",
        nargs=3,
        type=float,
        metavar=("PERSON", "STYLE", "APART"),
        default=(0.8, 0.8, 0.65),
        help="of the adapters; the last: of the style where it acts apart",
    )
    parser.add_argument("--pictures", type=int, default=24, help="pictures for each figure")
    parser.add_argument("--out", type=Path, default=HERE / "benchmarks/out/strangers", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="two small sets and few steps: only whether it runs")
    chosen = parser.parse_args(argv)
    sets = SETS
    if chosen.quick:
        sets, chosen.out, chosen.pictures, chosen.style, chosen.only = SMALL, chosen.out / "quick", 4, "glod", ["ravn"]
    print(machine())
    bench = Bench(chosen.out, chosen.pictures)
    if chosen.quick:
        for name in (*chosen.only, chosen.style):
            run_set(bench, sets / f"{name}.json", chosen.label, QUICK)
    style = read_truth(sets / f"{chosen.style}.json", bench.bare, bench.through)
    partner = chosen.out / "projects" / chosen.style / "runs" / chosen.label / f"{chosen.style}.safetensors"
    if not partner.exists():
        parser.error(f"{partner} is not there: python -m benchmarks.strangers --only {chosen.style} trains it")
    files = []
    for file in sorted(sets.glob("*.json")):
        is_person = json.loads(file.read_text("utf-8"))["kind"] == "character"
        run = chosen.out / "projects" / file.stem / "runs" / chosen.label / f"{file.stem}.safetensors"
        if is_person and run.exists() and (not chosen.only or file.stem in chosen.only):
            files.append(file)
    tell([stack(bench, file, chosen.label, style, partner, tuple(chosen.strengths)) for file in files])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
