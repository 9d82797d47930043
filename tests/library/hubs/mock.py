"""A mock of both hubs: their paths, status codes, headers and manners, as their own documentation and source have them.

One FastAPI app speaks for Civitai, Hugging Face and the store of files that both redirect to. The store has another
host's name ("localhost" where the hubs are 127.0.0.1) and, as real ones, refuses a signed address that comes with an
Authorization. `Hubs.log` has every request; `Hubs.faults` are answers that are given instead, so often.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from PIL import Image

TOKEN = "secret-token-0123456789"
"""The one that the mock takes."""
COMMIT, OLDER_COMMIT = "c0ffee" * 6 + "c0ff", "0dd5" * 10
HUBS_HOST, STORE_HOST = "127.0.0.1", "localhost"
CACHE = "public, s-maxage=300, stale-while-revalidate=150"


def adapter_bytes(seed: int = 0, rank: int = 4, pad: int = 0, metadata: Mapping[str, str] | None = None) -> bytes:
    """A small adapter of sd1 in kohya's spelling; with `pad` bytes more of weights."""
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    shapes = {
        f"{layer}.alpha": (),
        f"{layer}.lora_down.weight": (rank, 768),
        f"{layer}.lora_up.weight": (320, rank),
    }
    layers = {**shapes}
    for number in range(-(-pad // (rank * 4 * 1088))):
        other = layer.replace("blocks_0_attn2", f"blocks_{number + 1}_attn2")
        layers |= {f"{other}.lora_down.weight": (rank, 768), f"{other}.lora_up.weight": (320, rank)}
    table: dict[str, Any] = {}
    body = bytearray()
    for key, shape in layers.items():
        size = 4
        for extent in shape:
            size *= extent
        table[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(body), len(body) + size]}
        numbers = hashlib.shake_128(f"{seed} {key}".encode()).digest(size // 4)
        body += b"".join(struct.pack("<f", byte / 2550) for byte in numbers)
    table["__metadata__"] = {"ss_network_dim": str(rank), "modelspec.title": f"adapter {seed}", **(metadata or {})}
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + bytes(body)


def picture_bytes(colour: str = "teal", kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(out, kind)
    return out.getvalue()


@dataclass(frozen=True)
class Seen:
    """A request as the mock saw it; `host` without the port."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    at: float

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Fault:
    """An answer instead of the right one, for requests whose path the pattern fits, so many `times` once `skip` of them
    have gone by."""

    pattern: str
    status: int
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    skip: int = 0


@dataclass
class Hubs:
    """What the mock has, what it does wrong on purpose, and what it was asked."""

    models: dict[int, dict[str, Any]] = field(default_factory=dict)
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: list[Seen] = field(default_factory=list)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    cut_after: int = 0
    """The store breaks off after so many bytes, when it is not 0 ..."""
    cuts: int = 0
    """... so many times."""
    slow: float = 0.0
    """Seconds between two pieces of a file."""
    piece: int = 1 << 16
    wrong: bool = False
    """The store gives another file's bytes."""
    no_ranges: bool = False
    per_second: float = 0.0
    """Requests a second before 429, when it is not 0."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://{HUBS_HOST}:{self.port}"

    @property
    def store(self) -> str:
        return f"http://{STORE_HOST}:{self.port}/store"

    def keep(self, data: bytes) -> str:
        """Put bytes into the store; gives their SHA256, which is their name there."""
        digest = hashlib.sha256(data).hexdigest()
        self.files[digest] = data
        return digest

    def fail(self, pattern: str, status: int, times: int = 1, body: Any = None, skip: int = 0, **headers: str) -> None:
        """Answer so instead (see `Fault`); header names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(pattern, status, times, named, body, skip))

    def seen(self, pattern: str, host: str = "") -> list[Seen]:
        return [one for one in self.log if re.search(pattern, one.path) and host in ("", one.host)]

    def add_model(self, number: int, name: str, *versions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A model of Civitai's with its versions (the newest first; see `version`)."""
        model = {
            "id": number,
            "name": name,
            "description": f"<p>{name}, for <b>tests</b></p>",
            "allowNoCredit": False,
            "allowCommercialUse": ["Image"],
            "allowDerivatives": True,
            "allowDifferentLicense": False,
            "type": "LORA",
            "minor": False,
            "poi": False,
            "nsfw": False,
            "nsfwLevel": 1,
            "availability": "Public",
            "mode": None,
            "stats": {"downloadCount": 100 + number, "thumbsUpCount": 3},
            "creator": {"username": "maker", "image": None},
            "tags": ["character", "doodle"],
            **more,
        }
        self.models[number] = {**model, "modelVersions": [{"modelId": number, **each} for each in versions]}
        return self.models[number]

    def version(self, number: int, data: bytes, file: str = "", **more: Any) -> dict[str, Any]:
        """A version with one file; `more` goes over what the hub says of it."""
        digest = self.keep(data)
        picture = self.keep(picture_bytes())
        (length,) = struct.unpack("<Q", data[:8])
        payload = hashlib.sha256(data[8 + length :]).hexdigest()
        return {
            "id": number,
            "name": f"v{number}",
            "nsfwLevel": 1,
            "createdAt": f"2026-01-{number % 28 + 1:02d}T00:00:00.000Z",
            "updatedAt": "2026-02-01T00:00:00.000Z",
            "publishedAt": f"2026-01-{number % 28 + 1:02d}T00:00:00.000Z",
            "status": "Published",
            "trainedWords": [f"trg{number}"],
            "baseModel": "SD 1.5",
            "baseModelType": "Standard",
            "description": None,
            "usageControl": "Download",
            "paidAccess": None,
            "air": f"urn:air:sd1:lora:civitai:1@{number}",
            "stats": {"downloadCount": None, "thumbsUpCount": 1},
            "files": [
                {
                    "id": number * 10,
                    "sizeKB": len(data) / 1024,
                    "name": file or f"file{number}.safetensors",
                    "type": "Model",
                    "metadata": {"format": "SafeTensor", "size": None, "fp": None},
                    "pickleScanResult": "Success",
                    "virusScanResult": "Success",
                    "scannedAt": "2026-01-02T00:00:00.000Z",
                    "hashes": {
                        "AutoV1": digest[:8].upper(),
                        "AutoV2": digest[:10].upper(),
                        "AutoV3": payload[:12].upper(),
                        "SHA256": digest.upper(),
                    },
                    "primary": True,
                    "downloadUrl": f"https://civitai.com/api/download/models/{number}",
                }
            ],
            "images": [
                {
                    "url": f"{{store}}/{picture}",
                    "nsfwLevel": 1,
                    "width": 320,
                    "height": 240,
                    "type": "image",
                    "meta": None,
                }
            ],
            "downloadUrl": f"https://civitai.com/api/download/models/{number}",
            **more,
        }

    def add_repository(self, name: str, files: Mapping[str, bytes], **more: Any) -> dict[str, Any]:
        """A repository on Hugging Face; `card` is its front matter."""
        owner = name.split("/")[0]
        stored = {path: self.keep(data) for path, data in files.items()}
        card = {
            "license": "mit",
            "base_model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "instance_prompt": "hfword",
            "tags": ["lora", "text-to-image"],
        }
        self.repositories[name] = {
            "id": name,
            "modelId": name,
            "author": owner,
            "sha": COMMIT,
            "lastModified": "2026-03-01T00:00:00.000Z",
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 7,
            "likes": 1,
            "tags": ["diffusers", "lora", "text-to-image", f"base_model:adapter:{card['base_model']}", "license:mit"],
            "cardData": card,
            "stored": stored,
            **more,
        }
        return self.repositories[name]


def build_hubs(hubs: Hubs) -> FastAPI:
    """The app that answers for both hubs and their store."""
    from tests.library.hubs.mock_civitai import add_civitai
    from tests.library.hubs.mock_hugging_face import add_hugging_face

    app = FastAPI()
    turn = {"second": 0.0, "count": 0}

    @app.middleware("http")
    async def watch(request: Request, call_next: Callable[[Request], Any]) -> Response:
        host = request.headers.get("host", "").rpartition(":")[0]
        seen = Seen(request.method, host, request.url.path, request.url.query, dict(request.headers), time.monotonic())
        hubs.log.append(seen)
        for fault in hubs.faults:
            if fault.times > 0 and re.search(fault.pattern, request.url.path):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                body = {"error": f"fault {fault.status}"} if fault.body is None else fault.body
                return JSONResponse(body, fault.status, dict(fault.headers))
        if hubs.per_second and not request.url.path.startswith("/store/"):
            if seen.at - turn["second"] >= 1:
                turn.update(second=seen.at, count=0)
            turn["count"] += 1
            if turn["count"] > hubs.per_second:
                return JSONResponse({"error": "Too Many Requests"}, 429, {"Retry-After": "1"})
        answer: Response = await call_next(request)
        return answer

    @app.get("/store/{digest}")
    async def give(digest: str, request: Request) -> Response:
        if request.headers.get("authorization"):
            return Response("<Error><Code>InvalidArgument</Code>Only one auth mechanism allowed</Error>", 400)
        data = hubs.files.get(digest)
        if data is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
        if hubs.wrong:
            data = bytes(len(data))
        return _give(hubs, data, digest, request.headers.get("range", ""))

    add_civitai(app, hubs)
    add_hugging_face(app, hubs)
    return app


def signed(hubs: Hubs, digest: str) -> str:
    return f"{hubs.store}/{digest}?X-Amz-Signature=abc&X-Amz-Expires=86400"


def redirect(address: str, status: int = 307, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RedirectResponse(address, status, {"Cache-Control": "no-store", **named})


def has_token(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {TOKEN}" or request.query_params.get("token") == TOKEN


def _give(hubs: Hubs, data: bytes, digest: str, wanted: str) -> Response:
    """A file, or what is asked of it; cut off or slowly where the mock is told so."""
    start, status = 0, 200
    headers = {"ETag": f'"{digest[:32]}"', "Accept-Ranges": "bytes"}
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
    if found and not hubs.no_ranges:
        start = int(found[1])
        if start >= len(data):
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    rest = data[start:]
    headers["Content-Length"] = str(len(rest))

    async def pieces() -> AsyncIterator[bytes]:
        import asyncio

        cut = len(rest)
        if hubs.cut_after and hubs.cuts > 0:
            hubs.cuts -= 1
            cut = min(hubs.cut_after, cut)
        for at in range(0, cut, hubs.piece):
            yield rest[at : min(at + hubs.piece, cut)]
            if hubs.slow:
                await asyncio.sleep(hubs.slow)

    return StreamingResponse(pieces(), status, headers, media_type="application/octet-stream")


@contextlib.contextmanager
def serve_hubs(hubs: Hubs, port: int = 0) -> Iterator[Hubs]:
    """The mock on a port of this computer, in a thread."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(build_hubs(hubs), host=HUBS_HOST, port=port, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError(f"the mock does not start on port {port}")
        time.sleep(0.01)
    hubs.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield hubs
    finally:
        server.should_exit = True
        thread.join(10)
