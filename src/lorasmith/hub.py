"""What all readers of the hub share: the form of its names, its patience, and its refusals in our words."""

from __future__ import annotations

import re

from lorasmith.errors import LorasmithError, StorageError, first_line

PATIENCE = 15.0
"""Seconds to wait for the hub's answer before it counts as out of reach."""
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?:/[\w-][\w.-]*)*", re.ASCII)


def is_hub_name(text: str) -> bool:
    """Whether `text` has the form ``owner/repository``, with more parts below it or not."""
    return _NAME.fullmatch(text) is not None


def terms_error(kind: type[LorasmithError], name: str) -> LorasmithError:
    """For a repository whose owner asks to accept terms."""
    return kind(
        "its owner asks to accept terms first.",
        where=name,
        hint="Accept them on the hub's page of it, log in with: hf auth login",
    )


def refusal_error(kind: type[LorasmithError], name: str, fault: Exception) -> LorasmithError:
    """For anything else that the hub answers instead of a file."""
    return kind(f"the hub does not give it: {first_line(fault)}", where=name, hint="Try later.")


def keeping_error(name: str, fault: OSError) -> StorageError:
    """For a file that came but cannot be kept here."""
    return StorageError(f"cannot be kept: {fault.strerror or first_line(fault)}.", where=name)
