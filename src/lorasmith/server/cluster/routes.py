"""What an operator of replicas asks and changes; there only on a server with a cluster."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lorasmith.server.cluster.worker import ReplicaWorker
from lorasmith.server.dependencies import TheService
from lorasmith.server.errors import MissingError
from lorasmith.server.service import Service
from lorasmith.server.settings import MOST_REPLICAS

router = APIRouter(prefix="/api/v1", tags=["server"])


class ReplicasRequest(BaseModel):
    """How many replicas there shall be."""

    model_config = ConfigDict(extra="forbid")
    count: int = Field(ge=1, le=MOST_REPLICAS)


class ReplicasAnswer(BaseModel):
    """How many replicas there shall be, and the pictures with each of those that draw now."""

    count: int
    pictures: dict[str, int]


@router.get("/replicas", response_model=ReplicasAnswer)
def get_replicas(service: TheService) -> dict[str, Any]:
    """The replicas that draw."""
    worker = _worker(service)
    return {"count": worker.wanted, "pictures": worker.replicas}


@router.put("/replicas", response_model=ReplicasAnswer)
def put_replicas(body: ReplicasRequest, service: TheService) -> dict[str, Any]:
    """Have more replicas, or fewer: those that are too many are given no more pictures, and end when theirs are
    done."""
    _worker(service).scale(body.count)
    return get_replicas(service)


def _worker(service: Service) -> ReplicaWorker:
    worker = service.worker
    if not isinstance(worker, ReplicaWorker):
        raise MissingError("no cluster draws here.")
    return worker
