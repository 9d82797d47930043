"""The training set as an exam needs it: captions and judged images read as a subject, and the images, small."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lorasmith.bases.tag_space import TagSpace
from lorasmith.events import Work
from lorasmith.exam.contact import small
from lorasmith.exam.judges import Attributes, Judge
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.sitting import Clock, chunks
from lorasmith.exam.subject import Subject, read_subject
from lorasmith.project import Project

if TYPE_CHECKING:
    from PIL.Image import Image

#: Training images are kept at this size at most: what an encoder wants to see.
TRAINING_SIDE = 512


def look_at_training_set(
    project: Project, settings: ExamTable, judge: Judge, world: TagSpace | None, wordless: bool = False
) -> Work[tuple[Subject, tuple[Image, ...]]]:
    """The subject of `read_training_subject`, and the images that it was read from, small."""
    training: list[Image] = []
    work = read_training_subject(
        project, settings, judge, world, wordless, lambda image: training.append(small(image, TRAINING_SIDE))
    )
    subject, _ = yield from work
    return subject, tuple(training)


def read_training_subject(
    project: Project,
    settings: ExamTable,
    judge: Judge,
    world: TagSpace | None,
    wordless: bool = False,
    keep: Callable[[Image], None] | None = None,
) -> Work[tuple[Subject, int]]:
    """Captions and judged images of the training set, read as a subject; of how many images. Each of them is given to
    `keep`. What an adapter drew for a second round (D15) shows no one what the subject is, and is left out."""
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.images.crops import open_part
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    captions = write_captions(project, dataset).captions
    captioned = [item for item in dataset.items if item.name in captions]
    items = [item for item in captioned if not item.is_adopted] or captioned
    seen: list[Attributes] = []
    clock = Clock("looking", len(items))
    for chunk in chunks(items):
        opened = [open_part(item.path, item.crop) for item in chunk]
        seen += judge.describe(opened)
        if keep is not None:
            for image in opened:
                keep(image)
        yield clock.tick(len(chunk))
    subject = read_subject(
        trigger=project.lora.trigger,
        kind=str(project.lora.subject),
        captions=[captions[item.name] for item in items],
        seen=seen,
        groups=judge.groups,
        world=world,
        identity=settings.identity,
        ask=settings.ask,
        wordless=wordless,
    )
    return subject, len(items)
