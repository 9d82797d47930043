"""Captions in sentences from an endpoint that speaks OpenAI's chat API, on this machine or elsewhere (T12)."""

from __future__ import annotations

import base64
import io
import ipaddress
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError, ImageError, UsageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.images.crops import open_part
from lorasmith.images.opening import open_small
from lorasmith.project import Project
from lorasmith.tags.refusal import refuse
from lorasmith.tags.settings import CaptionerTable
from lorasmith.tags.store import read_sentences, store_sentences

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "LORASMITH_CAPTIONER_KEY"
"""Where the key for an endpoint is; it is never in a file of the project."""
_SIDE = 1024
_BYTES_PER_PIXEL = 0.25
"""Of a JPEG at our quality and as base64; an estimate for the cost."""
_QUALITY = 88
_TIMEOUT = 180.0
_TRIES = 4
_LONGEST = 4000
_TOKENS = 400
_SAVE_EVERY = 20
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CLOSED = frozenset({401, 402, 403, 404, 405})


@dataclass(frozen=True)
class CaptionCost:
    """What captioning would send: so many `images`, about so many `bytes`, to `host`, which `is_local` when it is this
    machine; `known` images have a caption of it already."""

    images: int
    known: int
    bytes: int
    host: str
    is_local: bool

    def as_json(self) -> dict[str, Any]:
        """The document of a cost."""
        return dict(vars(self))


def is_address(text: str) -> bool:
    """Whether a captioner is an endpoint, not a program."""
    return text.startswith(("http://", "https://"))


def check_endpoint(table: CaptionerTable) -> str:
    """The address to ask. Raises UsageError for what is no address."""
    try:
        parts = urlsplit(table.url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or not is_address(table.url) or not table.url.isprintable() or " " in table.url:
        hint = "Give the endpoint's, such as http://localhost:8080/v1"
        raise UsageError(f'"{table.url}": not a web address.', field="captioner", hint=hint)
    address = table.url.rstrip("/")
    return address if address.endswith("/chat/completions") else f"{address}/chat/completions"


def caption_cost(project: Project, dataset: Dataset, table: CaptionerTable, again: bool = False) -> CaptionCost:
    """What captioning would send, before anything is sent. Raises UsageError."""
    check_endpoint(table)
    host = urlsplit(table.url).hostname or ""
    known = read_sentences(project, _identity(table))
    items = {item.content: item for item in dataset.items if again or item.content not in known}
    return CaptionCost(len(items), len(known), sum(map(_bytes_of, items.values())), host, _is_local(host))


def caption_by_endpoint(
    project: Project, dataset: Dataset, table: CaptionerTable, *, again: bool = False, consent: bool = False
) -> Work[int]:
    """Ask an endpoint about every image that it has not captioned yet (`again`: all) and keep its sentences along the
    way; gives the number of images captioned.

    Pictures are sent with their longer side at most 1024 pixels, of a decided crop that part. An endpoint that is busy
    is asked again. An image of which it says nothing is named by a note and passed over. Raises UsageError without
    `consent` when pictures would leave this machine, or when the endpoint does not let us in or is not there;
    DatasetError when it captions none; RefusedError.
    """
    import httpx

    address, cost = check_endpoint(table), caption_cost(project, dataset, table, again)
    if not cost.is_local and not consent:
        raise UsageError(
            f"{cost.images} pictures, about {cost.bytes / 2**20:.1f} MiB, would leave this machine for {cost.host}.",
            field="captioner",
            hint="Say yes to that if they may.",
        )
    name = _identity(table)
    store_sentences(project, name, {})
    known = {} if again else read_sentences(project, name)
    items = {item.content: item for item in dataset.items if item.content not in known}
    fresh: dict[str, str] = {}
    captioned, fault, started = 0, "", time.monotonic()
    key = os.environ.get(KEY_VARIABLE, "")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
            answers = _ask_all(client, address, table, list(items.values()))
            for done, (item, said) in enumerate(answers, start=1):
                if isinstance(said, _UnreachedError) and done == 1:
                    hint = "Start it, or look at its address."
                    raise UsageError(f"{table.url} {said}", field="captioner", hint=hint)
                if isinstance(said, _FailedError):
                    fault = str(said)
                    yield Note(f"{item.name}: no caption: {fault}", "warning")
                else:
                    refuse(said, item.name)
                    fresh[item.content] = said
                    captioned += 1
                if len(fresh) >= _SAVE_EVERY:
                    store_sentences(project, name, fresh)
                    fresh = {}
                yield Progress("captioning", done, len(items), eta(started, done, len(items)))
    finally:
        if fresh:
            store_sentences(project, name, fresh)
    if items and not captioned:
        raise DatasetError(f"it gave no caption for any of {len(items)} images: {fault}", where=table.url)
    return captioned


class _FailedError(Exception):
    """The endpoint gave no caption for one image."""


class _UnreachedError(_FailedError):
    """Nobody listens there."""


def _ask_all(
    client: httpx.Client, address: str, table: CaptionerTable, items: Sequence[Item]
) -> Iterator[tuple[Item, str | _FailedError]]:
    """The answers as they come, so many at a time; nothing more is asked once somebody stops listening."""
    waiting, asked = list(reversed(items)), dict[Future[str | _FailedError], Item]()
    pool = ThreadPoolExecutor(table.concurrency, thread_name_prefix="captioner")
    try:
        while waiting or asked:
            while waiting and len(asked) < table.concurrency:
                item = waiting.pop()
                asked[pool.submit(_ask, client, address, table, item)] = item
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                yield asked.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(client: httpx.Client, address: str, table: CaptionerTable, item: Item) -> str | _FailedError:
    """What the endpoint says of one image, on one line. Raises UsageError where it will never let us in."""
    import httpx

    try:
        picture = base64.b64encode(_jpeg(item)).decode("ascii")
    except (ImageError, OSError) as fault:
        return _FailedError(f"cannot be read: {fault}")
    content: list[dict[str, Any]] = [
        {"type": "text", "text": table.prompt},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
    ]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], "max_tokens": _TOKENS}
    if table.model:
        body["model"] = table.model
    problem, failed = "", _FailedError
    for tried in range(_TRIES):
        pause = 2.0**tried
        try:
            answer = client.post(address, json=body)
        except httpx.HTTPError as fault:
            problem = f"cannot be reached ({fault or type(fault).__name__})."
            failed = _UnreachedError if isinstance(fault, httpx.ConnectError) else _FailedError
        else:
            if answer.status_code in _CLOSED:
                raise _closed(table, answer.status_code)
            if answer.status_code not in _BUSY:
                return _sentence(answer)
            problem, failed = f"it answered {answer.status_code}.", _FailedError
            wish = answer.headers.get("retry-after", "")
            pause = min(60.0, float(wish)) if wish.isdigit() else pause
        if tried + 1 < _TRIES:
            time.sleep(pause)
    return failed(problem)


