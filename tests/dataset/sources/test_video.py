"""Frames of a video: at even distances, and of every scene."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lorasmith.dataset.sources import video
from lorasmith.errors import DatasetError
from tests.dataset.sources.pieces import Opened
from tests.images.drawings import draw

RATE = 10


def film(path: Path, scenes: Sequence[tuple[int, int]]) -> Path:
    """A video of still scenes, (seed of the drawing, frames) each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for seed, count in scenes:
            for _ in range(count):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(draw(seed, (64, 64))))))
        container.mux(stream.encode(None))
    return path


def scene_of(data: bytes, seeds: Sequence[int]) -> int:
    """Which drawing a frame shows."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
    return min(seeds, key=lambda seed: float(np.abs(pixels - np.asarray(draw(seed, (64, 64)))).mean()))


def test_even_frames_and_every_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "EVENLY", 2)
    path = film(tmp_path / "zbk.mp4", [(1, 40), (2, 6), (3, 34)])
    opened = Opened(path)
    assert (opened.kind, opened.label) == ("video", "zbk")
    names = list(opened.files)
    assert [name[:4] for name in names] == ["zbk-"] * len(names)
    shown = [scene_of(data, (1, 2, 3)) for data in opened.files.values()]
    assert shown == [1, 2, 3, 3], "two evenly, and one of each scene that began"
    assert opened.origins[names[0]].source == "zbk.mp4 at 2.00 s"
    assert opened.left_out == {}


def test_a_video_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mkv", [(1, 30), (2, 30), (3, 30)])
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert 0 < len(Opened(path).files) < len(Opened(whole).files)


def test_no_more_than_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST", 3)
    opened = Opened(film(tmp_path / "a.mp4", [(1, 60)]))
    assert len(opened.files) == 3
    assert "first 3 frames" in opened.left_out["a.mp4"]


@pytest.mark.parametrize("data", [b"", b"x", b"no video" * 500])
def test_what_is_no_video_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(DatasetError, match=r"a\.mp4: not a readable video"):
        Opened(tmp_path / "a.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DatasetError, match="only sound"):
        Opened(path)


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DatasetError, match=r"lorasmith\[video\]"):
        Opened(tmp_path / "a.mp4")
