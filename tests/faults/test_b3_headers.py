"""B3: whole files whose header's length looks like the first bytes of a pickle.

A safetensors file begins with the header's length, eight bytes little-endian, and its JSON (safetensors, README.md).
A pickle begins with 80 and its protocol (pickle.py, PROTO), torch's archives with PK (zipfile).
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import load_adapter
from lorasmith.container import is_pickle, read_container
from lorasmith.errors import AdapterError
from tests.faults.make_adapters import make_header_of


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x10480, 0x20280, *range(1000, 1100, 8)])
def test_a_whole_file_is_no_pickle(length: int, tmp_path: Path) -> None:
    path = make_header_of(tmp_path / "a.safetensors", length)
    assert struct.unpack("<Q", path.read_bytes()[:8]) == (length,)
    assert len(load_adapter(path).layers) == 1


def test_no_length_of_a_header_is_taken_for_a_pickle(tmp_path: Path) -> None:
    """All lengths up to 20,000, among them the five that pickles and archives begin like; not only multiples of 8."""
    path = tmp_path / "a.safetensors"
    like = 0
    for length in range(2, 20_000):
        path.write_bytes(struct.pack("<Q", length) + b"{}".ljust(length))
        like += is_pickle(path.read_bytes()[:8])
        assert read_container(path, AdapterError, "an adapter").start == 8 + length
    assert like == 5


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_pickles_still(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    torch.save({"a": torch.zeros(3)}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    with pytest.raises(AdapterError, match="is a pickled file"):
        load_adapter(path)
    path.write_bytes(b"\x80\x02" + b"\0" * 6 + b"{}")  # a length that the file has not
    with pytest.raises(AdapterError, match="is a pickled file"):
        load_adapter(path)
