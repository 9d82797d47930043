"""The card of a project, and publishing: a packed folder, or a repository."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorasmith.errors import ProjectError, UsageError
from lorasmith.events import Work
from lorasmith.face.cards import make_card
from lorasmith.library.hubs.references import HUGGING_FACE, read_reference
from lorasmith.project import safe_name
from lorasmith.server.errors import FieldError, error_json
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheProject, TheTasks, TheWorkshop
from lorasmith.server.road.schemas import cards as schemas
from lorasmith.server.road.schemas.tasks import TaskAnswer

router = APIRouter(prefix="/projects/{project}", tags=["cards"], responses=MISSING)


@router.get("/card", response_model=schemas.CardAnswer)
def get_card(opened: TheProject) -> dict[str, Any]:
    """The card as it would be now; nothing is written."""
    from lorasmith.library.cards.publishing import check_publication
    from lorasmith.library.cards.telling import tell_warnings
    from lorasmith.library.cards.writing import card_files

    card = make_card(opened.root)
    header: tuple[str, ...] = ()
    problem = None
    try:
        header = check_publication(card).header
    except ProjectError as fault:
        problem = error_json(fault)
    text = next(str(data) for name, data in card_files(card) if name == "README.md")
    return {
        "card": card.as_json(),
        "text": text,
        "warnings": list(tell_warnings(card)),
        "adapter": str(card.file),
        "problem": problem,
        "header": list(header),
    }


@router.post("/card")
def post_card(project: ProjectName, workshop: TheWorkshop) -> dict[str, Any]:
    """Write the card into the project's folder `card`."""
    from lorasmith.library.cards.writing import write_card

    with workshop.lock(project):
        opened = workshop.open(project)
        files = write_card(make_card(opened.root), opened.root / "card")
        return {"files": [str(file) for file in files]}


@router.post("/publish", response_model=TaskAnswer, status_code=202)
def post_publish(body: schemas.PublishRequest, opened: TheProject, tasks: TheTasks) -> dict[str, Any]:
    """Pack the adapter with its card into a new folder of the project, or upload it. Without a licence, or without the
    consent of a real person, nothing is published."""
    from lorasmith.library.cards.publishing import check_publication, upload
    from lorasmith.library.cards.writing import pack_card

    publication = check_publication(make_card(opened.root))
    if ":" not in body.to:
        if body.to != safe_name(body.to):
            raise FieldError(f"{body.to}: is no folder's name.", where="to", hint=f"Such as {safe_name(body.to)}.")

        def pack() -> Work[dict[str, Any]]:
            yield from ()
            return {"files": [str(file) for file in pack_card(publication.card, opened.root / body.to)]}

        return tasks.start(opened.root.name, "publish", pack).as_json()
    reference = read_reference(body.to)
    if reference.hub != HUGGING_FACE:
        raise UsageError(f"{body.to}: nothing can be uploaded there.", hint="Pack it, then paste civitai.html.")
    if not body.yes:
        raise FieldError("nobody said yes.", where="yes", hint="Look at what will be public, then say yes.")

    def send() -> Work[dict[str, Any]]:
        address = yield from upload(publication, reference, private=body.private)
        return {"address": address}

    return tasks.start(opened.root.name, "publish", send).as_json()
