"""Bases that learn a flow by their hub ids from the mock hub: whole, in part, broken off, and what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from lorasmith.bases.base import load_base
from lorasmith.bases.hub import cached_base, fetch_base
from lorasmith.errors import BaseError
from tests.families.anima_models import build_anima
from tests.families.klein_models import build_klein
from tests.families.zimage_models import build_zimage
from tests.hub import hub_snapshot
from tests.library.hubs.mock import Hubs, serve_hubs

BUILDERS: dict[str, Callable[[Path], Path]] = {"anima": build_anima, "zimage": build_zimage, "klein": build_klein}


@pytest.fixture(scope="module", params=BUILDERS)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository's files."""
    folder = BUILDERS[request.param](tmp_path_factory.mktemp("hub") / request.param)
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubs]:
    """The mock, and an empty cache."""
    with serve_hubs(Hubs()) as served:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, served.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield served


def without(files: dict[str, bytes], start: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith(start)}


def asked(hubs: Hubs) -> list[str]:
    """The files of weights that were asked for, in order."""
    return [each.path.rpartition("/main/")[2] for each in hubs.log if each.path.endswith(".safetensors")]


def test_a_whole_folder_is_fetched_once(hubs: Hubs, files: dict[str, bytes]) -> None:
    hubs.add_repository("maker/tiny", files | {"README.md": b"# tiny", "assets/big.safetensors": b"x" * 2000})
    assert cached_base("maker/tiny") is None
    base = load_base("maker/tiny")
    assert base.name == "tiny"
    assert "assets/big.safetensors" not in asked(hubs)
    seen = len(hubs.log)
    assert load_base("maker/tiny").content_hash == base.content_hash
    assert len(hubs.log) == seen, "no network for what is there"


@pytest.mark.parametrize("part", ["text_encoder", "vae", "transformer"])
def test_a_part_that_is_missing_is_named_before_anything_is_fetched(
    hubs: Hubs, files: dict[str, bytes], part: str
) -> None:
    hubs.add_repository("maker/part", without(files, f"{part}/"))
    hubs.add_repository(
        "maker/empty", without(files, f"{part}/") | {f"{part}/config.json": files[f"{part}/config.json"]}
    )
    if part != "transformer":
        title = "Anima" if "text_conditioner/config.json" in files else "Z-Image"
        with pytest.raises(BaseError, match=f"this repository has no {part}, which {title} needs") as fault:
            fetch_base("maker/part")
        assert str(fault.value).count("\n") == 0
    with pytest.raises(BaseError, match=f"this repository has no weights in {part}, which"):
        fetch_base("maker/empty")
    assert asked(hubs) == []


def test_what_was_broken_off_is_gone_on_with(
    hubs: Hubs, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs.add_repository("maker/tiny", files)
    import huggingface_hub

    kept, got = huggingface_hub.hf_hub_download, list[str]()

    def until_second(repository: str, file: str, **how: Any) -> str:
        got.extend([file] * (not how.get("local_files_only")))
        if sum(name.endswith(".safetensors") for name in got) == 2:
            raise KeyboardInterrupt
        return str(kept(repository, file, **how))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", until_second)
    with pytest.raises(KeyboardInterrupt):
        fetch_base("maker/tiny")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", kept)
    (first,) = [name for name in got[:-1] if name.endswith(".safetensors")]
    assert cached_base("maker/tiny") is None, "one file of weights is not all"
    hubs.log.clear()
    folder = fetch_base("maker/tiny")
    assert cached_base("maker/tiny") == folder
    bodies = [each for each in hubs.log if each.method == "GET" and "/store" in each.path]
    digests = {hashlib.sha256(data).hexdigest() for name, data in files.items() if name == first}
    assert bodies
    assert not any(digest in f"{each.path}?{each.query}" for digest in digests for each in bodies), "not once more"
    load_base("maker/tiny")


def test_a_file_that_breaks_off_goes_on_where_it_broke(
    hubs: Hubs, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs.add_repository("maker/tiny", files)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 256)  # as large files have many pieces
    hubs.piece, hubs.cut_after, hubs.cuts = 256, 768, 1
    load_base("maker/tiny")
    assert hubs.cuts == 0
    assert any(each.headers.get("range", "").startswith("bytes=") for each in hubs.log)


def test_all_shards_of_an_index_must_be_there(hub_cache: Path, files: dict[str, bytes]) -> None:
    folder = hub_snapshot(hub_cache, "maker/tiny")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert cached_base("maker/tiny") == folder
    shards = {"a": "part-1.safetensors", "b": "part-2.safetensors"}
    index = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    (folder / "transformer" / "part-1.safetensors").touch()
    assert cached_base("maker/tiny") is None
    (folder / "transformer" / "part-2.safetensors").touch()
    assert cached_base("maker/tiny") == folder
