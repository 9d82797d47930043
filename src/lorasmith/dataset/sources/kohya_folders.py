"""The folders that kohya's GUI makes: img/N_name, reg/N_name, log/, model/."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from lorasmith.dataset.folders import Found, find_files
from lorasmith.dataset.kohya_layout import read_layout
from lorasmith.dataset.sources.folder import check_images, count, local_origin, pieces
from lorasmith.dataset.sources.source import PLAIN, Offer, SourceKind, SourceOptions


def offer_kohya_folders(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The pictures of img/, with the repeats of its `N_name` folders; those of reg/ are class images; log/ and model/
    are passed over. Raises DatasetError when img/ holds no picture."""
    layout = read_layout(path, follow_links=options.follow_links)
    if layout is None:
        return None
    learnt, label = path / layout.learnt, path.resolve().name
    of_class = path / layout.of_class if layout.of_class else None
    apart = [path / name for name in layout.passed_over] + ([of_class] if of_class else [])
    found = find_files(learnt, leave_out=apart, follow_links=options.follow_links)
    check_images(learnt, found)
    outside = find_files(path, leave_out=[learnt, *apart]) if layout.learnt else Found((), (), ())
    regs = find_files(of_class, follow_links=options.follow_links) if of_class else Found((), (), ())
    own = pieces(learnt, found, lambda place: local_origin(label, place))
    loose = pieces(path, outside, lambda place: local_origin(label, place))
    class_images = [*pieces(of_class, regs, lambda place: local_origin(label, place))] if of_class else []
    return Offer(
        "kohya's folders",
        label,
        count(found) + count(outside),
        chain(own, loose),
        class_images if regs.images else (),
        said=(layout.describe(f"{layout.of_class}/ as class images ({len(regs.images)})" if regs.images else ""),),
        class_folder=layout.of_class if regs.images else "",
    )


KIND = SourceKind("the folders of kohya's trainer (img/N_name, reg/)", offer_kohya_folders)
