"""`lorasmith serve`: the HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.precision import PrecisionOption, WeightsOption, read_precision, read_weights
from lorasmith.cli.rendering import print_json, say
from lorasmith.cli.skipping import SkipUnknown
from lorasmith.errors import UsageError
from lorasmith.remedies import Install

DEFAULT_PORT = 7860
EXTRA = ("fastapi", "uvicorn")


def command(
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Which address to listen on; others than this machine's need a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[
        str | None,
        typer.Option(envvar="LORASMITH_TOKEN", show_envvar=True, help="What clients must know, 8 characters or more."),
    ] = None,
    adapters: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR|URL", help="Where adapters are: a folder, or a store (s3://BUCKET/PATH). Repeatable."
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where files of stores are kept on the machines that draw.")
    ] = None,
    cache_size: Annotated[
        float, typer.Option(metavar="GIB", help="How much of the disk such files take in each process that draws.")
    ] = 4.0,
    factor_size: Annotated[
        float, typer.Option(metavar="GIB", help="How much memory the factors of stores' adapters take there.")
    ] = 0.5,
    base: Annotated[
        list[str] | None, typer.Option(help='"doodle", a checkpoint file, a diffusers folder or a hub id; repeatable.')
    ] = None,
    wildcards: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where wildcard files are, for templates.")
    ] = None,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where jobs and pictures are kept.")] = Path(
        "lorasmith-data"
    ),
    cluster: Annotated[
        str | None,
        typer.Option(metavar="local|ADDRESS", help="Let a Ray cluster draw: HOST:PORT, or one started here."),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many draw there; as many as it has GPUs, or else machines, if none."),
    ] = None,
    precision: PrecisionOption = "auto",
    weights: WeightsOption = "full",
    skip_unknown: SkipUnknown = False,
    batch: Annotated[int, typer.Option(help="How many pictures are drawn together.")] = 8,
    queue: Annotated[int, typer.Option(help="How many pictures may wait.")] = 512,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A web page's origin that may call the server, as https://example.org."),
    ] = None,
    grace: Annotated[float, typer.Option(help="Seconds that pictures in the making get when it is stopped.")] = 10.0,
    lazy: Annotated[bool, typer.Option("--lazy", help="Load the base at the first picture, not at the start.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The address as a JSON line, for programs.")] = False,
) -> None:
    """A page to draw with, and an API that web UI clients know.

    Example: lorasmith serve --adapters adapters --port 7860
    """
    check_installed()
    from lorasmith.adapters.stored.store import is_url
    from lorasmith.cli.commands.generate import find_shelf
    from lorasmith.server.settings import GIB, Limits, ServerSettings
    from lorasmith.server.uvicorn_server import serve

    if queue < 1:
        raise UsageError(f"--queue {queue}: at least one picture.")
    stores = tuple(place for place in adapters or () if is_url(place))
    folders = [Path(place) for place in adapters or () if not is_url(place)]
    settings = ServerSettings(
        data=data,
        adapters=tuple(find_shelf(folders) if folders or not stores else ()),
        stores=stores,
        cache=cache,
        cache_bytes=int(cache_size * GIB),
        factor_bytes=int(factor_size * GIB),
        cluster=cluster,
        replicas=replicas,
        bases=tuple(base or ["doodle"]),
        wildcards=wildcards,
        host=host,
        port=port,
        token=token,
        origins=tuple(each.rstrip("/") for each in origin or ()),
        precision=read_precision(precision),
        weights=read_weights(weights),
        batch_size=batch,
        skip_unknown=skip_unknown,
        grace=grace,
        preload=not lazy,
        limits=Limits(queue=queue, queue_per_client=max(1, queue // 2)),
    )

    def ready(address: str) -> None:
        if as_json:
            print_json({"event": "listening", "address": address, "token": token is not None}, indent=None)
            return
        say(f"draw      {address}/", style="bold green")
        say(f"API       {address}/docs   (web UI clients: {address}/sdapi/v1)")
        say(f"adapters  {', '.join(map(str, (*settings.adapters, *settings.stores))) or 'none; give --adapters DIR'}")
        say(f"keeps     {settings.data}")
        if token is not None:
            say("A token is set: the page asks for a user name (any) and a password (the token).")
        say("Ctrl-C stops it; what waits goes on at the next start.")

    if cluster is not None and not as_json:
        say(f"starts the replicas on the cluster ({cluster}) ...")
    serve(settings, ready)
    if not as_json:
        say("stopped.")


def check_installed() -> None:
    """Raise UsageError, with what to install, where the server's libraries are missing."""
    import importlib.util

    if any(importlib.util.find_spec(name) is None for name in EXTRA):
        raise UsageError("the server needs FastAPI and uvicorn.", hint="Install them with:", remedy=Install("server"))
