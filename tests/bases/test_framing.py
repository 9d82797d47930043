"""What SDXL is told of a picture: cases worked out by hand from kohya's arithmetic."""

from __future__ import annotations

import pytest

from lorasmith.bases.framing import Framing, frame_in_bucket, frame_whole

CASES = [
    # original, bucket, flipped, (original height, width, top, left, target height, width)
    ((1024, 1024), (1024, 1024), False, (1024, 1024, 0, 0, 1024, 1024)),
    ((512, 512), (1024, 1024), False, (512, 512, 0, 0, 1024, 1024)),
    # 600 / 1000 in 832 x 1216: fitted 729.6 x 1216, so 102.4 wide margins; half of it rounded down.
    ((600, 1000), (832, 1216), False, (1000, 600, 0, 51, 1216, 832)),
    # Mirrored: what is left on the other side, 832 - (51 + 729.6) = 51.4.
    ((600, 1000), (832, 1216), True, (1000, 600, 0, 51, 1216, 832)),
    # 333 / 1000 in 512 x 1024: fitted 340.992; 171.008 / 2 = 85.504 down to 85; mirrored 86.008.
    ((333, 1000), (512, 1024), False, (1000, 333, 0, 85, 1024, 512)),
    ((333, 1000), (512, 1024), True, (1000, 333, 0, 86, 1024, 512)),
    # Wider than its bucket: the margin is at the top, and mirroring leaves it there.
    ((2000, 1000), (1216, 832), False, (1000, 2000, 112, 0, 832, 1216)),
    ((2000, 1000), (1216, 832), True, (1000, 2000, 112, 0, 832, 1216)),
]


@pytest.mark.parametrize(("original", "bucket", "flipped", "told"), CASES)
def test_what_is_told_of_a_picture_in_its_bucket(
    original: tuple[int, int], bucket: tuple[int, int], flipped: bool, told: tuple[int, ...]
) -> None:
    assert frame_in_bucket(original, bucket, flipped=flipped).time_ids == told


def test_a_picture_made_at_its_size_is_whole() -> None:
    assert frame_whole((768, 512)) == Framing((768, 512), (0, 0), (768, 512))
