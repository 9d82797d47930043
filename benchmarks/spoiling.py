"""The spoiled twin of the character example: does ``lorasmith inspect`` find every planted fault and nothing else?

``python -m benchmarks.spoiling [--keep DIR]``. The faults are listed in `spoiled.toml`, which says what is planted and
which rules have to name which images. With ``--keep`` the clean and the spoiled projects stay, to train from.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from benchmarks.timing import ratio_line
from lorasmith.dataset.findings import Finding
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.examples import copy_example, example_folder
from lorasmith.project import open_project
from lorasmith.tags.inspection import inspect_project

LIST = Path(__file__).with_name("spoiled.toml")
_BUNDLE = """
[bundle.zbk]
trigger = "zbk"
folders = ["zbk"]

[bundle.mio]
trigger = "mio"
folders = ["mio"]
"""


@dataclass(frozen=True)
class Fault:
    """One planted fault: `do` with its `values`, the `rules` that must speak, and the `images` that they must name."""

    project: str
    what: str
    do: str
    rules: tuple[str, ...]
    images: tuple[str, ...]
    values: Mapping[str, Any]


def read_faults(project: str) -> tuple[Fault, ...]:
    """The faults of "spoiled" or "clash", in the order of the list."""
    listed = tomllib.loads(LIST.read_text("utf-8"))["fault"]
    return tuple(_fault(values) for values in listed if values.get("project", "spoiled") == project)


def _fault(values: Mapping[str, Any]) -> Fault:
    named = values.get("to") or values["image"]
    return Fault(
        values.get("project", "spoiled"),
        values["what"],
        values["do"],
        tuple(values["rules"]),
        tuple(values.get("images", [named])),
        values,
    )


def make_clean(folder: Path) -> Path:
    """The character example as it is shipped."""
    return copy_example("character", folder)


def make_spoiled(folder: Path) -> Path:
    """The character example with all the faults of "spoiled"."""
    copy_example("character", folder)
    return _plant(folder, read_faults("spoiled"))


def make_bundle(folder: Path) -> Path:
    """A bundle of two characters without faults: the example's, and one called mio, made of the concept example."""
    copy_example("character", folder)
    images = folder / "images"
    for member, source, trigger in (("zbk", images, "zbk"), ("mio", example_folder("concept") / "images", "nyx")):
        (images / member).mkdir()
        for number, image in enumerate(sorted(source.glob("*.png")), start=1):
            target = images / member / f"{member}-{number:02}.png"
            shutil.copyfile(image, target)
            caption = image.with_suffix(".txt").read_text("utf-8")
            target.with_suffix(".txt").write_text(caption.replace(trigger, member), "utf-8")
    for file in images.glob("character-*"):
        file.unlink()
    file = folder / "lora.toml"
    file.write_text(file.read_text("utf-8") + _BUNDLE, "utf-8")
    return folder


def make_clash(folder: Path) -> Path:
    """The bundle with all the faults of "clash"."""
    return _plant(make_bundle(folder), read_faults("clash"))


def look(folder: Path) -> Inspection:
    """What ``lorasmith inspect`` says of a project."""
    project = open_project(folder)
    return finish(inspect_project(project, finish(read_dataset(project))))


def missed(faults: Iterable[Fault], findings: Sequence[Finding]) -> tuple[str, ...]:
    """The faults that no finding names, one line for each rule that kept silent."""
    named = {(finding.rule, image) for finding in _standing(findings) for image in (*finding.images, "")}
    return tuple(
        f"{rule}: {fault.what} ({image})"
        for fault in faults
        for rule in fault.rules
        for image in fault.images or ("",)
        if (rule, image) not in named
    )


def invented(faults: Iterable[Fault], findings: Sequence[Finding], before: Sequence[Finding]) -> tuple[str, ...]:
    """The findings that no planted fault explains and that were not there `before`, in the clean twin.

    A finding may name beside its images those that they were made of.
    """
    faults = tuple(faults)
    expected = {(rule, image) for fault in faults for rule in fault.rules for image in fault.images or ("",)}
    rules = {rule for rule, _ in expected}
    sources = {fault.values["image"] for fault in faults if "image" in fault.values}
    known = {(finding.rule, finding.level) for finding in _standing(before)}
    return tuple(
        f"{finding.rule}: {finding.message}"
        for finding in _standing(findings)
        if (finding.rule, finding.level) not in known
        and (
            finding.rule not in rules
            or (finding.images and not any((finding.rule, image) in expected for image in finding.images))
            or any((finding.rule, image) not in expected and image not in sources for image in finding.images)
        )
    )


def _standing(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.waived is None]


def _plant(folder: Path, faults: Iterable[Fault]) -> Path:
    images = folder / "images"
    for fault in faults:
        _HANDS[fault.do](images, fault.values)
    return folder


