"""Hugging Face's interface: its paths, its words, and what they mean here. Nothing else knows them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lorasmith.errors import HubError
from lorasmith.events import Work
from lorasmith.library.hubs.connection import Answer, Connection, Gate, refusal
from lorasmith.library.hubs.hub import Found, Hub, HubFile, HubModel, HubPicture, HubVersion, Question
from lorasmith.library.hubs.references import HUGGING_FACE, HUGGING_FACE_HOSTS, Reference
from lorasmith.library.hubs.tokens import find_token, keeping_hint
from lorasmith.library.sidecars.values import hash_of, table_of, text_of, texts_of

ADDRESS_VARIABLE = "HF_ENDPOINT"
"""Another address to ask, for a mirror; huggingface_hub's own variable."""
API = "/api/models"
ADAPTER_TAG = "lora"
MATURE_TAG = "not-for-all-audiences"
USUAL_NAME = "pytorch_lora_weights.safetensors"
"""What diffusers calls an adapter's file."""
SHA256_HEADER = "x-linked-etag"
"""Of a file that lies in the large-file store."""
SORTS = ("downloads", "likes", "lastModified", "createdAt", "trendingScore")
_ERROR = "x-error-code"
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_EXPANDED = ("author", "cardData", "downloads", "gated", "lastModified", "sha", "siblings", "tags")


def open_hugging_face(gate: Gate | None = None) -> HuggingFace:
    """Hugging Face at the address that the environment names, else its own."""
    given = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/")
    host = HUGGING_FACE_HOSTS[0]
    return HuggingFace(Connection(host, given or f"https://{host}", find_token(HUGGING_FACE), gate))


class HuggingFace(Hub):
    """The hub behind a connection."""

    def search(self, question: Question) -> Work[Found]:
        """A page of adapters. Raises HubError."""
        if question.after:
            answer = yield from self.connection.ask(question.after)
        else:
            base = [f"base_model:adapter:{question.base}"] if question.base else []
            query: dict[str, Any] = {
                "search": question.words,
                "filter": [ADAPTER_TAG, *base],
                "sort": question.sort or SORTS[0],
                "direction": "-1",
                "limit": question.limit,
                "expand": list(_EXPANDED),
            }
            answer = yield from self.connection.ask(API, query)
        if answer.status != 200:
            raise self.explain(answer, question.words)
        models = [read_model(each) for each in answer.tables]
        shown = tuple(model for model in models if question.mature or not model.mature)
        return Found(shown, _next_page(answer.headers.get("link", "")))

    def read_version(self, reference: Reference) -> Work[HubVersion]:
        """The repository at the revision that is meant, its newest commit where none is named. Raises HubError."""
        revision = f"/revision/{quote(reference.version, safe='')}" if reference.version else ""
        answer = yield from self.connection.ask(f"{API}/{reference.model}{revision}", {"blobs": "true"})
        if answer.status != 200:
            raise self.explain(answer, str(reference))
        return read_version(answer.table, reference.model, self.connection.address)

    def read_models(self, ids: Sequence[str]) -> Work[Mapping[str, HubModel]]:
        """Repositories by their names, as many as are still there, a request for each. Raises HubError."""
        found: dict[str, HubModel] = {}
        for name in ids:
            answer = yield from self.connection.ask(f"{API}/{name}", {"blobs": "true"})
            if answer.status == 200:
                found[name] = read_model(answer.table)
            elif answer.status not in (401, 403, 404):
                raise self.explain(answer, name)
        return found

    def explain(self, answer: Answer, what: str) -> HubError:
        """A refusal in plain words, with what to do."""
        name, status, code = self.connection.name, answer.status, answer.headers.get(_ERROR, "")
        if code == "GatedRepo":
            return HubError(
                "its owner asks to accept terms first.",
                where=what,
                hint=f"Accept them on its page on {name}, and {keeping_hint(HUGGING_FACE)}.",
                status=status,
            )
        if code == "RevisionNotFound":
            hint = "Leave @REVISION out for the newest, or look at the history on its page."
            return HubError("this repository has no such revision.", where=what, hint=hint, status=status)
        if code == "EntryNotFound":
            return HubError("this repository has no such file.", where=what, hint="Look at its page.", status=status)
        if status == 404 or code == "RepoNotFound" or (status == 401 and not self.connection.has_token):
            return HubError(
                f"{name} has no such repository, or it is private.",
                where=what,
                hint=f"Check the name; for a private one {keeping_hint(HUGGING_FACE)}.",
                status=status,
            )
        if status == 401:
            return HubError(
                f"{name} does not take your token.",
                where=what,
                hint=f"Make a new one in your account's settings there, and {keeping_hint(HUGGING_FACE)}.",
                status=status,
            )
        if status == 403:
            hint = "Look at its page: it may be disabled, or your token may not read it."
            return HubError(f"{name} does not give it to you.", where=what, hint=hint, status=status)
        if status == 410:
            return HubError(f"{name} has taken it away.", where=what, hint="Look for another one.", status=status)
        return refusal(name, answer, what, "Try later.")


