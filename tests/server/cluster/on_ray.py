"""A server on two replicas of the embedded base on a Ray cluster of this machine, and what is done to it; one JSON
document on stdout.

Run: python -m tests.server.cluster.on_ray FOLDER
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.stored.manifest import write_manifest
from lorasmith.bases.base import load_base
from lorasmith.server.cluster.worker import ReplicaWorker
from lorasmith.server.settings import ServerSettings
from lorasmith.server.uvicorn_server import UvicornServer
from tests.adapters.drawing import trained_adapter
from tests.server.running import finished, running, wait_for

NAMES = ("a", "b", "c")
SMALL = {"steps": 2, "width": 64, "height": 64}


def main(folder: Path) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = folder / "adapters"
    made.mkdir()
    base = load_base("doodle")
    for number, name in enumerate(NAMES):
        adapter = trained_adapter(base, name, seed=number, size=0.03)
        save_adapter(made / f"{name}.safetensors", adapter, torch.float16)
    write_manifest(made)
    del base
    here = ServerSettings(data=folder / "here", adapters=(made,), batch_size=2)
    there = ServerSettings(
        data=folder / "there",
        stores=(f"file://{made}",),
        cache=folder / "cache",
        batch_size=2,
        cluster="local",
        replicas=2,
        preload=True,
    )
    told: dict[str, Any] = {}
    with running(here) as (client, _):
        told["here"] = draw_both_ways(client)
    try:
        with running(there) as (client, server):
            told["there"] = draw_both_ways(client)
            told["clients"] = call_by_webuiapi(server)
            told["killed"] = kill_one(client, server)
            told["scaled"] = scale(client, server)
            told["cancelled"] = cancel(client, server)
            told["missing"] = client.post("/sdapi/v1/txt2img", json={**SMALL, "prompt": "hat <lora:nowhere:1>"}).json()[
                "error"
            ]["message"]
            told["metrics"] = client.get("/metrics").text
    finally:
        import ray

        ray.shutdown()
    # With others in a batch a picture is what it is alone up to rounding, with a cluster or without.
    pairs = zip(told["here"].pop("batch"), told["there"].pop("batch"), strict=True)
    told["batch"] = [int(np.abs(one - other).max()) for one, other in pairs]
    print(json.dumps(told))


def draw_both_ways(client: httpx.Client) -> dict[str, Any]:
    """Pictures by both APIs, from text and from a picture: their bytes, hashed; the pixels of a batch; and the events
    of a job."""
    seen: dict[str, Any] = {}
    for name in NAMES:
        body = {**SMALL, "prompt": f"hat <lora:{name}:0.8>", "seed": 5}
        images = ask(client, "txt2img", body)
        seen[name] = _hash(images[0].encode())
    begun = {**body, "init_images": images, "denoising_strength": 0.6}
    seen["from a picture"] = _hash(ask(client, "img2img", begun)[0].encode())
    pictures = [{"adapters": [{"name": name, "strength": 0.8}]} for name in NAMES] + [{"adapters": []}]
    batch = {"shared": {"prompt": "hat", "seed": 1, **SMALL}, "pictures": pictures}
    job = client.post("/api/v1/batches", json=batch).json()["id"]
    done = finished(client, job)
    files = [client.get(f"/api/v1/pictures/{each['picture']}/file").content for each in done["pictures"]]
    seen["batch"] = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), int) for file in files]
    with client.stream("GET", f"/api/v1/jobs/{slow(client)}/events?previews=true") as lines:
        events = [json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:")]
    seen["events"] = sorted({event["event"] for event in events})
    return seen


def ask(client: httpx.Client, what: str, body: dict[str, Any]) -> list[str]:
    answer = client.post(f"/sdapi/v1/{what}", json=body)
    assert answer.status_code == 200, answer.text
    images: list[str] = answer.json()["images"]
    return images


def slow(client: httpx.Client, count: int = 1, steps: int = 30) -> str:
    body = {"prompt": "hat", "count": count, "steps": steps, "width": 64, "height": 64, "seed": 1}
    job: str = client.post("/api/v1/jobs", json=body).json()["id"]
    return job


def call_by_webuiapi(server: UvicornServer) -> dict[str, Any]:
    """The web UI's client, unchanged."""
    import webuiapi

    url = httpx.URL(server.address)
    api = webuiapi.WebUIApi(host=url.host, port=url.port)
    drawn = api.txt2img(prompt="hat <lora:a:0.8>", seed=5, batch_size=2, **SMALL)
    again = api.img2img(images=[drawn.image], prompt="hat", seed=1, denoising_strength=0.6, **SMALL)
    return {
        "sizes": [image.size for image in (*drawn.images, *again.images)],
        "seeds": drawn.info["all_seeds"],
        "parameters": drawn.image.info["parameters"],
        "loras": [each["name"] for each in api.get_loras()],
    }


def kill_one(client: httpx.Client, server: UvicornServer) -> dict[str, Any]:
    """kill -9 of a replica that has pictures: what becomes of them, and that the replica is replaced."""
    worker = worker_of(server)
    done_before = pictures_done(client)
    jobs = [slow(client, 8, 12) for _ in range(2)]
    wait_for(lambda: min(worker.replicas.values()) > 1 and len(worker.replicas) == 2)
    victim, process = next(iter(worker.processes.items()))
    os.kill(process, signal.SIGKILL)
    states = [image["state"] for job in jobs for image in finished(client, job)["pictures"]]
    wait_for(lambda: worker.processes.get(victim, process) != process)
    return {"states": states, "done": pictures_done(client) - done_before, "replicas": len(worker.replicas)}


def scale(client: httpx.Client, server: UvicornServer) -> dict[str, Any]:
    """One less, with pictures in the making, and one more."""
    worker = worker_of(server)
    again = server.service.metrics.total("lorasmith_pictures_drawn_again_total")
    job = slow(client, 8, 12)
    wait_for(lambda: min(worker.replicas.values()) > 1)
    changed = client.put("/api/v1/replicas", json={"count": 1}).json()
    wait_for(lambda: len(worker.replicas) == 1)
    states = {image["state"] for image in finished(client, job)["pictures"]}
    client.put("/api/v1/replicas", json={"count": 2})
    wait_for(lambda: len(worker.replicas) == 2)
    job = slow(client, 8, 12)
    wait_for(lambda: min(worker.replicas.values()) > 1)
    states |= {image["state"] for image in finished(client, job)["pictures"]}
    more = server.service.metrics.total("lorasmith_pictures_drawn_again_total") - again
    return {"answer": changed, "states": sorted(states), "drawn again": more}


def cancel(client: httpx.Client, server: UvicornServer) -> dict[str, Any]:
    """A job of thousands of steps, given up."""
    worker = worker_of(server)
    job = slow(client, 2, 400)
    wait_for(lambda: sum(worker.replicas.values()) > 0)
    client.delete(f"/api/v1/jobs/{job}")
    state = finished(client, job)["state"]
    began = time.monotonic()
    wait_for(lambda: sum(worker.replicas.values()) == 0)
    return {"state": state, "seconds": time.monotonic() - began}


def worker_of(server: UvicornServer) -> ReplicaWorker:
    worker = server.service.worker
    assert isinstance(worker, ReplicaWorker)
    return worker


def pictures_done(client: httpx.Client) -> int:
    line = next(line for line in client.get("/metrics").text.splitlines() if 'pictures_total{outcome="done"}' in line)
    return int(line.rpartition(" ")[2])


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
