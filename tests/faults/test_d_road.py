"""The road (D): one table of blocks, documented JSON that works, and the demo's next steps as they are printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.surgery.blocks import block_of
from lorasmith.bases.base import load_base
from lorasmith.demo import Demo
from lorasmith.generation.blocks import split_by_blocks
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.steps.trainer import fresh_adapter
from lorasmith.training.unpacking import unpack
from tests.checkpoints import write_checkpoint
from tests.server.running import Plain, plain_settings, running

ROOT = Path(__file__).parents[2]
PLAIN = {"epochs": 1, "rank": 2, "lr": {"unet": 1e-3}}


@pytest.mark.parametrize("which", ["doodle", "sd1"])
def test_recipe_merge_and_prompt_count_blocks_by_one_table(which: str, tmp_path: Path) -> None:
    """`[blocks]`, `adapter merge` and `lbw=` (D5). Input and output blocks are counted as in Stability's UNetModel: the
    first convolution is 0, then each residual block and each down- or upsampler's one."""
    base = load_base("doodle" if which == "doodle" else write_checkpoint(tmp_path / "sd1.safetensors", "sd1"))
    adapter = fresh_adapter(base, unpack(Recipe.model_validate(PLAIN)))
    layouts = [blocks for blocks in base.family.block_layouts.values() if len(blocks) > 17]
    assert layouts
    blocks = max(layouts, key=len)
    weights = tuple(float(number + 1) for number in range(len(blocks)))
    by_prompt = {
        name: blocks[int(weight) - 1]
        for weight, part in split_by_blocks(adapter, weights, base).items()
        for name in part.layers
    }
    by_merge = {name: block_of(name, base.layers) for name in adapter.layers}
    counted = {name: block for name, block in by_merge.items() if block in blocks and block not in ("TE", "BASE")}
    assert len(set(counted.values())) > 4
    assert {name: by_prompt[name] for name in counted} == counted
    for block in set(counted.values()):
        ranks = fresh_adapter(base, unpack(Recipe.model_validate({**PLAIN, "blocks": {"rank": {block: 7}}})))
        assert {name for name, layer in ranks.layers.items() if layer.rank == 7} == {
            name for name, own in by_merge.items() if own == block
        }


def test_the_documented_batch_is_taken_as_it_stands(tmp_path: Path) -> None:
    """docs/server.md names `POST /api/v1/batches`, and its JSON is no `POST /api/v1/jobs` (D8)."""
    page = (ROOT / "docs" / "server.md").read_text("utf-8")
    assert "`POST /api/v1/batches`" in page
    bodies = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    batches = [body for body in bodies if "pictures" in body]
    assert batches
    folder = tmp_path / "adapters"
    folder.mkdir()
    for body in batches:
        for picture in body["pictures"]:
            for adapter in picture.get("adapters", []):
                (folder / f"{adapter['name']}.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with running(plain_settings(tmp_path, adapters=(folder,)), Plain()) as (client, _):
        for body in batches:
            assert client.post("/api/v1/batches", json=body).status_code == 202


def test_the_steps_that_the_demo_prints_are_commands_that_are_there(tmp_path: Path) -> None:
    """Typed as printed from the repository's root (acceptance 6): each is found, and the quick ones do their work."""
    base = load_base("doodle")
    save_adapter(tmp_path / "adapter.safetensors", fresh_adapter(base, unpack(Recipe.model_validate(PLAIN))))
    script = f"""
import sys
sys.argv = [{str(ROOT / "src" / "lorasmith" / "__main__.py")!r}]
from pathlib import Path
from lorasmith.cli.wording import command_words as words
from lorasmith.demo import Demo
from lorasmith.remedies import speak
speak(words)
folder = Path({str(tmp_path)!r})
demo = Demo(folder=folder, project=folder / "project", document={{}}, trigger="zbk", seconds=1.0,
            adapter=folder / "adapter.safetensors", grid=folder, figures=folder, report=folder)
print(*demo.next_steps(), sep="\\n")
"""
    assert Demo.next_steps.__doc__
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = printed.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)
        assert words[1:3] == ["-m", "lorasmith"]
        answer = subprocess.run([*words[:4], "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, line
        told = set(re.findall(r"--[a-z-]+", answer.stdout))
        assert {word for word in words if word.startswith("--")} <= told, line
    for line in lines[:2]:
        done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4
