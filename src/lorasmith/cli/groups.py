"""Groups of commands of which one needs no name."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


def group_around(command: str) -> type[TyperGroup]:
    """A group in which anything that is no command's name is an argument of `command`."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
                args = [command, *args]
            return super().parse_args(ctx, args)

    return Group
