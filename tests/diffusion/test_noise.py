"""Keyed randomness: the same key gives the same draw, and no two keys meet."""

from __future__ import annotations

import pytest
import torch

from lorasmith.diffusion.noise import NoiseForm, add_coarse_noise, key_generator, key_number, offset_strength


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
    noise = NoiseForm().draw(torch.zeros(4, 64, 64), key_generator(0))
    assert abs(noise.mean().item()) < 0.03
    assert abs(noise.std().item() - 1) < 0.03


def test_the_offset_shifts_whole_channels() -> None:
    """Kohya's form: n + offset * randn(C, 1, 1)."""
    x_0 = torch.zeros(4, 8, 8)
    plain = NoiseForm().draw(x_0, key_generator(0))
    shifted = NoiseForm(offset=0.1).draw(x_0, key_generator(0))
    generator = key_generator(0)
    torch.randn((4, 8, 8), generator=generator)
    expected = 0.1 * torch.randn((4, 1, 1), generator=generator)
    torch.testing.assert_close(shifted - plain, expected.expand(4, 8, 8))


def test_a_random_offset_is_a_share_of_the_fixed_one() -> None:
    x_0 = torch.zeros(4, 8, 8)
    generator = key_generator(0)
    plain = torch.randn((4, 8, 8), generator=generator)
    share = torch.rand((), generator=generator)
    expected = 0.5 * share * torch.randn((4, 1, 1), generator=generator)
    drawn = NoiseForm(offset=0.5, offset_random=True).draw(x_0, key_generator(0))
    torch.testing.assert_close(drawn - plain, expected.expand(4, 8, 8))


@pytest.mark.parametrize(
    ("adaptive", "mean", "wanted"), [(0.5, 2.0, 1.1), (0.5, -2.0, 1.1), (-0.5, 2.0, 0.0), (-0.02, 2.0, 0.06)]
)
def test_the_adaptive_offset(adaptive: float, mean: float, wanted: float) -> None:
    """Kohya: max(0, offset + a * |mean over H and W of the latent|)."""
    x_0 = torch.zeros(2, 3, 3)
    x_0[1] = mean
    strength = offset_strength(x_0, torch.tensor(0.1), adaptive)
    torch.testing.assert_close(strength.flatten(), torch.tensor([0.1, wanted]))


def test_pyramid_noise_against_the_slow_form() -> None:
    """Kohya's loop, with torch's own bilinear module, for one row."""
    for seed in range(5):
        C, H, W = 4, 24, 16
        noise = torch.randn((C, H, W), generator=key_generator(seed))
        ours = add_coarse_noise(noise, 6, 0.4, key_generator("r", seed))
        generator = key_generator("r", seed)
        total = noise.clone()[None]
        upsample = torch.nn.Upsample(size=(H, W), mode="bilinear")
        layers = 0
        for i in range(6):
            r = float(torch.rand((), generator=generator)) * 2 + 2
            h, w = max(1, int(H / (r**i))), max(1, int(W / (r**i)))
            total = total + upsample(torch.randn((1, C, h, w), generator=generator)) * 0.4**i
            layers += 1
            if h == 1 or w == 1:
                break
        assert 2 <= layers < 6
        torch.testing.assert_close(ours, (total / total.std())[0])
        assert ours.std().item() == pytest.approx(1.0, abs=1e-5)


def test_input_perturbation_is_apart_from_the_noise() -> None:
    x_0 = torch.zeros(4, 32, 32)
    assert NoiseForm().perturb(x_0, key_generator(0)) is None
    fixed = NoiseForm(ip_gamma=0.1).perturb(x_0, key_generator(0))
    assert fixed is not None
    assert fixed.std().item() == pytest.approx(0.1, rel=0.05)
    spreads = []
    for seed in range(20):
        drawn = NoiseForm(ip_gamma=0.1, ip_random=True).perturb(x_0, key_generator(seed))
        assert drawn is not None
        spreads.append(drawn.std().item())
    assert min(spreads) < 0.03
    assert 0.07 < max(spreads) < 0.11
