"""Lorasmith: from a folder of images to a LoRA you can trust.

    >>> import lorasmith
    >>> project = lorasmith.create_project("my-lora", images=["pictures"], trigger="zbk")
    >>> project.inspect().passed
    True
    >>> for event in project.train():
    ...     print(event)
    >>> project.examine().summary
    >>> project.draw("zbk, smile", n=4)

Everything here is loaded when it is used: importing lorasmith itself takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorasmith.errors import LorasmithError as LorasmithError
    from lorasmith.events import Event as Event
    from lorasmith.events import finish as finish
    from lorasmith.face.adapters import AdapterFile as AdapterFile
    from lorasmith.face.adapters import open_adapter as open_adapter
    from lorasmith.face.drawing import draw as draw
    from lorasmith.face.drawing import open_pipeline as open_pipeline
    from lorasmith.face.grids import DrawnGrid as DrawnGrid
    from lorasmith.face.grids import grid as grid
    from lorasmith.face.project import Project as Project
    from lorasmith.face.project import copy_example as copy_example
    from lorasmith.face.project import create_project as create_project
    from lorasmith.face.project import open_project as open_project

__version__ = "0.1.0"

_ROOMS = {
    "AdapterFile": "lorasmith.face.adapters",
    "DrawnGrid": "lorasmith.face.grids",
    "Event": "lorasmith.events",
    "LorasmithError": "lorasmith.errors",
    "Project": "lorasmith.face.project",
    "copy_example": "lorasmith.face.project",
    "create_project": "lorasmith.face.project",
    "draw": "lorasmith.face.drawing",
    "finish": "lorasmith.events",
    "grid": "lorasmith.face.grids",
    "open_adapter": "lorasmith.face.adapters",
    "open_pipeline": "lorasmith.face.drawing",
    "open_project": "lorasmith.face.project",
}
__all__ = ["__version__", *_ROOMS]


if not TYPE_CHECKING:  # a type checker knows the names from above

    def __getattr__(name: str) -> object:
        if name not in _ROOMS:
            raise AttributeError(f"module 'lorasmith' has no attribute {name!r}")
        from importlib import import_module

        from lorasmith.face.wording import speak_python

        speak_python()
        return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
