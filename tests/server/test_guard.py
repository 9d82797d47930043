"""Who is let in: token, host, origin, size; and what every answer carries."""

from __future__ import annotations

import base64
import resource
from collections.abc import Iterator

import httpx
import pytest

from lorasmith.server.guard import knows_token
from lorasmith.server.settings import Limits
from tests.server.running import Plain, plain_settings, running

TOKEN = "a-token-for-tests"
ORIGIN = "https://friend.example"


@pytest.fixture(scope="module")
def open_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = plain_settings(tmp_path_factory.mktemp("open"), limits=Limits(body_bytes=10_000))
    with running(settings, Plain()) as (client, _):
        yield client


@pytest.fixture(scope="module")
def closed_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = plain_settings(tmp_path_factory.mktemp("closed"), token=TOKEN, origins=(ORIGIN,))
    with running(settings, Plain()) as (client, _):
        del client.headers["authorization"]
        yield client


@pytest.fixture(scope="module")
def large_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(plain_settings(tmp_path_factory.mktemp("large")), Plain()) as (client, _):
        yield client


def peak_memory() -> int:
    """The most memory in bytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "let_in"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (basic("anybody", TOKEN), True),
        (basic("", TOKEN), True),
        (basic(TOKEN, ""), False),
        (basic("anybody", TOKEN + "x"), False),
        ("Basic ???", False),
        ("Bearer", False),
        (f"Token {TOKEN}", False),
        (TOKEN, False),
        ("", False),
        ("Bearer \udcff", False),
    ],
)
def test_tokens(header: str, let_in: bool) -> None:
    assert knows_token(header, TOKEN) is let_in


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/metrics", "/api/v1/status", "/sdapi/v1/options", "/x"]
)
def test_nothing_without_the_token(closed_client: httpx.Client, path: str) -> None:
    answer = closed_client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert closed_client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_only_health_is_open(closed_client: httpx.Client) -> None:
    assert closed_client.get("/health").json() == {"status": "ok"}


def test_a_named_origin_may_call(closed_client: httpx.Client) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    preflight = closed_client.options("/api/v1/jobs", headers=asks)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    known = {"authorization": f"Bearer {TOKEN}"}
    assert closed_client.post("/sdapi/v1/skip", headers={"origin": ORIGIN, **known}).status_code == 200
    foreign = closed_client.post("/sdapi/v1/skip", headers={"origin": "https://foe.example", **known})
    assert foreign.status_code == 403
    assert "access-control-allow-origin" not in foreign.headers


def test_foreign_pages_cannot_use_a_server_without_a_token(open_client: httpx.Client) -> None:
    for origin in ("https://foe.example", "null", "http://127.0.0.1:1"):
        assert open_client.post("/sdapi/v1/interrupt", headers={"origin": origin}).status_code == 403
    own = f"http://{open_client.base_url.netloc.decode()}"
    assert open_client.post("/sdapi/v1/interrupt", headers={"origin": own}).status_code == 200
    answer = open_client.get("/api/v1/status", headers={"origin": "https://foe.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert open_client.get("/api/v1/status", headers={"host": "rebound.example"}).status_code == 403
    assert open_client.get("/api/v1/status", headers={"host": "localhost:1"}).status_code == 200


def test_bodies_have_an_end(open_client: httpx.Client) -> None:
    told = open_client.post("/api/v1/jobs", content=b" " * 20_000, headers={"content-type": "application/json"})
    assert told.status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    untold = open_client.post("/api/v1/jobs", content=chunks(), headers={"content-type": "application/json"})
    assert untold.status_code == 413


def test_what_every_answer_carries(open_client: httpx.Client) -> None:
    for path in ("/", "/api/v1/status", "/nowhere", "/health"):
        headers = open_client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


@pytest.mark.parametrize(
    "host",
    [
        *("[::1]evil", "[::1].evil.example", "[::1", "::1]", "[::1]:80:80", "[::1]:evil", "[::1]evil:80", "[[::1]]"),
        *("localhost:evil", "localhost:80@evil.example", "localhost@evil.example", "localhost/evil", "localhost evil"),
        *("127.0.0.1.evil.example", "localhost.evil.example", "evil.example:localhost", ":80", "", "127.0.0.1:999999"),
    ],
)
def test_hosts_that_only_look_like_this_machine(open_client: httpx.Client, host: str) -> None:
    assert open_client.get("/api/v1/status", headers={"host": host}).status_code in (400, 403)
    assert open_client.get("/health", headers={"host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:7860"])
def test_hosts_of_this_machine(open_client: httpx.Client, host: str) -> None:
    assert open_client.get("/api/v1/status", headers={"host": host}).status_code == 200


def many(start: bytes, each: bytes, end: bytes, size: int) -> Iterator[bytes]:
    """A JSON text of about `size` bytes in pieces of 1 MB."""
    yield start
    piece = each * (2**20 // len(each))
    for _ in range(size // len(piece)):
        yield piece
    yield end


@pytest.mark.parametrize("path", ["/api/v1/batches", "/api/v1/jobs", "/sdapi/v1/txt2img", "/sdapi/v1/img2img"])
@pytest.mark.parametrize(
    ("start", "each", "end"),
    [
        (b'{"pictures": [{}', b",{}", b"]}"),
        (b'{"pictures": [[]', b",[]", b"]}"),
        (b'{"pictures": [""', b',""', b"]}"),
        (b'{"script_args": [0', b",0", b"]}"),
        (b'{"alwayson_scripts": {"a": {}', b',"a":{}', b"}}"),
    ],
)
def test_many_small_things_are_refused_before_memory_grows(
    large_client: httpx.Client, path: str, start: bytes, each: bytes, end: bytes
) -> None:
    before = peak_memory()
    told = large_client.post(
        path, content=many(start, each, end, 60 * 2**20), headers={"content-type": "application/json"}
    )
    assert told.status_code == 413
    assert "values" in told.json()["detail"]
    assert peak_memory() - before < 50 * 2**20


def test_long_texts_are_no_many_things(large_client: httpx.Client) -> None:
    body = {"image": "data:image/png;base64," + ",{[" * 100_000}
    assert large_client.post("/sdapi/v1/png-info", json=body).status_code == 422


def test_a_wrong_request_is_not_answered_at_length(large_client: httpx.Client) -> None:
    told = large_client.post("/api/v1/batches", json={"pictures": [{"wrong": 1}] * 900})
    assert told.status_code == 422
    assert len(told.json()["detail"]) == 100


def test_head_is_answered_wherever_get_is(open_client: httpx.Client, closed_client: httpx.Client) -> None:
    assert closed_client.head("/health").status_code == 200
    assert closed_client.head("/metrics").status_code == 401
    paths = ("/health", "/metrics", "/", "/web/studio/main.js", "/openapi.json", "/api/v1/status", "/sdapi/v1/loras")
    for path in paths:
        told = open_client.head(path)
        assert (told.status_code, told.content) == (200, b""), path
        assert told.headers["content-type"] == open_client.get(path).headers["content-type"]
    assert open_client.head("/nowhere").status_code == 404
    assert open_client.head("/api/v1/prompts/parse").status_code == 405
    assert open_client.head(f"/api/v1/jobs/{'0' * 32}/events").status_code == 405
