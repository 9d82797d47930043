"""A dataset file of kohya's trainer: TOML or JSON with [[datasets]] and their [[datasets.subsets]]."""

from __future__ import annotations

import json
import os.path
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lorasmith.dataset.folders import CAPTION_EXTENSION, CAPTION_EXTENSIONS, Problem, class_words, printable
from lorasmith.dataset.sources.kohya_keys import OF_THE_RECIPE, shared_settings, unused_keys
from lorasmith.dataset.sources.source import (
    PLAIN,
    Offer,
    Origin,
    Piece,
    SourceKind,
    SourceOptions,
    file_piece,
    text_piece,
)
from lorasmith.errors import DatasetError, near_names
from lorasmith.images.opening import is_image_name

DATASET_FILE = "dataset.toml"
_LARGEST = 256 << 20
Table = Mapping[str, Any]


def offer_kohya(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The pictures of every subset, in a folder `<num_repeats>_<class_tokens>` each. `path`: the file, or the folder of
    a dataset.toml. As with kohya's trainer, folders are not searched deeper, and the caption's extension is .caption
    unless the file says otherwise. Regularisation images become class images; of the other keys each is taken over or
    named. Raises DatasetError naming the wrong key."""
    del options
    inside = path.is_dir()
    path = path / DATASET_FILE if inside else path
    if path.suffix.lower() not in (".toml", ".json") or not os.path.isfile(path):
        return None
    where = printable(str(path))
    table = _read(path, where)
    if "datasets" not in table:
        if inside or path.suffix.lower() == ".json":
            return None
        near = near_names("datasets", table, count=1)
        hint = f'It says "{near[0]}": did you mean "datasets"?' if near else "It has [[datasets]], with subsets."
        raise DatasetError("not a dataset file of kohya's trainer.", where=where, hint=hint)
    listed: list[Piece | Problem] = []
    of_class: list[Piece | Problem] = []
    learnt: list[Table] = []
    for number, (subset, general) in enumerate(_subsets(table, where), start=1):
        values = {**general, **subset}
        listed += _subset(path.parent, values, f"{where}: subset {number}")
        if values.get("is_reg") is True:
            of_class += _class_images(path.parent, values, f"{where}: subset {number}")
        else:
            learnt.append(values)
    if not any(isinstance(piece, Piece) and piece.is_image for piece in listed):
        raise DatasetError("no images in the folders that it names.", where=where, hint="Check image_dir.")
    settings, differing = shared_settings(learnt)
    listed += [Problem("setting", key, path, "differs between the subsets; not taken over.") for key in differing]
    recipes = sorted({key for values in learnt for key in values if key in OF_THE_RECIPE})
    said = [f"Taken over into [recipe]: {', '.join(settings)}."] if settings else []
    said += [f"Left to [recipe], which has its own: {', '.join(recipes)}."] if recipes else []
    return Offer("kohya dataset file", path.resolve().parent.name, len(listed), listed, of_class, settings, tuple(said))


def _read(path: Path, where: str) -> Table:
    try:
        if path.stat().st_size > _LARGEST:
            raise DatasetError("too large for a dataset file.", where=where)
        data = path.read_bytes()
        table = tomllib.loads(data.decode("utf-8-sig")) if path.suffix.lower() == ".toml" else json.loads(data)
    except OSError as fault:
        raise DatasetError(f"cannot be opened: {fault.strerror}.", where=where) from None
    except (ValueError, RecursionError) as fault:
        kind = path.suffix[1:].upper()
        raise DatasetError(f"not valid {kind}: {str(fault)[:120] or 'nested too deeply'}.", where=where) from None
    return table if isinstance(table, dict) else {}


def _subsets(table: Table, where: str) -> Iterator[tuple[Table, Table]]:
    """(subset, what holds for it unless it says otherwise): a dataset's keys go before those of [general]."""
    general = _is_table(table.get("general", {}), f"{where}: [general]")
    for dataset in _are_tables(table["datasets"], f"{where}: [[datasets]]"):
        for subset in _are_tables(dataset.get("subsets", []), f"{where}: [[datasets.subsets]]"):
            yield subset, {**general, **dataset}


def _is_table(value: object, where: str) -> Table:
    if not isinstance(value, dict):
        raise DatasetError(f"{value!r:.60}: not a table.", where=where)
    return value


def _are_tables(value: object, where: str) -> Sequence[Table]:
    if not isinstance(value, list):
        raise DatasetError(f"{value!r:.60}: not a list of tables.", where=where, hint="Write it in [[ ]].")
    return [_is_table(one, where) for one in value]


def _subset(home: Path, values: Table, where: str) -> Iterator[Piece | Problem]:
    folder = _folder(home, values, where)
    shown = printable(folder.name)
    if values.get("is_reg") is True:
        yield Problem("regularisation", shown, folder, "regularisation images; not part of what is learnt.")
        return
    repeats, words = values.get("num_repeats", 1), values.get("class_tokens", "")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or not isinstance(words, str):
        raise DatasetError(
            f"num_repeats = {repeats!r:.40}, class_tokens = {words!r:.40}: not a number and a text.", where=where
        )
    if repeats < 1:
        yield Problem("folder", shown, folder, f"{repeats} repeats: left out, as kohya's trainer does.")
        return
    for key, message in unused_keys(values):
        yield Problem("setting", printable(f"{shown}: {key}"), folder, message)
    top = _top(folder, repeats, words)
    texts = _metadata(home, values, where)
    yield from _pieces(folder, top, _extension(values), texts)


def _class_images(home: Path, values: Table, where: str) -> Iterator[Piece | Problem]:
    """The pictures of a subset with is_reg; their repeats only even out numbers there, and so are one here."""
    folder, words = _folder(home, values, where), values.get("class_tokens")
    top = _top(folder, 1, words if isinstance(words, str) else "")
    yield from _pieces(folder, top, _extension(values), {})


def _top(folder: Path, repeats: int, words: str) -> str:
    words = words or class_words(folder.name) or folder.name
    return f"{repeats}_{'_'.join(words.replace('/', ' ').split())}"


def _extension(values: Table) -> str:
    """With its dot, which the trainer adds where it is missing (library/train_util.py, DreamBoothSubset)."""
    given = str(values.get("caption_extension") or values.get("caption_extention") or ".caption")
    return given if given.startswith(".") else f".{given}"


def _folder(home: Path, values: Table, where: str) -> Path:
    given = values.get("image_dir")
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise DatasetError(
            f"image_dir = {given!r:.60}: not a folder.", where=where, hint="Name the folder of its images."
        )
    folder = Path(given.replace("\\", "/")).expanduser()
    folder = home / folder if os.path.isdir(home / folder) else folder
    if not os.path.isdir(folder):
        raise DatasetError(f'image_dir = "{printable(given)}": no such folder.', where=where, hint="Correct the path.")
    return folder


def _metadata(home: Path, values: Table, where: str) -> Mapping[str, str]:
    """Captions by stem, of a `metadata_file`: {picture: {"tags", "caption"}}."""
    given = values.get("metadata_file")
    if not isinstance(given, str):
        return {}
    file = home / given if os.path.isfile(home / given) else Path(given)
    table = _read(file, f"{where}: metadata_file = {printable(given)}")
    texts = {}
    for key, value in table.items():
        if isinstance(value, dict):
            stated = [value.get("caption"), value.get("tags")]
            texts[Path(key.replace("\\", "/")).stem if _has_extension(key) else Path(key).name] = ", ".join(
                text for text in stated if isinstance(text, str) and text
            )
    return texts


def _has_extension(key: str) -> bool:
    return is_image_name(Path(key))


def _pieces(folder: Path, top: str, extension: str, texts: Mapping[str, str]) -> Iterator[Piece | Problem]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if not is_image_name(path):
            if path.suffix.lower() not in (*CAPTION_EXTENSIONS, ".npz", ".toml", extension.lower()):
                yield Problem(
                    "other", printable(f"{folder.name}/{path.name}"), path, "neither a picture nor a caption."
                )
            continue
        if not path.is_file():
            yield Problem("unreadable", printable(f"{folder.name}/{path.name}"), path, "not a file that can be read.")
            continue
        place = PurePosixPath(top, path.name)
        origin = Origin(source=printable(f"{folder.name}/{path.name}"))
        yield file_piece(place, path, origin)
        caption = path.with_name(path.stem + extension)
        if os.path.isfile(caption):  # NOTE: Path.is_file raises where the name gets too long
            yield file_piece(place.with_suffix(CAPTION_EXTENSION), caption, Origin())
        elif texts.get(path.stem):
            yield text_piece(place, texts[path.stem], origin)


KIND = SourceKind("a dataset file of kohya's trainer", offer_kohya)
