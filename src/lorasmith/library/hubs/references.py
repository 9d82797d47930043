"""How a model on a hub is named: ``civitai:MODEL@VERSION``, ``hf:OWNER/NAME@REV``, a page's address, or a hash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from lorasmith.errors import UsageError

CIVITAI, HUGGING_FACE = "civitai", "huggingface"
_SHORT = {CIVITAI: CIVITAI, HUGGING_FACE: "hf"}
CIVITAI_HOSTS = ("civitai.com", "civitai.red", "civitai.green")
HUGGING_FACE_HOSTS = ("huggingface.co", "hf.co")
HASH_DIGITS = (8, 10, 12, 64)
"""AutoV1 and CRC32, AutoV2, AutoV3, SHA256 and BLAKE3."""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_HINT = (
    "Write civitai:MODEL, civitai:MODEL@VERSION, hf:OWNER/NAME, hf:OWNER/NAME@REVISION, a page's address, or a hash."
)


@dataclass(frozen=True)
class Reference:
    """A model on a hub, perhaps with a version and a file in it. `model` is "" where a version (of Civitai's) or a
    `hash` says it all; `host` is the site that a pasted address named."""

    hub: str
    model: str = ""
    version: str = ""
    file: str = ""
    hash: str = ""
    host: str = ""

    def __str__(self) -> str:
        if self.hash:
            return self.hash
        version = f"@{self.version}" if self.version else ""
        file = f"/{self.file}" if self.file and self.hub == HUGGING_FACE else ""
        return f"{_SHORT[self.hub]}:{self.model}{file}{version}"


def read_reference(text: str) -> Reference:
    """What a text names. Raises UsageError; the message never has an address's query, which may hold a token."""
    given = text.strip()
    short, colon, rest = given.partition(":")
    if "://" in given:
        return _read_address(given)
    if given.lower().startswith("urn:air:"):
        return _read_air(given)
    if colon and short.lower() == "civitai":
        return _read_civitai(rest, given)
    if colon and short.lower() in ("hf", "huggingface"):
        return _read_hugging_face(rest, given)
    digits = given.lower().removeprefix("0x")
    if re.fullmatch(r"[0-9a-f]+", digits) and len(digits) in HASH_DIGITS:
        return Reference(CIVITAI, hash=digits)
    if re.match(rf"(?:www\.)?(?:{'|'.join(map(re.escape, (*CIVITAI_HOSTS, *HUGGING_FACE_HOSTS)))})/", given.lower()):
        return _read_address(f"https://{given}")
    raise UsageError(f'"{given.partition("?")[0]}" names nothing on a hub.', field="reference", hint=_HINT)


def _read_civitai(rest: str, given: str) -> Reference:
    found = re.fullmatch(r"(\d{1,15})?(?:@(\d{1,15}))?", rest.strip())
    if not found or not rest.strip():
        raise UsageError(f'"{given}": models and versions have numbers there.', field="reference", hint=_HINT)
    return Reference(CIVITAI, found[1] or "", found[2] or "")


def _read_hugging_face(rest: str, given: str) -> Reference:
    path, _, revision = rest.strip().partition("@")
    parts = path.strip("/").split("/")
    owner_and_name, file = parts[:2], "/".join(parts[2:])
    if len(owner_and_name) < 2 or not all(re.fullmatch(_NAME, part) for part in owner_and_name):
        raise UsageError(f'"{given}": a repository there is OWNER/NAME.', field="reference", hint=_HINT)
    if ".." in file.split("/"):
        raise UsageError(f'"{given}": no file of a repository is called so.', field="reference", hint=_HINT)
    return Reference(HUGGING_FACE, "/".join(owner_and_name), revision, file)


def _read_air(given: str) -> Reference:
    """``urn:air:sdxl:lora:civitai:MODEL@VERSION``."""
    parts = given.split(":")
    if len(parts) < 6:
        raise UsageError(f'"{given}" is cut short.', field="reference", hint=_HINT)
    name = ":".join(parts[5:])
    return _read_hugging_face(name, given) if parts[4].lower() == HUGGING_FACE else _read_civitai(name, given)


def _read_address(given: str) -> Reference:
    """A page's address, as the browser shows it, or a download's."""
    shown = given.partition("?")[0].partition("#")[0]
    try:
        address = urlsplit(given)
        host = (address.hostname or "").removeprefix("www.")
    except ValueError:
        raise UsageError("is no address.", field="reference", hint=_HINT) from None
    parts = [unquote(part) for part in address.path.split("/") if part]
    query = {key: values[0] for key, values in parse_qs(address.query).items()}
    if host in CIVITAI_HOSTS:
        found = _civitai_page(parts, query)
        if found is not None:
            return Reference(CIVITAI, *found, host=host)
    elif host in HUGGING_FACE_HOSTS:
        found = _hugging_face_page(parts)
        if found is not None:
            return _read_hugging_face(f"{found[0]}{f'@{found[1]}' if found[1] else ''}", shown)
    else:
        hosts = ", ".join((*CIVITAI_HOSTS[:2], HUGGING_FACE_HOSTS[0]))
        raise UsageError(f"{host or shown}: only {hosts} are asked.", field="reference", hint=_HINT)
    raise UsageError(f"{shown}: is no page of a model.", field="reference", hint=_HINT)


def _civitai_page(parts: list[str], query: dict[str, str]) -> tuple[str, str] | None:
    """(model, version) of ``/models/12/name?modelVersionId=34``, ``/model-versions/34``, ``/api/download/models/34``
    (and of ``/api/v1/...``)."""
    match [part for part in parts if part not in ("api", "v1")]:
        case ["models", model, *_] if model.isdecimal():
            version = query.get("modelVersionId", "")
            return model, version if version.isdecimal() else ""
        case ["model-versions", version, *_] | ["download", "models", version, *_] if version.isdecimal():
            return "", version
    return None


def _hugging_face_page(parts: list[str]) -> tuple[str, str] | None:
    """(path, revision) of ``/owner/name``, ``/owner/name/tree/REV``, ``/owner/name/blob/REV/file``."""
    if parts[:2] == ["api", "models"]:
        parts = parts[2:]
    match parts:
        case ["datasets" | "spaces" | "docs" | "models" | "collections" | "api", *_]:
            return None
        case [owner, name]:
            return f"{owner}/{name}", ""
        case [owner, name, "tree" | "commit", revision, *_]:
            return f"{owner}/{name}", revision
        case [owner, name, "blob" | "resolve" | "raw", revision, *file] if file:
            return f"{owner}/{name}/{'/'.join(file)}", revision
        case [owner, name, "discussions" | "commits", *_]:
            return f"{owner}/{name}", ""
    return None
