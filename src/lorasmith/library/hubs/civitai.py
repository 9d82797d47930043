"""Civitai's interface: its paths, its words, and what they mean here. Nothing else knows them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lorasmith.errors import HubError
from lorasmith.events import Work
from lorasmith.library.hubs.connection import Answer, Connection, Gate, refusal
from lorasmith.library.hubs.hub import Found, Hub, HubFile, HubModel, HubPicture, HubVersion, Question
from lorasmith.library.hubs.references import CIVITAI, CIVITAI_HOSTS, Reference
from lorasmith.library.hubs.tokens import find_token, keeping_hint
from lorasmith.library.sidecars.values import plain_text, table_of, text_of, texts_of

ADDRESS_VARIABLE = "LORASMITH_CIVITAI_URL"
"""Another address to ask, for a mirror."""
API = "/api/v1"
DOWNLOAD = "/api/download/models/"
BY_HASH = "/model-versions/by-hash"
AUTOV3_DIGITS = 12
MOST_HASHES = 100
"""SHA256s in one request."""
MOST_MODELS = 100
KINDS = ("LORA", "LoCon", "DoRA")
SORTS = ("Highest Rated", "Most Downloaded", "Most Liked", "Most Collected", "Newest", "Oldest")
_HARMLESS = 1 | 2
"""Bits of `nsfwLevel` that are for everybody: PG, PG13."""
_GONE = {
    "Archived": "its author has put it in the archive: the files are not given any more",
    "TakenDown": "it has been taken down",
}


def open_civitai(host: str = "", gate: Gate | None = None) -> Civitai:
    """Civitai at the address that the environment names, else at `host` (civitai.com when "")."""
    given = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/")
    site = host or CIVITAI_HOSTS[0]
    return Civitai(Connection(site, given or f"https://{site}", find_token(CIVITAI), gate))


class Civitai(Hub):
    """The hub behind a connection."""

    def search(self, question: Question) -> Work[Found]:
        """A page of adapters. Raises HubError."""
        query: dict[str, Any] = {
            "types": list(KINDS),
            "limit": min(question.limit, 100),
            "nsfw": str(question.mature).lower(),
        }
        given = {"query": question.words, "baseModels": question.base, "sort": question.sort, "cursor": question.after}
        query |= {key: value for key, value in given.items() if value}
        answer = yield from self.connection.ask(f"{API}/models", query)
        self._check(answer, question.words)
        models = [read_model(each) for each in _tables(answer.table.get("items"))]
        after = text_of(table_of(answer.table.get("metadata")).get("nextCursor"))
        return Found(tuple(model for model in models if question.mature or not model.mature), after)

    def read_version(self, reference: Reference) -> Work[HubVersion]:
        """The version that is meant; the newest one of a model where none is named. Raises HubError."""
        if reference.hash:
            table = yield from self._ask_hash(reference)
        elif reference.version:
            table = yield from self._ask_table(f"/model-versions/{reference.version}", reference)
        else:
            model = yield from self._ask_table(f"/models/{reference.model}", reference)
            versions = _tables(model.get("modelVersions"))
            if not versions:
                raise HubError("this model has no version that is published.", where=str(reference), status=404)
            return read_version(versions[0], model)
        model_id = text_of(table.get("modelId"))
        if reference.model and reference.model != model_id:
            raise HubError(
                f"version {reference.version} belongs to model {model_id}.",
                where=str(reference),
                hint=f"Say civitai:{model_id}@{reference.version}.",
            )
        answer = yield from self.connection.ask(f"{API}/models/{model_id}")
        return read_version(table, answer.table if answer.status == 200 else {})

    def read_models(self, ids: Sequence[str]) -> Work[Mapping[str, HubModel]]:
        """Models by their ids, as many as are still there; `MOST_MODELS` in a request. Raises HubError."""
        found: dict[str, HubModel] = {}
        for start in range(0, len(ids), MOST_MODELS):
            part = ids[start : start + MOST_MODELS]
            query = {"ids": ",".join(part), "limit": len(part), "nsfw": "true"}
            answer = yield from self.connection.ask(f"{API}/models", query)
            self._check(answer, "models")
            models = [read_model(each) for each in _tables(answer.table.get("items"))]
            found |= {model.model_id: model for model in models}
        return found

    def find_hashes(self, hashes: Sequence[str]) -> Work[Mapping[str, HubVersion]]:
        """Versions by the SHA256s of their files, those that the hub has; at most `MOST_HASHES`. Raises HubError."""
        wanted = {digest.lower() for digest in hashes}
        answer = yield from self.connection.ask(f"{API}{BY_HASH}", body=[digest.upper() for digest in hashes])
        self._check(answer, "files by their hashes")
        found: dict[str, HubVersion] = {}
        for table in sorted(answer.tables, key=lambda each: text_of(each.get("createdAt"))):
            version = read_version(table)
            for file in version.files:
                if file.sha256 in wanted:  # of several versions with the same file the oldest
                    found.setdefault(file.sha256, version)
        return found

    def find_payload(self, payload: str) -> Work[HubVersion | None]:
        """The version with a file of these weights, whatever its header says now: by AutoV3. None where the hub has
        none. Raises HubError."""
        digits = payload[:AUTOV3_DIGITS]
        answer = yield from self.connection.ask(f"{API}{BY_HASH}/{digits.upper()}")
        if answer.status == 404:
            return None
        self._check(answer, digits)
        return read_version(answer.table)

    def explain(self, answer: Answer, what: str) -> HubError:
        """A refusal in plain words, with what to do."""
        name, status = self.connection.name, answer.status
        said = text_of(answer.table.get("error")) or text_of(answer.table.get("message"))
        if status == 401 or answer.is_page:
            return _login_error(name, what, self.connection.has_token)
        if status == 403 and "early access" in said.lower():
            deadline = text_of(answer.table.get("deadline"))[:10]
            until = f" until {deadline}" if deadline else ""
            return HubError(
                f"early access{until}: so far only those who pay for it on {name} get it.",
                where=what,
                hint="Buy it on its page there, or come back later.",
                status=status,
            )
        if status == 403:
            return HubError(
                f"{name} does not give it to you{f': {said[:200]}' if said else ''}.",
                where=what,
                hint="Look at its page: it may ask for membership, or be closed in your country.",
                status=status,
            )
        if status == 404:
            other = CIVITAI_HOSTS[1] if name != CIVITAI_HOSTS[1] else CIVITAI_HOSTS[0]
            return HubError(
                f"{name} has no such model, version or file.",
                where=what,
                hint=f"It may be a draft, deleted, or on {other} only: then give its page's address there.",
                status=status,
            )
        if status == 410:
            return HubError(
                f"{_GONE['Archived']}.", where=what, hint="Look for another version, or ask its author.", status=status
            )
        return refusal(name, answer, what, "Try later.")

    def _ask_hash(self, reference: Reference) -> Work[Mapping[str, Any]]:
        """The version with a file of this hash. One of 64 digits may be of the payload, as pictures have it: the hub
        keeps that as AutoV3, of which it knows the first 12."""
        answer = yield from self.connection.ask(f"{API}{BY_HASH}/{reference.hash.upper()}")
        if answer.status == 404 and len(reference.hash) > AUTOV3_DIGITS:
            answer = yield from self.connection.ask(f"{API}{BY_HASH}/{reference.hash[:AUTOV3_DIGITS].upper()}")
        self._check(answer, str(reference))
        return answer.table

    def _ask_table(self, path: str, reference: Reference) -> Work[Mapping[str, Any]]:
        answer = yield from self.connection.ask(f"{API}{path}")
        self._check(answer, str(reference))
        return answer.table

    def _check(self, answer: Answer, what: str) -> None:
        if answer.status != 200 or answer.is_page:
            raise self.explain(answer, what)


def _login_error(name: str, what: str, has_token: bool) -> HubError:
    if has_token:
        return HubError(
            f"{name} does not take your key for this.",
            where=what,
            hint="It may be worn out, or the author has switched downloads off: make a new key on your account's page"
            f" there, and {keeping_hint(CIVITAI)}.",
            status=401,
        )
    return HubError(
        f"{name} gives this to those who are logged in only.",
        where=what,
        hint=f"Make an API key on your account's page there, and {keeping_hint(CIVITAI)}.",
        status=401,
    )


def read_model(table: Mapping[str, Any]) -> HubModel:
    """A model as the hub gives it, with its versions."""
    versions = tuple(read_version(each, table) for each in _tables(table.get("modelVersions")))
    stats = table_of(table.get("stats"))
    downloads = stats.get("downloadCount")
    return HubModel(
        hub=CIVITAI,
        model_id=text_of(table.get("id")),
        name=text_of(table.get("name")),
        creator=text_of(table_of(table.get("creator")).get("username")),
        kind=text_of(table.get("type")),
        tags=texts_of(table.get("tags")),
        mature=_is_mature(table),
        downloads=downloads if isinstance(downloads, int) else None,
        page=_page(text_of(table.get("id"))),
        versions=versions,
    )


def read_version(table: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> HubVersion:
    """A version as the hub gives it, with what its model's own table says, where that is known."""
    told = {**table_of(table.get("model")), **{key: value for key, value in (model or {}).items() if value is not None}}
    model_id = text_of(table.get("modelId")) or text_of(told.get("id"))
    answer = {
        **table,
        "modelId": table.get("modelId", told.get("id")),
        "model": {
            key: told[key] for key in ("name", "type", "nsfw", "poi", "mode", "tags", "description") if key in told
        },
    }
    if "creator" in told:
        answer["creator"] = told["creator"]
    version_id = text_of(table.get("id"))
    return HubVersion(
        hub=CIVITAI,
        model_id=model_id,
        version_id=version_id,
        name=text_of(told.get("name")),
        version=text_of(table.get("name")),
        creator=text_of(table_of(told.get("creator")).get("username")),
        kind=text_of(told.get("type")),
        base=text_of(table.get("baseModel")),
        triggers=texts_of(table.get("trainedWords")),
        tags=texts_of(told.get("tags")),
        licence=_licence(told),
        description=plain_text(table.get("description")) or plain_text(told.get("description")),
        page=_page(model_id, version_id),
        published=text_of(table.get("publishedAt"))[:10],
        mature=_is_mature(told) or _is_mature({"nsfwLevel": table.get("nsfwLevel")}),
        real_person=told.get("poi") is True,
        gone=_GONE.get(text_of(told.get("mode")), ""),
        guarded=_guard(table),
        files=tuple(_file(each, version_id) for each in _tables(table.get("files"))),
        pictures=tuple(_picture(each) for each in _tables(table.get("images"))),
        answer=answer,
    )


