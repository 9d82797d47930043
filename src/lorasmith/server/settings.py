"""What a server is told at its start, and how much of anything it accepts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from lorasmith.bases.precision import Precision, Weights
from lorasmith.errors import UsageError
from lorasmith.project import EMBEDDED
from lorasmith.prompts.composition import MOST_SUBPROMPTS

DEFAULT_PORT = 7860
LEAST_TOKEN = 8
MIB = 2**20
GIB = 2**30
MOST_REPLICAS = 1024


@dataclass(frozen=True)
class Limits:
    """The most of everything in one request, and in the queue. Sizes are pixels or characters; `body_values` are the
    tables, lists, texts and commas of a request's JSON, `parts` those of a prompt that AND joins. `upload_bytes` are
    those of one file, `upload_total` those of all files of an upload."""

    body_bytes: int = 64 * MIB
    body_values: int = 100_000
    upload_bytes: int = 1024 * MIB
    upload_total: int = 8192 * MIB
    upload_files: int = 30_000
    pixels: int = 2048 * 2048
    steps: int = 1000
    pictures: int = 64
    cells: int = 256
    prompt: int = 20_000
    parts: int = MOST_SUBPROMPTS
    adapters: int = 32
    queue: int = 512
    queue_per_client: int = 256


@dataclass(frozen=True)
class ServerSettings:
    """Where the server listens, what it draws with, where it keeps things. Raises UsageError for what is unsafe.

    Without a token it listens to this machine alone. `bases` are "doodle", folders or files; the first one is drawn
    with until a client chooses another of them. `grace` is how many seconds a stop waits for pictures in the making.

    `wildcards` is the folder whose lists templates may name; it need not be there yet.

    `stores` are URLs of adapters; each process that draws keeps files of theirs below `cache` (a place below the user's
    data when None) up to `cache_bytes`, and factors up to `factor_bytes` of memory.

    `cluster` is the address of the one whose `replicas` draw ("local": one started here): as many as it has GPUs, or
    machines where it has none, when None. Without it this process draws.
    """

    data: Path
    adapters: tuple[Path, ...] = ()
    bases: tuple[str, ...] = (EMBEDDED,)
    wildcards: Path | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    origins: tuple[str, ...] = ()
    precision: Precision = "auto"
    weights: Weights = "full"
    batch_size: int = 8
    skip_unknown: bool = False
    grace: float = 10.0
    preload: bool = False
    stores: tuple[str, ...] = ()
    cache: Path | None = None
    cache_bytes: int = 4 * GIB
    factor_bytes: int = 512 * MIB
    cluster: str | None = None
    replicas: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} is not between 0 and 65535.")
        if self.token is not None and (
            len(self.token) < LEAST_TOKEN
            or not self.token.isascii()
            or not self.token.isprintable()
            or " " in self.token
        ):
            raise UsageError(
                f"the token is not {LEAST_TOKEN} or more letters, digits and signs without a space.",
                hint="Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f'host "{self.host}" can be reached from other machines, and no token is set.',
                hint="Give --token (or LORASMITH_TOKEN), or leave --host away to listen to this machine alone.",
            )
        if "*" in self.origins:
            raise UsageError('origin "*" would let every web page in.', hint="Name the origins, as https://example.org")
        if not self.bases:
            raise UsageError("no base is given.", hint="Give --base doodle, or a diffusers folder.")
        for folder in self.adapters:
            if "*" not in str(folder) and not folder.exists():
                raise UsageError("no such file or folder.", where=folder)
        for name, size in (("cache_bytes", self.cache_bytes), ("factor_bytes", self.factor_bytes)):
            if size < 1:
                raise UsageError(f"{name} = {size} is less than 1.", field=name)
        if self.replicas is not None and not 1 <= self.replicas <= MOST_REPLICAS:
            raise UsageError(f"replicas = {self.replicas} is not between 1 and {MOST_REPLICAS}.", field="replicas")
        if self.replicas is not None and self.cluster is None:
            raise UsageError("replicas are of a cluster, and none is given.", field="replicas")
        if self.batch_size < 1:
            raise UsageError(f"batch size {self.batch_size} is less than 1.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
