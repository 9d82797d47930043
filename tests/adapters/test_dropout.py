"""Dropout leaves out their share, row by row, and is the same whenever it is drawn."""

from __future__ import annotations

import torch

from lorasmith.adapters.dropout import Dropout

T = torch.tensor([0, 250, 500, 999])
SEEDS = (1, 2, 3, 4)


def test_t_lora_leaves_fewer_ranks_the_noisier_it_is() -> None:
    """floor((r - least) * (T - t) / T) + least."""
    ranks = Dropout(T, SEEDS, 0, least=2).ranks("lora_unet_a", 10)
    assert ranks is not None
    assert ranks.sum(dim=1).tolist() == [10, 8, 6, 2]
    assert bool((ranks.diff(dim=1) <= 0).all())
    assert Dropout(T, SEEDS, 0, least=2).of("te").ranks("lora_te_a", 10) is None
    narrow = Dropout(T, SEEDS, 0, least=8).ranks("lora_unet_a", 4)
    assert narrow is not None
    assert narrow.sum(dim=1).tolist() == [4, 4, 4, 4]


def test_rank_dropout_keeps_the_mean_and_belongs_to_the_row() -> None:
    dropout = Dropout(T, SEEDS, 0, rank=0.25)
    ranks = dropout.ranks("lora_unet_a", 4000)
    assert ranks is not None
    assert sorted(set(ranks.flatten().tolist())) == [0.0, torch.tensor(1 / 0.75).item()]
    torch.testing.assert_close(ranks.mean(dim=1), torch.ones(4), rtol=0, atol=0.05)
    again = Dropout(T[1:2], SEEDS[1:2], 5, rank=0.25).ranks("lora_unet_a", 4000)
    assert again is not None
    assert torch.equal(again[0], ranks[1])
    other = dropout.ranks("lora_unet_b", 4000)
    assert other is not None
    assert not torch.equal(other, ranks)


def test_network_dropout_leaves_out_inner_values() -> None:
    h = torch.ones(4, 50, 20)
    dropped = Dropout(T, SEEDS, 0, network=0.1).values("lora_unet_a", h)
    assert abs(float((dropped == 0).float().mean()) - 0.1) < 0.02
    assert abs(float(dropped.mean()) - 1) < 0.02
    assert Dropout(T, SEEDS, 0, rank=0.1).values("lora_unet_a", h) is h


def test_the_chunks_of_a_text_draw_apart_and_the_first_as_ever() -> None:
    chunked, plain = (
        Dropout(T, SEEDS, 0, rank=0.5, network=0.5, text_rows=3),
        Dropout(T, SEEDS, 0, rank=0.5, network=0.5),
    )
    ranks, alone = chunked.ranks("lora_te_a", 100), plain.ranks("lora_te_a", 100)
    assert ranks is not None
    assert alone is not None
    assert ranks.shape == (12, 100)
    assert torch.equal(ranks[::3], alone)
    assert not torch.equal(ranks[1::3], ranks[::3])
    assert chunked.values("lora_te_a", torch.ones(12, 77, 4)).shape == (12, 77, 4)
    on_the_denoiser = chunked.of("unet").ranks("lora_unet_a", 100)
    assert on_the_denoiser is not None
    assert on_the_denoiser.shape == (4, 100)


def test_module_dropout_skips_its_share_of_layers() -> None:
    layers = [f"lora_unet_{number}" for number in range(2000)]
    skipped = sum(Dropout(T, SEEDS, 9, module=0.3).skips(layer) for layer in layers)
    assert 540 < skipped < 660
    assert not any(Dropout(T, SEEDS, 9).skips(layer) for layer in layers)