def _file(table: Mapping[str, Any], version_id: str) -> HubFile:
    hashes = {
        text_of(name): text_of(value).lower() for name, value in table_of(table.get("hashes")).items() if text_of(value)
    }
    kilobytes, file_id = table.get("sizeKB"), text_of(table.get("id"))
    bad = text_of(table.get("virusScanResult")) == "Danger" or text_of(table.get("pickleScanResult")) == "Danger"
    return HubFile(
        name=text_of(table.get("name")),
        path=f"{DOWNLOAD}{version_id}?fileId={file_id}" if file_id else f"{DOWNLOAD}{version_id}",
        size=round(kilobytes * 1024) if isinstance(kilobytes, int | float) else None,
        hashes=hashes,
        primary=table.get("primary") is True,
        is_weights=text_of(table.get("type")) in ("Model", "Pruned Model", ""),
        flaw="the hub's scanners call it dangerous" if bad else "",
    )


def _picture(table: Mapping[str, Any]) -> HubPicture:
    level = table.get("nsfwLevel", table.get("nsfw"))
    mature = level not in ("None", "Soft", None, False) if not isinstance(level, int) else not level & _HARMLESS
    return HubPicture(
        address=text_of(table.get("url")),
        mature=bool(mature) or bool(table.get("minor")),
        is_still=text_of(table.get("type")) in ("image", "") and not text_of(table.get("url")).endswith(".mp4"),
        prompt=text_of(table_of(table.get("meta")).get("prompt")),
    )


