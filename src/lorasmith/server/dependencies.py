"""What routes ask of the application and of the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from lorasmith.server.service import Service


def service_of(request: Request) -> Service:
    """The application's service."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """Who asks, for fairness: what it calls itself in X-Client, else its address."""
    named = request.headers.get("x-client", "")[:64]
    return named or (request.client.host if request.client is not None else "")


TheService = Annotated[Service, Depends(service_of)]
TheClient = Annotated[str, Depends(client_of)]
