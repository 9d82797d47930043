"""Files of textual inversion: every tool's layout, what calls them, and what is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.embeddings.catalogue import EmbeddingCatalogue
from lorasmith.adapters.embeddings.files import load_embedding
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.pickles import convert_pickle
from lorasmith.errors import AdapterError, PromptError
from tests.faults.make_adapters import SGM, make_adapter


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


ONE = numbers(2, 768)
LAYOUTS: Mapping[str, tuple[Mapping[str, Tensor], tuple[int, ...], list[str]]] = {
    # A1111, sd-scripts (`train_textual_inversion.py`, save_weights).
    "emb_params": ({"emb_params": ONE}, (768,), []),
    "sd2": ({"emb_params": numbers(2, 1024)}, (1024,), []),
    # A1111's pickles, one key deeper.
    "string_to_param": ({"string_to_param.*": ONE}, (768,), []),
    # sd-scripts (`sdxl_train_textual_inversion.py`), diffusers' trainers.
    "sdxl": ({"clip_l": ONE, "clip_g": numbers(2, 1280)}, (768, 1280), []),
    # diffusers (`learned_embeds.safetensors`).
    "token": ({"<Cat-Toy>": ONE}, (768,), ["<cat-toy>"]),
    "eight_bits": ({"emb_params": ONE.to(torch.float8_e4m3fn)}, (768,), []),
}


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: each.contiguous() for key, each in tensors.items()}, path, metadata)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout: str, tmp_path: Path) -> None:
    tensors, widths, more = LAYOUTS[layout]
    file = write(tmp_path / f"{layout}.safetensors", tensors, {"step": "300", "sd_checkpoint": "abc"})
    (entry,) = EmbeddingCatalogue([tmp_path]).entries()
    assert entry.header is not None
    assert (entry.header.vectors, entry.header.widths, entry.header.step) == (2, widths, 300)
    words = EmbeddingCatalogue([tmp_path]).words()
    assert words.names == [layout, *more]
    for name in words.names:
        embedding = words.get(name)
        assert embedding.name == layout
        for own, there in zip(embedding.fit(widths), tensors.values(), strict=True):
            assert torch.equal(own, there.float())
    assert embedding.hash == hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def test_one_vector_may_lie_flat(tmp_path: Path) -> None:
    embedding = load_embedding(write(tmp_path / "flat.safetensors", {"<x>": numbers(768)}), "flat")
    assert embedding.fit([768])[0].shape == (1, 768)


@pytest.mark.parametrize(
    "tensors",
    [
        SGM,
        {"a": ONE, "b": ONE + 1},
        {"down_blocks.weight": ONE},
        {"emb_params": torch.zeros(2, 3, 768)},
        {"emb_params": torch.zeros(2, 768, dtype=torch.int32)},
        {"emb_params": torch.zeros(0, 768)},
        {"clip_l": ONE, "clip_g": numbers(3, 1280)},
        {"emb_params": torch.zeros(2048, 1024)},
    ],
    ids=["adapter", "two", "weight", "three axes", "whole numbers", "none", "uneven", "large"],
)
def test_other_files_are_no_embeddings(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    file = write(tmp_path / "file.safetensors", tensors)
    assert EmbeddingCatalogue([tmp_path]).entries() == []
    with pytest.raises(AdapterError, match="holds no embedding"):
        load_embedding(file, "file")


def test_numbers_that_are_none_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "nan.safetensors", {"emb_params": torch.full((1, 768), torch.nan)})
    with pytest.raises(AdapterError, match="the embedding nan holds NaN"):
        EmbeddingCatalogue([tmp_path]).words().get("nan")


def test_folders_of_embeddings_beside_the_adapters_are_found(tmp_path: Path) -> None:
    """Where ComfyUI has them (`models/loras`, `models/embeddings`)."""
    adapters = tmp_path / "adapters"
    write(adapters / "one.safetensors", {"emb_params": ONE})
    write(adapters / "embeddings" / "two.safetensors", {"emb_params": ONE})
    write(tmp_path / "embeddings" / "sub" / "three.safetensors", {"emb_params": ONE})
    write(tmp_path / "other" / "four.safetensors", {"emb_params": ONE})
    write(adapters / ".cache" / "five.safetensors", {"emb_params": ONE})
    words = AdapterCache([adapters]).words()
    assert sorted(words.names) == ["one", "three", "two"]
    assert words.find_marked("Sub/Three.safetensors")[0].name == "three"
    assert words.find_marked("embeddings/two")[0].name == "two"
    (tmp_path / "other" / "lora.toml").touch()
    write(tmp_path / "other" / "embeddings" / "six.safetensors", {"emb_params": ONE})
    run = write(tmp_path / "other" / "runs" / "1" / "zbk.safetensors", SGM)
    assert sorted(AdapterCache([adapters / "one.safetensors"]).words().names) == ["one", "three", "two"]
    assert AdapterCache([run]).words().names == ["six"], "the project's"


def test_a_name_in_two_files_is_one_where_they_say_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a" / "ann.safetensors", {"emb_params": ONE})
    write(tmp_path / "b" / "ann.safetensors", {"emb_params": ONE}, {"step": "3"})
    catalogue = EmbeddingCatalogue([tmp_path])
    assert catalogue.words().get("ann").fit([768])
    write(tmp_path / "c" / "ann.safetensors", {"emb_params": numbers(1, 768)})
    with pytest.raises(PromptError, match='"ann" is in several files') as caught:
        catalogue.words().get("ann")
    assert "b/ann.safetensors" in str(caught.value.hint)
    assert catalogue.words().find_marked("c/ann")[0].rows == 1


def test_a_changed_file_is_another_embedding(tmp_path: Path) -> None:
    file = write(tmp_path / "ann.safetensors", {"emb_params": ONE})
    source = AdapterCache([tmp_path])
    before = source.words().get("ann")
    assert source.words().get("ann") is before
    write(file, {"emb_params": ONE + 1})
    os.utime(file, ns=(1, 1))
    after = source.words().get("ann")
    assert after != before
    assert torch.equal(after.fit([768])[0], ONE + 1)
    file.unlink()
    assert source.words().names == []


def test_a_settled_folder_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "sub" / "ann.safetensors", {"emb_params": ONE})
    for folder in (tmp_path / "sub", tmp_path):
        os.utime(folder, ns=(1, 1))
    catalogue = EmbeddingCatalogue([tmp_path])
    looks: list[int] = []
    walk = catalogue._walk

    def look() -> Iterator[tuple[Path, str, os.stat_result]]:
        looks.append(1)
        return walk()

    monkeypatch.setattr(catalogue, "_walk", look)
    for _ in range(3):
        assert catalogue.words().names == ["ann"]
    assert len(looks) == 1
    write(tmp_path / "sub" / "bob.safetensors", {"emb_params": ONE})
    assert catalogue.words().names == ["ann", "bob"]
    write(tmp_path / "new" / "eve.safetensors", {"emb_params": ONE})
    assert catalogue.words().names == ["ann", "bob", "eve"]
    (tmp_path / "sub" / "ann.safetensors").unlink()
    assert catalogue.words().names == ["bob", "eve"]


def test_pickles_are_told_and_never_opened(tmp_path: Path) -> None:
    old: dict[str, Any] = {"string_to_token": {"*": 265}, "string_to_param": {"*": ONE}, "name": "ann", "step": 10}
    for folder in ("embeddings", "other"):
        (tmp_path / folder).mkdir()
        torch.save(old, tmp_path / folder / f"{folder}-old.pt")
    catalogue = EmbeddingCatalogue([tmp_path])
    (entry,) = catalogue.entries()
    assert (entry.name, entry.header) == ("embeddings-old", None)
    with pytest.raises(AdapterError, match="is a pickled file"):
        catalogue.words().get("embeddings-old")


def test_a_pickle_that_was_made_safe_is_known_by_its_old_hash(tmp_path: Path) -> None:
    """A1111, textual_inversion.py, `Embedding.save`."""
    old: dict[str, Any] = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": ONE},
        "name": "ann",
        "step": 10,
        "sd_checkpoint": "0123456789",
        "sd_checkpoint_name": None,
    }
    torch.save(old, tmp_path / "ann.pt")
    assert convert_pickle(tmp_path / "ann.pt", tmp_path / "ann.safetensors") == 1
    (entry,) = EmbeddingCatalogue([tmp_path]).entries()
    assert entry.header is not None
    assert (entry.header.step, entry.header.checkpoint, entry.header.vectors) == (10, "0123456789", 2)
    embedding = EmbeddingCatalogue([tmp_path]).words().get("ann")
    assert torch.equal(embedding.fit([768])[0], ONE)
    assert embedding.former == hashlib.sha256((tmp_path / "ann.pt").read_bytes()).hexdigest()


def test_embeddings_in_an_adapter_are_called_with_it(tmp_path: Path) -> None:
    """A1111, extensions-builtin/Lora/networks.py, `load_networks`: a file's own embedding of the name goes first."""
    adapter = load_adapter(make_adapter(tmp_path, "bundled_embedding"))
    source = AdapterCache([tmp_path])
    assert source.words().names == []
    words = source.words([adapter])
    assert words.names == ["ann"]
    embedding = words.get("ann")
    assert ([table.shape for table in embedding.fit([768, 1280])], embedding.hash) == ([(2, 768), (2, 1280)], "")
    write(tmp_path / "embeddings" / "ann.safetensors", {"emb_params": ONE})
    assert source.words([adapter]).get("ann").fit([768])


