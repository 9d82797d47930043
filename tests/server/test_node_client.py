"""node-sd-webui runs unchanged against a started server (C6): where node and npm are, and the package can be had."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.running import Plain, plain_settings, running

PACKAGE = "node-sd-webui@0.0.8"
SCRIPT = """
const client = require("node-sd-webui").default({ apiUrl: process.argv[2] });
(async () => {
  const common = { prompt: "red", samplingMethod: "Euler a", steps: 2, width: 64, height: 64, seed: 5 };
  const drawn = await client.txt2img({ ...common, negativePrompt: "blue", batchSize: 2, restoreFaces: true });
  const over = await client.img2img({ ...common, imageData: [drawn.images[0]] });
  const info = JSON.parse(drawn.info);
  console.log(JSON.stringify({ drawn: drawn.images.length, over: over.images.length, ignored: info.ignored }));
})().catch((fault) => { console.error(fault); process.exit(1); });
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(tmp_path), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{PACKAGE} cannot be had")
    if done.returncode:
        pytest.skip(f"{PACKAGE} cannot be had")
    return tmp_path


def test_the_node_client_draws(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    script = folder / "draw.cjs"
    script.write_text(SCRIPT)
    with running(plain_settings(tmp_path_factory.mktemp("node")), Plain()) as (_, server):
        command = ["node", str(script), server.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"drawn": 2, "over": 1, "ignored": ["restore_faces"]}
