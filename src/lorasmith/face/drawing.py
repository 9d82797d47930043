"""Drawing with adapters: pipelines by base, and adapters by file, run or project."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.face.watching import See, run
from lorasmith.generation.defaults import random_seed
from lorasmith.generation.spec import PictureSpec
from lorasmith.project import EMBEDDED, FILE_NAME, open_project
from lorasmith.remedies import Action, Do

if TYPE_CHECKING:
    from lorasmith.bases.precision import Precision, Weights
    from lorasmith.generation.pictures import Picture
    from lorasmith.generation.pipeline import Pipeline


class Pipelines:
    """Pipelines with adapters, by base. The last one is kept; it goes before another base is loaded, so that two bases
    need not fit into memory together. Sent to a worker it opens them again there.

    With `skip_unknown` adapters act without what of them cannot be used.
    """

    def __init__(
        self,
        adapters: Sequence[Path],
        precision: Precision = "auto",
        weights: Weights = "full",
        skip_unknown: bool = False,
    ) -> None:
        from lorasmith.adapters.cache import AdapterCache
        from lorasmith.library.lookup import LibraryLookup

        self._given = tuple(adapters), precision, weights, skip_unknown
        self._source = AdapterCache(list(adapters), skip_unknown=skip_unknown, elsewhere=LibraryLookup())
        self._kept: dict[str, Pipeline] = {}

    def __reduce__(self) -> tuple[type[Pipelines], tuple[object, ...]]:
        return Pipelines, self._given

    def __call__(self, base: str) -> Pipeline:
        """Raises BaseError."""
        from lorasmith.bases.base import open_base
        from lorasmith.generation.pipeline import Pipeline

        if base not in self._kept:
            _, precision, weights, _ = self._given
            self._kept.clear()
            gc.collect()
            self._kept[base] = Pipeline(open_base(base, precision, weights=weights), self._source)
        return self._kept[base]


def open_pipeline(
    base: str | Path = EMBEDDED, adapters: Sequence[Path | str] = (), skip_unknown: bool = False
) -> Pipeline:
    """A base that is loaded, with adapters beside it (files or folders), for several calls of `draw`. With
    `skip_unknown` adapters act without what of them cannot be used. Raises BaseError.

        pipeline = lorasmith.open_pipeline("doodle", ["adapters"])
    """
    files = [Path(each).expanduser() for each in adapters]
    return Pipelines(files, skip_unknown=skip_unknown)(str(base))


def draw(
    prompt: str,
    *,
    base: str | Path | Pipeline = EMBEDDED,
    adapters: Sequence[Path | str] = (),
    n: int = 1,
    seed: int | None = None,
    out: Path | str | None = None,
    see: See | None = None,
    **values: Any,
) -> list[Picture]:
    """Draw `n` pictures, with the seeds from `seed` on (a random one when None); ``<lora:NAME:0.8>`` calls an adapter.

    `adapters` are files or folders. `values` are a picture's other fields: `negative`, `steps`, `cfg`, `sampler`,
    `width`, `height`, `hires` ... (`lorasmith.generation.spec.PictureSpec`). With `out` they are saved under free names
    there.
    Raises UsageError, PromptError, AdapterError, RefusedError, BaseError.

        pictures = lorasmith.draw("1girl, smile <lora:zbk:0.8>", adapters=["adapters"], n=4, steps=20)
        pictures[0].image.show()
    """
    from lorasmith.generation.pipeline import Pipeline

    first = random_seed() if seed is None else seed
    specs = [make_spec(prompt, first + number, values) for number in range(n)]
    pipeline = base if isinstance(base, Pipeline) else open_pipeline(base, adapters)
    pictures = run(pipeline.draw(specs), see)
    if out is not None:
        for picture in pictures:
            save_free(picture, Path(out).expanduser())
    return pictures


def make_spec(prompt: str, seed: int, values: Mapping[str, Any]) -> PictureSpec:
    """A picture by its fields. Raises UsageError for one that there is not."""
    known = [field.name for field in fields(PictureSpec)]
    for name in values:
        if name not in known:
            hint = did_you_mean(name, known) or f"A picture has {', '.join(known)}."
            raise UsageError("a picture has no such field.", where=name, hint=hint)
    return PictureSpec(**{**values, "prompt": prompt, "seed": seed})


def save_free(picture: Picture, out: Path, kind: str = "png") -> Path:
    """Save under the next free name in `out`. Raises StorageError."""
    from lorasmith.generation.pictures import FORMATS, encode_picture
    from lorasmith.storage.files import add_file

    suffix = f".{kind}"
    return add_file(out, "picture", suffix, encode_picture(picture, FORMATS[suffix]))


def find_adapters(given: Path) -> list[Path]:
    """An adapter file itself; a run's adapters in the order of training, the final one last; a project's newest; what
    is called so in the user's library.

    Raises UsageError where there is none.
    """
    from lorasmith.adapters.runs import newest_adapters, run_adapters

    if given.is_file():
        return [given]
    if not given.is_dir():
        return _find_in_library(given)
    found = newest_adapters(given / "runs") or run_adapters(given)
    if found:
        return found
    raise UsageError(
        "holds no adapter (.safetensors).",
        where=given,
        hint="Train one first:",
        remedy=Do(Action.TRAIN, project="PROJECT"),
    )


def _find_in_library(given: Path) -> list[Path]:
    from lorasmith.library.lookup import LibraryLookup

    library = LibraryLookup()
    found = library.entries(str(given))
    if len(found) > 1:
        several = ", ".join(str(entry.path) for entry in found[:5])
        raise UsageError("calls several adapters of the library.", where=given, hint=f"Say which: {several}.")
    if not found:
        near = library.near(str(given))
        hint = f"Did you mean {' or '.join(near)}?" if near else None
        raise UsageError("no such file or folder, and not in the library.", where=given, hint=hint)
    return [found[0].path]


def base_of(adapter: Path) -> str:
    """The base that the project around an adapter file trains on; the embedded one when there is no project."""
    from lorasmith.recipe.recipe import read_recipe

    for folder in adapter.resolve().parents:
        if (folder / FILE_NAME).is_file():
            return read_recipe(open_project(folder)).base
    return EMBEDDED
