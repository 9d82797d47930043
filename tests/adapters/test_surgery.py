"""Surgery against the full matrices: the same change, the best smaller rank, errors that are true."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.algorithm import Form
from lorasmith.adapters.algorithms.lora import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.surgery.merging import merge, to_lora
from lorasmith.adapters.surgery.products import Cut, shorten
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError
from tests.adapters.drawing import trained_adapter
from tests.adapters.toy import draw, toy_base

KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "tucker": {"form": Form(tucker=True)},
    "loha": {"algorithm": "loha"},
    "loha tucker": {"algorithm": "loha", "form": Form(tucker=True)},
    "lokr": {"algorithm": "lokr", "rank": 2, "conv_rank": 2},
    "full": {"algorithm": "full"},
    "dora": {"algorithm": "dora"},
    "ia3": {"algorithm": "ia3"},
    "oft": {"algorithm": "oft"},
    "glora": {"algorithm": "glora"},
}


def deltas(adapter: Adapter, base: Base) -> dict[str, Tensor]:
    return {
        name: factors.delta_weight(cast(nn.Linear, base.module(name)).weight.detach())
        for name, factors in adapter.layers.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_any_algorithm_becomes_a_lora_that_draws_the_same(kind: str) -> None:
    base = toy_base()
    adapter = trained_adapter(base, **({"conv_rank": 3} | KINDS[kind]))
    done = to_lora(adapter, base=base)
    assert done.error < 1e-5
    assert all(type(factors) is LoraFactors for factors in done.adapter.layers.values())
    with AdapterBank(base, [adapter]).attached():
        before = draw(base)
    with AdapterBank(base, [done.adapter]).attached():
        torch.testing.assert_close(draw(base), before, rtol=1e-3, atol=1e-4)


def test_a_smaller_rank_is_the_full_svd_s_and_the_error_is_true() -> None:
    base = toy_base()
    adapter = trained_adapter(base, rank=8, conv_rank=6)
    done = to_lora(adapter, Cut(rank=3))
    old, new = deltas(adapter, base), deltas(done.adapter, base)
    assert len(new) == 10
    lost = whole = 0.0
    for name, delta in old.items():
        U, S, Vh = torch.linalg.svd(delta.flatten(1), full_matrices=False)
        best = (U[:, :3] * S[:3]) @ Vh[:3]
        torch.testing.assert_close(new[name].flatten(1), best, rtol=0, atol=1e-5)
        gone = float((delta - new[name]).norm())
        assert done.errors[name] == pytest.approx(gone / float(delta.norm()), rel=1e-3)
        lost, whole = lost + gone**2, whole + float(delta.norm()) ** 2
    assert done.error == pytest.approx((lost / whole) ** 0.5, rel=1e-3)
    assert done.adapter.rank == 3


def test_the_share_to_keep_chooses_the_rank() -> None:
    Q, P = torch.linalg.qr(torch.randn(20, 4))[0], torch.linalg.qr(torch.randn(30, 4))[0]
    sizes = torch.tensor([10.0, 5.0, 1.0, 0.1])
    for keep, rank in ((0.7, 1), (0.95, 2), (0.9999, 3), (1.0, 4)):
        up, down, gone, norm = shorten(Q * sizes, P.T, Cut(keep=keep))
        assert (up.shape[1], down.shape[0]) == (rank, rank)
        assert 1 - (gone / norm) ** 2 >= keep - 1e-6


def test_merging_is_the_weighted_sum() -> None:
    base = toy_base()
    one, two = trained_adapter(base, "one", conv_rank=2), trained_adapter(base, "two", algorithm="loha", seed=2)
    done = merge([one, two], [0.7, -0.4], base=base)
    assert done.error < 1e-5
    bank = AdapterBank(base, [one, two])
    bank.weigh(torch.tensor([0.7, -0.4]))
    with bank.attached():
        before = draw(base)
    with AdapterBank(base, [done.adapter]).attached():
        torch.testing.assert_close(draw(base), before, rtol=1e-3, atol=1e-4)


def test_what_no_lora_can_hold_is_refused() -> None:
    base = toy_base()
    with pytest.raises(AdapterError, match="norm or a bias"):
        to_lora(trained_adapter(base, norms=True), base=base)
    with pytest.raises(AdapterError, match="Name the base"):
        to_lora(trained_adapter(base, algorithm="ia3"))
