"""What routes ask of the application and of the request. Where nothing waits for a disk they are coroutines: FastAPI
sends every other function to a thread, which takes longer than most of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import CancelScope
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from lorasmith.server.input_files import RequestInputs
from lorasmith.server.service import Service


async def service_of(request: Request) -> Service:
    """The application's service."""
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(service_of)]


async def inputs_of(service: TheService) -> AsyncIterator[RequestInputs]:
    """What the request sends; what no job has taken when it is answered is gone."""
    inputs = RequestInputs(service.inputs)
    try:
        yield inputs
    finally:
        if inputs.names:
            with CancelScope(shield=True):  # a client that went away leaves nothing behind either
                await run_in_threadpool(service.inputs.release, inputs.names)


async def client_of(request: Request) -> str:
    """Who asks, for fairness: what it calls itself in X-Client, else its address."""
    named = request.headers.get("x-client", "")[:64]
    return named or (request.client.host if request.client is not None else "")


TheInputs = Annotated[RequestInputs, Depends(inputs_of)]
TheClient = Annotated[str, Depends(client_of)]
