"""Timesteps stay in their range and follow their distribution."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from lorasmith.diffusion.noise import key_generator
from lorasmith.diffusion.timesteps import SizeShift, StepShift, TimestepSampling, shift_at, shift_time

SQUARE = (1024, 1024)


def draws(span: TimestepSampling, count: int = 2000) -> list[int]:
    return [span.draw_whole(key_generator(number), SQUARE) for number in range(count)]


def times(span: TimestepSampling, count: int = 2000) -> list[float]:
    return [span.draw(key_generator(number), SQUARE) for number in range(count)]


def test_uniform_covers_its_range() -> None:
    drawn = draws(TimestepSampling())
    assert 0 <= min(drawn) < 20
    assert 980 < max(drawn) < 1000
    assert abs(statistics.mean(drawn) - 499.5) < 25


def test_bounds_are_kohya_s() -> None:
    assert set(draws(TimestepSampling(10, 13), 200)) == {10, 11, 12}
    assert set(draws(TimestepSampling(10, 13, "logit_normal"), 200)) == {10, 11, 12}


def test_logit_normal_prefers_the_middle_and_its_mean_moves_it() -> None:
    middle = draws(TimestepSampling(sampling="logit_normal"))
    # The quartiles of sigmoid(n): sigmoid(-0.6745) and sigmoid(0.6745).
    low, median, high = statistics.quantiles(middle, n=4)
    assert abs(low - 337) < 20
    assert abs(median - 500) < 20
    assert abs(high - 663) < 20
    noisy = draws(TimestepSampling(sampling="logit_normal", mean=1.0))
    assert abs(statistics.median(noisy) - 731) < 20


def test_draws_of_tables_are_those_of_before() -> None:
    """Runs are resumed and compared: what a key draws never changes."""
    assert draws(TimestepSampling(), 4) == [
        int(torch.randint(0, 1000, (), generator=key_generator(n))) for n in range(4)
    ]
    wanted = [int(float(torch.sigmoid(0.5 + 2 * torch.randn((), generator=key_generator(n)))) * 1000) for n in range(4)]
    assert draws(TimestepSampling(sampling="logit_normal", mean=0.5, std=2), 4) == wanted


def test_a_flow_s_times_lie_between_whole_ones() -> None:
    drawn = times(TimestepSampling())
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1
    assert abs(statistics.mean(drawn) - 0.5) < 0.02
    assert any(abs(1000 * t - round(1000 * t)) > 0.1 for t in drawn)
    assert all(0.2 <= t < 0.3 for t in times(TimestepSampling(200, 300, "sigmoid"), 200))


def test_sigmoid_is_kohya_s() -> None:
    """sigmoid(sigmoid_scale n), and with a shift its "shift"."""
    for number, t in enumerate(times(TimestepSampling(sampling="sigmoid", mean=3, std=1.5), 20)):
        n = float(torch.randn((), generator=key_generator(number)))
        assert t == pytest.approx(1 / (1 + math.exp(-1.5 * n)), abs=1e-6)
    for number, t in enumerate(times(TimestepSampling(sampling="sigmoid", shift=3), 20)):
        share = 1 / (1 + math.exp(-float(torch.randn((), generator=key_generator(number)))))
        assert t == pytest.approx(3 * share / (1 + 2 * share), abs=1e-6)


def test_a_shift_multiplies_the_noise_level() -> None:
    for t in (0.1, 0.5, 0.9):
        moved = shift_time(t, 3)
        assert moved / (1 - moved) == pytest.approx(3 * t / (1 - t))
        assert shift_time(moved, 1 / 3) == pytest.approx(t)
    assert shift_time(0, 3) == 0
    assert shift_time(1, 3) == 1
    assert statistics.median(draws(TimestepSampling(shift=3))) == pytest.approx(750, abs=20)


def test_flux_2_s_shift_knows_size_and_steps() -> None:
    from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

    for size in ((512, 512), (1024, 768), (1024, 1024), (1536, 1024)):
        for steps in (4, 10, 50, 200):
            mu = compute_empirical_mu(size[0] * size[1] // 256, steps)
            assert shift_at(StepShift(), size, steps) == pytest.approx(math.exp(mu))


def test_a_shift_may_know_the_picture_s_size() -> None:
    """FLUX.1's line, as kohya's flux_shift and diffusers' calculate_shift: 0.5 at 256 tokens, 1.15 at 4096."""
    flux = SizeShift()
    for side in (256, 512, 1024):
        tokens = (side // 16) ** 2
        mu = 0.5 + (tokens - 256) * (1.15 - 0.5) / (4096 - 256)
        assert shift_at(flux, (side, side)) == pytest.approx(math.exp(mu))
    assert shift_at(flux, (512, 2048)) == pytest.approx(shift_at(flux, (1024, 1024)))
    assert shift_at(2.5, (64, 64)) == 2.5
    small, large = (
        statistics.median(
            TimestepSampling(sampling="sigmoid", shift=flux).draw(key_generator(n), size) for n in range(500)
        )
        for size in ((256, 256), (1024, 1024))
    )
    assert small < large
