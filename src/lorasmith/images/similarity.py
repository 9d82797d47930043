"""The second comparison: whether two pictures whose hashes agree are one picture.

Shapes: thumbnail_HWC uint8, 64 x 64 x RGB, whatever the picture's aspect ratio; light_HW float32, its greys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.images.fingerprints import WHOLE, Box, content_box
from lorasmith.images.opening import open_rgb, open_small
from lorasmith.images.tones import LUMA, differ_in_tone, likely_tones

Thumbnail = npt.NDArray[np.uint8]
_Light = npt.NDArray[Any]

THUMBNAIL_SIDE, FINE_SIDE = 64, 256
"""Of a thumbnail, and of the finer one on which a change of tone is acted out: what is cut off at white is cut off
before it is made smaller."""
_MOST, _EDGE = 14.0, 0.2
"""Greys that a pixel may differ by, and the part of the contrast around it that is allowed on top: copies of drawings
(JPEG at quality 40, halved, sizes that are no whole part) stay under 12, a mouth that changes starts at 14."""
_MOST_COLOUR, _BLOCK = 18.0, 4
_MOST_BLURRED, _EDGE_BLURRED = 9.0, 0.25
_FILTER = Image.Resampling.HAMMING
"""Of how pictures are made small: with the plain mean, textures leave patterns that a picture of half the size has not.
"""
_FRAME = 2
"""Pixels at the edge that a blurred copy is not measured by: a blur carries the outermost line of the picture into
them, and what that line was cannot be told from a thumbnail."""
_EQUALLY_SHARP, _MOST_BLUR, _HALVINGS, _MARGIN = 0.9, 3.0, 6, 9
_LEAST_GAIN = 0.4
_GREY = 4.0
_FURTHEST, _STEPS = 1.0, 3
"""Pixels of a thumbnail that the edges of two inner thumbnails may lie apart."""
_COARSE = 8
"""The side of a large spot."""
COARSE_MOST, TONED_MOST = 24.0, 50.0
COARSE_MOST_INSIDE = COARSE_MOST + _FURTHEST * 255 / _COARSE
"""What two large spots may differ by, as they are and when their tone was changed; of inner thumbnails, whose edges may
have moved from black to white."""
_FITTED, _ROUGHLY, _MOST_AWAY = 2, 0.9, 30.0
"""Tones are fitted on thumbnails of half the side; so large a part of the pixels has to come so near at once."""
_MARK, _BAND, _UNTOUCHED = 0.06, 0.2, 0.6
"""A mark (a signature, an address) is a small part of the picture at its top or bottom, where all else stayed as it
was: the part that it covers at most, how high the bands are, and how much of what is allowed the rest may differ by."""
_FLAT_COLOUR, _FLAT_SHARE, _KEPT = 10.0, 0.9, 6.0
"""How far a pixel may be from a flat colour, how much of a picture two of them make up, and the change of a colour that
recompression makes at most."""


def open_thumbnail(path: Path) -> Thumbnail:
    """The picture at 64 x 64 pixels. Raises ImageError."""
    return take_thumbnail(open_small(path, 2 * THUMBNAIL_SIDE))


def open_inner_thumbnail(path: Path, borders: int | None = None) -> Thumbnail:
    """What lies within the picture's uniform borders (or the outermost `borders` of them), at 64 x 64 pixels.
    Raises ImageError.

    The whole picture is decoded: two thumbnails can only agree when their edges lie within a quarter of one's pixel.
    """
    return take_inner_thumbnail(open_rgb(path), borders)


def take_inner_thumbnail(image: Image.Image, borders: int | None = None) -> Thumbnail:
    """Like `look_inside`, of an open RGB picture."""
    return take_thumbnail(image, content_box(np.asarray(image.convert("L")), borders))


def take_thumbnail(image: Image.Image, box: Box = WHOLE, resample: Image.Resampling = _FILTER) -> Thumbnail:
    """The thumbnail of an open RGB picture, or of a part of it."""
    left, top, right, bottom = box
    pixels = left * image.width, top * image.height, right * image.width, bottom * image.height
    return np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), resample, pixels))


def coarse_light(one: Thumbnail) -> _Light:
    """The greys of large spots, 8 x 8 of them, float32: what `differ_coarsely` compares."""
    return _coarse(one.astype(np.float32))


def differ_coarsely(ones_N88: _Light, others_N88: _Light) -> _Light:
    """For a quick no, of many pairs at once: by how many greys large spots differ at most (N) once the light is fitted,
    whichever comes first. Infinite for a blank sheet beside a picture. What differs by `COARSE_MOST` is not the same.
    """
    ones, others = (spots.reshape(len(spots), 64) for spots in (ones_N88, others_N88))
    swap = (ones.std(axis=1) < others.std(axis=1))[:, None]
    a, b = np.where(swap, others, ones), np.where(swap, ones, others)
    mean_a, mean_b = a.mean(axis=1, keepdims=True), b.mean(axis=1, keepdims=True)
    power = ((a - mean_a) ** 2).sum(axis=1, keepdims=True)
    gain = ((a - mean_a) * (b - mean_b)).sum(axis=1, keepdims=True) / np.maximum(power, 1e-6)
    fitted = np.abs(a - mean_a - (b - mean_b) / np.maximum(gain, _LEAST_GAIN)).max(axis=1)
    blank = np.where(a.std(axis=1) < 1.0, np.abs(a - b).max(axis=1), np.inf)
    differing: _Light = np.where(gain[:, 0] < _LEAST_GAIN, blank, fitted)
    return differing


def looks_same(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether two pictures differ no more than recompression, resizing, loss of colour, a colour laid over all of it,
    another brightness or blurring make them differ.

    Hashes confuse drawings on one background, and two expressions of one face; here every spot has to agree. A copy
    whose light was changed all over is fitted first (one gain, an offset per channel); the sharper of the two is
    blurred as much as the other is, and then has to agree better.
    """
    return _same(one, other, 0)


