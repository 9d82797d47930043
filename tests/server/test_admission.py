"""What is told before anything is drawn or kept: sizes as they will be, parts that can be drawn, inputs that stay."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.embeddings.catalogue import EmbeddingCatalogue
from lorasmith.generation.base_facts import BaseFacts
from lorasmith.generation.spec import Hires, PictureSpec
from lorasmith.prompts.composition import MOST_SUBPROMPTS
from lorasmith.server.admission import Admission
from lorasmith.server.bases import BaseEntry
from lorasmith.server.errors import FieldError
from lorasmith.server.interfaces import Round
from lorasmith.server.settings import Limits
from tests.server.running import Plain, PlainEngine, finished, plain_settings, running, wait_for


def admission(facts: BaseFacts, **limits: int) -> Admission:
    entry = BaseEntry("base", "nowhere")
    vars(entry)["facts"] = facts
    return Admission(replace(Limits(), **limits), [entry], Catalogue([]), EmbeddingCatalogue([]))


SIZES: list[tuple[int | None, int | None, Hires | None, int]] = [
    (None, None, None, 512 * 512),
    (1024, None, None, 1024 * 512),
    (None, 1024, None, 1024 * 512),
    (None, None, Hires(scale=2.0), 1024 * 1024),
    (None, 1024, Hires(scale=2.0), 1024 * 2048),
    (None, None, Hires(width=1024), 1024 * 1024),
    (1024, None, Hires(height=1024), 2048 * 1024),
    (768, 768, Hires(width=1536, height=1024), 1536 * 1024),
]


@pytest.mark.parametrize(("width", "height", "hires", "pixels"), SIZES)
def test_sizes_left_to_the_base_are_counted(
    width: int | None, height: int | None, hires: Hires | None, pixels: int
) -> None:
    spec = PictureSpec(prompt="hat", width=width, height=height, hires=hires)
    known = BaseFacts(resolution=512)
    admission(known, pixels=pixels).check(spec)
    with pytest.raises(FieldError, match=f"{pixels} pixels, the most are {pixels - 1}"):
        admission(known, pixels=pixels - 1).check(spec)
    with pytest.raises(FieldError, match="pixels, the most are"):
        admission(BaseFacts(), pixels=pixels - 1).check(spec)


def test_of_an_unknown_base_the_most_is_thought() -> None:
    spec = PictureSpec(prompt="hat", hires=Hires(scale=4.0))
    with pytest.raises(FieldError, match="say it by width and height"):
        admission(BaseFacts()).check(spec)
    admission(BaseFacts()).check(replace(spec, width=512, height=512))
    admission(BaseFacts()).check(PictureSpec(prompt="hat"))


@pytest.mark.parametrize(
    ("steps", "hires", "told"),
    [(1000, None, 1000), (500, Hires(), 1000), (501, Hires(), 1002), (750, Hires(steps=250), 1000)],
)
def test_steps_left_to_the_first_pass_are_counted(steps: int, hires: Hires | None, told: int) -> None:
    spec = PictureSpec(prompt="hat", steps=steps, hires=hires)
    if told <= 1000:
        admission(BaseFacts(resolution=64)).check(spec)
        return
    with pytest.raises(FieldError, match=f"steps = {told}, the most are 1000"):
        admission(BaseFacts(resolution=64)).check(spec)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with running(plain_settings(tmp_path, limits=Limits(queue=3, pixels=128 * 128)), Plain()) as (client, server):
        vars(client)["inputs"] = server.service.store.inputs
        yield client


PARTS = " AND ".join(["hat"] * (MOST_SUBPROMPTS + 1))


@pytest.mark.parametrize(
    "body",
    [
        *({"width": 4096}, {"height": 4096}, {"hires": {"scale": 4.0}}),
        *({"prompt": PARTS}, {"hires": {"prompt": PARTS}}),
    ],
)
@pytest.mark.parametrize("path", ["jobs", "grids", "batches"])
def test_it_is_told_at_once(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"prompt": "hat", **body}
    asked = {"pictures": [asked]} if path == "batches" else asked | ({"x": "seed=1,2"} if path == "grids" else {})
    answer = client.post(f"/api/v1/{path}", json=asked)
    assert answer.status_code == 422, answer.text
    assert "the most are" in answer.json()["error"]["message"]
    assert client.get("/api/v1/status").json()["limits"]["parts"] == MOST_SUBPROMPTS


def picture(colour: str) -> str:
    held = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "an unknown adapter": ("/api/v1/jobs", {"prompt": "<lora:nobody:1>", "init": {"image": picture("red")}}),
    "too many pixels": ("/api/v1/jobs", {"prompt": "x", "width": 4096, "init": {"image": picture("red")}}),
    "a mask that is none": ("/api/v1/jobs", {"prompt": "x", "init": {"image": picture("red"), "mask": "????"}}),
    "a full queue": ("/api/v1/jobs", {"prompt": "x", "count": 4, "init": {"image": picture("red")}}),
    "too many": ("/api/v1/jobs", {"prompt": "x", "count": 400, "init": {"image": picture("red")}}),
    "the second of a batch": (
        "/api/v1/batches",
        {"pictures": [{"init": {"image": picture("red")}}, {"init": {"image": "file:///x"}}]},
    ),
    "a batch for a full queue": ("/api/v1/batches", {"pictures": [{"init": {"image": picture("red")}}] * 5}),
    "an axis": ("/api/v1/grids", {"prompt": "x", "x": "sede=1", "init": {"image": picture("red")}}),
    "no cell": ("/api/v1/grids", {"prompt": "x", "x": "steps=9999", "init": {"image": picture("red")}}),
    "the web UI's sampler": ("/sdapi/v1/img2img", {"init_images": [picture("red")], "sampler_name": "none"}),
    "the web UI's prompt": ("/sdapi/v1/img2img", {"init_images": [picture("red")], "prompt": "<lora:nobody:1>"}),
    "the web UI's second picture": ("/sdapi/v1/img2img", {"init_images": [picture("red"), "?"], "width": 64}),
    "the web UI's mask": ("/sdapi/v1/img2img", {"init_images": [picture("red")], "mask": "?", "width": 64}),
    "the web UI's full queue": ("/sdapi/v1/img2img", {"init_images": [picture("red")] * 4, "batch_size": 4}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests_keep_nothing(client: httpx.Client, name: str) -> None:
    path, body = REFUSED[name]
    answer = client.post(path, json=body)
    assert answer.status_code in (404, 422, 429, 503), answer.text
    wait_for(lambda: vars(client)["inputs"]() == [], 20)


def test_what_a_job_takes_stays_whoever_else_is_refused(tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    with running(plain_settings(tmp_path), loader) as (client, server):
        inputs = server.service.store.inputs
        same = picture("blue")
        answers: list[httpx.Response] = []
        body = {"init_images": [same], "width": 64, "height": 64, "steps": 1}
        waiting = threading.Thread(target=lambda: answers.append(client.post("/sdapi/v1/img2img", json=body)))
        waiting.start()
        wait_for(lambda: bool(server.service.board.running))
        refused = client.post("/sdapi/v1/img2img", json={**body, "mask": "?"})
        assert refused.status_code == 422
        time.sleep(0.1)
        assert len(inputs()) == 1
        loader.gate.set()
        waiting.join()
        assert answers[0].status_code == 200
        wait_for(lambda: inputs() == [], 20)
        kept = client.post("/api/v1/jobs", json={"prompt": "x", "steps": 1, "init": {"image": same}}).json()
        assert finished(client, kept["id"])["state"] == "done"
        assert len(inputs()) == 1, "the picture can be drawn again"


class SlowEngine(PlainEngine):
    """A step with an endless picture takes as long as nobody stops it, once enough are in the making."""

    enough = 2

    def step(self, previews: bool, stop: Callable[[], bool]) -> Round:
        if all("endless" not in spec.prompt for spec, _ in self._rows.values()):
            return super().step(previews, stop)
        if self.active >= self.enough:
            wait_for(stop)
        time.sleep(0.01)
        return Round()


class Slow(Plain):
    def __call__(self, *given: Any) -> Any:
        _, content_hash = super().__call__(*given)
        self.engine = SlowEngine("doodle", given[2], self.gate)
        return self.engine, content_hash


def test_a_long_step_is_given_up_when_its_picture_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(plain_settings(tmp_path, grace=0.1), Slow()) as (client, server):
        first = client.post("/api/v1/jobs", json={"prompt": "endless"}).json()["id"]
        second = client.post("/api/v1/jobs", json={"prompt": "hat", "steps": 1}).json()["id"]
        wait_for(lambda: len(server.service.board.running) == 2)
        assert client.get(f"/api/v1/jobs/{second}").json()["state"] == "running"
        client.delete(f"/api/v1/jobs/{first}")
        assert finished(client, second)["state"] == "done"
        monkeypatch.setattr(SlowEngine, "enough", 1)
        client.post("/api/v1/jobs", json={"prompt": "endless"})
        wait_for(lambda: len(server.service.board.running) == 1)
        started = time.monotonic()
    assert time.monotonic() - started < 10, "closing waits for its grace, not for the step"
