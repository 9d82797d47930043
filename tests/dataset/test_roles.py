"""Roles by the words of a folder."""

from __future__ import annotations

import pytest

from lorasmith.dataset.roles import folder_role


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        ("5_primary", "primary"),
        ("2_Supporting", "supporting"),
        ("primary", "primary"),
        ("3_zbk_primary", "primary"),
        ("1_zbk", None),
        ("1_primary_supporting", None),
        ("", None),
    ],
)
def test_a_folder_names_a_role(folder: str, role: str | None) -> None:
    assert folder_role(folder) == role
