"""A project as it is after training, an exam and a showcase, made by hand in a second."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from lorasmith.project import Project, open_project
from tests.library.hubs.mock import adapter_bytes
from tests.projects import build_project

HEADER = {
    "ss_network_dim": "4",
    "ss_network_alpha": "2.0",
    "ss_num_train_images": "30",
    "ss_resolution": "(128, 128)",
    "ss_optimizer": "torch.optim.adamw.AdamW(weight_decay=0.01)",
    "ss_steps": "240",
    "ss_max_train_steps": "320",
    "ss_tag_frequency": json.dumps({"5_zbk": {"smile": 3}}),
    "modelspec.trigger_phrase": "zbk",
    "modelspec.date": "2026-05-01T10:00:00",
}
PROVENANCE = 'source = "drawn for tests"\nauthor = "A. Tester"\nlicence = "CC BY 4.0"\nreal_person = false'
COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")


def figure(value: float, n: int = 100) -> dict[str, Any]:
    return {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05), "n": n}


def examined_project(root: Path, *, provenance: str = PROVENANCE, base: str = "doodle", pictures: int = 24) -> Project:
    """Its adapter in a run, an exam that chose it, and a showcase of which the first two pictures are rejected."""
    build_project(root, base=base)
    text = (root / "lora.toml").read_text()
    head, _, tail = text.partition("[provenance]")
    recipe = tail.partition("[recipe]")[2]
    (root / "lora.toml").write_text(f"{head}[provenance]\n{provenance}\n[recipe]{recipe}")
    run = root / "runs" / "20260501-100000-zbk"
    run.mkdir(parents=True)
    data = adapter_bytes(1, metadata=HEADER)
    adapter = run / "zbk.safetensors"
    adapter.write_bytes(data)
    exam = root / "exams" / "20260501-110000-zbk"
    exam.mkdir(parents=True)
    document = {
        "figures": {
            "hit_rate": figure(0.9),
            "flexibility": figure(0.6),
            "override": figure(0.3),
            "leakage": figure(0.2),
            "untriggered": figure(0.1),
            "copying": figure(0.0),
            "diversity": figure(0.0, 0),
            "identity.hair": figure(0.7),
            "base": {"hit_rate": figure(0.02)},
        },
        "chosen": str(adapter),
        "clear": True,
        "verdict": "Ready: it shows the subject in 90 % of pictures.",
        "identity": {"hair": "teal hair"},
        "unseen": {"mouth": ["grin", "frown"]},
        "judge": {"name": "exact", "rates": {"by eye": 0.99}},
        "settings": {"strength": None},
        "strength": {"recommended": 0.8, "from": 0.6, "to": 1.1, "points": []},
        "judged": ["hair", "likeness"],
        "not_judged": ["the eyepatch"],
        "stacking": [{"with": "pxl", "joint": 0.8, "ratio": 0.91, "ratio_low": 0.8, "ratio_high": 0.99, "n": 40}],
    }
    (exam / "figures.json").write_text(json.dumps(document))
    if pictures:
        draw_showcase(root / "showcases" / "first", data, pictures)
    return open_project(root)


def draw_showcase(folder: Path, adapter: bytes, count: int, called: str = "zbk") -> None:
    """Pictures that say that this adapter drew them."""
    (folder / "cells").mkdir(parents=True)
    (length,) = struct.unpack("<Q", adapter[:8])
    digest = hashlib.sha256(adapter[8 + length :]).hexdigest()[:12]
    pictures, marks = [], {}
    for number in range(1, count + 1):
        colour = COLOURS[number % len(COLOURS)]
        prompt = f"zbk, {'smile' if number % 2 else 'grin'}, {colour} background <lora:{called}:1>"
        image = Image.new("RGB", (64, 64), colour)
        ImageDraw.Draw(image).rectangle((number, number, number + 20, number + 30), fill="black")
        text = PngInfo()
        said = f'{prompt}\nNegative prompt: blurry\nSteps: 8, Seed: {number}, Lora hashes: "{called}: {digest}"'
        text.add_text("parameters", said)
        text.add_text("lorasmith", json.dumps({"secret": str(folder)}))
        image.save(folder / "cells" / f"{number}.png", pnginfo=text)
        key = f"key{number}"
        pictures.append(
            {
                "number": number,
                "column": f"{called} on doodle",
                "base": "doodle",
                "adapter": called,
                "key": key,
                "path": f"cells/{number}.png",
                "prompt": prompt,
                "seed": number,
            }
        )
        if number <= 2:
            marks[key] = "reject"
        elif number % 3:
            marks[key] = "keep"
    record = {"version": 1, "id": "abc", "template": "zbk", "pictures": pictures}
    (folder / "showcase.json").write_text(json.dumps(record))
    (folder / "marks.json").write_text(
        json.dumps({"kind": "lorasmith marks", "version": 1, "of": "abc", "marks": marks})
    )
