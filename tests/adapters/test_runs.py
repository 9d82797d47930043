"""Which adapter files a run left, in which order."""

from __future__ import annotations

from pathlib import Path

from lorasmith.adapters.runs import newest_adapters, run_adapters


def lay_adapter(path: Path, weights: str = "", header: bytes = b"{}") -> Path:
    """A file in the layout of safetensors; other files have other weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + (weights or path.stem).encode())
    return path


def test_the_newest_run_with_adapters_earliest_first_final_last(tmp_path: Path) -> None:
    assert newest_adapters(tmp_path / "runs") == []
    lay_adapter(tmp_path / "runs" / "1-toy" / "toy.safetensors")
    run = tmp_path / "runs" / "2-toy"
    for name in ("toy-000010", "toy-000002"):
        lay_adapter(run / "snapshots" / f"{name}.safetensors")
    lay_adapter(run / "snapshots" / "toy-000020.safetensors", weights="last", header=b'{"a": 1}')
    lay_adapter(run / "toy.safetensors", weights="last")
    lay_adapter(run / ".toy.safetensors.17.partial")
    lay_adapter(run / ".toy.safetensors")
    lay_adapter(run / "state" / "state.safetensors")
    (tmp_path / "runs" / "3-toy").mkdir()
    assert [path.stem for path in newest_adapters(tmp_path / "runs")] == ["toy-000002", "toy-000010", "toy"]


def test_a_run_that_was_stopped_ends_with_its_last_snapshot(tmp_path: Path) -> None:
    for name in ("toy-000900", "toy-001000", "toy-10"):
        lay_adapter(tmp_path / "snapshots" / f"{name}.safetensors")
    assert [path.stem for path in run_adapters(tmp_path)] == ["toy-10", "toy-000900", "toy-001000"]


def test_files_that_are_no_adapters_are_not_stumbled_over(tmp_path: Path) -> None:
    for name in ("snapshots/toy-1", "toy"):
        (tmp_path / f"{name}.safetensors").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.safetensors").write_bytes(b"\xff" * (4 + 8 * len(name)))
    assert len(run_adapters(tmp_path)) == 1
