"""Keyed randomness: the same key gives the same draw, and no two keys meet."""

from __future__ import annotations

import torch

from lorasmith.diffusion.noise import draw_noise, draw_timestep, key_generator, key_number


def test_a_key_is_a_function() -> None:
    one = torch.randn(5, generator=key_generator(1, 0, "a.png", 3, "noise"))
    again = torch.randn(5, generator=key_generator(1, 0, "a.png", 3, "noise"))
    assert torch.equal(one, again)


def test_different_keys_differ() -> None:
    keys: list[tuple[int | str, ...]] = [
        (1, 2),
        (12,),
        ("1", 2),
        (1, "2"),
        ("12",),
        ("1", "2"),
        (2, 1),
        (1, 2, ""),
        ("1:2",),
        ("int:1:1",),
    ]
    assert len({key_number(*key) for key in keys}) == len(keys)


def test_noise_is_standard_normal() -> None:
    noise = draw_noise((4, 64, 64), key_generator(0))
    assert abs(noise.mean().item()) < 0.03
    assert abs(noise.std().item() - 1) < 0.03


def test_the_offset_shifts_whole_channels() -> None:
    """Kohya's form: n + offset * randn(C, 1, 1)."""
    plain = draw_noise((4, 8, 8), key_generator(0))
    shifted = draw_noise((4, 8, 8), key_generator(0), offset=0.1)
    generator = key_generator(0)
    torch.randn((4, 8, 8), generator=generator)
    expected = 0.1 * torch.randn((4, 1, 1), generator=generator)
    torch.testing.assert_close(shifted - plain, expected.expand(4, 8, 8))


def test_timesteps_cover_their_range() -> None:
    drawn = [draw_timestep(1000, key_generator(number)) for number in range(2000)]
    assert 0 <= min(drawn) < 20
    assert 980 < max(drawn) < 1000
    assert abs(sum(drawn) / len(drawn) - 499.5) < 25
