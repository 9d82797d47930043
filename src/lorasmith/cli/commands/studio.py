"""`lorasmith studio`: the whole road in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.commands.serve import DEFAULT_PORT, check_installed
from lorasmith.cli.rendering import print_json, say

_HIDDEN = ".studio"
_NAME = "lorasmith-projects"


def command(
    projects: Annotated[Path, typer.Option(metavar="DIR", help="Where projects live; each in a folder.")] = Path(_NAME),
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = DEFAULT_PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the page in the browser.")
    ] = True,
    root: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder from which the page may take images. [default: your own folder]"),
    ] = None,
    host: Annotated[str, typer.Option(help="Which address to listen on; others than this machine's need a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[
        str | None,
        typer.Option(envvar="LORASMITH_TOKEN", show_envvar=True, help="What the browser is asked for as a password."),
    ] = None,
    adapters: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Adapters to draw with; ./adapters if none. Repeatable.")
    ] = None,
    base: Annotated[
        list[str] | None, typer.Option(help='"doodle", a checkpoint file, a diffusers folder or a hub id; repeatable.')
    ] = None,
    wildcards: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where wildcard files are. [default: wildcards in the projects' folder]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The address as a JSON line, for programs.")] = False,
) -> None:
    """The whole road in the browser, for all your projects.

    Drop images on the page, look at them, decide, caption, train, examine, draw. Whatever is done there the commands
    do, too, and both see each other's work.

    Example: lorasmith studio --projects ~/loras
    """
    check_installed()
    from lorasmith.cli.commands.generate import find_shelf
    from lorasmith.server.settings import ServerSettings
    from lorasmith.server.uvicorn_server import serve
    from lorasmith.server.workshop import PROJECT_ADAPTERS, Workshop

    place = projects.expanduser().resolve()
    settings = ServerSettings(
        data=place / _HIDDEN,
        adapters=(*find_shelf(adapters), *(place / pattern for pattern in PROJECT_ADAPTERS)),
        bases=tuple(base or ["doodle"]),
        wildcards=wildcards or place / "wildcards",
        host=host,
        port=port,
        token=token,
    )
    roots = tuple(folder.expanduser() for folder in root) if root else (Path.home(),)

    def ready(address: str) -> None:
        if as_json:
            print_json({"event": "listening", "address": address, "token": token is not None}, indent=None)
        else:
            say(f"studio    {address}/", style="bold green")
            say(f"projects  {place}")
            say("Ctrl-C stops it; training goes on, and so does the page when it is started again.")
        if browser:
            import webbrowser

            webbrowser.open(f"{address}/")

    serve(settings, ready, Workshop(place, roots))
    if not as_json:
        say("stopped.")
