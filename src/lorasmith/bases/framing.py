"""What SDXL is told of a picture besides its caption: its own size, where it was cut, the size it has now."""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True)
class Framing:
    """`original` and `target` (width, height), and the `corner` (left, top) of the cut; all in pixels."""

    original: Size
    corner: tuple[int, int]
    target: Size

    @property
    def time_ids(self) -> tuple[int, int, int, int, int, int]:
        """As SDXL's denoiser takes it: heights before widths, top before left."""
        return (*self.original[::-1], *self.corner[::-1], *self.target[::-1])


def frame_whole(size: Size) -> Framing:
    """A picture that was made at this size."""
    return Framing(size, (0, 0), size)


def frame_in_bucket(original: Size, bucket: Size, *, flipped: bool = False) -> Framing:
    """A picture of `original` size (before resizing) that is trained in `bucket`.

    The corner is that of kohya's trainer, whose adapters others are compared with: the picture is fitted *into* the
    bucket, and the corner is the margin that stays on the left or at the top. So it is not what was really cut off the
    picture, which covers the bucket, and a random crop does not change it. Mirrored: the margin on the other side.
    """
    width, height = bucket
    ratio = original[0] / original[1]
    if width / height > ratio:
        fitted = (height * ratio, float(height))
    else:
        fitted = (float(width), width / ratio)
    left, top = (width - fitted[0]) // 2, (height - fitted[1]) // 2
    if flipped:
        left = width - (left + fitted[0])
    return Framing(original, (int(left), int(top)), bucket)
