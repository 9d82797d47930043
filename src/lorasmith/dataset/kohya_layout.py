"""The folders that kohya's GUI makes (img/N_name, reg/N_name, log/, model/), told by names: on a disk, in a zip."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lorasmith.dataset.folders import Found, Place, find_files, printable, read_repeats
from lorasmith.events import Note, Work

_LEARNT = ("img", "image", "images")
_OF_CLASS = ("reg", "regularization", "regularisation", "reg_images", "reg_data")
_PASSED_OVER = frozenset(("log", "logs", "model", "models", "output", "sample", "samples"))


@dataclass(frozen=True)
class KohyaLayout:
    """Names of folders below one root: `learnt` has the pictures to learn, "" where their `N_name` folders (`counted`)
    lie in the root itself; `of_class` the class images, "" without; `passed_over` what else that trainer makes."""

    learnt: str
    counted: tuple[str, ...]
    of_class: str
    passed_over: tuple[str, ...]

    def describe(self, of_class: str) -> str:
        """What was understood, in one line; `of_class` says what becomes of the class images, "" without any."""
        counted = ", ".join(map(printable, self.counted))
        said = [f"{self.learnt}/ with the repeats of {counted}" if self.learnt else f"the repeats of {counted}"]
        said += [of_class] if of_class else []
        said += [f"{', '.join(f'{name}/' for name in self.passed_over)} passed over"] if self.passed_over else []
        return f"The folders of kohya's trainer: {'; '.join(said)}."


def find_layout(children: Mapping[str, Collection[str]]) -> KohyaLayout | None:
    """The layout of a root with these folders, each with the folders in it; None where it is another.

    A root is laid out so when img/ has `N_name` folders, or when the root and reg/ both have.
    """
    learnt = next((name for name in _LEARNT if _counted(children.get(name, ()))), "")
    of_class = next((name for name in _OF_CLASS if name in children), "")
    counted = _counted(children[learnt] if learnt else children)
    if not learnt and not (counted and _counted(children.get(of_class, ()))):
        return None
    passed_over = (name for name in children if name.casefold() in _PASSED_OVER and name != learnt)
    return KohyaLayout(learnt, tuple(counted), of_class, tuple(sorted(passed_over)))


def read_layout(root: Path, *, follow_links: bool = False) -> KohyaLayout | None:
    """The layout of a folder on disk; None where it is another, or what is no folder. Linked folders count only where
    links are followed."""
    return find_layout({name: _folders(root / name, follow_links) for name in _folders(root, follow_links)})


def find_root(
    root: Path, prefix: str, leave_out: Collection[Path], project: Path, *, follow_links: bool
) -> Work[Found]:
    """What lies in a folder of images, as `find_files`; in one that kohya's GUI made, with the repeats of img/N_name,
    and without the class images, of which a note says how the recipe of the project in `project` names them."""
    layout = read_layout(root, follow_links=follow_links)
    if layout is None:
        return find_files(root, prefix, leave_out, follow_links=follow_links)
    of_class, said = root / layout.of_class, ""
    if layout.of_class and (count := len(find_files(of_class, follow_links=follow_links).images)):
        place = of_class.relative_to(project) if of_class.is_relative_to(project) else of_class
        folder = json.dumps(place.as_posix(), ensure_ascii=False)
        said = f'{layout.of_class}/ ({count} class images) is for preserve.kind = "images", preserve.folder = {folder}'
    apart = [*leave_out, *(root / name for name in (layout.of_class, *layout.passed_over) if name)]
    found = find_files(
        root / layout.learnt, f"{prefix}{layout.learnt}/" if layout.learnt else prefix, apart, follow_links=follow_links
    )
    if layout.learnt:
        found = _joined(found, find_files(root, prefix, [*apart, root / layout.learnt], follow_links=follow_links))
    yield Note(layout.describe(said))
    return found


def _joined(one: Found, other: Found) -> Found:
    def by_name(places: Iterable[Place]) -> tuple[Place, ...]:
        return tuple(sorted(places, key=lambda place: place.name))

    return Found(
        by_name((*one.images, *other.images)),
        by_name((*one.captions, *other.captions)),
        (*one.problems, *other.problems),
        by_name((*one.others, *other.others)),
    )


def _folders(path: Path, follow_links: bool) -> list[str]:
    try:
        found = [child for child in path.iterdir() if not child.name.startswith(".") and child.is_dir()]
    except OSError:
        return []
    return [child.name for child in found if follow_links or not child.is_symlink()]


def _counted(names: Collection[str]) -> list[str]:
    """The `N_name` folders among these."""
    return sorted(name for name in names if (read := read_repeats(name)) and read[1])
