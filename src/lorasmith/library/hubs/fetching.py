"""A model from a hub into a folder: the right file of it, checked, with a preview and what the hub says beside it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.container import read_container
from lorasmith.errors import AdapterError, HubError, ImageError, RefusedError, StorageError, UsageError
from lorasmith.events import Note, Work
from lorasmith.library.entry import HubFacts
from lorasmith.library.hubs.civitai import open_civitai
from lorasmith.library.hubs.downloading import Wanted, download, fetch_header, fetch_small
from lorasmith.library.hubs.hub import Hub, HubFile, HubVersion
from lorasmith.library.hubs.huggingface import USUAL_NAME, open_hugging_face
from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE, Reference
from lorasmith.library.sidecars import a1111, civitai_helper
from lorasmith.library.sidecars.beside import sidecar_path
from lorasmith.library.sidecars.sidecar import SidecarFacts, merge_table, read_table
from lorasmith.remedies import Give
from lorasmith.storage.files import replacing
from lorasmith.tags.refusal import refuse

READ = ".safetensors"
PREVIEW = ".preview.png"
PREVIEW_SIDE = 768
LONGEST_DESCRIPTION = 2000
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
"""Names that Windows keeps to itself."""


@dataclass(frozen=True)
class Fetched:
    """What lies in the folder now. `was_there`: the very file lay there before."""

    path: Path
    sha256: str
    version: HubVersion
    preview: Path | None
    sidecars: tuple[Path, ...]
    was_there: bool = False

    @property
    def facts(self) -> HubFacts:
        return self.version.facts(time.time())

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "reference": self.version.reference,
            "name": self.version.name,
            "version": self.version.version,
            "base": self.version.base,
            "triggers": list(self.version.triggers),
            "licence": self.version.licence,
            "preview": None if self.preview is None else str(self.preview),
            "sidecars": [str(path) for path in self.sidecars],
            "was_there": self.was_there,
        }


def open_hub(reference: Reference) -> Hub:
    """The hub that a reference leads to."""
    return open_hugging_face() if reference.hub == HUGGING_FACE else open_civitai(reference.host)


def fetch(hub: Hub, reference: Reference, into: Path, *, name: str = "", mature: bool = False) -> Work[Fetched]:
    """Fetch what is meant into a folder, under the hub's name for it or `name`.

    Mature models and pictures come only when they are asked for. A file that is there already is not fetched again; one
    of that name with other content stays, and is an error. Raises HubError, UsageError, AdapterError for what is no
    sound safetensors file, StorageError, and RefusedError: the list of refusals holds for names, triggers, tags and
    what the file's own header says.
    """
    version = yield from hub.read_version(reference)
    check_version(version, str(reference), mature)
    file = choose_file(version, reference)
    place = into.expanduser().absolute() / place_name(version, file, name)
    if version.guarded:
        yield Note(f"{version.reference} is {version.guarded}.")
    if version.real_person:
        yield Note(f"{version.reference} shows a real person: did that person consent?", "warning")
    was_there = _lies_there(place, file)
    digest = file.sha256
    if not was_there:
        wanted = Wanted(file.path, place, file.size, file.sha256)
        digest = yield from download(hub.connection, wanted, hub.explain, check_file)
    preview = yield from fetch_preview(hub, version, place, mature)
    sidecars = write_sidecars(place, version, digest)
    return Fetched(place, digest, version, preview, sidecars, was_there)


def fetch_start(hub: Hub, reference: Reference, into: Path, *, mature: bool = False) -> Work[Path]:
    """Fetch the header alone of what is meant, which tells what it was trained with: a file in `into` with that header
    and no weights. Raises what `fetch` does."""
    version = yield from hub.read_version(reference)
    check_version(version, str(reference), mature)
    file = choose_file(version, reference)
    place = into / place_name(version, file)
    yield from fetch_header(hub.connection, Wanted(file.path, place, file.size, file.sha256), hub.explain)
    check_file(place)
    return place


def check_version(version: HubVersion, where: str, mature: bool) -> None:
    """Raises RefusedError for what is never fetched, UsageError for what is mature and was not asked for, HubError for
    what is not there any more."""
    refuse(version.words, where)
    if version.mature and not mature:
        raise UsageError(
            "the hub calls it mature.", where=where, hint="If that is what you want:", remedy=Give("mature")
        )
    if version.gone:
        raise HubError(f"{version.gone}.", where=where, hint="Look for another version, or ask its author.", status=410)
    if not version.files:
        raise HubError("the hub names no files of it.", where=where, hint="Look at its page.", status=404)


def choose_file(version: HubVersion, reference: Reference) -> HubFile:
    """The file of a version that is meant. Raises AdapterError where there are pickles only, UsageError where several
    may be meant, HubError for what the hub's own scanners warn of."""
    files = [file for file in version.files if file.is_weights]
    if reference.hash:
        named = [file for file in version.files if any(map(reference.hash.startswith, file.hashes.values()))]
        files = named or files
    if reference.file:
        files = [file for file in version.files if file.name == reference.file]
        if not files:
            names = ", ".join(file.name for file in version.files[:5])
            raise UsageError(
                f"{reference.file}: no such file there.", where=str(reference), hint=f"There are: {names}."
            )
    sound = [file for file in files if file.name.lower().endswith(READ)]
    if not sound:
        kinds = sorted({Path(file.name).suffix for file in files})
        raise AdapterError(
            f"there are only pickled files ({', '.join(kinds)}), which can run code when they are opened: not fetched.",
            where=str(reference),
            hint="Look for a version as .safetensors, or ask its author for one.",
        )
    file = next((each for each in sound if each.primary), sound[0])
    if len(sound) > 1 and not file.primary and version.hub == HUGGING_FACE:
        names = ", ".join(f"hf:{version.model_id}/{each.name}" for each in sound[:5])
        more = f" and {len(sound) - 5} more" if len(sound) > 5 else ""
        raise UsageError(f"{len(sound)} files may be meant.", where=str(reference), hint=f"Say which: {names}{more}.")
    if file.flaw:
        raise HubError(f"{file.flaw}: not fetched.", where=file.name, hint="Look at its page.")
    return file


