"""The variables that hold at a place of a template, and what is being read there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic.frames import Frame, Macro
from lorasmith.prompts.dynamic.nodes import Node

MOST_NESTED = 64  # variables and wildcards within each other; brackets have no limit


class Scope:
    """The variables as they are now. `version` tells one state of them from another."""

    def __init__(self) -> None:
        self.variables: dict[str, Node | Macro] = {}
        self.version = 0
        self._active: list[str] = []

    def set(self, frame: Frame, name: str, value: Node | Macro) -> None:
        """Set a variable, to the end of `frame`."""
        frame.undo.append((name, self.variables.get(name)))
        self.variables[name] = value
        self.version += 1

    def forget(self, frame: Frame) -> None:
        """Variables hold up to the end of the option, or of the text, that sets them."""
        for name, before in reversed(frame.undo):
            self.version += 1
            if before is None:
                del self.variables[name]
            else:
                self.variables[name] = before
        frame.undo.clear()

    @contextmanager
    def within(self, what: str) -> Iterator[None]:
        """While this variable or wildcard is read. Raises PromptError for one that refers to itself."""
        if what in self._active:
            cycle = " -> ".join([*self._active[self._active.index(what) :], what])
            raise PromptError(f"{cycle}: it refers to itself.", where="template")
        if len(self._active) >= MOST_NESTED:
            raise PromptError(
                f"variables and wildcards are nested more than {MOST_NESTED} deep at {what}.", where="template"
            )
        self._active.append(what)
        try:
            yield
        finally:
            self._active.pop()
