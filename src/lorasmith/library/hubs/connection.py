"""HTTP to one hub: polite, patient, and careful whom it shows the token."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from lorasmith import __version__
from lorasmith.errors import HubError, first_line
from lorasmith.events import Note, Work
from lorasmith.remedies import Remedy

if TYPE_CHECKING:
    import httpx

PAUSE = 0.75
"""Seconds between two requests to one hub, which publish no limits of theirs."""
PATIENCE = 90.0
"""Seconds that a hub may ask us to wait; for longer ones the user is asked to come back."""
TRIES = 4
LONGEST_BODY = 64 << 20
CHUNK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 6
_BUSY = (429, 503)
_SECONDS_TO_CONNECT, _SECONDS_TO_ANSWER = 10.0, 60.0


@dataclass
class Gate:
    """When the next request to a hub may go: `pause` seconds after the last one, and not before the hub has said so.
    All threads of the process share one."""

    pause: float
    opens: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def claim(self) -> float:
        """Take the next place in the line; gives the seconds until it comes."""
        with self.lock:
            at = max(time.monotonic(), self.opens)
            self.opens = at + self.pause
            return at - time.monotonic()

    def close(self, seconds: float) -> None:
        """Let nobody through for so long."""
        with self.lock:
            self.opens = max(self.opens, time.monotonic() + seconds)


_GATES: dict[str, Gate] = {}


def gate_of(address: str) -> Gate:
    """The gate that everybody goes through who asks this site."""
    return _GATES.setdefault(_origin(address), Gate(PAUSE))


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The JSON value in it, None where there is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def table(self) -> Mapping[str, Any]:
        """The JSON table in it, an empty one where there is none."""
        value = self.value
        return value if isinstance(value, dict) else {}

    @property
    def tables(self) -> list[Mapping[str, Any]]:
        """The tables of the JSON list in it; a hub may put nothing in a place (null)."""
        value = self.value
        return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, such as one to log in, instead of what was asked for."""
        return self.headers.get("content-type", "").startswith("text/html")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the hub asks for, from `Retry-After` (a number or a date) or `RateLimit` (t=SECONDS)."""
        said = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", said):
            return float(said)
        try:
            return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            limit = re.search(r"\bt\s*=\s*(\d{1,9})", self.headers.get("ratelimit", ""))
            return float(limit[1]) if limit else None


@dataclass(frozen=True)
class Stream:
    """An open answer whose body is still to come."""

    status: int
    headers: Mapping[str, str]
    response: httpx.Response

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises HubError when it breaks off."""
        import httpx

        try:
            yield from self.response.iter_raw(CHUNK)
        except httpx.TransportError as fault:
            raise HubError(f"the connection broke: {first_line(fault)}.") from None

    def close(self) -> None:
        self.response.close()


class Connection:
    """Asks the site at `address` by the name that messages call it. The token is shown to that very site only, never
    to one that a redirect leads to, and stands in no message."""

    def __init__(self, name: str, address: str, token: str = "", gate: Gate | None = None) -> None:
        self.name, self.address = name, address.rstrip("/")
        self.gate = gate or gate_of(self.address)
        self._token = token
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Let go of the sockets; another request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __repr__(self) -> str:
        return f"<Connection to {self.name} at {self.address}>"

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    def ask(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Work[Answer]:
        """The answer to a request, whatever it is; a GET, with a `body` (for JSON) a POST. Waits when the hub is busy.
        Raises HubError when it cannot be reached or stays busy."""
        stream = yield from self.open(path, query, body)
        try:
            content = b""
            for chunk in stream.chunks():
                content += chunk
                if len(content) > LONGEST_BODY:
                    raise HubError(f"{self.name} answers with more than {LONGEST_BODY >> 20} MB.", where=path)
        finally:
            stream.close()
        return Answer(stream.status, stream.headers, content)

    def open(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Work[Stream]:
        """As `ask`, with the body still to come; close what it gives."""
        address = path if "://" in path else f"{self.address}{path}"
        for attempt in range(TRIES):
            yield from _wait(self.gate.claim(), self.name)
            stream = self._follow(address, query, body, headers or {})
            if stream.status not in _BUSY:
                return stream
            seconds = Answer(stream.status, stream.headers, b"").retry_after
            stream.close()
            wished = min(2.0**attempt, PATIENCE) if seconds is None else seconds
            self.gate.close(min(wished, PATIENCE))
            if wished > PATIENCE or attempt == TRIES - 1:
                raise self._busy(stream.status, seconds)
        raise AssertionError("the last try ends in an answer or an error")

    def _busy(self, status: int, seconds: float | None) -> HubError:
        when = "in some minutes" if seconds is None else f"in {_span(seconds)}"
        what = "has had too many requests" if status == 429 else "is overloaded"
        return HubError(
            f"{self.name} {what} ({status}).",
            hint=f"The same command {when} goes on where it was.",
            status=status,
        )

    def _follow(self, address: str, query: Mapping[str, Any] | None, body: Any, headers: Mapping[str, str]) -> Stream:
        """Send, and go where it leads. Once it has led away from the hub, the token stays at home."""
        import httpx

        at_home = True
        method = "GET" if body is None else "POST"
        for _ in range(_MOST_REDIRECTS):
            at_home = at_home and _origin(address) == _origin(self.address)
            shown = {"Authorization": f"Bearer {self._token}"} if self._token and at_home else {}
            try:
                request = self._opened().build_request(
                    method, address, params=query or None, json=body, headers={**headers, **shown}
                )
                response = self._opened().send(request, stream=True, follow_redirects=False)
            except (httpx.TransportError, httpx.InvalidURL) as fault:
                raise self._unreachable(address, fault) from None
            if response.status_code not in _REDIRECTS:
                return Stream(response.status_code, dict(response.headers), response)
            response.close()
            address = urljoin(str(response.url), response.headers.get("location", ""))
            query = None
            if response.status_code == 303:
                method, body = "GET", None
            if urlsplit(address).scheme not in ("http", "https"):
                raise HubError(f"{self.name} leads to no web address.", where=without_secrets(address))
        raise HubError(f"{self.name} leads in circles.", where=without_secrets(address))

    def _opened(self) -> httpx.Client:
        import httpx

        if self._client is None:
            self._client = httpx.Client(
                timeout=httpx.Timeout(_SECONDS_TO_ANSWER, connect=_SECONDS_TO_CONNECT),
                headers={"User-Agent": f"lorasmith/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._client

    def _unreachable(self, address: str, fault: Exception) -> HubError:
        host = urlsplit(address).hostname or self.name
        return HubError(
            f"{host} cannot be reached: {first_line(fault)}.",
            hint="Check the network and try again; what lies in the library can be used without one.",
        )


def refusal(name: str, answer: Answer, what: str, hint: str, remedy: Remedy | None = None) -> HubError:
    """For an answer that nothing else explains."""
    said = answer.table.get("error") or answer.table.get("message") or ""
    words = f": {' '.join(str(said).split())[:200]}" if isinstance(said, str) and said else ""
    return HubError(
        f"{name} answers {answer.status}{words}.", where=what, hint=hint, remedy=remedy, status=answer.status
    )


def without_secrets(address: str) -> str:
    """An address as it may be printed: without user, password, query and fragment."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _origin(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}".lower()


def _wait(seconds: float, name: str) -> Work[None]:
    if seconds > 2:
        yield Note(f"{name} asks for {_span(seconds)} of patience.")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 120 else f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
