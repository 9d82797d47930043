"""Drawing a picture again from its own file, by whatever tool: what of it can be done, and whether it is the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.errors import BaseError, ImageError, PromptError
from lorasmith.events import Note, Work
from lorasmith.project import EMBEDDED
from lorasmith.prompts.networks import split_networks
from lorasmith.remedies import Action, Do, Give, Sentence

if TYPE_CHECKING:
    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.generation.pictures import Picture, PictureFile
    from lorasmith.generation.spec import PictureSpec
    from lorasmith.library.lookup import LibraryLookup


@dataclass(frozen=True)
class Comparison:
    """Whether a picture is the recorded one, and how many of 255 it is off where it is most."""

    same: bool
    message: str
    difference: int | None = None


def redo_picture(
    recorded: PictureFile,
    adapters: Sequence[Path] = (),
    *,
    base: str | None = None,
    init: Path | None = None,
    mask: Path | None = None,
    yes: bool = False,
    skip_unknown: bool = False,
) -> Work[Picture]:
    """Draw a picture again as its file tells. Adapters and the base are found by their hashes in the user's library,
    too, whatever they are called there. What another tool's text says and cannot be done here is listed in an error;
    with `yes` it is left out. With `skip_unknown` adapters act without what of them cannot be used.

    Raises ImageError, for another adapter than the file's hashes name too, BaseError likewise, PromptError, UsageError.
    """
    import torch

    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.bases.base import open_base
    from lorasmith.bases.detection import find_base
    from lorasmith.generation.foreign.web_ui import hash_name
    from lorasmith.generation.pictures import Drawing
    from lorasmith.generation.pipeline import Pipeline
    from lorasmith.library.lookup import LibraryLookup

    spec = recorded.restore(init, mask)
    library = LibraryLookup()
    source = AdapterCache(list(adapters), skip_unknown=skip_unknown, elsewhere=library)
    spec = yield from _check_adapters(recorded, spec, source, library)
    _check_embeddings(recorded, spec, source)
    name = _name_base(recorded, base, library)
    undone = [*list_undone(recorded, init), *_check_base(recorded, find_base(name))]
    if undone and not yes:
        listed = "".join(f"\n  - {line}" for line in undone)
        raise ImageError(
            f"drawing it here would leave out, or do otherwise:{listed}",
            where=recorded.path,
            remedy=Sentence("Draw it all the same with ", Give("yes"), "."),
        )
    for line in undone:
        yield Note(f"not as it was: {line}", level="warning")
    drawing = recorded.drawing or Drawing()
    loaded = open_base(name, drawing.precision if recorded.drawing else "auto", weights=drawing.weights)
    if drawing.threads:
        torch.set_num_threads(drawing.threads)
    pipeline = Pipeline(loaded, source)
    told = {hash_name(name).lower() for name, *_ in _recorded_embeddings(recorded)}
    for each in pipeline.preparer.prepare(spec).embeddings:
        if hash_name(each.name).lower() not in told:
            yield Note(f'the embedding "{each.name}" acts here; the picture lists no such one.', level="warning")
    picture = yield from pipeline.redraw(spec, drawing)
    return replace(picture, origin=(recorded.document or {}).get("origin"))


def list_undone(recorded: PictureFile, init: Path | None = None) -> list[str]:
    """A line for each thing that its text says and drawing it here leaves out; `init` is the picture that it was drawn
    over, when that is at hand."""
    reading = recorded.reading
    if reading is None:
        return []
    lines = list(reading.undone)
    if reading.strength is not None and init is None:
        lines.append(
            f"it was drawn over another picture ({reading.strength:g} of it anew), which its text does not hold: "
            f"{Give('init', 'FILE')}"
        )
    return lines


def _recorded_base(recorded: PictureFile) -> tuple[str | None, str | None]:
    """The name and the hash of the base that the file tells."""
    if recorded.reading is not None:
        return recorded.reading.base, recorded.reading.base_hash
    values = (recorded.document or {}).get("base")
    return (values.get("name"), values.get("hash")) if isinstance(values, dict) else (None, None)


def _name_base(recorded: PictureFile, wanted: str | None, library: LibraryLookup) -> str:
    name, digest = _recorded_base(recorded)
    if wanted is not None:
        return wanted
    if name == EMBEDDED:
        return EMBEDDED
    found = library.by_hash(digest, "base") if digest else library.entries(name or "", "base")
    if len(found) == 1:
        return str(found[0].path)
    raise BaseError(
        f'it was drawn on "{name or "a base that it does not name"}".',
        where=recorded.path,
        remedy=Sentence("Say with ", Give("base"), " where that is."),
    )


def _check_base(recorded: PictureFile, path: Path) -> list[str]:
    """Raise BaseError when the recorded hash names another base. A line for a hash that says nothing of this one."""
    from lorasmith.bases.doodle import doodle_folder
    from lorasmith.bases.hashing import hash_base

    _, told = _recorded_base(recorded)
    if not told:
        return []
    found = hash_base(path)
    theirs = told.lower().removeprefix("0x")
    if found.startswith(theirs) or (path.is_file() and theirs == _old_hash(path)):
        return []
    if recorded.reading is not None and path.is_dir() and path != doodle_folder():
        return [f"Model hash: {told} (of a file; {path} is a folder, which cannot be compared)"]
    raise BaseError(
        f"it was drawn on other weights: {theirs[:10]}, this base has {found[:10]}.",
        where=recorded.path,
        remedy=Sentence("Give the base it was drawn on with ", Give("base"), "."),
    )


def _old_hash(path: Path) -> str:
    """The web UI's hash of a checkpoint before 2023: 8 digits of 64 KiB at 1 MiB (`sd_models.py`, `model_hash`)."""
    with path.open("rb") as opened:
        opened.seek(0x100000)
        return hashlib.sha256(opened.read(0x10000)).hexdigest()[:8]


