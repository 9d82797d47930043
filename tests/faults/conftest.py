"""What several tests of faults use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_ground(tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path) -> Path:
    """Folders for `tiny_commands`, to be copied."""
    from tests.faults.tiny_commands import call, make_ground

    root = make_ground(tmp_path_factory.mktemp("ground"), tiny_base_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORASMITH_HOME", str(root / "home"))
        assert call(("train", str(root / "p"), "--run", str(root / "adapter"))) == 0
    shutil.rmtree(root / "p" / "runs", ignore_errors=True)
    return root
