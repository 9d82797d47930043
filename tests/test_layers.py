"""Imports go down only (docs/concepts.md, Layers), and torch stays where tensors are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.bases.families import FAMILIES
from lorasmith.project import EMBEDDED
from tests.projects import build_project

SOURCE = Path(__file__).parents[1] / "src" / "lorasmith"

LAYERS = (
    "remedies",
    "errors",
    "events",
    "schema",
    "registry",
    "storage",
    "pools",
    "templates",
    "hub",
    "container",
    "project",
    "images",
    "dataset",
    "tags",
    "prompts",
    "diffusion",
    "bases",
    "adapters",
    "optimizers",
    "recipe",
    "generation",
    "training",
    "exam",
    "library",
    "jobs",
    "examples",
    "demo",
    "face",
    "web",
    "server",
    "cli",
)
TORCH_FREE = (
    "remedies",
    "errors",
    "events",
    "schema",
    "registry",
    "storage",
    "pools",
    "templates",
    "hub",
    "container",
    "project",
    "images",
    "dataset",
    "tags",
    "optimizers",
    "recipe",
    "prompts",
    "library",
    "face",
    "web",
    "server",
    "cli",
)
TORCH_FREE_FILES = (
    # Of layers with tensors, what recipes, plans and descriptions ask.
    "bases/detection.py",
    "bases/framing.py",
    "bases/hub.py",
    "bases/precision.py",
    "bases/targets.py",
    "bases/tokenizers.py",
    "bases/vocabulary.py",
    "adapters/cache.py",
    *(f"adapters/stored/{name}.py" for name in ("__init__", "files", "lookup", "manifest", "source", "store")),
    *(
        f"bases/text/{name}.py"
        for name in ("chunks", "clip", "context", "counting", "emphasis", "encoder", "long", "options")
    ),
    *(
        f"bases/families/{name}.py"
        for name in ("__init__", "doodle", "evidence", "family", "foreign", "original", "presets")
    ),
    *(f"bases/families/{name}.py" for name in ("sd1", "sd2", "sdxl", "single_file", "stable_diffusion", "unet_layers")),
)
HEAVY = ("torch", "diffusers", "transformers", "onnxruntime")


def layer_of(module: str) -> str | None:
    """The layer of a dotted lorasmith module; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """(module, at the top level?) for every import of a file."""
    tree = ast.parse(file.read_text("utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) in top
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, id(node) in top


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_every_file_belongs_to_a_layer() -> None:
    files = source_files()
    assert len(files) > 20
    for file in files:
        first = file.relative_to(SOURCE).parts[0].removesuffix(".py")
        assert first in (*LAYERS, "__init__", "__main__"), f"{file}: name its layer in LAYERS"


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_down_only(file: Path) -> None:
    here = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if here in ("__init__", "__main__"):
        return
    for module, _ in imports(file):
        if module.split(".")[0] != "lorasmith":
            continue
        there = layer_of(module)
        if there is None:
            continue
        assert LAYERS.index(there) <= LAYERS.index(here), f"{file.name} ({here}) imports {module}, which is above it"


@pytest.mark.parametrize("layer", TORCH_FREE)
def test_torch_is_not_imported_where_no_tensors_are(layer: str) -> None:
    folder = SOURCE / layer
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [SOURCE / f"{layer}.py"]
    assert files, layer
    for file in files:
        for module, top in imports(file):
            assert not (top and module.split(".")[0] in HEAVY), f"{file} imports {module} at its top"


@pytest.mark.parametrize("name", TORCH_FREE_FILES)
def test_torch_is_not_imported_where_families_are_told(name: str) -> None:
    for module, top in imports(SOURCE / name):
        assert not (top and module.split(".")[0] in HEAVY), f"{name} imports {module} at its top"


def test_families_are_compared_in_their_own_files_only() -> None:
    names = "|".join(name for name in FAMILIES if name != EMBEDDED)
    # The embedded base's name is also the name of a base, so of that only comparisons and tables count.
    pattern = re.compile(
        rf"""["']({names})["']|[=!]= ["']{EMBEDDED}["']|["']{EMBEDDED}["'] *:|family(\.name)? *[=!]= *["']"""
    )
    files = [file for file in source_files() if "families" not in file.relative_to(SOURCE).parts]
    assert len(files) > 100
    for file in files:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{file.relative_to(SOURCE)}:{number} speaks of a family: ask its object"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from lorasmith.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'onnxruntime', 'numpy', 'PIL'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_recipe_and_a_plan_import_no_torch(tmp_path: Path) -> None:
    project = build_project(tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.dataset.reading import read_dataset\n"
        "from lorasmith.events import finish\n"
        "from lorasmith.project import open_project\n"
        "from lorasmith.recipe.plan import make_plan\n"
        "from lorasmith.recipe.recipe import read_recipe\n"
        f"project = open_project(Path({str(project.root)!r}))\n"
        "plan = make_plan(read_recipe(project), finish(read_dataset(project)))\n"
        "assert plan.steps > 0 and plan.bytes > 0\n"
        f"heavy = sorted(set(sys.modules) & {set(HEAVY)!r})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
