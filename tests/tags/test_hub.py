"""Taggers of the hub: from its cache without a network, and one clear error for everything else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from lorasmith.errors import DatasetError, StorageError
from lorasmith.tags.hub import fetch_tagger, is_hub_id
from lorasmith.tags.tagger import open_tagger
from tests.tags.models import make_mapped_tagger, make_tagger

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def snapshot(cache: Path, repository: str) -> Path:
    """The folder in which the hub's cache keeps a repository's files."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    return root / "snapshots" / COMMIT


def test_a_cached_tagger_needs_no_network(cache: Path) -> None:
    folder = make_tagger(snapshot(cache, "owner/wd-tagger-v3"))
    assert fetch_tagger("owner/wd-tagger-v3") == folder
    assert open_tagger("owner/wd-tagger-v3").identity.startswith("owner/wd-tagger-v3 ")


@pytest.mark.parametrize("model", ["model_optimized.onnx", "model.onnx"])
def test_one_of_several_taggers_in_folders(cache: Path, model: str) -> None:
    folder = make_mapped_tagger(snapshot(cache, "owner/cl_tagger") / "v1" / "b", model=model)
    assert fetch_tagger("owner/cl_tagger/v1/b") == folder


def test_a_tagger_that_is_half_there_is_not_taken(cache: Path) -> None:
    folder = make_tagger(snapshot(cache, "owner/half"))
    (folder / "model.onnx").unlink()
    with pytest.raises(DatasetError, match=r"owner/half: the hub cannot be reached.*Go online for the first use"):
        fetch_tagger("owner/half")


def test_offline_without_a_cache(cache: Path) -> None:
    assert not cache.exists()
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
    cache: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, kind: type[Exception], message: str
) -> None:
    def download(*args: Any, local_files_only: bool, **more: Any) -> str:
        del args, more
        raise errors.LocalEntryNotFoundError("not cached") if local_files_only else fault

    def reach(url: str, timeout: float) -> None:
        assert url.endswith(
            ("owner/tagger/resolve/main/selected_tags.csv", "owner/tagger/resolve/main/tag_mapping.json")
        )
        assert timeout > 0
        if not isinstance(fault, OSError) or isinstance(fault, errors.HfHubHTTPError):
            raise fault

    assert not cache.exists()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", reach)
    with pytest.raises(kind, match=message):
        fetch_tagger("owner/tagger")


@pytest.mark.parametrize("name", ["owner/tagger", "SmilingWolf/wd-vit-tagger-v3", "a/b/c_1.0/d"])
def test_hub_ids(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name", ["tagger", "/owner/tagger", "./owner/tagger", "a/../b", "a/b/..", "a/b/", "a b/c", "a/ü"]
)
def test_what_is_no_hub_id(name: str) -> None:
    assert not is_hub_id(name)
