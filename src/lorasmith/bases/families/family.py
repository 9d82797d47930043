"""What a family of base models is: everything that differs from family to family, in one object.

Importable without torch: whatever computes imports it inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Objective = Literal["noise", "flow"]


@dataclass(frozen=True, eq=False)
class Family:
    """Bases of one architecture. `name` is its word in files and JSON, `title` as people write it.

    `objective` is what its denoisers learn: to tell the noise (or the velocity) of a discrete diffusion, or the flow
    from picture to noise.
    """

    name: str
    title: str
    objective: Objective = "noise"

    def __str__(self) -> str:
        return self.name
