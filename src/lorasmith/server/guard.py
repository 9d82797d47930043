"""What every request passes before it reaches the application: who asks, from where, how much; and what every answer
carries."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import json
import re
import time
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorasmith.server.errors import error_document
from lorasmith.server.json_values import ValueCounter
from lorasmith.server.metrics import Metrics
from lorasmith.server.settings import ServerSettings, is_loopback

OPEN_PATHS = frozenset({"/health"})
"""What may be asked without a token: it tells nothing but that the server lives."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FILE_PATHS = "/api/v1/uploads/"
"""Where files are sent to, by PUT."""
STREAMS = ("/events",)
"""Ends of paths whose answer ends when a job does: no HEAD."""
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
        b" frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@/?#\s]+)(?::[0-9]{1,5})?")


class _TooLarge(Exception):
    """The body is longer than it may be, or holds more values."""


class Guard:
    """ASGI middleware around the whole application.

    - Without a token only requests that name this machine are served (a foreign page that points its own name at it
      is turned away), with one only those that know it, by ``Authorization: Bearer`` or as the password of basic auth.
    - What changes anything is not taken from foreign pages; which origins are not foreign, the settings say.
    - Bodies have an end.

    HEAD is answered like GET, without the body.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        started = time.monotonic()
        status = [0]
        method = _method(scope)
        bodiless = method == "HEAD" and not scope["path"].endswith(STREAMS)
        scope = {**scope, "method": "GET"} if bodiless else scope

        async def send_guarded(message: Message) -> None:
            if bodiless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                headers += [header for header in HEADERS if header[0] not in present]
                if b"cache-control" not in present:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._serve(scope, receive, send_guarded, status)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.add("lorasmith_requests_total", method=method, route=route, status=str(status[0]))
            self._metrics.add("lorasmith_request_seconds_total", time.monotonic() - started, route=route)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, status: list[int]) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            code, reason, message = refusal
            self._metrics.add("lorasmith_refused_total", reason=reason)
            await _answer(send, code, message)
            return
        is_file = _is_file(scope, headers)
        limit = self._settings.limits.upload_bytes if is_file else self._settings.limits.body_bytes
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            self._metrics.add("lorasmith_refused_total", reason="size")
            await _answer(send, 413, f"the request has {int(length):,} bytes, the most are {limit:,}.")
            return
        taken, counter, most = 0, ValueCounter(), self._settings.limits.body_values
        problem: str | None = None

        async def receive_limited() -> Message:
            nonlocal taken, problem
            message = await receive()
            if message["type"] == "http.request":
                body = message.get("body", b"")
                taken += len(body)
                if taken > limit:
                    problem = f"the request has more than {limit} bytes."
                elif not is_file and counter.feed(body) > most:
                    problem = f"the request holds more than {most} values."
                if problem is not None:
                    raise _TooLarge
            return message

        async def send_unless_too_large(message: Message) -> None:
            # NOTE: the framework turns whatever happens while it reads a body into an answer of its own.
            if problem is None or status[0]:
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, receive_limited, send_unless_too_large)
        if problem is not None and not status[0]:
            self._metrics.add("lorasmith_refused_total", reason="size")
            await _answer(send, 413, problem)

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str, str] | None:
        """(status, reason, message) when the request is not let in."""
        settings = self._settings
        origin = headers.get("origin")
        foreign = origin is not None and origin not in settings.origins and not _is_own(origin, headers.get("host", ""))
        if settings.token is None and not is_loopback(_host_name(headers.get("host", ""))):
            return 403, "host", "this server is only known as localhost; start it with a token to call it otherwise."
        if foreign and scope["method"] not in SAFE_METHODS:
            return (
                403,
                "origin",
                f"requests of {origin} are not taken; the server was not started with --origin for it.",
            )
        if scope["path"] in OPEN_PATHS or _is_preflight(scope, headers, settings.origins):
            return None
        if settings.token is not None and not knows_token(headers.get("authorization", ""), settings.token):
            return 401, "token", "a token is needed: Authorization: Bearer TOKEN, or basic auth with it as password."
        return None


def knows_token(authorization: str, token: str) -> bool:
    """Whether a header names the token; compared in constant time."""
    scheme, _, given = authorization.partition(" ")
    given = given.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, ValueError):
            given = ""
    elif scheme.lower() != "bearer":
        given = ""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode("ascii"))


def _is_file(scope: Scope, headers: MutableMapping[str, str]) -> bool:
    """Whether the body is a file that goes to the disk as it comes, and is never looked at as JSON."""
    kind = headers.get("content-type", "")
    return scope["method"] == "PUT" and scope["path"].startswith(FILE_PATHS) and kind == "application/octet-stream"


def _method(scope: Scope) -> str:
    method = scope["method"]
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; nothing when it is not of the form that it must have."""
    match = _HOST.fullmatch(host)
    return "" if match is None else match[1]


def _is_own(origin: str, host: str) -> bool:
    try:
        return origin != "null" and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _is_preflight(scope: Scope, headers: MutableMapping[str, str], origins: tuple[str, ...]) -> bool:
    return (
        scope["method"] == "OPTIONS" and headers.get("origin") in origins and "access-control-request-method" in headers
    )


async def _answer(send: Send, code: int, message: str) -> None:
    body = json.dumps({"error": error_document("Refused", message, code), "detail": message}).encode("utf-8")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    if code == 401:
        headers.append((b"www-authenticate", b'Basic realm="lorasmith", charset="UTF-8"'))
    if code == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
