"""A judge over a tagger: best of a group, none below the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lorasmith.errors import ExamError
from lorasmith.exam.judges import Group, TaggerJudge, read_groups, summarise_rates

NAMES = ("general", "long_hair", "short_hair", "glasses", "beard")


class Scores:
    names = NAMES

    def __init__(self, *rows: tuple[float, ...]) -> None:
        self.rows = np.asarray(rows, dtype=np.float32)

    def scores(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        assert len(images) == len(self.rows)
        return self.rows


def test_groups_are_read_and_several_at_once_become_one_each() -> None:
    groups = read_groups(
        {
            "hair": {"tags": ["long hair", "short hair"], "exclusive": True, "optional": False},
            "extra": {"tags": ["glasses", "beard"], "exclusive": False, "optional": True},
        },
        known=NAMES,
        where="groups.json",
    )
    assert groups == {
        "hair": Group("hair", ("long hair", "short hair"), False),
        "extra: glasses": Group("extra: glasses", ("glasses",), True),
        "extra: beard": Group("extra: beard", ("beard",), True),
    }
    with pytest.raises(ExamError, match="group hair: the tagger does not know bald"):
        read_groups({"hair": {"tags": ["bald"]}}, known=NAMES, where=Path("groups.json"))


def test_the_best_of_a_group_and_none_where_none_may_be() -> None:
    groups = {
        "hair": Group("hair", ("long hair", "short hair"), False),
        "extra": Group("extra", ("glasses", "beard"), True),
    }
    judge = TaggerJudge("t", Scores((1, 0.2, 0.3, 0.1, 0.44), (1, 0.9, 0.3, 0.3, 0.4)), groups)
    images = [Image.new("RGB", (8, 8))] * 2
    assert judge.describe(images) == [
        {"hair": "short hair", "extra": None},
        {"hair": "long hair", "extra": "beard"},
    ]
    assert judge.describe([]) == []


def test_a_nested_report_is_told_in_few_numbers() -> None:
    report = {
        "bold style": {"renders": {"hair": {"accuracy": 0.9, "recall": {"bald": 1.0}}, "skin": {"accuracy": 1.0}}},
        "faint style": {"renders": {"hair": {"accuracy": 0.8}}, "generated": {"hair": {"accuracy": 0.7}}},
        "macro_f1": 0.97,
    }
    assert summarise_rates(report) == {
        "macro_f1": 0.97,
        "mean accuracy, renders": 0.9,
        "mean accuracy, generated": 0.7,
    }