def _same(one: Thumbnail, other: Thumbnail, frame: int) -> bool:
    """`looks_same` but for the outer `frame` pixels."""
    x, y = one.astype(np.float32), other.astype(np.float32)
    if _differ_coarsely(x, y) >= COARSE_MOST:
        return False
    if _spread(x) < _spread(y):
        x, y = y, x
    if _agree_toned(x, y, _MOST, _EDGE, frame):
        return True
    blurred = _match_blur(x, y)
    return blurred is not None and _agree_toned(*blurred, _MOST_BLURRED, _EDGE_BLURRED, _FRAME)


def looks_toned(
    one: Thumbnail, other: Thumbnail, fine_one: Callable[[], Thumbnail], fine_other: Callable[[], Thumbnail]
) -> bool:
    """Whether the one is the other in another brightness, contrast, saturation or tint, with what these cut off.

    The tones that may have been used are fitted, acted out on the `fine` thumbnail of the one, and the result has to
    agree with the other spot by spot, as copies do that are not changed in tone. A picture in two flat colours is
    fitted by any two others: only the simplest tones count there, and they have to change both.
    """
    x, y = one.astype(np.float32), other.astype(np.float32)
    if float(differ_in_tone(*(_means(each, _COARSE).reshape(1, -1, 3) for each in (x, y)))[0]) >= TONED_MOST:
        return False
    flats = _flats(x) or _flats(y)
    if flats and min(_changes(x, y, flats)) < _KEPT:
        return False
    for source, wanted, fine in ((x, y, fine_one), (y, x, fine_other)):
        finer: _Light | None = None
        for tone in likely_tones(_halved(source), _halved(wanted), plain=bool(flats)):
            if not tone.is_usual:
                continue
            away = np.abs(tone.of(source) - wanted).max(axis=2)
            if float((away < _MOST_AWAY).mean()) < _ROUGHLY:
                continue
            if finer is None:
                finer = fine().astype(np.float32)
            if _agree(_reduced(tone.of(finer)), wanted, _MOST, _EDGE):
                return True
    return False


