"""What a run and a drawing on the embedded base import: the parts of diffusers that a base is made of, no pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.step = 32
rank = 2
clip_skip = 1
epochs = 1
lr.text_encoder = 0
preserve.kind = "none"
"""


def test_training_and_drawing_import_no_pipeline(tmp_path: Path) -> None:
    """Each pipeline is imported with all that it needs, seconds of it."""
    project = build_project(tmp_path / "p", RECIPE, base="doodle")
    script = (
        "import sys\n"
        "from lorasmith.cli.main import run\n"
        f"assert run(['train', {str(project.root)!r}, '--json']) == 0\n"
        f"assert run(['generate', 'zbk', '--steps', '1', '--out', {str(tmp_path / 'out')!r}]) == 0\n"
        "heavy = ('scipy', 'pandas', 'sklearn', 'torchvision', 'matplotlib', 'onnxruntime', 'tensorboard', 'ray')\n"
        "found = [name for name in sys.modules if name in heavy or name.startswith('diffusers.pipelines')]\n"
        "print('FOUND', found, 'diffusers' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "FOUND [] True"