def _closed(table: CaptionerTable, status: int) -> UsageError:
    hints = {
        404: "Look at its address, which often ends with /v1, and at the model's name.",
        405: "Look at its address, which often ends with /v1.",
        402: "It wants to be paid.",
    }
    hint = hints.get(status, f"Put its key into {KEY_VARIABLE}.")
    return UsageError(f"{table.url} does not let us in (HTTP {status}).", field="captioner", hint=hint)


def _sentence(answer: httpx.Response) -> str | _FailedError:
    if not answer.is_success:
        return _FailedError(f"it answered {answer.status_code}.")
    try:
        said = answer.json()["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return _FailedError("its answer cannot be read.")
    sentence = " ".join(str(said or "").replace("\0", " ").split())
    if not sentence:
        return _FailedError("it said nothing.")
    if len(sentence) > _LONGEST:
        return _FailedError(f"it said {len(sentence)} characters; a caption has at most {_LONGEST}.")
    return sentence


def _jpeg(item: Item) -> bytes:
    picture = open_small(item.path, _SIDE) if item.crop is None else open_part(item.path, item.crop)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=_QUALITY)
    return held.getvalue()


def _bytes_of(item: Item) -> int:
    width, height = item.size
    scale = min(1.0, _SIDE / max(width, height))
    return int(width * height * scale * scale * _BYTES_PER_PIXEL) + 1000


def _identity(table: CaptionerTable) -> str:
    """What its sentences are kept under: another model or prompt says other things."""
    return f"{table.url} {table.model}: {table.prompt}"


def _is_local(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
