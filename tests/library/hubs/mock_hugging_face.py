"""Hugging Face's half of the mock."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.library.hubs.mock import COMMIT, OLDER_COMMIT, Hubs, has_token, redirect, signed

BIG = 1000
"""Files of more bytes, and all weights, lie in the store."""


def add_hugging_face(app: FastAPI, hubs: Hubs) -> None:
    """The paths of Hugging Face's interface that are used, with their refusals."""

    @app.get("/api/models")
    async def models(request: Request) -> Response:
        query = request.query_params
        words, limit, start = query.get("search", "").lower(), int(query.get("limit", 20)), int(query.get("skip", 0))
        shown = [
            each
            for each in hubs.repositories.values()
            if words in each["id"].lower()
            and not each["private"]
            and all(tag in each["tags"] for tag in query.getlist("filter"))
        ]
        headers = {}
        if start + limit < len(shown):
            further = request.url.include_query_params(skip=start + limit)
            headers["Link"] = f'<{further}>; rel="next"'
        return JSONResponse([_told(each, blobs=False) for each in shown[start : start + limit]], headers=headers)

    @app.get("/api/models/{owner}/{name}")
    async def model(owner: str, name: str, request: Request) -> Response:
        return _tell(hubs, f"{owner}/{name}", "main", request)

    @app.get("/api/models/{owner}/{name}/revision/{revision}")
    async def revision(owner: str, name: str, revision: str, request: Request) -> Response:
        return _tell(hubs, f"{owner}/{name}", revision, request)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        repository = hubs.repositories.get(f"{owner}/{name}")
        refused = _refuse(repository, revision, request)
        if refused is not None or repository is None:
            return refused or Response(status_code=404)
        if repository["gated"] and not repository.get("accepted"):
            return _error(403 if has_token(request) else 401, "GatedRepo", "Access to this model is restricted.")
        digest = repository["stored"].get(path)
        if digest is None:
            return _error(404, "EntryNotFound", "Entry not found")
        data = hubs.files[digest]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if len(data) <= BIG and not path.endswith(".safetensors"):
            return Response(data, headers=headers)
        return redirect(
            signed(hubs, digest),
            302,
            X_Repo_Commit=COMMIT,
            X_Linked_Etag=f'"{digest}"',
            X_Linked_Size=str(len(data)),
        )

    @app.post("/api/validate-yaml")
    async def validate(request: Request) -> Response:
        content = json.loads(await request.body())["content"]
        errors = card_errors(content)
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        if not has_token(request):
            return JSONResponse({"error": "Invalid username or password."}, 401)
        body = json.loads(await request.body())
        name = f"{body.get('organization') or 'me'}/{body['name']}"
        if name in hubs.repositories or name in hubs.uploads:
            return JSONResponse({"error": "You already created this model repo", "url": name}, 409)
        hubs.uploads[name] = {"private": body.get("visibility") == "private" or bool(body.get("private")), "files": {}}
        return JSONResponse({"url": f"{hubs.address}/{name}"})

    @app.post("/api/models/{owner}/{name}/preupload/{revision}")
    async def preupload(request: Request) -> Response:
        files = json.loads(await request.body())["files"]
        modes = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["path"].endswith(".safetensors") or each["size"] > BIG else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for each in files
        ]
        return JSONResponse({"files": modes, "commitOid": COMMIT})

    @app.post("/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(request: Request) -> Response:
        objects = json.loads(await request.body())["objects"]
        where = {"upload": {"href": f"{hubs.store}/put?X-Amz-Signature=abc", "header": {}}}
        answer = [{"oid": each["oid"], "size": each["size"], "actions": where} for each in objects]
        return JSONResponse({"transfer": "basic", "objects": answer}, media_type="application/vnd.git-lfs+json")

    @app.put("/store/put")
    async def put(request: Request) -> Response:
        if request.headers.get("authorization"):
            return Response("Only one auth mechanism allowed", 400)
        hubs.keep(await request.body())
        return Response(status_code=200)

    @app.post("/api/models/{owner}/{name}/commit/{revision}")
    async def commit(owner: str, name: str, request: Request) -> Response:
        if not has_token(request):
            return JSONResponse({"error": "Unauthorized"}, 401)
        files = hubs.uploads[f"{owner}/{name}"]["files"]
        for line in (await request.body()).splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = hubs.files[value["oid"]]
        place = f"{hubs.address}/{owner}/{name}/commit/{COMMIT}"
        return JSONResponse({"commitUrl": place, "commitOid": COMMIT, "success": True})


def card_errors(content: str) -> list[dict[str, str]]:
    """What the hub's check of a model card's front matter finds, as its documentation has it."""
    parts = content.split("---")
    if not content.startswith("---") or len(parts) < 3:
        return [{"message": "no front matter"}]
    try:
        table = yaml.safe_load(parts[1])
    except yaml.YAMLError as fault:
        return [{"message": f"not YAML: {fault}"}]
    errors = []
    if not isinstance(table, dict):
        return [{"message": "is no table"}]
    licence = table.get("license")
    if licence is not None and licence not in LICENCES:
        errors.append({"message": f'"license" must be one of the known ones, not {licence}'})
    if licence == "other" and not table.get("license_name"):
        errors.append({"message": '"license_name" must be given with "other"'})
    if not isinstance(table.get("tags", []), list) or any(not isinstance(tag, str) for tag in table.get("tags", [])):
        errors.append({"message": '"tags" must be a list of texts'})
    base = table.get("base_model", [])
    for name in base if isinstance(base, list) else [base]:
        if not isinstance(name, str) or name.count("/") > 1 or " " in name:
            errors.append({"message": f'"base_model" with value "{name}" is not valid. Use a model id.'})
    for each in table.get("widget", []):
        if not isinstance(each, dict) or "text" not in each or not isinstance(each.get("output", {}), dict):
            errors.append({"message": '"widget" must have text and output'})
    return errors


LICENCES = (
    *("apache-2.0", "mit", "openrail", "creativeml-openrail-m", "openrail++", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-3.0", "cc-by-2.0", "unlicense"),
    *("gpl-3.0", "agpl-3.0", "bsd-3-clause", "wtfpl", "unknown", "other"),
)


def _tell(hubs: Hubs, name: str, revision: str, request: Request) -> Response:
    if name in hubs.uploads:
        return JSONResponse({"id": name, "sha": COMMIT, "private": hubs.uploads[name]["private"], "siblings": []})
    repository = hubs.repositories.get(name)
    refused = _refuse(repository, revision, request)
    if refused is not None or repository is None:
        return refused or Response(status_code=404)
    told = _told(repository, blobs=request.query_params.get("blobs") == "true", files=hubs.files)
    return JSONResponse(told | {"sha": OLDER_COMMIT if revision == OLDER_COMMIT else repository["sha"]})


def _refuse(repository: Mapping[str, Any] | None, revision: str, request: Request) -> Response | None:
    if repository is None or (repository["private"] and not has_token(request)):
        status = 404 if has_token(request) else 401
        return _error(status, "RepoNotFound", "Repository not found")
    if revision not in ("main", OLDER_COMMIT, repository["sha"]):
        return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return None


def _told(repository: Mapping[str, Any], blobs: bool, files: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    told = {key: value for key, value in repository.items() if key not in ("stored", "accepted")}
    siblings = []
    for path, digest in repository["stored"].items():
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs and files is not None:
            size = len(files[digest])
            sibling |= {"size": size, "blobId": digest[:40]}
            if size > BIG or path.endswith(".safetensors"):
                sibling["lfs"] = {"sha256": digest, "size": size, "pointerSize": 130}
        siblings.append(sibling)
    return {**told, "siblings": siblings}


def _error(status: int, code: str, words: str) -> Response:
    return JSONResponse({"error": words}, status, {"X-Error-Code": code, "X-Error-Message": words})
