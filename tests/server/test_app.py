"""The application: it starts without what draws, its pages come from itself alone, and its document keeps its word."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from lorasmith.server.app import create_app
from lorasmith.server.settings import Limits
from lorasmith.server.store import FILE_NAME
from lorasmith.web import read_page
from tests.server.running import Plain, plain_settings, running, wait_for

PAGES = ("docs.html", "docs.css", "docs.js", "mark.svg")


def test_it_starts_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from starlette.testclient import TestClient\n"
        "from lorasmith.server.app import create_app\n"
        "from lorasmith.server.settings import ServerSettings\n"
        f"app = create_app(ServerSettings(data=Path({str(tmp_path)!r})))\n"
        "with TestClient(app, base_url='http://localhost') as client:\n"
        "    for path in ('/health', '/', '/docs', '/openapi.json', '/api/v1/status', '/api/v1/adapters', '/metrics',\n"
        "                 '/sdapi/v1/options', '/sdapi/v1/loras', '/sdapi/v1/progress'):\n"
        "        assert client.get(path).status_code == 200, path\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'onnxruntime'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", PAGES)
def test_pages_need_nothing_from_outside(name: str) -> None:
    found = read_page(name)
    assert found is not None
    text = found[0].decode("utf-8")
    addresses = [each for each in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", text) if "www.w3.org" not in each]
    assert addresses == []
    assert not re.search(r"<script(?![^>]*\bsrc=)|<[^>]+\son\w+=|style=\"|@import|innerHTML|eval\(", text)
    for used in re.findall(r"(?:src|href)=\"/web/([\w.]+)\"", text):
        assert read_page(used) is not None


def test_other_files_are_not_pages() -> None:
    for name in ("__init__.py", "../server/app.py", "..\\x.html", ".html", "nothing.html", ""):
        assert read_page(name) is None


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    limits = Limits(queue=5000, queue_per_client=5000, steps=20, pixels=128 * 128, pictures=4)
    app = create_app(plain_settings(tmp_path_factory.mktemp("app"), limits=limits), Plain())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_the_pages_are_served(client: TestClient) -> None:
    assert "<title>Lorasmith</title>" in client.get("/").text
    assert "/web/docs.js" in client.get("/docs").text
    assert client.get("/web/docs.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/web/__init__.py").status_code == 404
    assert client.get("/web/..%2Fserver%2Fapp.py").status_code == 404


def test_the_document_says_what_everything_is(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    paths = document["paths"]
    assert len(paths) > 45
    for path, methods in paths.items():
        for method, told in methods.items():
            assert told.get("description"), f"{method} {path} has no description"


def test_no_request_of_the_document_breaks_the_server(tmp_path: Path) -> None:
    """Requests at random, right and wrong ones, from the server's own document: never a 500."""
    limits = Limits(queue=5000, queue_per_client=5000, steps=20, pixels=128 * 128, pictures=4)
    tried: list[str] = []
    with running(plain_settings(tmp_path, limits=limits), Plain()) as (client, server):
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()

            @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def check(case: Any) -> None:
                answer = case.call(base_url=server.address, timeout=600)
                tried.append(case.operation.label)
                case.validate_response(answer, checks=[not_a_server_error])

            check()
    assert len(tried) > 60
    assert len(set(tried)) > 45


def test_records_that_are_removed_are_noticed(tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (client, server):
        assert client.get("/health").status_code == 200
        file = tmp_path / "data" / FILE_NAME
        file.rename(tmp_path / "moved")
        assert client.get("/health").status_code == 503
        told = client.post("/api/v1/jobs", json={"prompt": "red"})
        assert told.status_code == 507
        assert "removed or replaced" in told.json()["error"]["message"]
        file.write_bytes(b"")
        assert client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 2}).status_code == 507
        assert client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1
        (tmp_path / "moved").rename(file)
        assert client.get("/health").status_code == 200
        assert client.post("/api/v1/jobs", json={"prompt": "red", "steps": 1}).status_code == 202
        wait_for(lambda: not server.service.board.live)
