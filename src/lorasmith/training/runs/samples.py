"""Samples: pictures that are drawn with a snapshot along the way."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lorasmith.adapters.cache import AdapterCache
from lorasmith.bases.base import Base
from lorasmith.errors import BaseError, LorasmithError, PromptError
from lorasmith.events import Note, SampleDrawn, Work
from lorasmith.generation.conditioning import TextReader
from lorasmith.generation.pictures import save_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.prepare import Preparer
from lorasmith.generation.spec import PictureSpec
from lorasmith.training.settings import SampleSettings


def read_samples(base: Base, settings: SampleSettings) -> TextReader:
    """Encode the sample prompts' texts, which frozen text encoders read alike for every snapshot. What is wrong with a
    prompt is told when it is drawn."""
    reader = TextReader(base)
    preparer = Preparer(base, texts=reader)
    for spec in _specs(settings):
        with suppress(LorasmithError):
            preparer.read_texts(spec)
    return reader


def draw_samples(
    base: Base, snapshot: Path, folder: Path, step: int, settings: SampleSettings, texts: TextReader | None = None
) -> Work[None]:
    """Draw the recipe's sample prompts with a snapshot, one seed for all steps, to compare them; `texts` has them
    encoded.

    The adapter is added to prompts that do not name it themselves.
    """
    pipeline = Pipeline(base, AdapterCache([snapshot]), advises=False, texts=texts)
    specs = _specs(settings, f" <lora:{snapshot.stem}:{settings.strength:g}>")
    try:
        pictures = yield from pipeline.draw(specs)
    except (PromptError, BaseError) as fault:  # numbers that are none: training is not the worse for it
        yield Note(f"no samples of step {step}: {fault}", level="warning")
        return
    for number, (picture, prompt) in enumerate(zip(pictures, settings.prompts, strict=True)):
        path = folder / f"{step:08d}-{number:02d}.png"
        save_picture(picture, path)
        yield SampleDrawn(path, step, prompt)


def _specs(settings: SampleSettings, call: str = " ") -> list[PictureSpec]:
    """The prompts, each with what calls the snapshot."""
    return [
        PictureSpec(
            prompt=f"{prompt}{call}",
            seed=settings.seed,
            steps=settings.steps,
            width=settings.size[0],
            height=settings.size[1],
        )
        for prompt in settings.prompts
    ]
