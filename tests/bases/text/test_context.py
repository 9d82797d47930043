"""Encoded texts as rows: joined, picked, stretched, moved."""

from __future__ import annotations

import torch

from lorasmith.bases.text.context import Context


def plain(*shape: int) -> Context:
    return Context({"hidden": torch.arange(float(torch.Size(shape).numel())).view(shape)})


def test_stretching_repeats_the_last_vector() -> None:
    context = plain(1, 3, 2)
    longer = context.stretch(5)
    assert longer.hidden.shape == (1, 5, 2)
    assert longer.hidden[0, 3].tolist() == longer.hidden[0, 4].tolist() == [4.0, 5.0]
    assert context.stretch(3) is context


def test_with_a_mask_what_is_added_does_not_count() -> None:
    context = Context({"hidden": torch.ones(2, 3, 4)}, torch.tensor([[True, True, False], [True, True, True]]))
    longer = context.stretch(4)
    assert longer.hidden[:, 3].abs().sum() == 0
    assert longer.mask is not None
    assert longer.mask.tolist() == [[True, True, False, False], [True, True, True, False]]


def test_rows_are_joined_and_picked_with_all_that_belongs_to_them() -> None:
    one = Context({"hidden": torch.zeros(1, 2, 3), "pooled": torch.zeros(1, 5)})
    two = Context({"hidden": torch.ones(2, 4, 3), "pooled": torch.ones(2, 5)})
    both = Context.join([one, two])
    assert (len(both), both.length) == (3, 4)
    assert both.pooled is not None
    assert both.pooled[:, 0].tolist() == [0, 1, 1]
    assert torch.equal(both[1:].hidden, two.hidden)
    assert both[[2, 0]].pooled[:, 0].tolist() == [1, 0]  # type: ignore[index]
    assert both[torch.tensor([0])].hidden.shape == (1, 4, 3)
    assert Context.join([one]) is one


def test_masks_are_joined() -> None:
    one = Context({"hidden": torch.zeros(1, 2, 3)}, torch.ones(1, 2, dtype=torch.bool))
    two = Context({"hidden": torch.zeros(1, 3, 3)}, torch.ones(1, 3, dtype=torch.bool))
    mask = Context.join([one, two]).mask
    assert mask is not None
    assert mask.tolist() == [[True, True, False], [True, True, True]]


def test_whole_numbers_and_masks_keep_their_kind() -> None:
    context = Context(
        {"hidden": torch.zeros(1, 2, 3), "ids": torch.zeros(1, 2, dtype=torch.long)}, torch.ones(1, 2) > 0
    )
    half = context.to(dtype=torch.bfloat16)
    assert (half.hidden.dtype, half.tensors["ids"].dtype) == (torch.bfloat16, torch.long)
    assert half.mask is not None
    assert half.mask.dtype == torch.bool
    assert context.nbytes == 2 * 3 * 4 + 2 * 8 + 2


def test_a_row_of_its_own_holds_no_batch_and_no_gradient() -> None:
    whole = Context({"hidden": torch.zeros(4, 2, 3, requires_grad=True)})
    row = whole[:1].detach().clone()
    assert not row.hidden.requires_grad
    assert row.hidden.untyped_storage().nbytes() == 2 * 3 * 4


def test_what_the_host_knows_of_the_rows_goes_with_them() -> None:
    one = Context({"hidden": torch.zeros(1, 2, 3)}, torch.tensor([[True, False]]), (1,))
    two = Context({"hidden": torch.zeros(2, 4, 3)}, torch.tensor([[True] * 4, [True] * 3 + [False]]), (4, 3))
    joined = Context.join([one, two])
    assert joined.counts == (1, 4, 3)
    assert joined.mask is not None
    assert tuple(joined.mask.sum(dim=1).tolist()) == joined.counts
    assert joined[1:].counts == (4, 3)
    assert joined[1:].to(torch.device("cpu"), torch.bfloat16).detach().clone().counts == (4, 3)
    assert joined[torch.tensor([0])].counts is None
    unknown = Context({"hidden": torch.zeros(1, 2, 3)}, torch.ones(1, 2, dtype=torch.bool))
    assert Context.join([one, unknown]).counts is None
