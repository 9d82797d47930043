"""Pictures with other tools' texts: what A1111's web UI and its forks, ComfyUI and NovelAI write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, PngImagePlugin

SIZE = (128, 128)
END = "CFG scale: 7, Seed: 9, Size: 128x128"
#: A1111's `parameters` by the name of the case.
TEXTS: Mapping[str, str] = {
    "sampler_unknown": f"zbk\nSteps: 4, Sampler: DPM++ 2S a Karras, {END}",
    "hires_upscaler": (
        f"zbk\nSteps: 4, Sampler: Euler, {END}, Denoising strength: 0.45, Hires upscale: 2, Hires steps: 2, "
        "Hires upscaler: 4x-UltraSharp"
    ),
    "wrong_hash": f'zbk <lora:zbk:0.8>\nSteps: 4, Sampler: Euler, {END}, Lora hashes: "zbk: 0123456789ab"',
    "wrong_model": f"zbk\nSteps: 4, Sampler: Euler, {END}, Model hash: ffffffffff, Model: doodle",
    "named_model": f"zbk\nSteps: 4, Sampler: Euler, {END}, Model hash: b7234a4449, Model: doodle",
    "img2img": f"zbk\nSteps: 4, Sampler: Euler, {END}, Denoising strength: 0.6",
    "first_pass": (
        "zbk\nSteps: 4, Sampler: Euler a, CFG scale: 7, Seed: 9, Size: 256x256, Denoising strength: 0.7, "
        "First pass size: 128x128"
    ),
    "crlf": f"zbk\r\nNegative prompt: bad\r\nSteps: 4, Sampler: Euler, {END}",
    "loras_last": "a hat, a dog,\n<lora: one:1>, <lora: two:1>, <lora: three:1>, the end",
    "adetailer": (
        f'a face, "quoted: text"\nNegative prompt: ugly\nSteps: 4, Sampler: Euler, {END}, Model: "my, model: v2", '
        'ADetailer model: face_yolov8n.pt, ADetailer prompt: "a face\\nline two", Version: v1.9.4'
    ),
    "resources": (
        f"a cat\nSteps: 4, Sampler: Euler, {END}, Civitai resources: "
        '[{"type":"lora","weight":0.8,"modelVersionId":1,"modelName":"A, b: c"}], Civitai metadata: {}'
    ),
    "forge": (
        "zbk\nSteps: 4, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 9, "
        "Size: 128x128, Model hash: d9b5d2777c, Version: f2.0.1"
    ),
}
COMFY = '{"3": {"class_type": "KSampler", "inputs": {"seed": 9, "steps": 4, "cfg": 7.0, "sampler_name": "euler"}}}'
NOVELAI = '{"prompt": "a hat", "steps": 4, "seed": 9, "sampler": "k_euler"}'


def write_picture(path: Path, texts: Mapping[str, str], size: tuple[int, int] = SIZE) -> Path:
    """A grey PNG with these texts, each in a chunk of its name."""
    chunks = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        chunks.add_itxt(name, text)
    Image.new("RGB", size, "gray").save(path, pnginfo=chunks)
    return path


def make_pictures(folder: Path) -> dict[str, Path]:
    """All the cases' pictures, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: write_picture(folder / f"{name}.png", {"parameters": text}) for name, text in TEXTS.items()}
    found["comfy"] = write_picture(folder / "comfy.png", {"prompt": COMFY, "workflow": '{"nodes": []}'})
    found["novelai"] = write_picture(folder / "novelai.png", {"Comment": NOVELAI})
    return found
