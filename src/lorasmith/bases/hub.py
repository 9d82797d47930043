"""Bases on the hub: fetched once, then taken from the hub's cache on this computer, with or without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.foreign import foreign
from lorasmith.bases.near_misses import near_miss
from lorasmith.errors import BaseError
from lorasmith.hub import PATIENCE, is_hub_name, keeping_error, refusal_error, terms_error

WEIGHTS = ".safetensors"
_FILES = (".safetensors", ".ckpt", ".pt", ".bin")
_INDEX = f"{WEIGHTS}.index.json"


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form ``owner/repository``, or ``owner/repository/file.safetensors``.

    What ends like a file but has only one folder before it is a path that is not there.
    """
    return is_hub_name(name) and not (name.count("/") == 1 and name.endswith(_FILES))


def cached_base(name: str) -> Path | None:
    """Where a base with this hub id lies in the cache, whole; None when it must be fetched. Asks no network."""
    repository, file = _split(name)
    try:
        from huggingface_hub import hf_hub_download, snapshot_download

        if file is not None:
            return Path(hf_hub_download(repository, file, local_files_only=True))
        folder = Path(snapshot_download(repository, local_files_only=True))
    except Exception:  # not there; the hub's client has many ways of saying so
        return None
    files = [str(file.relative_to(folder)) for file in folder.glob("*/*") if file.exists()]
    if not _is_whole({each.name for each in folder.iterdir()}) or _lacking(files):
        return None  # what was broken off is gone on with
    return folder if all(_has_shards(folder / file) for file in files if file.endswith(_INDEX)) else None


def cached_evidence(name: str) -> Path | None:
    """What the cache holds of a base, if only its configurations; None when it holds nothing. Asks no network."""
    from huggingface_hub import try_to_load_from_cache

    if _split(name)[1] is not None:
        return cached_base(name)
    files = dict.fromkeys(f"{family.denoiser_part}/config.json" for family in FAMILIES.values())
    found = (try_to_load_from_cache(name, file) for file in files)
    return next((Path(each).parent.parent for each in found if isinstance(each, str)), None)


def fetch_base(name: str) -> Path:
    """The diffusers folder or the file with this hub id, downloaded when it is not in the cache yet.

    Of a folder only what is loaded is fetched: safetensors weights (half precision where nothing else is there),
    configurations and tokenizers. Raises BaseError when it cannot be reached or is no base, StorageError when the
    disk is full.
    """
    cached = cached_base(name)
    if cached is not None:
        return cached
    from huggingface_hub import HfApi, errors, hf_hub_download

    repository, file = _split(name)
    try:
        listed = [sibling.rfilename for sibling in HfApi().model_info(repository, timeout=PATIENCE).siblings or ()]
        wanted = [file] if file is not None else chosen_files(listed)
        if not wanted or (file is not None and file not in listed) or (file is None and _lacking(listed)):
            raise _no_base(name, listed)
        paths: list[Path] = []
        for each in wanted:
            if paths and each.endswith(WEIGHTS) and not paths[-1].name.endswith(WEIGHTS):
                _refuse_foreign(_root(paths[0]))
            paths.append(Path(hf_hub_download(repository, each)))
    except errors.GatedRepoError:
        raise terms_error(BaseError, name) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise BaseError(
            "no such file or folder here, and no such repository on the hub (or a private one).",
            where=name,
            hint='Give a checkpoint file, a diffusers folder, OWNER/REPOSITORY as on the hub, or "doodle".',
        ) from None
    except (BaseError, KeyboardInterrupt):
        raise
    except errors.HfHubHTTPError as fault:
        raise refusal_error(BaseError, name, fault) from None
    except Exception as fault:  # its HTTP client raises classes of its own
        if isinstance(fault, OSError) and fault.errno is not None and not _network(fault):
            raise keeping_error(name, fault) from None
        raise BaseError(
            "no such file or folder here, and the hub cannot be reached to look for it there.",
            where=name,
            hint="Check the path; or go online for the first use, after that it is kept on this computer.",
        ) from None
    return paths[0] if file is not None else _root(paths[0])