def place_name(version: HubVersion, file: HubFile, wish: str = "") -> str:
    """What a file is called on this computer: one name, whatever the hub says. Raises UsageError for such a wish."""
    if wish:
        stem = wish.removesuffix(READ)
        if stem != safe_stem(stem):
            raise UsageError(f'"{wish}" is no name for a file.', field="name", hint=f'Such as "{safe_stem(stem)}".')
        return f"{stem}{READ}"
    given = file.name.replace("\\", "/").rpartition("/")[2]
    if given == USUAL_NAME:  # everybody's file is called so there
        given = f"{version.model_id.rpartition('/')[2]}{READ}"
    return f"{safe_stem(given[: -len(READ)])}{READ}"


def safe_stem(text: str) -> str:
    """The text as the stem of a file that every system takes, and that a prompt can call."""
    kept = re.sub(r"[\x00-\x1f\x7f<>:\"/\\|?*]+", "_", text).strip(" ._")[:120].strip(" ._") or "unnamed"
    return f"_{kept}" if _RESERVED.match(kept) else kept


def check_file(path: Path) -> None:
    """Look at what has come: a whole safetensors file whose own words are not refused. Raises AdapterError,
    RefusedError."""
    metadata = read_container(path, AdapterError, "the file").metadata
    named = (metadata.get(key, "") for key in ("modelspec.title", "modelspec.trigger_phrase", "ss_output_name"))
    refuse((*named, *_header_tags(metadata)), path.name)


def _header_tags(metadata: Mapping[str, str]) -> list[str]:
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}"))
        return [str(tag) for counts in folders.values() for tag in counts]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def _lies_there(place: Path, file: HubFile) -> bool:
    """Whether this very file lies there. Raises StorageError for another one."""
    if not (place.exists() or place.is_symlink()):
        return False
    if file.sha256 and place.is_file():
        with place.open("rb") as there:
            if hashlib.file_digest(there, "sha256").hexdigest() == file.sha256:
                return True
    raise StorageError(
        "another file is called so already; it stays.", where=place, hint="Give this one a name:", remedy=Give("name")
    )


def fetch_preview(hub: Hub, version: HubVersion, file: Path, mature: bool) -> Work[Path | None]:
    """The first picture that may be shown, beside the file; a preview that is there stays. None where there is none."""
    place = file.with_name(f"{file.stem}{PREVIEW}")
    if place.exists():
        return place
    for picture in version.pictures:
        if not picture.is_still or (picture.mature and not mature) or _is_refused(picture.prompt):
            continue
        try:
            data = yield from fetch_small(hub.connection, picture.address)
        except HubError:
            data = None
        if data is not None and _write_preview(data, place):
            return place
    if version.pictures:
        yield Note("no preview: none of its pictures can be shown or read.")
    return None


def _is_refused(text: str) -> bool:
    try:
        refuse(text, "prompt")
    except RefusedError:
        return True
    return False


def _write_preview(data: bytes, place: Path) -> bool:
    """Write a picture as a PNG of its own, with nothing of the original's metadata; False where it is none."""
    from lorasmith.images.opening import open_small

    try:
        with replacing(place) as partial:
            partial.write_bytes(data)
            image = open_small(partial, PREVIEW_SIDE)
            image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
            image.save(partial, "PNG")
    except ImageError:
        return False
    return True


def write_sidecars(file: Path, version: HubVersion, sha256: str) -> tuple[Path, ...]:
    """What A1111 shows of a file, and for a version of Civitai's what Civitai Helper keeps; what stands there already
    stays as it is. Raises StorageError."""
    facts = SidecarFacts(
        triggers=version.triggers,
        tags=version.tags,
        title=version.name,
        base=version.base,
        description=version.description[:LONGEST_DESCRIPTION],
        notes=version.page,
        sha256=sha256,
    )
    written = [fill_table(sidecar_path(file, a1111.SUFFIX), a1111.values(facts))]
    if version.hub == CIVITAI:
        written.append(fill_table(sidecar_path(file, civitai_helper.SUFFIX), version.answer))
    return tuple(written)


def fill_table(path: Path, values: Mapping[str, Any]) -> Path:
    """Add to a sidecar what it does not say yet. Raises StorageError."""
    said = read_table(path) or {}
    return merge_table(path, {key: value for key, value in values.items() if said.get(key) in (None, "", [], {})})