def looks_marked(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether the one is the other with a mark (a signature, a site's address) along its top or bottom: a small part
    that differs, where all else is as it was."""
    x, y = one.astype(np.float32), other.astype(np.float32)
    light = (x - y) @ LUMA
    allowed = _MOST + _EDGE * np.minimum(_contrast(x @ LUMA), _contrast(y @ LUMA))
    rows, columns = np.nonzero(np.abs(light) >= _UNTOUCHED * allowed)
    if not len(rows):
        return False
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    in_band = bottom <= _BAND * THUMBNAIL_SIDE or top >= (1 - _BAND) * THUMBNAIL_SIDE
    if not in_band or (bottom - top) * (right - left) > _MARK * THUMBNAIL_SIDE**2:
        return False
    y[top:bottom, left:right] = x[top:bottom, left:right]
    return _agree(x, y, _MOST, _EDGE)


def measure_disagreement(x_HW3: _Light, y_HW3: _Light) -> float:
    """The largest difference of two thumbnails, float32, as a part of what copies may differ by: below 1 they agree."""
    difference = x_HW3 - y_HW3
    light = difference @ LUMA
    allowed = _MOST + _EDGE * np.minimum(_contrast(x_HW3 @ LUMA), _contrast(y_HW3 @ LUMA))
    colour = np.abs(_means(difference - light[..., None], _BLOCK)) / _MOST_COLOUR
    return max(float((np.abs(light) / allowed).max()), float(colour.max()))


def take_fine_thumbnail(image: Image.Image) -> Thumbnail:
    """An open RGB picture at 256 x 256 pixels, whatever its aspect ratio."""
    return np.asarray(image.resize((FINE_SIDE, FINE_SIDE), _FILTER))


def mirror_thumbnail(one: Thumbnail) -> Thumbnail:
    """The thumbnail of the mirror image."""
    return np.ascontiguousarray(one[:, ::-1])


def coarse_colours(one: Thumbnail) -> _Light:
    """The colours of large spots, 8 x 8 x 3 float32: what `differ_in_tone` compares."""
    return _means(one.astype(np.float32), _COARSE)


def looks_same_inside(one: Thumbnail, other: Thumbnail) -> bool:
    """`looks_same` of two inner thumbnails, also when recompression has moved the edges of one a little, so that they
    show a line of the border."""
    x, y = one.astype(np.float32), other.astype(np.float32)
    if _differ_coarsely(x, y) >= COARSE_MOST_INSIDE:
        return False
    if _same(one, other, _FRAME):
        return True
    moved = _align(x, y)
    return moved is not None and _same(one, moved, _FRAME)


def keeps_colours(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether most spots have the colour that they had, but for what recompression changes."""
    changed = np.abs(_means(one.astype(np.float32) - other.astype(np.float32), _BLOCK)).max(axis=2)
    return float(np.median(changed)) < _KEPT


def _align(fixed: _Light, moving: _Light) -> Thumbnail | None:
    """`moving`, shifted and stretched to lie upon `fixed` (Gauss and Newton's steps); None when it lies too far off."""
    wanted, light = fixed @ LUMA, moving @ LUMA
    place = (np.arange(THUMBNAIL_SIDE) - (THUMBNAIL_SIDE - 1) / 2) / (THUMBNAIL_SIDE / 2)
    offsets: _Light = np.zeros(4)  # down, across, taller, wider, in pixels at the edge
    for _ in range(_STEPS):
        now: _Light = (
            _resampled(offsets[0] + offsets[2] * place) @ light @ _resampled(offsets[1] + offsets[3] * place).T
        )
        down, across = np.gradient(now, axis=0), np.gradient(now, axis=1)
        slopes = [down, across, down * place[:, None], across * place]
        changes = np.stack([slope[1:-1, 1:-1].reshape(-1) for slope in slopes], axis=1)
        offsets += np.linalg.lstsq(changes, (wanted - now)[1:-1, 1:-1].reshape(-1), rcond=None)[0]
        if np.abs(offsets).max() > _FURTHEST:
            return None
    rows, columns = _resampled(offsets[0] + offsets[2] * place), _resampled(offsets[1] + offsets[3] * place)
    aligned = np.stack([rows @ moving[..., channel] @ columns.T for channel in range(3)], axis=2)
    return np.asarray(np.rint(aligned.clip(0, 255)), np.uint8)


def _resampled(offsets: _Light) -> _Light:
    """The matrix that reads a line `offsets` pixels away from each of its places, between two pixels linearly."""
    place = (np.arange(THUMBNAIL_SIDE) + offsets).clip(0, THUMBNAIL_SIDE - 1)
    matrix: _Light = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(THUMBNAIL_SIDE)))
    return matrix


