"""Help while a prompt is written, and pictures that tell how they were drawn."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from lorasmith.bases.vocabulary import read_tags
from lorasmith.errors import PromptError
from lorasmith.face.watching import run
from lorasmith.prompts.dynamic import Wildcards
from lorasmith.server.dependencies import TheService
from lorasmith.server.errors import FieldError
from lorasmith.server.native.schemas import Told
from lorasmith.server.road.dependencies import workshop_of
from lorasmith.server.service import Service
from lorasmith.server.workshop import Workshop

router = APIRouter(tags=["drawing"])
MOST = 20
SHOWN = 3
"""Values of a wildcard that are told."""
_MOST_BYTES = 64 * 2**20


class Completion(Told):
    """What could be meant: `text` takes the place of what was written, `kind` is adapter, trigger,
    wildcard or tag."""

    text: str
    kind: str
    note: str


class CompletionsAnswer(Told):
    """The best first."""

    completions: list[Completion]


class ReadAnswer(Told):
    """What a picture says of itself: its text, and the request that draws it, as far as it can be told; `undone` is
    what of another tool's text cannot be done here."""

    infotext: str | None
    request: dict[str, Any] | None
    undone: list[str]


class WordCounts:
    """The tags of projects' captions with their counts, read again when the project has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Counter[str]]] = {}

    def of(self, workshop: Workshop, name: str) -> Counter[str]:
        """The tags of a project. Raises MissingError, ProjectError, DatasetError."""
        from lorasmith.dataset.reading import read_dataset
        from lorasmith.tags.pipeline import write_captions
        from lorasmith.tags.words import split_tags

        project, version = workshop.open(name), workshop.version(name)
        known = self._known.get(name)
        if known is None or known[0] != version:
            captions = write_captions(project, run(read_dataset(project), lambda _: None)).captions
            known = (version, Counter(tag for text in captions.values() for tag in split_tags(text)))
            self._known[name] = known
        return known[1]


_WORDS = WordCounts()


@router.get("/complete", response_model=CompletionsAnswer)
def get_completions(
    request: Request,
    service: TheService,
    text: Annotated[str, Query(min_length=1, max_length=100)],
    project: Annotated[str, Query(max_length=200)] = "",
) -> dict[str, Any]:
    """Adapters, triggers, tags and lists of wildcards that begin so or hold the words: those of the project, if one is
    named, and of the embedded base. What begins with ``__`` is a wildcard."""
    if text.startswith("__"):
        return {"completions": list(_wildcards(service, text.strip("_").lower()))[:MOST]}
    words = text.strip().lower().replace("_", " ")
    called = words.startswith("<")
    words = words.removeprefix("<").removeprefix("lora:")
    counts = _WORDS.of(workshop_of(request), project) if project else Counter()
    found = list(_adapters(service, words))
    if not called:
        found += _wildcards(service, text.strip().lower())
        tags = {tag: str(counts[tag]) if counts[tag] else "" for tag in (*counts, *read_tags())}
        found += [{"text": tag, "kind": "tag", "note": note} for tag, note in tags.items() if words in tag.lower()]
    found.sort(key=lambda each: (not _begins(each["text"], words), -int(each["note"]) if each["note"].isdigit() else 0))
    return {"completions": [each for each in found if each["text"].lower() != words][:MOST]}


@router.post("/pictures/read", response_model=ReadAnswer)
async def read_picture_file(request: Request, service: TheService) -> dict[str, Any]:
    """What a picture file, the request's body, says of how it was drawn, by whatever tool."""
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise FieldError("the picture is too large.", where="body")
    return await run_in_threadpool(_read, body, service)


def _read(data: bytes, service: Service) -> dict[str, Any]:
    from lorasmith.face.redoing import list_undone
    from lorasmith.generation.pictures import read_picture
    from lorasmith.server.inputs import open_bytes

    open_bytes(data, "body", service.limits.pixels)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture"
        file.write_bytes(data)
        found = read_picture(file)
        undone = list_undone(found) if found.spec is not None else []
    spec = None if found.spec is None else found.spec.as_json()
    return {"infotext": found.infotext, "request": spec, "undone": undone}


def _adapters(service: Service, words: str) -> list[dict[str, str]]:
    found = []
    for entry in service.catalogue.entries():
        if entry.problem is not None:
            continue
        call = f"<lora:{entry.name}:{_strength(entry.metadata):g}>"
        if words in entry.name.lower():
            found.append({"text": call, "kind": "adapter", "note": "adapter"})
        if entry.trigger and words in entry.trigger.lower():
            found.append({"text": entry.trigger, "kind": "trigger", "note": f"trigger of {entry.name}"})
    return list({each["text"]: each for each in found}.values())


def _wildcards(service: Service, words: str) -> Iterator[dict[str, str]]:
    """The lists whose path holds the words, those that begin so first; with what stands in them."""
    lists = service.wildcards()
    found = [name for name in lists.names() if words in name.lower()]
    for name in sorted(found, key=lambda name: not name.lower().startswith(words))[:MOST]:
        yield {"text": f"__{name}__", "kind": "wildcard", "note": _tell(lists, name)}


def _tell(lists: Wildcards, name: str) -> str:
    """The first values of a list, or why it cannot be read."""
    try:
        values = [value.text for value in lists.values(name)]
    except PromptError as fault:
        return fault.message
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"{', '.join(values[:SHOWN])}{more}"


def _strength(metadata: Any) -> float:
    from lorasmith.adapters.recommendation import Recommendation

    recommended = Recommendation.read(metadata)
    return 0.8 if recommended is None else recommended.strength


def _begins(text: str, words: str) -> bool:
    return text.lower().removeprefix("<lora:").removeprefix("__").startswith(words)