def chosen_files(listed: Sequence[str]) -> list[str]:
    """What of a repository's files a diffusers folder needs, weights last; empty when it is none."""
    parts: dict[str, list[str]] = {}
    folders = {folder for family in FAMILIES.values() for folder in family.folders}
    for file in listed:
        folder, _, name = file.partition("/")
        if folder in folders and "/" not in name:
            parts.setdefault(folder, []).append(name)
    chosen: list[str] = []
    for folder, names in parts.items():
        weights = [name for name in names if name.endswith((WEIGHTS, _INDEX))]
        plain = [name for name in weights if not re.search(r"\.(fp16|non_ema|ema_only)\b", name)]
        half = [name for name in weights if ".fp16" in name]
        small = [name for name in names if name.endswith((".json", ".txt", ".model")) and name not in weights]
        chosen += [f"{folder}/{name}" for name in sorted({*small, *(plain or half)})]
    chosen.sort(key=lambda name: name.endswith(WEIGHTS))
    return chosen if _is_whole(parts.keys()) else []


def _refuse_foreign(folder: Path) -> None:
    """Raises BaseError where the configurations that lie there are another model's: its weights are not fetched."""
    evidence = Evidence(folder)
    if not any(family.claims(evidence) for family in FAMILIES.values()):
        supported = f"Supported: {', '.join(family.title for family in FAMILIES.values())}."
        fault = near_miss(evidence, supported) or foreign(evidence, supported)
        if fault is not None:
            raise fault


def _is_whole(folders: Collection[str]) -> bool:
    """Whether these folders are all that a base of some family has."""
    return any(set(family.folders) <= set(folders) for family in FAMILIES.values())


def _nearest(files: Sequence[str]) -> Family:
    """The family that files of a repository come closest to; of two the one that has more of them."""
    there = {file.partition("/")[0] for file in files if "/" in file}

    def distance(family: Family) -> tuple[int, int]:
        return len({*family.folders} - there), -len({*family.folders} & there)

    return min(FAMILIES.values(), key=distance)


def _lacking(files: Sequence[str]) -> list[str]:
    """The folders of the nearest family that files of a repository lack, and those of its models without weights."""
    family, by_folder = _nearest(files), dict[str, list[str]]()
    for file in files:
        folder, _, name = file.partition("/")
        by_folder.setdefault(folder, []).append(name)
    models = {family.denoiser_part, "vae", *(part.owner for part in family.text)}
    return [
        folder
        for folder in dict.fromkeys(family.folders)
        if folder not in by_folder
        or (folder in models and not any(name.endswith((*_FILES, ".pth")) for name in by_folder[folder]))
    ]


def _has_shards(index: Path) -> bool:
    """Whether all files of weights that an index names lie beside it."""
    try:
        named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((index.parent / str(name)).exists() for name in named)


def _split(name: str) -> tuple[str, str | None]:
    owner, repository, *rest = name.split("/")
    return f"{owner}/{repository}", "/".join(rest) or None


def _root(path: Path) -> Path:
    """The snapshot's folder: the parent of unet/, vae/ ..."""
    return path.parent.parent


def _no_base(name: str, listed: Sequence[str]) -> BaseError:
    files = [file for file in listed if file.endswith(".safetensors") and "/" not in file]
    family, lacking = _nearest(listed), _lacking(listed)
    if any(file.startswith(f"{family.denoiser_part}/") for file in listed) and lacking and not files:
        return BaseError(
            f"this repository has no weights in {' and '.join(lacking)}, which {family.title} needs."
            if all(any(file.startswith(f"{folder}/") for file in listed) for folder in lacking)
            else f"this repository has no {' and no '.join(lacking)}, which {family.title} needs.",
            where=name,
            hint=f"A whole folder has {', '.join(dict.fromkeys(family.folders))}.",
        )
    hint = (
        f"Say which file: {', '.join(f'{name}/{file}' for file in files[:3])}."
        if files
        else "Needed are unet/, vae/, text_encoder/, tokenizer/ and scheduler/, or a .safetensors checkpoint."
    )
    return BaseError("this repository holds no base in the diffusers layout.", where=name, hint=hint)


def _network(fault: OSError) -> bool:
    return isinstance(fault, ConnectionError | TimeoutError) or "resol" in str(fault).lower()
