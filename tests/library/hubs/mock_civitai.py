"""Civitai's half of the mock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.library.hubs.mock import CACHE, Hubs, has_token, redirect, signed

PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": CACHE}


def add_civitai(app: FastAPI, hubs: Hubs) -> None:
    """The paths of Civitai's interface that are used, with their refusals."""

    @app.get("/api/v1/models")
    async def models(request: Request) -> Response:
        query = request.query_params
        limit, page, words = int(query.get("limit", 100)), query.get("page"), query.get("query", "")
        if not 1 <= limit <= 100:
            issues = [{"path": ["limit"], "message": "Number must be between 1 and 100"}]
            return JSONResponse({"error": {"issues": issues, "name": "ZodError"}}, 400)
        if page and words:
            return JSONResponse({"error": "Cannot use page param with query search. Use cursor-based pagination."}, 400)
        if page and int(page) * limit > 1000:
            return JSONResponse({"error": "You've requested too many pages, please use cursors instead"}, 429)
        ids = [int(each) for part in query.getlist("ids") for each in part.split(",")]
        shown = [model for model in hubs.models.values() if _is_asked(model, query, ids, words)]
        start = int(query.get("cursor", 0))
        part = shown[start : start + limit]
        metadata: dict[str, Any] = {"pageSize": limit}
        if start + limit < len(shown):
            metadata["nextCursor"] = str(start + limit)
        return JSONResponse({"items": [_model(hubs, each) for each in part], "metadata": metadata}, headers=PUBLIC)

    @app.get("/api/v1/models/{number}")
    async def one_model(number: int) -> Response:
        model = hubs.models.get(number)
        if model is None:
            return JSONResponse({"error": f"No model with id {number}"}, 404)
        return JSONResponse(_model(hubs, model), headers=PUBLIC)

    @app.get("/api/v1/model-versions/by-hash/{digits}")
    async def by_hash(digits: str) -> Response:
        found = sorted(_with_hash(hubs, digits.upper()), key=lambda each: str(each["createdAt"]))
        if not found:
            return JSONResponse({"error": "Model not found"}, 404)
        return JSONResponse(_version(hubs, found[0]), headers={**PUBLIC, "Cache-Control": "public, s-maxage=3600"})

    @app.post("/api/v1/model-versions/by-hash")
    async def by_hashes(request: Request) -> Response:
        try:
            hashes = json.loads(await request.body())
        except ValueError:
            hashes = None
        if not isinstance(hashes, list) or len(hashes) > 100 or any(len(str(one)) != 64 for one in hashes):
            return JSONResponse({"error": "Request must include an array of SHA256 Hashes."}, 400)
        found = [each for digest in hashes for each in _with_hash(hubs, str(digest).upper())]
        return JSONResponse([*(_version(hubs, each) for each in found), None])

    @app.get("/api/v1/model-versions/{number}")
    async def one_version(number: int) -> Response:
        version = _find(hubs, number)
        if version is None:
            return JSONResponse({"error": "Model not found"}, 404)
        return JSONResponse(_version(hubs, version), headers=PUBLIC)

    @app.get("/api/download/models/{number}")
    async def download(number: int, request: Request) -> Response:
        version = _find(hubs, number)
        if version is None:
            return JSONResponse({"error": "Model not found"}, 404)
        model = hubs.models[version["modelId"]]
        as_json = request.headers.get("content-type") == "application/json"
        if model["mode"] == "Archived":
            return JSONResponse({"error": "Model archived, not available for download"}, 410)
        if version.get("requireLogin") and not has_token(request):
            if not as_json:
                return redirect(f"{hubs.address}/login?reason=download-auth")
            return JSONResponse({"error": "Unauthorized"}, 401)
        if version.get("downloadsDisabled"):
            return JSONResponse({"error": "Unauthorized", "message": "The creator has disabled downloads"}, 401)
        if version["paidAccess"] and not version.get("bought"):
            ends = version["paidAccess"].get("endsAt")
            words = {"error": "Early Access", "deadline": ends, "message": "This asset is in Early Access."}
            return JSONResponse(words, 403)
        wanted = request.query_params.get("fileId")
        files = [each for each in version["files"] if wanted in (None, str(each["id"]))]
        if not files:
            return JSONResponse({"error": "File not found"}, 404)
        return redirect(signed(hubs, files[0]["hashes"]["SHA256"].lower()))

    @app.get("/login")
    async def login() -> Response:
        return Response("<!doctype html><title>Log in</title>", media_type="text/html")


def _is_asked(model: Mapping[str, Any], query: Any, ids: list[int], words: str) -> bool:
    kinds, bases = query.getlist("types"), query.getlist("baseModels")
    return (
        (not ids or model["id"] in ids)
        and (not kinds or model["type"] in kinds)
        and (not bases or any(each["baseModel"] in bases for each in model["modelVersions"]))
        and (words.lower() in model["name"].lower() or words in model["tags"])
        and (query.get("nsfw") == "true" or not model["nsfw"])
    )


def _find(hubs: Hubs, number: int) -> dict[str, Any] | None:
    every = (each for model in hubs.models.values() for each in model["modelVersions"])
    return next((each for each in every if each["id"] == number), None)


def _with_hash(hubs: Hubs, digits: str) -> list[dict[str, Any]]:
    return [
        each
        for model in hubs.models.values()
        for each in model["modelVersions"]
        if any(digits in file["hashes"].values() for file in each["files"])
    ]


def _model(hubs: Hubs, model: Mapping[str, Any]) -> dict[str, Any]:
    versions = [_shown(hubs, each, model) for each in model["modelVersions"]]
    for version in versions:
        version.pop("modelId")  # a model's own list of versions has none
    return {**model, "modelVersions": versions}


def _version(hubs: Hubs, version: Mapping[str, Any]) -> dict[str, Any]:
    model = hubs.models[version["modelId"]]
    told = {name: model[name] for name in ("name", "type", "nsfw", "poi")}
    if model["mode"]:
        told["mode"] = model["mode"]
    return {**_shown(hubs, version, model), "model": told}


def _shown(hubs: Hubs, version: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(version)
    shown["images"] = [{**each, "url": each["url"].format(store=hubs.store)} for each in version["images"]]
    if model["mode"] == "Archived":
        shown["files"] = []
        shown.pop("downloadUrl", None)
    if model["mode"] == "TakenDown":
        shown["images"] = []
    return shown
