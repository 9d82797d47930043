"""Changes of tone: what brightness, contrast, saturation and tint make of a picture's colours, with what they cut off
at black and white.

Shapes: pictures_HW3 float32, 0..255; spots_N643 float32, the means of 8 x 8 large spots of N pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Light = npt.NDArray[Any]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright red, green and blue are (ITU-R BT.601)."""
_BLACK, _WHITE = 2.0, 253.0
"""Where a value is taken for one that was cut off."""
_LEAST_GAIN, _MOST_GAIN, _MOST_SATURATION, _MOST_RATIO = 0.35, 2.6, 2.4, 1.9
"""Changes of light that people make: the gain of a channel, of its colours, and between the channels."""
_ROUNDS, _ENOUGH = 5, 50
"""How often a fit leaves out what it does not explain; how many values it needs."""
_SPOT_BLACK, _SPOT_WHITE = 6.0, 249.0


@dataclass(frozen=True)
class Tone:
    """v -> gains * (colour * v + grey * luma(v)) + offsets, cut off at 0 and 255; gains and offsets by channel."""

    colour: float
    grey: float
    gains: tuple[float, float, float]
    offsets: tuple[float, float, float]

    def of(self, picture_HW3: Light) -> Light:
        """The picture in this tone."""
        return self.beyond(picture_HW3).clip(0, 255)

    def beyond(self, picture_HW3: Light) -> Light:
        """The same before it is cut off."""
        mixed: Light = self.colour * picture_HW3
        if self.grey:
            mixed = mixed + self.grey * (picture_HW3 @ LUMA)[..., None]
        toned: Light = mixed * np.array(self.gains, np.float32) + np.array(self.offsets, np.float32)
        return toned

    @property
    def is_usual(self) -> bool:
        """Whether people change pictures so: not by turning their light or their colours over, say."""
        whole = self.colour + self.grey
        if abs(whole) < 1e-3:
            return False
        gains = [whole * gain for gain in self.gains]
        return (
            min(gains) > _LEAST_GAIN
            and max(gains) < _MOST_GAIN
            and max(gains) < _MOST_RATIO * min(gains)
            and -0.1 < self.colour / whole < _MOST_SATURATION
        )


def likely_tones(one_HW3: Light, other_HW3: Light, *, plain: bool = False) -> Iterator[Tone]:
    """The tones of each kind that come closest from `one` to `other`: a gain, a gain a channel, another saturation,
    gain and offset, with saturation and a tint, gain and offset a channel. Values that are cut off are not fitted,
    and neither is what the tone does not explain.

    `plain`: only those with one number, and a colour laid over all; for pictures of so few colours that any others
    fit.
    """
    x, y = (picture.reshape(-1, 3).astype(np.float64) for picture in (one_HW3, other_HW3))
    light = x @ LUMA
    seen = (y > _BLACK) & (y < _WHITE)
    bright = seen & (x > 12)
    if bright.sum() > _ENOUGH:
        ratios = y / np.maximum(x, 1)
        gain = _weighted_median(ratios[bright], x[bright])
        yield _usual(1.0, 0.0, (gain, gain, gain))
        if not plain:
            each = [bright[:, c] for c in range(3)]
            gains = [_weighted_median(ratios[k, c], x[k, c]) if k.sum() > _ENOUGH else gain for c, k in enumerate(each)]
            yield _usual(1.0, 0.0, (gains[0], gains[1], gains[2]))
    colour = x - light[:, None]
    coloured = seen & (np.abs(colour) > 6)
    if coloured.sum() > _ENOUGH:
        shares = ((y - light[:, None])[coloured]) / colour[coloured]
        share = _weighted_median(shares, np.abs(colour[coloured]))
        yield _usual(share, 1.0 - share)
    yield _fit_together(x, y, light, seen, tinted=False)
    yield _fit_together(x, y, light, seen, tinted=True, saturated=not plain)
    if not plain:
        yield _fit_channels(x, y, seen)


def differ_in_tone(ones_N643: Light, others_N643: Light) -> Light:
    """For a quick no, of many pairs at once: by how much large spots differ at most (N) under the simplest tones,
    from the one to the other or back."""
    differing: Light = np.minimum(_differ_one_way(ones_N643, others_N643), _differ_one_way(others_N643, ones_N643))
    return differing


def differ_in_light(ones_N64: Light, others_N64: Light) -> Light:
    """The same of grey spots, in a tenth of the time: under a gain, with and without an offset."""
    ones, others = ones_N64[:, :, None], others_N64[:, :, None]
    ways = [_least_under_gains(x, y, (1, 2)) for x, y in ((ones, others), (others, ones))]
    differing: Light = np.minimum(ways[0], ways[1])
    return differing


def _usual(
    colour: float, grey: float, gains: tuple[float, float, float] = (1, 1, 1), offsets: Light | None = None
) -> Tone:
    moved = (0.0, 0.0, 0.0) if offsets is None else (float(offsets[0]), float(offsets[1]), float(offsets[2]))
    return Tone(float(colour), float(grey), (float(gains[0]), float(gains[1]), float(gains[2])), moved)


