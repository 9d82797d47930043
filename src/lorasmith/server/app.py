"""The application: both faces, the pages, health and metrics, behind the guard."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from lorasmith import __version__
from lorasmith.errors import LorasmithError, StorageError
from lorasmith.remedies import worded_by
from lorasmith.server.errors import BusyError, MissingError, error_document, error_json
from lorasmith.server.guard import HEADERS, Guard
from lorasmith.server.interfaces import Loader
from lorasmith.server.native import routes as native_routes
from lorasmith.server.native.jobs import POLICY
from lorasmith.server.request_faults import tell_faults
from lorasmith.server.road import routes as road_routes
from lorasmith.server.road.readings import Readings
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.service import Service
from lorasmith.server.settings import ServerSettings
from lorasmith.server.texts import check_texts
from lorasmith.server.webui import internal
from lorasmith.server.webui import routes as webui_routes
from lorasmith.server.wording import page_words, request_words
from lorasmith.server.workshop import Workshop
from lorasmith.web import DRAW_ONLY, STUDIO, read_page, script_sources

_LOG = logging.getLogger("lorasmith.server")
_ABOUT = """Draw with adapters over HTTP. Two faces stand on one queue: `/api/v1` is our own, typed, with jobs, events
and per-picture adapters; `/sdapi/v1` is the one that Stable Diffusion web UI clients speak.

With a token every request needs `Authorization: Bearer TOKEN` (or basic auth with the token as password). Every error
answers `{"error": {"kind", "message", "where", "field", "hint", "status"}, "detail": ...}`."""


def create_app(settings: ServerSettings, loader: Loader | None = None, workshop: Workshop | None = None) -> FastAPI:
    """The ASGI application. Its service starts and stops with its lifespan; `app.state.service` is it.

    `loader` gives an engine on a base; left out, the real one. `workshop` has the projects of a studio. Raises
    StorageError when the data folder is unusable.
    """
    service = Service(settings, [POLICY], loader)

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        try:
            with worded_by(request_words if workshop is None else page_words):
                yield
        finally:
            await run_in_threadpool(service.stop)

    app = FastAPI(
        title="Lorasmith",
        version=__version__,
        description=_ABOUT,
        lifespan=live,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        dependencies=[Depends(check_texts)],
    )
    app.state.service = service
    app.state.workshop = workshop
    app.state.tasks = RoadTasks()
    app.state.readings = Readings(app.state.tasks)
    # NOTE: FastAPI matches a path anew on each level of routers in routers; those asked most come first.
    for face in (webui_routes, native_routes, road_routes):
        face.add_routes(app)
    app.include_router(internal.router)
    if settings.cluster is not None:
        from lorasmith.server.cluster.routes import router as replica_routes

        app.include_router(replica_routes)
    _add_pages(app, service, workshop)
    _add_error_handlers(app)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "x-client"],
        )
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    return app


def _add_pages(app: FastAPI, service: Service, workshop: Workshop | None) -> None:
    @app.get("/health", tags=["server"])
    async def get_health(response: Response) -> dict[str, str]:
        """That the server lives; answered without a token. 503 when its records were removed while it runs."""
        if not service.store.is_there():
            response.status_code = 503
            return {"status": "its records were removed"}
        return {"status": "stopping" if service.board.closing else "ok"}

    @app.get("/metrics", tags=["server"], response_class=PlainTextResponse)
    def get_metrics() -> PlainTextResponse:
        """Figures for Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

    def page(name: str) -> Response:
        found = read_page(name)
        if found is None:
            raise MissingError(f'no page "{name}".')
        data, kind = found
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    @app.get("/", include_in_schema=False)
    def get_first() -> Response:
        return studio(only_drawing=workshop is None)

    def studio(only_drawing: bool) -> Response:
        answer = page(STUDIO)
        body = bytes(answer.body)
        if only_drawing:
            body = body.replace(b"<body>", DRAW_ONLY)
        answer = Response(body, media_type=answer.media_type, headers={"cache-control": "no-cache"})
        policy = dict(HEADERS)[b"content-security-policy"].decode()
        sources = script_sources(body)
        answer.headers["content-security-policy"] = policy.replace("script-src", f"script-src {sources}")
        return answer

    @app.get("/draw", include_in_schema=False)
    def get_draw() -> Response:
        return studio(only_drawing=True)

    @app.get("/docs", include_in_schema=False)
    def get_docs() -> Response:
        return page("docs.html")

    @app.get("/web/{name:path}", include_in_schema=False)
    def get_file(name: str) -> Response:
        return page(name)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(LorasmithError)
    async def tell(_: Request, error: LorasmithError) -> JSONResponse:
        headers = {"retry-after": str(error.retry_after)} if isinstance(error, BusyError) else None
        body = {"error": error_json(error), "detail": str(error)}
        return JSONResponse(body, error.http_status, headers)

    @app.exception_handler(RequestValidationError)
    async def tell_field(request: Request, fault: RequestValidationError) -> JSONResponse:
        return JSONResponse(tell_faults(request, fault.errors()), 422)

    @app.exception_handler(HTTPException)
    async def tell_http(_: Request, fault: HTTPException) -> JSONResponse:
        error = error_document("HTTPError", str(fault.detail), fault.status_code)
        return JSONResponse({"error": error, "detail": fault.detail}, fault.status_code, fault.headers)

    @app.exception_handler(OSError)
    async def tell_full_disk(request: Request, fault: OSError) -> JSONResponse:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            return await tell(
                request, StorageError(f"the server cannot write: {fault.strerror}.", hint="Try again later.")
            )
        return await tell_bug(request, fault)

    @app.exception_handler(Exception)
    async def tell_bug(request: Request, fault: Exception) -> JSONResponse:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=fault)
        error = error_document(type(fault).__name__, "a fault of the server.", 500)
        return JSONResponse({"error": error, "detail": error["message"]}, 500)
