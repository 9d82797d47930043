"""The notebook walks the whole road on the embedded base, from a zip of images; here with tiny settings."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import lorasmith
from lorasmith.examples import example_folder

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
TINY = {
    "SETTINGS": {"target_steps": 4, "resolution": 64, "rank": 2, "batch_size": 2, "preserve.kind": "none"},
    "EXAM": {
        "pictures": 8,
        "flexibility_pictures": 4,
        "leakage_pictures": 4,
        "window_pictures": 0,
        "candidates": 1,
        "steps": 2,
        "grid_steps": 1,
    },
    "DRAWING": {"steps": 1, "width": 64, "height": 64},
}


def code_cells() -> list[tuple[set[str], str]]:
    """The tags and the text of each cell with code."""
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells), "saved without outputs"
    return [(set(cell["metadata"].get("tags", ())), "".join(cell["source"])) for cell in cells]


def test_cells_have_one_id_each_and_parameters_to_set() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) > 15
    (parameters,) = [text for tags, text in code_cells() if "parameters" in tags]
    assert all(f"{name} = " in parameters for name in [*TINY, "IMAGES", "BASE"])


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as packed:
        for file in sorted((example_folder("character") / "images").iterdir()):
            packed.write(file, f"pictures/{file.name}")
    monkeypatch.chdir(tmp_path)
    shown: list[Any] = []
    names: dict[str, Any] = {"display": shown.append}
    for number, (tags, text) in enumerate(code_cells()):
        if "install" in tags:
            continue
        exec(compile(ast.parse(text), f"notebook, cell {number}", "exec"), names)
        if "parameters" in tags:
            names |= TINY | {"IMAGES": "images.zip"}
    adapter = names["adapter"]
    assert isinstance(adapter, lorasmith.AdapterFile)
    assert adapter.trigger == "zbk"
    assert adapter.path.is_file()
    assert len(shown) == 1 + 6 + 1  # the images, three strengths twice, the grid
    assert names["verdict"].report.is_file()
    assert len(list(Path("pictures").glob("*.png"))) == 6
