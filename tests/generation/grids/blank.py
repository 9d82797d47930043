"""A worker that draws nothing, without torch; one picture ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from PIL import Image

from lorasmith.generation.pictures import Picture
from lorasmith.generation.spec import PictureSpec


def open_blank() -> Callable[[Sequence[PictureSpec]], list[Picture | str]]:
    def draw(specs: Sequence[PictureSpec]) -> list[Picture | str]:
        if any("late:0.5" in spec.prompt for spec in specs):
            os.kill(os.getpid(), signal.SIGKILL)
        return [Picture(Image.new("RGB", (8, 8)), spec, (), "blank", "0" * 64, spec.prompt) for spec in specs]

    return draw
