"""Taggers of the hub: from its cache without a network, and one clear error for everything else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from lorasmith.errors import DatasetError, StorageError
from lorasmith.hub import is_hub_name
from lorasmith.tags.hub import fetch_tagger
from lorasmith.tags.layouts import by_precedence
from lorasmith.tags.tagger import open_tagger
from tests.hub import hub_snapshot
from tests.tags.models import make_mapped_tagger, make_tagger


def test_a_cached_tagger_needs_no_network(hub_cache: Path) -> None:
    folder = make_tagger(hub_snapshot(hub_cache, "owner/wd-tagger-v3"))
    assert fetch_tagger("owner/wd-tagger-v3") == folder
    assert open_tagger("owner/wd-tagger-v3").identity.startswith("owner/wd-tagger-v3 ")


@pytest.mark.parametrize("model", ["model_optimized.onnx", "model.onnx"])
def test_one_of_several_taggers_in_folders(hub_cache: Path, model: str) -> None:
    folder = make_mapped_tagger(hub_snapshot(hub_cache, "owner/cl_tagger") / "v1" / "b", model=model)
    assert fetch_tagger("owner/cl_tagger/v1/b") == folder


def test_a_tagger_that_is_half_there_is_not_taken(hub_cache: Path) -> None:
    folder = make_tagger(hub_snapshot(hub_cache, "owner/half"))
    (folder / "model.onnx").unlink()
    with pytest.raises(DatasetError, match=r"owner/half: the hub cannot be reached.*Go online for the first use"):
        fetch_tagger("owner/half")


def test_offline_without_a_cache(hub_cache: Path) -> None:
    assert not hub_cache.exists()
    with pytest.raises(DatasetError, match="not in its cache on this computer"):
        fetch_tagger("owner/tagger")


ANSWER: Any = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (errors.RepositoryNotFoundError("no", response=ANSWER), DatasetError, "no such repository"),
        (errors.GatedRepoError("gated", response=ANSWER), DatasetError, "accept terms first"),
        (errors.RemoteEntryNotFoundError("no file", response=ANSWER), DatasetError, "holds no tagger"),
        (errors.HFValidationError("bad"), DatasetError, "no such repository"),
        (
            errors.HfHubHTTPError("it is down\nlong", response=ANSWER),
            DatasetError,
            "does not give it: it is down ",
        ),
        (RuntimeError("slow"), DatasetError, "the hub cannot be reached"),
        (OSError(28, "No space left on device"), StorageError, "No space left"),
    ],
)
def test_what_the_hub_may_answer(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, kind: type[Exception], message: str
) -> None:
    def download(*args: Any, local_files_only: bool, **more: Any) -> str:
        del args, more
        raise errors.LocalEntryNotFoundError("not cached") if local_files_only else fault

    def reach(url: str, timeout: float) -> None:
        assert url.endswith(tuple(f"owner/tagger/resolve/main/{layout.tags}" for layout in by_precedence()))
        assert timeout > 0
        if not isinstance(fault, OSError) or isinstance(fault, errors.HfHubHTTPError):
            raise fault

    assert not hub_cache.exists()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", reach)
    with pytest.raises(kind, match=message):
        fetch_tagger("owner/tagger")


@pytest.mark.parametrize("name", ["owner/tagger", "SmilingWolf/wd-vit-tagger-v3", "a/b/c_1.0/d"])
def test_hub_ids(name: str) -> None:
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "name", ["tagger", "/owner/tagger", "./owner/tagger", "a/../b", "a/b/..", "a/b/", "a b/c", "a/ü"]
)
def test_what_is_no_hub_id(name: str) -> None:
    assert not is_hub_name(name)
