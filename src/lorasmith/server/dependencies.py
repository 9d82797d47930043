"""What routes ask of the application and of the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request

from lorasmith.server.input_files import RequestInputs
from lorasmith.server.service import Service


def service_of(request: Request) -> Service:
    """The application's service."""
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(service_of)]


def inputs_of(service: TheService) -> Iterator[RequestInputs]:
    """What the request sends; what no job has taken when it is answered is gone."""
    with service.inputs.request() as inputs:
        yield inputs


def client_of(request: Request) -> str:
    """Who asks, for fairness: what it calls itself in X-Client, else its address."""
    named = request.headers.get("x-client", "")[:64]
    return named or (request.client.host if request.client is not None else "")


TheInputs = Annotated[RequestInputs, Depends(inputs_of)]
TheClient = Annotated[str, Depends(client_of)]
