"""Taggers on the hub: fetched once, then taken from the hub's cache on this computer, with or without a network."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from lorasmith.errors import DatasetError
from lorasmith.hub import PATIENCE, keeping_error, refusal_error, terms_error
from lorasmith.tags.layouts import by_precedence


def fetch_tagger(name: str) -> Path:
    """The folder of the tagger with this hub id, downloaded when it is not in the cache yet.

    The id is ``owner/repository``, or ``owner/repository/folder`` for one of several taggers.

    A tagger in the cache is used as it is, without asking for a newer one. Raises DatasetError when it cannot be
    reached or is no tagger, StorageError when the disk is full.
    """
    pairs = dict.fromkeys((layout.tags, model) for layout in by_precedence() for model in layout.models)
    for local in (True, False):
        for pair in pairs:
            folder = _fetch(name, pair, local)
            if folder is not None:
                return folder
    lists = " or ".join(dict.fromkeys(tags for tags, _ in pairs))
    raise DatasetError(
        f"this repository holds no tagger ({lists} with a model beside it).",
        where=name,
        hint="Some hold one in a folder: give OWNER/REPOSITORY/FOLDER.",
    )


def _fetch(name: str, files: tuple[str, ...], local: bool) -> Path | None:
    """The folder in which both files are, or None when one is not there (`local`: not in the cache)."""
    from huggingface_hub import errors, hf_hub_download, hf_hub_url

    owner, name_there, *parts = PurePosixPath(name).parts
    repository, folder = f"{owner}/{name_there}", "/".join(parts) or None
    paths: list[Path] = []
    try:
        for file in files:
            if not local:
                _reach(hf_hub_url(repository, file, subfolder=folder), name)
            paths.append(Path(hf_hub_download(repository, file, subfolder=folder, local_files_only=local)))
    except DatasetError:
        raise
    except errors.LocalEntryNotFoundError:
        if local:
            return None
        raise _unreachable(name) from None
    except errors.EntryNotFoundError:
        return None
    except errors.GatedRepoError:
        raise terms_error(DatasetError, name) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise DatasetError(
            "no such repository on the hub, or a private one.",
            where=name,
            hint="Give OWNER/REPOSITORY as on the hub, or a folder.",
        ) from None
    except Exception as fault:  # its HTTP client raises classes of its own
        if isinstance(fault, OSError) and not isinstance(fault, errors.HfHubHTTPError):
            raise keeping_error(name, fault) from None
        raise refusal_error(DatasetError, name, fault) from None
    return paths[0].parent if len({path.parent for path in paths}) == 1 else None


def _reach(url: str, name: str) -> None:
    """Ask the hub once whether the file is there: a download would try for half a minute without a network."""
    from huggingface_hub import errors, get_hf_file_metadata

    try:
        get_hf_file_metadata(url, timeout=PATIENCE)
    except (errors.HfHubHTTPError, errors.HFValidationError):
        raise
    except Exception:  # its HTTP client raises classes of its own
        raise _unreachable(name) from None


def _unreachable(name: str) -> DatasetError:
    return DatasetError(
        "the hub cannot be reached, and this tagger is not in its cache on this computer.",
        where=name,
        hint="Go online for the first use, or download its folder elsewhere and give that folder.",
    )
