"""An adapter file as Python sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.face.drawing import base_of, draw, find_adapters
from lorasmith.face.watching import See

if TYPE_CHECKING:
    from lorasmith.adapters.description import Description
    from lorasmith.generation.pictures import Picture


def open_adapter(path: Path | str) -> AdapterFile:
    """An adapter by its file, or the newest one of a run or project. Raises AdapterError, UsageError.

    adapter = lorasmith.open_adapter("adapters/zbk.safetensors")
    print(adapter.trigger, adapter.rank)
    """
    from lorasmith.adapters.description import describe

    return AdapterFile(describe(find_adapters(Path(path).expanduser())[-1]))


@dataclass(frozen=True, eq=False)
class AdapterFile:
    """An adapter file, read and described; `description` holds its layers and its header."""

    description: Description

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.description.path

    @property
    def name(self) -> str:
        """What calls it in a prompt."""
        return self.path.stem

    @property
    def trigger(self) -> str:
        """The word that calls what it has learnt; empty when it does not say."""
        return self.description.trigger

    @property
    def family(self) -> str | None:
        """The family of bases that it is for."""
        return self.description.family

    @property
    def rank(self) -> int | None:
        """Its rank; None where its layers have several, or none."""
        return self.description.adapter.rank

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known of it, ready for JSON."""
        return self.description.as_json()

    @property
    def problems(self) -> list[str]:
        """What a reader of the file would be misled by; empty when it is in order."""
        from lorasmith.adapters.description import problems_of

        return problems_of(self.description)

    def draw(
        self,
        prompt: str,
        *,
        base: str | Path | None = None,
        strength: float = 1.0,
        n: int = 1,
        seed: int | None = None,
        out: Path | str | None = None,
        see: See | None = None,
        **fields: Any,
    ) -> list[Picture]:
        """Pictures with this adapter on `base` (that of the project around it when None); as `lorasmith.draw`."""
        text = prompt if "<lora:" in prompt or not strength else f"{prompt} <lora:{self.name}:{strength:g}>"
        where = base_of(self.path) if base is None else base
        return draw(text, base=where, adapters=[self.path], n=n, seed=seed, out=out, see=see, **fields)