def _agree_toned(x: _Light, y: _Light, most: float, edge: float, frame: int = 0) -> bool:
    """Whether they agree as they are, in grey when one has no colours, or under one change of light.

    Of a picture in two flat colours a change of light says nothing, for any two colours fit any other two: it has to
    change both.
    """
    if _agree(x, y, most, edge, frame):
        return True
    flats = _flats(x)
    recoloured = bool(flats) and min(_changes(x, y, flats)) < _KEPT
    if min(_colourfulness(x), _colourfulness(y)) < _GREY:
        x, y = (np.repeat((image @ LUMA)[..., None], 3, axis=2) for image in (x, y))
        if _agree(x, y, most, edge, frame) and max(_changes(x, y, flats), default=0.0) < _KEPT:
            return True
    if recoloured:
        return False
    gain, offsets = _fit(x, y)
    if gain < _LEAST_GAIN:
        return False
    return _agree(x, (y - offsets) / gain, most, edge, frame)


def _flats(x: _Light) -> tuple[npt.NDArray[np.bool_], ...]:
    """Where the two colours of a picture are that consists of two flat ones; empty for any other picture."""
    light = x @ LUMA
    dark = light < (light.min() + light.max()) / 2
    sides = (dark, ~dark)
    if not (dark.any() and sides[1].any()):
        return ()
    flats = tuple(side & (np.abs(x - np.median(x[side], axis=0)).max(axis=2) < _FLAT_COLOUR) for side in sides)
    return flats if sum(int(flat.sum()) for flat in flats) >= _FLAT_SHARE * light.size else ()


def _changes(x: _Light, y: _Light, flats: Sequence[npt.NDArray[np.bool_]]) -> list[float]:
    """By how much each flat colour is another in `y`, in the channel that changed most."""
    return [float(np.abs(np.median(y[flat] - x[flat], axis=0)).max()) for flat in flats]


def _agree(x: _Light, y: _Light, most: float, edge: float, frame: int = 0) -> bool:
    """Whether no pixel differs by more than `most` and its part of the contrast around it, nor any spot in colour;
    the outer `frame` pixels do not count."""
    difference = x - y
    if frame:
        difference[:frame] = difference[-frame:] = 0
        difference[:, :frame] = difference[:, -frame:] = 0
    light = difference @ LUMA
    if float(np.abs(light).max()) >= most:
        allowed = most + edge * np.minimum(_contrast(x @ LUMA), _contrast(y @ LUMA)) if edge else most
        if bool((np.abs(light) >= allowed).any()):
            return False
    colour = _means(difference - light[..., None], _BLOCK)
    return float(np.abs(colour).max()) < min(_MOST_COLOUR, 2 * most)


def _halved(image: _Light) -> _Light:
    return _means(image, _FITTED)


def _reduced(fine: _Light) -> _Light:
    """A fine picture at a thumbnail's size, as Pillow's filter does it."""
    toned = Image.fromarray(np.rint(fine).astype(np.uint8)).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), _FILTER)
    return np.asarray(toned).astype(np.float32)


def _differ_coarsely(x: _Light, y: _Light) -> float:
    return float(differ_coarsely(_coarse(x)[None], _coarse(y)[None])[0])


def _fit(x: _Light, y: _Light) -> tuple[float, _Light]:
    """(gain, offsets) of least squares: y = gain * x + an offset per channel."""
    mean_x, mean_y = x.mean(axis=(0, 1)), y.mean(axis=(0, 1))
    centred = x - mean_x
    power = float((centred * centred).sum())
    gain = float((centred * (y - mean_y)).sum()) / power if power > 1e-6 else 0.0
    return gain, mean_y - gain * mean_x