def _is_mature(table: Mapping[str, Any]) -> bool:
    """What its author calls so, or of which no picture is for everybody."""
    level = table.get("nsfwLevel")
    levelled = isinstance(level, int) and not isinstance(level, bool) and level != 0 and not level & _HARMLESS
    return table.get("nsfw") is True or levelled


def _guard(table: Mapping[str, Any]) -> str:
    """Who may have it, where not everybody may."""
    paid = table_of(table.get("paidAccess"))
    until = text_of(paid.get("endsAt") or table.get("earlyAccessEndsAt"))[:10]
    if paid.get("permanent") is True:
        return "for those who pay"
    if until or text_of(table.get("availability")) == "EarlyAccess":
        return f"early access until {until}" if until else "early access"
    control = text_of(table.get("usageControl"))
    return "for drawing on the hub only" if control and control != "Download" else ""


def _licence(model: Mapping[str, Any]) -> str:
    """The model's permissions, in words; the hub knows no licences by name."""
    if "allowNoCredit" not in model:
        return ""
    words = ["no credit needed" if model.get("allowNoCredit") else "credit its author"]
    sale = texts_of(model.get("allowCommercialUse"))
    names = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", one).lower() for one in sale if one != "None"]
    words.append(f"commercial use: {', '.join(names)}" if names else "no commercial use")
    words.append("merges allowed" if model.get("allowDerivatives") else "no merges")
    return "; ".join(words)


def _page(model_id: str, version_id: str = "") -> str:
    version = f"?modelVersionId={version_id}" if version_id else ""
    return f"https://{CIVITAI_HOSTS[0]}/models/{model_id}{version}"


def _tables(value: Any) -> list[Mapping[str, Any]]:
    """The tables of a list; a hub may put nothing in a place (null)."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