def test_both_spellings_in_an_adapter_are_read() -> None:
    tensors = {"bundle_emb.a.string_to_param.*": ONE, "bundle_emb.b.emb_params": ONE, "bundle_emb.c.<c>": ONE}
    words = AdapterCache([]).words([Adapter("x", {}, {}, tensors)])
    assert words.names == ["a", "b", "c"]
    assert all(torch.equal(words.get(name).fit([768])[0], ONE) for name in words.names)
    with pytest.raises(AdapterError, match=r"the embedding a in it has the keys .*one, two"):
        AdapterCache([]).words([Adapter("x", {}, {}, {"bundle_emb.a.one": ONE, "bundle_emb.a.two": ONE})])


def test_the_adapters_keep_their_names(tmp_path: Path) -> None:
    write(tmp_path / "ann.safetensors", SGM)
    write(tmp_path / "embeddings" / "ann.safetensors", {"emb_params": ONE})
    write(tmp_path / "embeddings" / "bob.safetensors", {"emb_params": ONE})
    catalogue = Catalogue([tmp_path])
    assert catalogue.find("ann") == [tmp_path / "ann.safetensors"]
    problems = {entry.name: entry.problem for entry in catalogue.entries()}
    assert problems == {"ann": None, "bob": "is an embedding, no adapter: its name in a prompt calls it."}
    with pytest.raises(AdapterError, match="is an embedding, no adapter"):
        load_adapter(tmp_path / "embeddings" / "bob.safetensors")