def _picture(
    change: Callable[[Image.Image, Mapping[str, Any]], Image.Image],
) -> Callable[[Path, Mapping[str, Any]], None]:
    """Write a changed picture to `to`, with a copy of the caption; without `to`, over the picture itself."""

    def plant(images: Path, values: Mapping[str, Any]) -> None:
        source = images / values["image"]
        target = images / values.get("to", values["image"])
        with Image.open(source) as image:
            changed = change(image.convert("RGB"), values)
        changed.save(target, quality=values.get("quality", 75))  # a PNG has none
        if target != source and "caption" not in values:
            shutil.copyfile(source.with_suffix(".txt"), target.with_suffix(".txt"))

    return plant


def _blur(image: Image.Image, values: Mapping[str, Any]) -> Image.Image:
    """Blur by `sigma` at 512 pixels, where sharpness is measured, and not at the drawing's own size."""
    return image.filter(ImageFilter.GaussianBlur(values["sigma"]))


def _copy(images: Path, values: Mapping[str, Any]) -> None:
    for suffix in (".png", ".txt"):
        shutil.copyfile((images / values["image"]).with_suffix(suffix), (images / values["to"]).with_suffix(suffix))


def _mix(images: Path, values: Mapping[str, Any]) -> None:
    """Another example's picture; `trigger` takes the place of the one in its caption."""
    example, name = values["from"].split("/")
    source = example_folder(example) / "images" / name
    shutil.copyfile(source, images / values["to"])
    caption = source.with_suffix(".txt").read_text("utf-8")
    if "trigger" in values:
        caption = ", ".join([values["trigger"], *caption.split(", ")[1:]])
    (images / values["to"]).with_suffix(".txt").write_text(caption, "utf-8")


def _add(images: Path, values: Mapping[str, Any]) -> None:
    """More tags for one image, or for all that a pattern names."""
    for image in images.glob(values["image"]):
        caption = image.with_suffix(".txt")
        caption.write_text(f"{caption.read_text('utf-8').strip()}, {values['add']}\n", "utf-8")


def _replace(images: Path, values: Mapping[str, Any]) -> None:
    caption = (images / values["image"]).with_suffix(".txt")
    caption.write_text(caption.read_text("utf-8").replace(values["old"], values["new"]), "utf-8")


def _move(images: Path, values: Mapping[str, Any]) -> None:
    (images / values["to"]).parent.mkdir(exist_ok=True)
    for suffix in (".png", ".txt"):
        (images / values["image"]).with_suffix(suffix).rename((images / values["to"]).with_suffix(suffix))


def _truncate(images: Path, values: Mapping[str, Any]) -> None:
    file = images / values["image"]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


_HANDS: Mapping[str, Callable[[Path, Mapping[str, Any]], object]] = {
    "copy": _copy,
    "recompress": _picture(lambda image, _: image),
    "shrink": _picture(lambda image, _: image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)),
    "mirror": _picture(lambda image, _: ImageOps.mirror(image)),
    "blur": _picture(_blur),
    "darken": _picture(lambda image, _: ImageEnhance.Brightness(image).enhance(0.1)),
    "thumbnail": _picture(lambda image, _: image.resize((32, 32), Image.Resampling.BOX)),
    "mix": _mix,
    "caption": _add,
    "replace": _replace,
    "uncaption": lambda images, values: (images / values["image"]).with_suffix(".txt").unlink(),
    "empty": lambda images, values: (images / values["image"]).with_suffix(".txt").write_text("", "utf-8"),
    "orphan": lambda images, values: (images / values["to"]).write_text("smile", "utf-8"),
    "truncate": _truncate,
    "write": lambda images, values: (images / values["to"]).write_text("Remember the tripod.", "utf-8"),
    "move": _move,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spoiling", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the projects there")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.keep or Path(temporary)
        worst, extra = 1.0, 0
        for name, clean, spoilt in (("spoiled", make_clean, make_spoiled), ("clash", make_bundle, make_clash)):
            before = look(clean(root / f"{name}-clean")).findings
            findings = look(spoilt(root / name)).findings
            faults = read_faults(name)
            lacking, more = missed(faults, findings), invented(faults, findings, before)
            count = sum(len(fault.rules) * max(1, len(fault.images)) for fault in faults)
            print(
                f"{name}: {len(faults)} faults, {count - len(lacking)} of {count} verdicts; {len(more)} more findings"
            )
            print(
                "".join(f"  missed {line}\n" for line in lacking) + "".join(f"  extra {line}\n" for line in more),
                end="",
            )
            worst, extra = min(worst, (count - len(lacking)) / count), extra + len(more)
    print(ratio_line("planted faults found", worst, at_least=1.0))
    print(ratio_line("findings beyond the planted faults", extra, at_most=0.0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
