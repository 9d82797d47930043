"""The folders that kohya's GUI makes: img/N_name, reg/N_name, log/, model/."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from lorasmith.dataset.folders import Found, find_files, printable, read_repeats
from lorasmith.dataset.sources.folder import check_images, count, local_origin, pieces
from lorasmith.dataset.sources.source import PLAIN, Offer, SourceKind, SourceOptions

_LEARNT = ("img", "image", "images")
_OF_CLASS = ("reg", "regularization", "regularisation", "reg_images", "reg_data")
_PASSED_OVER = frozenset(("log", "logs", "model", "models", "output", "sample", "samples"))


def offer_kohya_folders(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The pictures of img/, with the repeats of its `N_name` folders; those of reg/ are class images; log/ and model/
    are passed over. Raises DatasetError when img/ holds no picture."""
    learnt = find_learnt(path)
    if learnt is None:
        return None
    of_class = next((path / name for name in _OF_CLASS if (path / name).is_dir()), None)
    rest = [child for child in path.iterdir() if child.is_dir() and child.name.casefold() in _PASSED_OVER]
    label, found = path.resolve().name, find_files(learnt, follow_links=options.follow_links)
    check_images(learnt, found)
    outside = find_files(path, leave_out=[learnt, *rest, *([of_class] if of_class else [])])
    regs = find_files(of_class, follow_links=options.follow_links) if of_class else Found((), (), ())
    own = pieces(learnt, found, lambda place: local_origin(label, place))
    loose = pieces(path, outside, lambda place: local_origin(label, place))
    class_images = [*pieces(of_class, regs, lambda place: local_origin(label, place))] if of_class else []
    said = [f"{learnt.name}/ with the repeats of {', '.join(_folders(learnt))}"]
    said += [f"{of_class.name}/ as class images ({len(regs.images)})"] if of_class and regs.images else []
    said += [f"{', '.join(f'{child.name}/' for child in sorted(rest))} passed over"] if rest else []
    return Offer(
        "kohya's folders",
        label,
        count(found) + count(outside),
        chain(own, loose),
        class_images if regs.images else (),
        said=(f"The folders of kohya's trainer: {'; '.join(said)}.",),
    )


def find_learnt(path: Path) -> Path | None:
    """The folder of the pictures to learn, where `path` is laid out so; else None."""
    if not path.is_dir():
        return None
    return next((path / name for name in _LEARNT if (path / name).is_dir() and _folders(path / name)), None)


def _folders(path: Path) -> list[str]:
    """Its `N_name` folders."""
    counted = (child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return sorted(printable(name) for name in counted if (read := read_repeats(name)) and read[1])


KIND = SourceKind("the folders of kohya's trainer (img/N_name, reg/)", offer_kohya_folders)