def _check_adapters(
    recorded: PictureFile, spec: PictureSpec, source: AdapterCache, library: LibraryLookup
) -> Work[PictureSpec]:
    """The spec with adapters called as they are here. Raises ImageError where a recorded hash names another file."""
    told = _recorded_hashes(recorded)
    for name in dict.fromkeys(_called(spec)):
        theirs = told.get(name) or told.get(name.replace(":", "").replace(",", ""))
        if theirs is None:
            continue
        missing: PromptError | None = None
        found: list[str] = []
        try:
            found = list(_hashes(source.path(name)))
        except PromptError as fault:
            missing = fault
        if any(_agrees(theirs, digest) for digest in found):
            continue
        other = _find_by_hash(theirs, source) or (yield from _find_in_library(theirs, source, library))
        if other is not None:
            yield Note(f'adapter "{name}" is "{other}" here: its hash is the same.')
            spec = _renamed(spec, name, other)
        elif missing is not None:
            raise PromptError(
                missing.message,
                where=missing.where or recorded.path,
                hint=f"{missing.hint or ''} A hub may know it by its hash:".strip(),
                remedy=Do(Action.FETCH, reference=theirs[:64].removeprefix("0x")),
            )
        else:
            raise ImageError(
                f'was drawn with another adapter "{name}": {theirs[:12]}, this one is {found[0][:12]}.',
                where=recorded.path,
                remedy=Sentence("Say with ", Give("adapters"), " where the right one is."),
            )
    return spec


def _recorded_hashes(recorded: PictureFile) -> dict[str, str]:
    if recorded.reading is not None:
        return dict(recorded.reading.adapters)
    listed = (recorded.document or {}).get("adapters") or []
    found = {each.get("name"): each.get("hash") for each in listed if isinstance(each, dict)}
    return {str(name): digest for name, digest in found.items() if isinstance(digest, str)}


def _check_embeddings(recorded: PictureFile, spec: PictureSpec, source: AdapterCache) -> None:
    """Raise PromptError where an embedding that the file names is not there, ImageError where it is another one."""
    from lorasmith.generation.foreign.web_ui import hash_name

    told = _recorded_embeddings(recorded)
    words = source.words_of(list(_called(spec)) if told else [])
    called = {hash_name(name): name for name in words.called}
    for name, digest, vectors in told:
        if hash_name(name).lower() not in called:
            raise PromptError(
                f'embedding "{name}" is not there{f": {digest[:12]}" if digest else ""}.',
                where=recorded.path,
                hint="It belongs into the folder of the adapters, or into embeddings beside it.",
            )
        own = words.get(called[hash_name(name).lower()])
        same = (
            own.digest == vectors if vectors else any(_agrees(digest, each) for each in (own.hash, own.former) if each)
        )
        if not same:
            raise ImageError(
                f'was drawn with another embedding "{name}": {(digest or vectors)[:12]}, this one is '
                f"{(own.hash if digest else own.digest)[:12]}.",
                where=recorded.path,
                remedy=Sentence("Say with ", Give("adapters"), " where the right one is."),
            )


