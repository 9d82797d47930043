"""Kept pictures by our API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from lorasmith.server.dependencies import TheClient, TheService
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.jobs import new_job
from lorasmith.server.native import schemas
from lorasmith.server.native.errors import BUSY, MISSING
from lorasmith.server.native.jobs import POLICY, submit
from lorasmith.server.rows import PictureRow
from lorasmith.server.service import Service

router = APIRouter()
MOST_PICTURES = 500
PictureId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="A picture's id.")]


@router.get("/pictures", response_model=schemas.PicturesAnswer, tags=["pictures"])
def get_pictures(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=MOST_PICTURES)] = 100,
    after: Annotated[str | None, Query(max_length=80, description="`next` of the answer before.")] = None,
    search: Annotated[str, Query(max_length=200, description="A part of the prompt.")] = "",
    board: Annotated[str | None, Query(max_length=100, description="Of this board; empty: of none.")] = None,
) -> dict[str, Any]:
    """The kept pictures, the newest first."""
    rows = service.store.pictures(limit, None if after is None else _read_cursor(after), search, board)
    last = rows[-1] if len(rows) == limit else None
    return {
        "pictures": [
            {
                "id": row.id,
                "created": row.created,
                "width": row.width,
                "height": row.height,
                "seed": row.seed,
                "prompt": row.prompt,
                "kind": row.kind,
                "board": row.board,
            }
            for row in rows
        ],
        "total": service.store.count_pictures(),
        "next": None if last is None else f"{last.created!r}_{last.id}",
    }


def _read_cursor(text: str) -> tuple[float, str]:
    created, _, picture = text.partition("_")
    try:
        return float(created), picture
    except ValueError:
        raise FieldError(f'"{text}" is no place in the list.', where="after") from None


@router.get("/boards", response_model=schemas.BoardsAnswer, tags=["pictures"])
def get_boards(service: TheService) -> dict[str, Any]:
    """What pictures were put together under."""
    return {"boards": [{"name": name, "pictures": count} for name, count in service.store.boards().items()]}


@router.post("/boards", response_model=schemas.BoardsAnswer, tags=["pictures"])
def post_board(body: schemas.BoardRequest, service: TheService) -> dict[str, Any]:
    """Put pictures on a board, or take them off. A board comes with its first picture and goes with its last."""
    service.store.set_board(body.pictures, " ".join(body.board.split()))
    return get_boards(service)


@router.get("/pictures/{picture}", response_model=schemas.PictureAnswer, responses=MISSING, tags=["pictures"])
def get_picture(picture: PictureId, service: TheService) -> dict[str, Any]:
    """All that is known of a picture."""
    row = _find_picture(service, picture)
    return {field: getattr(row, field) for field in schemas.PictureAnswer.model_fields}


@router.get(
    "/pictures/{picture}/file",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}, **MISSING},
    tags=["pictures"],
)
def get_file(picture: PictureId, service: TheService) -> FileResponse:
    """The PNG, with the A1111 text and our own recipe inside."""
    row = _find_picture(service, picture)
    path = service.store.picture_path(row.id)
    if not path.is_file():
        raise MissingError(f'the file of picture "{picture}" is gone.')
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return FileResponse(
        path, media_type="image/png", filename=f"{row.id}.png", content_disposition_type="inline", headers=headers
    )


@router.get(
    "/pictures/{picture}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **MISSING},
    tags=["pictures"],
)
def get_thumbnail(picture: PictureId, service: TheService) -> Response:
    """A small JPEG."""
    data = service.store.thumbnail(picture)
    if data is None:
        raise MissingError(f'no picture "{picture}".')
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(data, media_type="image/jpeg", headers=headers)


@router.delete("/pictures/{picture}", status_code=204, responses=MISSING, tags=["pictures"])
def delete_picture(picture: PictureId, service: TheService) -> None:
    """Delete a picture and its file, for good."""
    if not service.store.remove_picture(picture):
        raise MissingError(f'no picture "{picture}".')


@router.post(
    "/pictures/{picture}/redo",
    response_model=schemas.JobAnswer,
    status_code=202,
    responses={**MISSING, **BUSY},
    tags=["pictures"],
)
async def redo_picture(
    picture: PictureId, service: TheService, client: TheClient, response: Response
) -> dict[str, Any]:
    """Draw a picture again, exactly as it was ordered: the same seed, prompt, adapters, base."""
    row = await run_in_threadpool(_find_picture, service, picture)
    if row.spec is None:
        raise FieldError("a grid's sheet is not drawn again; its cells can be.", where="picture")
    spec = await run_in_threadpool(service.admission.check, row.spec)
    return await submit(service, new_job(client, POLICY, [spec], detail={"redo": picture}), response)


def _find_picture(service: Service, picture: str) -> PictureRow:
    row = service.store.picture(picture)
    if row is None:
        raise MissingError(f'no picture "{picture}".')
    return row
