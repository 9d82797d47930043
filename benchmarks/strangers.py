"""Twenty folders of strangers, the whole road by its defaults: new, curate auto, tag, plan, train, and what came of it.

The sets are those of ``python doodle/strangers.py`` (rendered there before; ``--quick`` takes two of the small ones in
tests/strangers). What an adapter draws is judged by what the renderer knows (`stranger_truth`), with the embedded judge
beside it for style, shape of the hair and expressions.

Run: python -m benchmarks.strangers [--quick] [--only NAME ...] [--label WORD] [--set KEY=VALUE ...] [--out DIR]. The
figures of every set stay in DIR/LABEL/NAME.json, so that it goes on where it was stopped; processes can share the work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.stranger_truth import Truth, confusing, cut_square, is_portrait_of, read_truth
from benchmarks.timing import machine, ratio_line
from lorasmith.bases.base import Base, open_base
from lorasmith.bases.doodle import tagger_folder, world
from lorasmith.bases.tag_space import NOUNS, TagSpace, read_tag_space
from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.events import Done, finish
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.figures import wilson
from lorasmith.exam.judges import TaggerJudge, exact_judge
from lorasmith.exam.settings import ExamTable
from lorasmith.face.rounds import adopt_round
from lorasmith.face.stages import gather_tags, tidy_images, train_project
from lorasmith.project import Project, SubjectKind, open_project
from lorasmith.storage.files import write_file
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.words import split_tags

HERE = Path(__file__).parents[1]
SETS = Path(os.environ.get("DOODLE_WORK", HERE / "doodle/work")) / "strangers"
SMALL = HERE / "tests/strangers"
STRENGTHS = (0.6, 0.8, 1.0, 1.2)
BESIDE = (0.8, 1.0)
"""Strengths at which flexibility and leakage are counted."""
COVERS = {
    "eyepatch": ("glasses", "sunglasses"),
    "scar": ("face mask", "sunglasses"),
    "face-paint": ("beard",),
    "cheek-discs": ("beard",),
}
"""Accessories that would hide a trait."""
COVERS_SKIN = {"big-smile": ("face mask", "mustache")}
"""By style: accessories where skin is looked for (seen in 0 and 3 of 6 of the renderer's own pictures with them)."""
QUICK = {"target_steps": "4", "preserve.kind": '"none"', "save_every": '"100 steps"'}
"""Over the recipe, where only whether it runs is asked."""
Counts = dict[str, list[int]]


@dataclass(frozen=True)
class Asked:
    """A prompt with its seed; the figure's style and tags by group that must be seen; `bare`: without the trigger."""

    prompt: str
    seed: int
    style: str | None
    tags: Mapping[str, str]
    bare: str = ""


class Bench:
    """What all sets share: the base, the judge, its world, and the base's own pictures."""

    def __init__(self, out: Path, pictures: int, faithful: float | None = None) -> None:
        self.out = out
        self.faithful = faithful
        self.pictures = pictures
        self.base: Base = open_base("doodle", "auto", "exam")
        self.judge: TaggerJudge = exact_judge(tagger_folder())
        self.space: TagSpace = read_tag_space(world())
        self.settings = ExamTable.model_validate({"steps": 8})

    def draw(self, rows: Sequence[Row], adapters: Sequence[Path] = ()) -> list[Image.Image]:
        artist = PipelineArtist(self.base, adapters, self.settings)
        pictures: list[Image.Image] = []
        for start in range(0, len(rows), 16):
            pictures += artist.draw(rows[start : start + 16])
        return pictures

    @cached_property
    def bare(self) -> dict[str, list[Image.Image]]:
        """Portraits by the base alone, of people of each of its styles, kept on disk."""
        found: dict[str, list[Image.Image]] = {}
        for style, spec in world()["styles"].items():
            if spec.get("held_out"):
                continue
            random = np.random.default_rng(len(style))
            folder = self.out / "bare" / style
            files = [folder / f"{number}.png" for number in range(24)]
            if not all(file.exists() for file in files):
                rows = [Row(self._portrait(spec["tag"], random), 900 + number, None) for number in range(24)]
                folder.mkdir(parents=True, exist_ok=True)
                for file, picture in zip(files, self.draw(rows), strict=True):
                    picture.save(file)
            found[style] = [Image.open(file).convert("RGB") for file in files]
        return {**found, "pixel-art": [picture for pictures in found.values() for picture in pictures]}

    def through(self, pictures: Sequence[Image.Image]) -> list[Image.Image]:
        """Square pictures as the base's autoencoder gives them back: nothing that it loses can be learnt."""
        pixels = np.stack([np.asarray(picture.convert("RGB"), np.float32) for picture in pictures]) / 127.5 - 1
        back = self.base.decode_latents(self.base.encode_images(torch.from_numpy(pixels).movedim(3, 1))).float()
        shades = ((back.movedim(1, 3) + 1) * 127.5).round().byte().numpy()
        return [Image.fromarray(each) for each in shades]

    def _portrait(self, style: str, random: np.random.Generator) -> str:
        while True:
            drawn = {**self.space.draw(random), "shot": "portrait"}
            if drawn["style"] == style:
                return ", ".join(self.space.prompt(self.space.visible(drawn)))


def make_project(bench: Bench, truth: Truth, root: Path) -> Project:
    """new, curate auto, tag --tagger doodle: as the road's defaults have it, but for the dial of what captions leave
    out where that was given; what is there already stays."""
    if (root / "lora.toml").exists():
        return open_project(root)
    options = SourceOptions(False, "")
    finish(
        create_project(
            root,
            subject=SubjectKind(truth.kind),
            name=None,
            trigger=str(truth.told["trigger"]),
            sources=[truth.folder],
            options=options,
        )
    )
    if bench.faithful is not None:
        file = root / "lora.toml"
        file.write_text(file.read_text("utf-8").replace("[tags]\n", f"[tags]\nfaithful = {bench.faithful}\n"), "utf-8")
    project = open_project(root)
    prior = bench.out / "prior"
    prior.mkdir(parents=True, exist_ok=True)
    project.cache.mkdir(exist_ok=True)
    (project.cache / "prior").symlink_to(prior.resolve())  # the base's own pictures are alike for all sets
    finish(tidy_images(project))
    finish(gather_tags(project, finish(read_dataset(project)), tagger="doodle"))
    return project


def curated(project: Project, truth: Truth) -> dict[str, list[str]]:
    """Good pictures that are lost (of mirror images one may go), and what of the spoiled and foreign was found."""
    kept = {item.name for item in finish(read_dataset(project)).items}
    files = truth.told["files"]
    mirrored = {each["same_as"]: name for name, each in files.items() if each["spoiled"] == "mirrored"}
    lost = [n for n, e in files.items() if e["good"] and n not in kept and mirrored.get(n) not in kept]
    found = [e["spoiled"] for n, e in files.items() if e["spoiled"] and (n not in kept or e["same_as"] not in kept)]
    return {"lost": lost, "found": found, "other": [n for n, e in files.items() if e["other"] and n not in kept]}


def named_groups(project: Project, truth: Truth) -> frozenset[str]:
    """The groups of a character's fixed attributes, and of its style, that most captions name: prompts do, too."""
    captions = list(write_captions(project, finish(read_dataset(project))).captions.values())
    fixed = {**truth.told["identity"], "style": truth.told["style"]}
    said = {group: sum(tag_of(group, value) in split_tags(text) for text in captions)
            for group, value in fixed.items() if value}  # fmt: skip
    return frozenset(group for group, count in said.items() if count > len(captions) / 2)


def tag_of(group: str, value: str) -> str:
    """The tag of an attribute's value, as captions have it."""
    return (
        str(world()["styles"][value]["tag"])
        if group == "style"
        else f"{value} {NOUNS[group]}"
        if group in NOUNS
        else value
    )


def questions(
    bench: Bench, truth: Truth, named: frozenset[str], count: int, seed: int, accessory: bool = False
) -> list[Asked]:
    """Prompts as the captions are, with the trigger; `accessory`: with one that no training picture shows."""
    random = np.random.default_rng([seed, len(truth.told["name"])])
    told, styles, misleading = truth.told, world()["styles"], confusing(truth)
    shown = {str(each["seen"].get("accessory")) for each in told["files"].values() if each["good"]}
    asked = []
    while len(asked) < count:
        own = (
            told["style"]
            or list(told["places"] or [s for s, spec in styles.items() if not spec.get("held_out")])[len(asked) % 4]
        )
        tag = styles[own]["tag"]
        drawn = bench.space.draw(random)
        if (tag in bench.space.styles() and drawn["style"] != tag) or drawn.get("background") in misleading:
            continue
        free = {"shot": "portrait"} | {g: drawn[g] for g in ("eyes", "mouth", "clothing", "background") if g in drawn}
        if truth.kind != "character":
            free |= {group: drawn[group] for group in ("hair", "hair colour", "skin") if group in drawn}
        if told["pixels"] is not None:
            free.pop("background", None)
        extra = {}
        if accessory:
            covering = (*COVERS.get(told["trait"], ()), *COVERS_SKIN.get(own, ()), *shown)
            known = [value for value in bench.space.within("accessory", tag) if value not in covering]
            extra = {"accessory": known[len(asked) % len(known)]}
        free = bench.space.visible({**free, **extra})
        if truth.kind == "character":
            free |= {g: tag_of(g, value) for g, value in told["identity"].items() if g in named}
            free |= {"style": tag} if "style" in named else {}
        body = ", ".join(free[group] for group in bench.space.groups if group in free)
        who = f"{told['trigger']}, {body}" if told["style"] or told["pixels"] else f"{told['trigger']}, {tag}, {body}"
        must = dict(extra)
        if told["pixels"] is None:
            must["style"] = tag
            identity = told["identity"]
            if "hair" in identity:
                must["hair"] = identity["hair"]
        bare = body if "style" in named and told["style"] else f"{tag}, {body}"
        asked.append(Asked(who, int(random.integers(2**31)), own, must, bare))
    return asked


def is_right(truth: Truth, asked: Asked, picture: Image.Image, seen: Mapping[str, str | None]) -> dict[str, bool]:
    """Everything that must be seen, by name: marks by the renderer's truth, the rest by the judge."""
    marks = truth.marks(picture, None if truth.look else asked.style)
    # A hat, or hair that nobody has a word for, makes the shape of the hair no matter of the judge.
    blind = truth.told["trait"] in ("cone-hat", "box-hat", "goggles", "pink-green-hair", "blue-orange-hair", "headband")
    named = {group: tag for group, tag in asked.tags.items() if not (group == "hair" and blind)}
    return marks | {group: seen.get(group) == tag for group, tag in named.items()}


def limit(bench: Bench, truth: Truth) -> list[int]:
    """How many of the set's own good portraits count as right when the base's autoencoder gives them back, of how
    many: more than that share no adapter of this base can reach."""
    good = [(name, each["seen"]) for name, each in truth.told["files"].items()
            if each["good"] and (truth.look or is_portrait_of(each, each["seen"]["style"]))]  # fmt: skip
    back = bench.through([cut_square(truth.folder / name) for name, _ in good])
    right = 0
    for picture, (_, seen), told in zip(back, good, bench.judge.describe(back), strict=True):
        style = tag_of("style", seen["style"])
        must = {} if truth.look else {"style": style}
        if "hair" in truth.told["identity"] and not truth.look:
            must["hair"] = truth.told["identity"]["hair"]
        right += all(is_right(truth, Asked("", 0, seen["style"], must), picture, told).values())
    return [right, len(good)]


def measure(bench: Bench, truth: Truth, adapter: Path, named: frozenset[str]) -> dict[str, Any]:
    """Hits at each strength, flexibility over the base's, leakage against the base on the same seeds, untriggered."""
    n = bench.pictures
    result: dict[str, Any] = {"hits": {}, "marks": {}, "flexibility": {}, "leakage": {}, "untriggered": {}}
    hits = questions(bench, truth, named, n, 1)
    flexible = [] if truth.look else questions(bench, truth, named, n, 2, accessory=True)
    random = np.random.default_rng(3)
    leaks = [(", ".join(bench.space.prompt(drawn)), bench.space.hidden(drawn), 700 + k)
             for k in range(n) if (drawn := bench.space.draw(random))]  # fmt: skip
    rows = [Row(asked.prompt, asked.seed, adapter, strength) for strength in STRENGTHS for asked in hits]
    rows += [Row(asked.prompt, asked.seed, adapter, strength) for strength in BESIDE for asked in flexible]
    rows += [Row(prompt, seed, adapter, strength) for strength in BESIDE for prompt, _, seed in leaks]
    rows += [Row(asked.bare, asked.seed, adapter, 1.0) for asked in hits]
    rows += [Row(asked.bare, asked.seed, None) for asked in flexible]
    rows += [Row(prompt, seed, None) for prompt, _, seed in leaks]
    pictures = bench.draw(rows, [adapter])
    judged = iter(zip(pictures, bench.judge.describe(pictures), strict=True))
    for strength in STRENGTHS:
        answers = [is_right(truth, asked, *next(judged)) for asked in hits]
        result["hits"][f"{strength:g}"] = [sum(all(each.values()) for each in answers), n]
        result["marks"][f"{strength:g}"] = {key: sum(each[key] for each in answers) for key in answers[0]}
    able: dict[str, list[bool]] = {
        f"{s:g}": [all(is_right(truth, asked, *next(judged)).values()) for asked in flexible] for s in BESIDE
    }
    drawn_with = {f"{s:g}": [next(judged)[1] for _ in leaks] for s in BESIDE}
    came = [all(is_right(truth, asked, *next(judged)).values()) for asked in hits]
    alone = [next(judged)[1].get("accessory") == asked.tags["accessory"] for asked in flexible]
    bare = [next(judged)[1] for _ in leaks]
    for key, answers in able.items():
        result["flexibility"][key] = [sum(answers), sum(alone)]
    for key, seen in drawn_with.items():
        changed = [
            any(one.get(group) != two.get(group) for group in one if group not in hidden)
            for one, two, (_, hidden, _) in zip(seen, bare, leaks, strict=True)
        ]
        result["leakage"][key] = [sum(changed), n]
    result["untriggered"]["1"] = [sum(came), n]
    _keep_sheet(bench, truth, pictures[: len(STRENGTHS) * n], adapter)
    return result


def _keep_sheet(bench: Bench, truth: Truth, pictures: Sequence[Image.Image], adapter: Path) -> None:
    """The first eight hits at each strength, to look at."""
    sheet = Image.new("RGB", (8 * 128, len(STRENGTHS) * 128))
    for place, picture in enumerate(pictures):
        row, column = divmod(place, bench.pictures)
        if column < 8:
            sheet.paste(picture.resize((128, 128)), (column * 128, row * 128))
    sheet.save(adapter.parent / f"strengths-{truth.told['name']}.png")


def run_set(
    bench: Bench, file: Path, label: str, settings: Mapping[str, str], rounds: int = 1
) -> dict[str, Any] | None:
    """The road of one set, or what is there of it; None where another process is at it. `rounds` = 2: with a second
    round of pictures that its first adapter draws."""
    name = file.stem
    document = bench.out / label / f"{name}.json"
    if document.exists():
        found: dict[str, Any] = json.loads(document.read_text("utf-8"))
        return found
    document.parent.mkdir(parents=True, exist_ok=True)
    claim = document.with_suffix(".claim")
    if claim.exists() and _is_alive(int(claim.read_text() or 0)):
        return None
    claim.write_text(str(os.getpid()))
    truth = read_truth(file, bench.bare, bench.through)
    project = make_project(bench, truth, bench.out / "projects" / name)
    named = named_groups(project, truth)
    began = time.monotonic()
    run = project.runs / label
    done = finish(train_project(project, settings, run=run, resume=run.exists()))
    assert isinstance(done, Done)
    adopted = None
    if rounds > 1:
        again = run.with_name(f"{label}-2")
        if not again.exists():
            adopted = finish(adopt_round(project, done.adapter))
        done = finish(train_project(project, settings, run=again, resume=again.exists()))
        assert isinstance(done, Done)
    trained = time.monotonic() - began
    result = {
        "name": name,
        "kind": truth.kind,
        "curated": curated(project, truth),
        "separations": {key: round(value, 3) for key, value in truth.separations().items()},
        "limit": limit(bench, truth),
        "trained_seconds": round(trained, 1),
        "named": sorted(named),
        **({} if adopted is None else {"round": adopted.as_json() | {"made": len(adopted.made)}}),
        **measure(bench, truth, done.adapter, named),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_file(document, json.dumps(result, indent=1).encode())
    claim.unlink()
    return result


def _is_alive(process: int) -> bool:
    return process > 0 and Path(f"/proc/{process}").exists()


def tell(results: Sequence[Mapping[str, Any]]) -> None:
    """A line a set: hits at each strength, flexibility and leakage at 0.8 and 1."""
    print(
        f"{'set':9} {'kind':9}"
        + "".join(f"  hits {s:<4g}" for s in STRENGTHS)
        + "  flex 0.8   1    leak 0.8   1   uncalled"
    )
    for each in results:
        hits = "".join(f"  {k / n:5.2f}    " for k, n in each["hits"].values())
        beside = "".join(f" {k / n if n else float('nan'):6.2f}" for key in ("flexibility", "leakage")
                         for k, n in each[key].values())  # fmt: skip
        k, n = each["untriggered"]["1"]
        print(f"{each['name']:9} {each['kind']:9}{hits}{beside}  {k / n:.2f}")
    for kind in ("character", "style", "concept"):
        mine = [each for each in results if each["kind"] == kind]
        if mine:
            _tell_kind(kind, mine)


def _tell_kind(kind: str, results: Sequence[Mapping[str, Any]]) -> None:
    for strength in STRENGTHS:
        counts = [each["hits"][f"{strength:g}"] for each in results]
        figure = wilson(sum(k for k, _ in counts), sum(n for _, n in counts))
        shares = [k / n for k, n in counts]
        print(
            f"  {kind}: hits at {strength:g}: median {statistics.median(shares):.2f}, worst {min(shares):.2f}, "
            f"together {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n = {figure.n})"
        )
    for key in ("flexibility", "leakage"):
        for strength in BESIDE:
            counts = [each[key].get(f"{strength:g}", [0, 0]) for each in results]
            shares = [min(1.0, k / n) for k, n in counts if n]
            if shares:
                print(f"  {kind}: {key} at {strength:g}: median {statistics.median(shares):.2f}, "
                      f"worst {(min if key == 'flexibility' else max)(shares):.2f}")  # fmt: skip


def ratios(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of acceptance."""
    lines = []
    people = [each for each in results if each["kind"] == "character"]
    others = [each for each in results if each["kind"] != "character"]
    if people:
        at = {s: [each["hits"][f"{s:g}"][0] / each["hits"][f"{s:g}"][1] for each in people] for s in STRENGTHS}
        best = [max(values) for values in zip(*at.values(), strict=True)]
        wide = [min(at[s][k] for s in (0.6, 0.8, 1.0)) >= max(0.5, 0.75 * best[k]) for k in range(len(people))]
        flexible = [min(1.0, each["flexibility"]["0.8"][0] / max(1, each["flexibility"]["0.8"][1])) for each in people]
        leaks = [each["leakage"]["0.8"][0] / each["leakage"]["0.8"][1] for each in people]
        lines += [
            ratio_line("characters, hits at their best strength, median", statistics.median(best), at_least=0.9),
            ratio_line("characters, hits at their best strength, worst", min(best), at_least=0.75),
            ratio_line("characters, hits at 0.8, median", statistics.median(at[0.8]), at_least=0.85),
            ratio_line("characters usable from 0.6 to 1", sum(wide) / len(wide), at_least=0.75),
            ratio_line("characters, flexibility, median", statistics.median(flexible), at_least=0.75),
            ratio_line("characters, leakage, worst", max(leaks), at_most=0.10),
        ]
    if others:
        best = [max(k / n for k, n in each["hits"].values()) for each in others]
        lines.append(ratio_line("styles and concepts, hits, median", statistics.median(best), at_least=0.8))
    lines.append(ratio_line("good images lost", sum(len(each["curated"]["lost"]) for each in results), at_most=0.0))
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strangers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small sets and few steps: only whether it runs")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these sets alone")
    parser.add_argument("--label", default="defaults", help="a name for these settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over [recipe]")
    parser.add_argument("--pictures", type=int, default=24, help="pictures for each figure of a set")
    parser.add_argument("--out", type=Path, default=HERE / "benchmarks/out/strangers", metavar="DIR")
    parser.add_argument(
        "--faithful", type=float, metavar="X", help="[tags] faithful, in another DIR than the defaults'"
    )
    parser.add_argument("--rounds", type=int, default=1, choices=(1, 2), help="2: as `lorasmith train --rounds 2`")
    parser.add_argument("--tell", action="store_true", help="only tell what is there")
    chosen = parser.parse_args(argv)
    settings = dict(each.split("=", 1) for each in chosen.set)
    folder, out = SETS, chosen.out
    if chosen.quick:
        folder, out, chosen.pictures = SMALL, chosen.out / "quick", 4
        chosen.only = chosen.only or ["ravn", "glod"]
        settings = {**QUICK, **settings}
    files = [file for file in sorted(folder.glob("*.json")) if not chosen.only or file.stem in chosen.only]
    if not files:
        parser.error(f"{folder} has no such sets: node and python doodle/strangers.py make them")
    print(machine())
    if chosen.tell:
        documents = [out / chosen.label / f"{file.stem}.json" for file in files]
        results = [json.loads(document.read_text("utf-8")) for document in documents if document.exists()]
    else:
        bench = Bench(out, chosen.pictures, chosen.faithful)
        made = [run_set(bench, file, chosen.label, settings, chosen.rounds) for file in files]
        results = [each for each in made if each is not None]
    tell(results)
    print("\n".join(ratios(results)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
