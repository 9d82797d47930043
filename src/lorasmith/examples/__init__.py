"""Shipped example projects: a character, a style and a concept that the embedded base never saw."""

from __future__ import annotations

import shutil
from pathlib import Path

from lorasmith.errors import ProjectError, StorageError, did_you_mean
from lorasmith.project import FILE_NAME, check_folder_name
from lorasmith.storage.files import partial_of, remove_left_partials

EXAMPLES = ("character", "style", "concept")
_HERE = Path(__file__).parent


def example_folder(name: str) -> Path:
    """The folder of an example in the installation. Raises ProjectError."""
    if name not in EXAMPLES:
        hint = did_you_mean(name, EXAMPLES) or f"There are: {', '.join(EXAMPLES)}."
        raise ProjectError(f'no example is called "{name}".', hint=hint)
    folder = _HERE / name
    if not (folder / FILE_NAME).is_file():
        raise ProjectError("this example is missing.", where=folder, hint="Reinstall lorasmith.")
    return folder


def copy_example(name: str, to: Path) -> Path:
    """Copy an example to `to`, whole or not at all, but for its adapter, which is for stacking; a project that is
    there already is left as it is. Raises ProjectError."""
    source = example_folder(name)
    check_folder_name(to.resolve().name)
    if (to / FILE_NAME).is_file():
        return to
    if to.exists() and any(to.iterdir()):
        raise ProjectError(
            f"this folder holds other things and no {FILE_NAME}.", where=to, hint="Choose an empty or new folder."
        )
    remove_left_partials(to)
    partial = partial_of(to)
    try:
        shutil.copytree(source, partial, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("*.safetensors"))
        if to.exists():
            to.rmdir()
        partial.rename(to)
    except OSError as fault:
        raise StorageError(
            f"cannot copy the example: {_reason(fault)}.", where=to, hint="Free some space or choose another folder."
        ) from fault
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return to


def _reason(fault: OSError) -> str:
    """Why, in the system's words; copying a folder gathers its files' faults as (from, to, words)."""
    if isinstance(fault, shutil.Error):
        return str(fault.args[0][0][2]).split("] ")[-1].split(": ")[0]
    return str(fault.strerror)