def _recorded_embeddings(recorded: PictureFile) -> list[tuple[str, str, str]]:
    """(name, hash of the file, hash of the vectors) of each that the file names; "" for what is not told."""
    if recorded.reading is not None:
        return [(name, digest, "") for name, digest in recorded.reading.embeddings.items()]
    listed = (recorded.document or {}).get("embeddings") or []
    found = [[each.get(key) for key in ("name", "hash", "vectors")] for each in listed if isinstance(each, dict)]
    return [(name, str(digest or ""), str(vectors or "")) for name, digest, vectors in found if isinstance(name, str)]


def _called(spec: PictureSpec) -> Iterator[str]:
    for text in (spec.prompt, (spec.hires.prompt or "") if spec.hires else ""):
        for network in split_networks(text, "a1111").networks:
            yield network.name


def _hashes(path: Path) -> Iterator[str]:
    """The hashes that tools call an adapter file by: of its payload, what its header says that is, of the file."""
    from lorasmith.adapters.container import read_header
    from lorasmith.adapters.header import MODEL_HASH, addnet_hash

    yield addnet_hash(path)
    metadata = read_header(path).metadata
    for key in (MODEL_HASH, "modelspec.hash_sha256"):
        if metadata.get(key):
            yield metadata[key].lower().removeprefix("0x")
    with path.open("rb") as opened:
        yield hashlib.file_digest(opened, "sha256").hexdigest()


def _agrees(told: str, digest: str) -> bool:
    return digest.startswith(told.lower().removeprefix("0x")[:64])


def _find_by_hash(told: str, source: AdapterCache) -> str | None:
    """The one adapter whose header tells this hash (the web UI does so: `infotext_pasted`)."""
    from lorasmith.adapters.header import MODEL_HASH

    found = [entry.name for entry in source.entries() if _agrees(told, entry.metadata.get(MODEL_HASH, "").lower())]
    return found[0] if len(found) == 1 else None


def _find_in_library(told: str, source: AdapterCache, library: LibraryLookup) -> Work[str | None]:
    """What calls the file of the library that has this hash; files that have no hash yet are read until it is found."""
    digits = told.lower().removeprefix("0x")
    found, index = library.by_hash(digits), library.index()
    if not found and index is not None and index.unhashed():
        yield from index.hash_until(digits)
        found = library.by_hash(digits)
    if not found:
        return None
    entry = found[0]
    try:
        if source.path(entry.name).samefile(entry.path):
            return entry.name
    except (PromptError, OSError):
        pass  # another file has its name
    return entry.sha256 or str(entry.path)


def _renamed(spec: PictureSpec, name: str, other: str) -> PictureSpec:
    def rename(text: str) -> str:
        return re.sub(rf"(<(?:lora|lyco):\s*){re.escape(name)}(?=\s*[:>])", lambda found: found[1] + other, text)

    hires = spec.hires
    if hires is not None and hires.prompt:
        hires = replace(hires, prompt=rename(hires.prompt))
    return replace(spec, prompt=rename(spec.prompt), hires=hires)


def compare_pictures(recorded: PictureFile, picture: Picture) -> Comparison:
    """Whether the new picture is the recorded one, and if not how far it is off."""
    from PIL import Image, ImageChops

    from lorasmith.generation.spec import hash_pixels

    if recorded.pixels is not None and recorded.pixels == hash_pixels(picture.image):
        return Comparison(True, "the same to the bit")
    with Image.open(recorded.path) as opened:
        before = opened.convert("RGB")
    if before.size != picture.image.size:
        return Comparison(False, f"another size: {before.width}x{before.height} before")
    ranges: Any = ImageChops.difference(before, picture.image).getextrema()
    most = max(high for _, high in ranges)
    if recorded.pixels is None:
        message = f"drawn from another tool's text; the largest difference is {most} of 255"
    elif recorded.drawing is None:
        message = f"the largest difference is {most} of 255: it shared its passes with pictures of other adapters"
    else:
        message = f"the largest difference is {most} of 255: another machine or another release of torch"
    return Comparison(False, message, most)
