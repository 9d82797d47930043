"""What a layout of a tagger's folder says: which files, which tags in which order, and how the model wants pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.errors import DatasetError

Array = npt.NDArray[np.float32]
Row = tuple[int, str, int]
"""(the model's output, name, category) of a tag."""
EDGE, STRETCHED = "edge", "stretched"
_LARGEST_LIST = 64 << 20  # bytes; the longest public list has 5 MB


@dataclass(frozen=True)
class TagList:
    """The files of one tagger, and the `names` and `categories` of the model's outputs `columns`."""

    model: Path
    tags: Path
    names: tuple[str, ...]
    categories: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """A kind of tagger: `models` and `tags` are file names (the first model that is there is taken), `read` gives the
    tags of a list by the model's outputs.

    `gives_way_to`: another layout's file in the same folder, which goes before. The model wants its input in `form`,
    with the colours in the axis `channels`; `to_input` makes that of pictures as (images, side, side, BGR) in 0..255,
    `to_scores` makes 0..1 of what comes out. `whole`: the list names every output.

    Pictures are made smaller by `shrink` and filled up to a square with the colour `margin`, go on as their EDGE does,
    or are STRETCHED; with `zooms`, of a picture that is no square the squares around what is drawn are seen
    (`images.crops.find_squares`), and their scores averaged. Of several outputs of the model the first of `outputs`
    (names or numbers) is taken, else the first that there is. `is_own` tells a list from another layout's of the same
    name.
    """

    name: str
    models: tuple[str, ...]
    tags: str
    read: Callable[[Path], list[Row]]
    form: str
    channels: int
    to_input: Callable[[Array], Array]
    to_scores: Callable[[Array], Array]
    whole: bool
    gives_way_to: tuple[str, ...] = ()
    margin: str = "white"
    zooms: tuple[float, ...] = ()
    shrink: Image.Resampling = Image.Resampling.BOX
    outputs: tuple[str | int, ...] = ()
    is_own: Callable[[Path], bool] | None = None

    def recognises(self, folder: Path) -> bool:
        """Whether the tagger in `folder` is of this layout."""
        tags = folder / self.tags
        if not tags.is_file() or any((folder / name).is_file() for name in self.gives_way_to):
            return False
        return self.is_own is None or self.is_own(tags)

    def choose_output(self, names: Sequence[str]) -> int:
        """Which of a model's outputs, by their names, are the tags' scores."""
        numbers = (names.index(one) if one in names else one for one in self.outputs)
        return next((number for number in numbers if isinstance(number, int) and number < len(names)), 0)

    def read_list(self, folder: Path) -> TagList:
        """What stands in a folder that it recognises. Raises DatasetError for what is no tag list."""
        tags = folder / self.tags
        model = next(folder / name for name in self.models if (folder / name).is_file())
        if tags.stat().st_size > _LARGEST_LIST:
            raise DatasetError(f"larger than {_LARGEST_LIST >> 20} MB, which no tag list is.", where=tags)
        rows = self.read(tags)
        if not rows:
            raise DatasetError("an empty tag list.", where=tags)
        columns, names, categories = zip(*rows, strict=True)
        return TagList(model, tags, names, categories, columns)