def _match_blur(x: _Light, y: _Light) -> tuple[_Light, _Light] | None:
    """The two with the sharper one blurred as the other is; None when both are equally sharp."""
    sharp_x, sharp_y = sum(_sharpness(x @ LUMA)), sum(_sharpness(y @ LUMA))
    if min(sharp_x, sharp_y) > _EQUALLY_SHARP * max(sharp_x, sharp_y):
        return None
    return (x, _blur_like(y, x)) if sharp_x < sharp_y else (_blur_like(x, y), y)


def _blur_like(sharp: _Light, soft: _Light) -> _Light:
    """`sharp`, blurred until it is as soft as `soft` down and across; as thumbnails both are stretched."""
    light, wanted = sharp @ LUMA, _sharpness(soft @ LUMA)
    sigmas = [0.0, 0.0]
    for _ in range(2):
        for axis in (0, 1):
            low, high = 0.0, _MOST_BLUR
            for _ in range(_HALVINGS):
                sigmas[axis] = (low + high) / 2
                if _sharpness(_blur(light, sigmas))[axis] > wanted[axis]:
                    low = sigmas[axis]
                else:
                    high = sigmas[axis]
    return np.stack([_blur(sharp[..., channel], sigmas) for channel in range(3)], axis=2)


def _sharpness(light_HW: _Light) -> tuple[float, float]:
    """Edges down and across, for their contrast, so that a change of light is none of sharpness."""
    power = max(float(light_HW.var()), 1e-6)
    return float(np.diff(light_HW, axis=0).var()) / power, float(np.diff(light_HW, axis=1).var()) / power


def _blur(light_HW: _Light, sigmas: Sequence[float]) -> _Light:
    """Gaussian blur, with a sigma down and one across; what lies beyond the edge is as the edge."""
    blurred: _Light = _blur_matrix(sigmas[0]) @ light_HW @ _blur_matrix(sigmas[1]).T
    return blurred


def _blur_matrix(sigma: float) -> _Light:
    place = np.arange(THUMBNAIL_SIDE, dtype=np.float32)
    beyond = np.arange(-_MARGIN, THUMBNAIL_SIDE + _MARGIN, dtype=np.float32)
    weights = np.exp(-((place[:, None] - beyond) ** 2) / (2 * max(sigma, 0.01) ** 2))
    weights /= weights.sum(axis=1, keepdims=True)
    matrix: _Light = weights[:, _MARGIN:-_MARGIN].copy()
    matrix[:, 0] += weights[:, :_MARGIN].sum(axis=1)
    matrix[:, -1] += weights[:, -_MARGIN:].sum(axis=1)
    return matrix


def _contrast(light_HW: _Light) -> _Light:
    """The span of greys among a pixel and its eight neighbours."""
    padded = np.pad(light_HW, 1, mode="edge")
    rows_high = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    rows_low = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    high = np.maximum(np.maximum(rows_high[:, :-2], rows_high[:, 1:-1]), rows_high[:, 2:])
    low = np.minimum(np.minimum(rows_low[:, :-2], rows_low[:, 1:-1]), rows_low[:, 2:])
    span: _Light = high - low
    return span


def _coarse(image: _Light) -> _Light:
    return _means((image @ LUMA)[..., None], _COARSE)[..., 0]


def _means(image: _Light, block: int) -> _Light:
    cells = image.shape[0] // block
    means: _Light = image.reshape(cells, block, cells, block, -1).mean(axis=(1, 3))
    return means


def _spread(image: _Light) -> float:
    return float((image @ LUMA).std()) if image.shape[-1] == 3 else float(image.std())


def _colourfulness(image: _Light) -> float:
    """How far its colours lie from its mean colour: a grey picture with a tint all over has none."""
    colour = image - (image @ LUMA)[..., None]
    return float(np.abs(colour - colour.mean(axis=(0, 1))).max())