def _fit_together(x: Light, y: Light, light: Light, seen: Light, *, tinted: bool, saturated: bool = True) -> Tone:
    """Least squares over all channels: one gain and offset; `tinted`: an offset a channel; `saturated`: and a share
    of the light."""
    offsets = np.repeat(np.eye(3)[None], len(x), axis=0) if tinted else np.ones((len(x), 3, 1))
    shade = np.repeat(light[:, None], 3, axis=1) if tinted and saturated else np.zeros_like(x)
    terms = np.concatenate([x[..., None], shade[..., None], offsets], axis=2)
    used = seen
    solved = np.zeros(terms.shape[2])
    for turn in range(_ROUNDS):
        if used.sum() <= _ENOUGH:
            break
        chosen, wanted = terms[used], y[used]
        damping = np.full(terms.shape[2], 1e-6)
        damping[1] = 0.09 * len(wanted)  # a grey picture tells nothing of saturation
        solved = np.linalg.solve(chosen.T @ chosen + np.diag(damping), chosen.T @ wanted)
        used = _explained(terms @ solved, y, turn)
    moved = solved[2:] if tinted else np.repeat(solved[2:], 3)
    return _usual(solved[0], solved[1], offsets=moved)


def _fit_channels(x: Light, y: Light, seen: Light) -> Tone:
    """Least squares channel by channel: a gain and an offset each; a flat channel has the others' gain."""
    used = seen
    gains, offsets = np.ones(3), np.zeros(3)
    for turn in range(_ROUNDS):
        if used.sum() <= _ENOUGH:
            break
        means_x, means_y = (_means(values, used) for values in (x, y))
        spread = np.where(used, (x - means_x) ** 2, 0).sum(axis=0)
        product = np.where(used, (x - means_x) * (y - means_y), 0).sum(axis=0)
        tells = spread > used.sum(axis=0)
        gains = np.where(tells, product / np.maximum(spread, 1e-6), np.nan)
        gains = np.where(tells, gains, np.nanmean(gains) if tells.any() else 1.0)
        offsets = means_y - gains * means_x
        used = _explained(gains * x + offsets, y, turn)
    return _usual(1.0, 0.0, (gains[0], gains[1], gains[2]), offsets)


def _means(values: Light, used: Light) -> Light:
    """By channel, over what is used; over all where nothing is."""
    counts = used.sum(axis=0)
    means: Light = np.where(
        counts > 0, np.where(used, values, 0).sum(axis=0) / np.maximum(counts, 1), values.mean(axis=0)
    )
    return means


def _explained(made: Light, y: Light, turn: int) -> Light:
    """Which values the next round is fitted to: neither cut off nor far from what the tone makes of them."""
    off = np.abs(made.clip(0, 255) - y)
    most = max(4.0, 3 * float(np.median(off))) * (3 if turn < 2 else 1.5)
    within = (made > _BLACK) & (made < _WHITE) & (y > _BLACK) & (y < _WHITE)
    wrongly_cut = ((made >= _WHITE) & (y < _WHITE)) | ((made <= _BLACK) & (y > _BLACK))
    explained: Light = (within | wrongly_cut) & (off < most)
    return explained


def _weighted_median(values: Light, weights: Light) -> float:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])


def _differ_one_way(x: Light, y: Light) -> Light:
    light = (x @ LUMA)[..., None]
    used = _not_cut_off(y)
    colour = x - light
    least = np.minimum(_least_under_gains(x, y, (1, 2)), _least_under_gains(x, y, (1,)))
    share = (used * colour * (y - light)).sum(axis=(1, 2), keepdims=True) / np.maximum(
        (used * colour * colour).sum(axis=(1, 2), keepdims=True), 0.1
    )
    saturated = _greatest(light + share.clip(0, _MOST_SATURATION) * colour, y)
    return np.minimum(least, saturated)


def _not_cut_off(y: Light) -> Light:
    used: Light = ((y > _SPOT_BLACK) & (y < _SPOT_WHITE)).astype(np.float32)
    return used


def _least_under_gains(x: Light, y: Light, axes: tuple[int, ...]) -> Light:
    """The least greatest difference as they are, under a gain, and under a gain and an offset, over these axes."""
    used = _not_cut_off(y)
    count = np.maximum(used.sum(axis=axes, keepdims=True), 1e-3)
    gain = _ratio(used * x * y, used * x * x, axes)
    least = np.minimum(_greatest(x, y), _greatest(gain * x, y))
    middle_x, middle_y = ((used * each).sum(axis=axes, keepdims=True) / count for each in (x, y))
    gain = _ratio(used * (x - middle_x) * (y - middle_y), used * (x - middle_x) ** 2, axes)
    return np.minimum(least, _greatest(middle_y + gain * (x - middle_x), y))


def _ratio(above: Light, below: Light, axes: tuple[int, ...]) -> Light:
    ratio: Light = above.sum(axis=axes, keepdims=True) / np.maximum(below.sum(axis=axes, keepdims=True), 1.0)
    return ratio.clip(_LEAST_GAIN, _MOST_GAIN)


def _greatest(made: Light, y: Light) -> Light:
    greatest: Light = np.abs(made.clip(0, 255) - y).max(axis=(1, 2))
    return greatest
