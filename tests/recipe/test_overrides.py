"""--set."""

from __future__ import annotations

import pytest

from lorasmith.errors import UsageError
from lorasmith.recipe.overrides import nest_overrides, split_overrides, write_value


def test_values_are_toml() -> None:
    pairs = split_overrides(["rank=16", "lr.unet=1e-3", "resolution=[512, 768]", "flip=true", "save_every=2 epochs"])
    assert nest_overrides(pairs) == {
        "rank": 16,
        "lr": {"unet": 1e-3},
        "resolution": [512, 768],
        "flip": True,
        "save_every": "2 epochs",
    }


def test_the_last_wins_and_values_may_hold_equal_signs() -> None:
    assert split_overrides(["a=1", "a=x=y"]) == {"a": "x=y"}


@pytest.mark.parametrize("text", ["rank", "=3", ""])
def test_refuses_what_is_no_assignment(text: str) -> None:
    with pytest.raises(UsageError, match="key=value"):
        split_overrides([text])


def test_refuses_a_value_that_is_also_a_table() -> None:
    with pytest.raises(UsageError, match="value here and a table elsewhere"):
        nest_overrides({"lr": "1", "lr.unet": "2"})


@pytest.mark.parametrize("value", [None, [None], {"a": [1, None]}])
def test_what_toml_has_not_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="no value of a recipe"):
        write_value(value)
