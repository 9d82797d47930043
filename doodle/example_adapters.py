"""Put adapters of the shipped examples into the package, for exams to stack others with: half precision, with the
strength that their exam recommends and what a judge must see of them in their headers.

    python doodle/example_adapters.py character=PROJECT style=PROJECT ...

Each PROJECT is a copy of the example, trained by its own lora.toml and examined (lorasmith train, lorasmith exam).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.events import finish
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sources import IDENTITY, find_judge
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.examples import EXAMPLES, example_folder
from lorasmith.project import EMBEDDED, open_project

MOST_BYTES = 2_600_000
LEFT_OUT = ("modelspec.thumbnail", "ss_tag_frequency", "ss_session_id")


def pack(name: str, root: Path) -> Path:
    """The chosen adapter of the newest exam, written into the example's folder. Raises ValueError above 2.6 MB."""
    project = open_project(root)
    newest = sorted(project.exams.glob("*/figures.json"))[-1]
    chosen = Path(json.loads(newest.read_text("utf-8"))["chosen"])
    settings = read_settings(project)
    judge, world = find_judge(project, settings, EMBEDDED)
    subject, _ = finish(look_at_training_set(project, settings, judge, world, True))
    adapter = load_adapter(chosen)
    metadata = {key: value for key, value in adapter.metadata.items() if key not in LEFT_OUT}
    metadata[IDENTITY] = json.dumps(dict(subject.identity), ensure_ascii=False)
    file = save_adapter(
        example_folder(name) / "adapter.safetensors", replace(adapter, metadata=metadata), torch.float16
    )
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file}: {file.stat().st_size} bytes are too many to ship.")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("examples", nargs="+", metavar="NAME=PROJECT")
    for each in parser.parse_args().examples:
        name, _, root = each.partition("=")
        if name not in EXAMPLES:
            parser.error(f"no example is called {name}.")
        file = pack(name, Path(root))
        print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