def read_model(table: Mapping[str, Any]) -> HubModel:
    """A repository as the hub lists it, with its newest commit as the only version."""
    version = read_version(table, text_of(table.get("id")) or text_of(table.get("modelId")), "")
    downloads = table.get("downloads")
    return HubModel(
        hub=HUGGING_FACE,
        model_id=version.model_id,
        name=version.name,
        creator=version.creator,
        kind="LORA",
        tags=version.tags,
        mature=version.mature,
        downloads=downloads if isinstance(downloads, int) else None,
        page=version.page,
        versions=(version,),
    )


def read_version(table: Mapping[str, Any], name: str, address: str) -> HubVersion:
    """A repository as the hub tells it; pictures are at `address`."""
    card = table_of(table.get("cardData"))
    commit = text_of(table.get("sha"))
    tags = texts_of(table.get("tags"))
    files = table.get("siblings")
    siblings = [each for each in files if isinstance(each, Mapping)] if isinstance(files, list) else []
    bases = texts_of(card.get("base_model")) or tuple(
        tag.split(":")[-1] for tag in tags if tag.startswith("base_model:adapter:")
    )
    owner, _, short = name.partition("/")
    trigger = text_of(card.get("instance_prompt"))
    return HubVersion(
        hub=HUGGING_FACE,
        model_id=name,
        version_id=commit,
        name=short or name,
        creator=text_of(table.get("author")) or owner,
        kind="LORA" if ADAPTER_TAG in tags else "",
        base=bases[0] if bases else "",
        triggers=(trigger,) if trigger else (),
        tags=tuple(tag for tag in tags if ":" not in tag),
        licence=text_of(card.get("license_name")) or text_of(card.get("license")),
        page=f"https://{HUGGING_FACE_HOSTS[0]}/{name}",
        published=text_of(table.get("lastModified"))[:10],
        mature=MATURE_TAG in tags,
        gone=f"{HUGGING_FACE_HOSTS[0]} has disabled it" if table.get("disabled") is True else "",
        guarded="for those who accept its owner's terms" if table.get("gated") not in (False, None) else "",
        files=tuple(
            _file(each, name, commit or "main")
            for each in siblings
            if text_of(each.get("rfilename")).lower().endswith(_WEIGHTS)
        ),
        pictures=_pictures(card, siblings, f"{address}/{name}/resolve/{commit or 'main'}"),
        answer=table,
    )


def _file(table: Mapping[str, Any], name: str, revision: str) -> HubFile:
    path = text_of(table.get("rfilename"))
    stored = table_of(table.get("lfs"))
    digest = hash_of(stored.get("sha256"), 64)
    size = stored.get("size", table.get("size"))
    return HubFile(
        name=path,
        path=f"/{name}/resolve/{quote(revision, safe='')}/{quote(path)}",
        size=size if isinstance(size, int) else None,
        hashes={"SHA256": digest} if digest else {},
        primary=path == USUAL_NAME,
    )


def _pictures(card: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]], place: str) -> tuple[HubPicture, ...]:
    """What the card shows, else the pictures that lie in the repository."""
    widget = card.get("widget")
    shown = []
    for each in widget if isinstance(widget, list) else []:
        address = text_of(table_of(table_of(each).get("output")).get("url"))
        if address.lower().endswith(_PICTURES):
            whole = address if "://" in address else f"{place}/{quote(address)}"
            shown.append(HubPicture(whole, prompt=text_of(table_of(each).get("text"))))
    names = [text_of(each.get("rfilename")) for each in siblings]
    lying = [HubPicture(f"{place}/{quote(name)}") for name in names if name.lower().endswith(_PICTURES)]
    return tuple(shown or lying)


def _next_page(link: str) -> str:
    """The address of the next page in a `Link` header."""
    found = re.search(r"<([^>]+)>\s*;\s*rel=\"?next", link)
    return found[1] if found else ""
