"""Make a new project: a commented lora.toml beside a copy of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import tomlkit

from lorasmith.dataset.ingest import Ingested, ingest, ingest_in_place, warn_of_links
from lorasmith.dataset.provenance import record_provenance
from lorasmith.dataset.sources import open_source
from lorasmith.dataset.sources.source import PLAIN, Offer, SourceOptions
from lorasmith.errors import ProjectError, UsageError
from lorasmith.events import Note, Work
from lorasmith.project import FILE_NAME, Project, SubjectKind, check_folder_name, open_project, safe_name
from lorasmith.remedies import Action, Do, Give, Sentence
from lorasmith.storage.arrivals import arriving, settle
from lorasmith.storage.files import write_file

IMAGES = "images"
CLASS_IMAGES = "reg"


@dataclass(frozen=True)
class Created:
    """A new project, and what came into its images folder."""

    project: Project
    ingested: Ingested


def create_project(
    folder: Path,
    *,
    subject: SubjectKind,
    name: str | None,
    trigger: str | None,
    sources: Sequence[Path],
    today: str | None = None,
    options: SourceOptions = PLAIN,
) -> Work[Created]:
    """Make `folder` a project. `name` defaults to the folder's, `trigger` to the name in lower-case letters.

    The sources are checked before anything is made; their files are copied, never moved; all appears together, or
    nothing does.
    A source that already is the project's images folder stays as it is. Where each picture is from goes to
    sources.jsonl; `today` (YYYY-MM-DD) is the date of retrieval.

    Raises ProjectError when there is a lora.toml, or other files where the images would go, and for a folder that
    cannot be called so; DatasetError for a wrong
    source; UsageError for an empty name or trigger; StorageError.
    """
    check_folder_name(folder.resolve().name)
    name, trigger = _checked_words(folder, name, trigger)
    images = folder / IMAGES
    if folder.is_dir():
        settle(folder)
    if (folder / FILE_NAME).exists():
        raise ProjectError(f"there is a {FILE_NAME} already.", where=folder, hint="Edit it, or choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise ProjectError("not a folder.", where=folder, hint="Choose another name for the project.")
    today = today or date.today().isoformat()
    offers = [open_source(source, options) for source in sources]
    with arriving(folder) as gathered:
        in_place = all(source.resolve() == images.resolve() for source in sources)
        if not in_place:
            ingested, class_folder = (yield from _take_in(offers, gathered, folder, today)), CLASS_IMAGES
        else:
            inside = next((offer.class_folder for offer in offers if offer.class_folder), "")
            class_folder = f"{IMAGES}/{inside}" if inside else ""
            (gathered / IMAGES).mkdir()
            ingested = ingest_in_place(offers, today)
        if ingested.provenance:
            record_provenance(folder, ingested.provenance, gathered)
        settings = {key: value for offer in offers for key, value in offer.settings.items()}
        if class_folder and (ingested.class_images or in_place):
            settings |= {"preserve.kind": "images", "preserve.folder": class_folder}
        text = describe_project(subject=subject, name=name, trigger=trigger, settings=settings)
        write_file(gathered / FILE_NAME, text)
    for line in (line for offer in offers for line in offer.said):
        yield Note(line)
    yield from warn_of_links(ingested)
    return Created(open_project(folder), ingested)


def _take_in(offers: Sequence[Offer], gathered: Path, folder: Path, today: str) -> Work[Ingested]:
    """Images, and class images beside them, for the project in `folder`."""
    _check_free(folder / IMAGES)
    of_class = [Offer(one.kind, "", len(one.class_images), one.class_images) for one in offers if one.class_images]
    if of_class:
        _check_free(folder / CLASS_IMAGES)
    ingested = yield from ingest(offers, gathered / IMAGES, today)
    if not of_class:
        return ingested
    apart = yield from ingest(of_class, gathered / CLASS_IMAGES, today)
    return replace(ingested, class_images=apart.images, left_out=(*ingested.left_out, *apart.left_out))


def describe_project(
    *, subject: SubjectKind, name: str, trigger: str, settings: Mapping[str, object] | None = None
) -> str:
    """The text of a new lora.toml, with a comment for everything that a beginner may want to change; `settings` are
    recipe keys that the images came with."""
    values = {"name": name, "subject": subject.value, "trigger": trigger}
    lines = {key: f"{key} = {tomlkit.string(text).as_string()}".ljust(24) for key, text in values.items()}
    given = "".join(f"{key} = {tomlkit.item(value).as_string()}\n" for key, value in (settings or {}).items())
    return _TEMPLATE.format(plan=Do(Action.PLAN), given=given, **lines)


def _checked_words(folder: Path, name: str | None, trigger: str | None) -> tuple[str, str]:
    name = safe_name(folder.resolve().name) if name is None else name.strip()
    if not name or safe_name(name) != name:
        hint = f"Use letters, digits, dots, dashes and underscores, such as {safe_name(name)}."
        raise UsageError(f'"{name}" cannot be a file name.', field="name", hint=hint)
    if trigger is None:
        trigger = "".join(letter for letter in name.lower() if letter.isalnum())
    trigger = " ".join(trigger.split())
    if not trigger.strip(", "):
        raise UsageError("is empty.", field="trigger", hint="Give a word that means nothing yet, such as zbk.")
    return name, trigger


def _check_free(images: Path) -> None:
    if images.exists() and (not images.is_dir() or any(images.iterdir())):
        raise ProjectError(
            "there are files already.",
            where=images,
            remedy=Sentence(
                "To use them as they are: ", Give("images", images), ". Else choose another project folder."
            ),
        )


_TEMPLATE = """\
# A Lorasmith project. Everything that can be changed has a line here; what begins with # is an example.

[lora]
{name} # the adapter's file name
{subject} # character, couple, background, asset, clothing, pose, concept or style
{trigger} # the word that calls it in a prompt; best a word that means nothing yet
base = "doodle"          # the small built-in base; for real use the folder of a Stable Diffusion checkpoint
# vision = "what its pictures should look like, in your words"

[dataset]
images = ["images"]      # folders; 5_main/ inside shows its images five times an epoch
# waive = {{ D2 = "small on purpose" }}    # accept a rule's findings, with your reason

[tags]
# What captions name stays changeable; what they leave out is learnt as part of the subject.
# absorb = "* hair, * eyes"          # features of the subject to leave out; * stands for anything
# undesired = "watermark, signature" # tags that must not be trained
# add = ""                           # tags for every caption
# threshold = 0.35                   # how sure the tagger must be

[recipe]
# Empty is good: the preset for your subject kind and base fills in the rest. See it with: {plan}
# epochs = 10
# rank = 16              # the size of the adapter
# alpha = 8              # its scale is alpha / rank
# lr.unet = 5e-4
# seed = 0
{given}
[provenance]
source = ""              # where the images are from
author = ""
licence = ""
real_person = false      # true for a real person; then say how they consented:
consent = ""
"""
