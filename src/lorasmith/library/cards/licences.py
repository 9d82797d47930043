"""Licences as people write them, by the names that Hugging Face has for them."""

from __future__ import annotations

import re

#: The hub's names of licences that pictures and adapters come under.
KNOWN = frozenset(
    {
        *("apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "openrail++"),
        *("afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "unlicense", "wtfpl", "zlib"),
        *("cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0"),
        *("isc", "mpl-2.0", "odbl", "ofl-1.1", "pddl", "unknown", "other"),
    }
)
_WORDS = (
    (r"^(?:creative commons|cc) zero", "cc0"),
    (r"^creative commons", "cc"),
    (r"\battribution\b", "by"),
    (r"\bnon ?commercial\b", "nc"),
    (r"\bshare ?alike\b", "sa"),
    (r"\bno ?deriv(?:ative)?s?\b", "nd"),
    (r"\b(?:licence|license|international|universal|the|version)\b", " "),
    (r"^public domain$", "cc0 1.0"),
    (r"\bapache 2$", "apache 2.0"),
    (r"^cc ?0$", "cc0 1.0"),
)


def licence_id(text: str) -> str | None:
    """The hub's name of a licence: ``CC BY 4.0`` is ``cc-by-4.0``; None where it has none for it."""
    if text.strip().lower() in KNOWN:
        return text.strip().lower()
    words = re.sub(r"[\s_,()/-]+", " ", text.lower()).strip()
    for pattern, word in _WORDS:
        words = " ".join(re.sub(pattern, word, words).split())
    name = re.sub(r"\bv(?=\d)", "", words).replace(" ", "-")
    return name if name in KNOWN and name not in ("unknown", "other") else None


def licence_slug(text: str) -> str:
    """A licence that the hub has no name for, as a `license_name`."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:60] or "unnamed"
