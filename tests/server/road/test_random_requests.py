"""Requests at random, right and wrong ones, from the studio's own document: never a 500, the project stays whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from lorasmith.project import Project, open_project
from lorasmith.server.workshop import Workshop
from tests.server.running import Plain, plain_settings, running

BEGINS = ("/runs", "/exams", "/comparisons", "/library/get", "/library/updates", "/library/hub")
"""What would start processes, or ask a hub."""
PARTS = (
    "recipe",
    "plan",
    "runs",
    "exams",
    "comparisons",
    "card",
    "publish",
    "library",
    "help",
    "complete",
    "read",
    "tasks",
)


def test_no_request_of_the_document_breaks_the_studio(tmp_path: Path, project: Project, home: Path) -> None:
    assert not home.exists()
    tried: list[str] = []
    with running(plain_settings(tmp_path), Plain(), Workshop(project.root.parent)) as (client, server):
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            path = operation.path
            if not path.startswith("/api/v1/") or not set(PARTS) & set(path.split("/")) or path.endswith("/events"):
                continue
            if (path.endswith(BEGINS) and operation.method.lower() != "get") or path.endswith("hub"):
                continue

            @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def check(case: Any) -> None:
                if case.path_parameters and "project" in case.path_parameters:
                    case.path_parameters["project"] = project.root.name
                answer = case.call(base_url=server.address, timeout=600)
                tried.append(case.operation.label)
                case.validate_response(answer, checks=[not_a_server_error])

            check()
    assert len(set(tried)) > 20
    assert open_project(project.root).lora.name == "zbk"
