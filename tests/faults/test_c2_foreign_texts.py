"""C2: a foreign text is shown as it is written, and drawing it again says what it cannot do.

Sources: A1111 1.10, `modules/infotext_utils.py` (`parse_generation_parameters`, `restore_old_hires_fix_params`),
`modules/sd_samplers.py` (`get_sampler_and_scheduler`), `extensions-builtin/Lora/networks.py` (hashes and their
names), `modules/sd_models.py` (`model_hash`); ComfyUI, `nodes.py` (the nodes' inputs), `comfy/samplers.py` (names);
A1111, `modules/images.py` (`read_info_from_image`) for NovelAI's record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.header import addnet_hash
from lorasmith.bases.base import Base
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.hashing import hash_base
from lorasmith.cli.main import run
from lorasmith.generation.entries import read_entries
from lorasmith.generation.foreign import READERS, read_items
from lorasmith.generation.foreign.novelai import from_emphasis
from lorasmith.generation.foreign.reading import Reading
from lorasmith.generation.foreign.web_ui import read_text
from lorasmith.generation.pictures import read_picture
from lorasmith.generation.spec import Hires, PictureSpec
from tests.adapters.drawing import trained_adapter
from tests.faults.make_pictures import COMFY, END, TEXTS, make_pictures, write_picture

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    return make_pictures(tmp_path)


def redo(capsys: Capture, file: Path, *words: object, code: int = 0) -> dict[str, Any]:
    assert run(["picture", "redo", str(file), "--json", *map(str, words)]) == code, capsys.readouterr()
    shown = capsys.readouterr()
    found: dict[str, Any] = json.loads(shown.out) if code == 0 else json.loads(shown.err)["error"]
    return found


# What is shown


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "crlf"])
def test_every_entry_is_shown_as_it_is_written(name: str, pictures: dict[str, Path], capsys: Capture) -> None:
    assert run(["picture", "show", str(pictures[name])]) == 0
    shown = capsys.readouterr().out
    *prompt, last = TEXTS[name].split("\n")
    for line in prompt:
        assert line.removeprefix("Negative prompt: ") in shown
    entries = read_entries(last)
    assert entries or last in shown
    for key, value in entries.items():
        assert f"  {key}: {value}\n" in shown
    assert ", ".join(f"{key}: {value}" for key, value in entries.items()) in (last, "")


def test_other_tools_records_are_shown_as_they_are_written(pictures: dict[str, Path], capsys: Capture) -> None:
    assert run(["picture", "show", str(pictures["comfy"]), str(pictures["novelai"]), "--json"]) == 0
    comfy, novelai = (each["reading"] for each in json.loads(capsys.readouterr().out)["pictures"])
    assert comfy["entries"] == {
        "KSampler 3: seed": "9",
        "KSampler 3: steps": "4",
        "KSampler 3: cfg": "7.0",
        "KSampler 3: sampler_name": "euler",
    }
    assert novelai["prompt"] == "a hat"
    assert novelai["entries"] == {"steps": "4", "seed": "9", "sampler": "k_euler"}


def test_lists_in_a_value_are_one_value() -> None:
    last = TEXTS["resources"].split("\n")[-1]
    entries = read_entries(last)
    assert json.loads(entries["Civitai resources"])[0]["modelName"] == "A, b: c"
    assert list(entries)[-1] == "Civitai metadata"
    assert read_entries("Steps: 1, Seed: 2, Tiled Diffusion: {'Method': 'M, x: 1', \"a\": [1, 2]}, Version: v1")[
        "Tiled Diffusion"
    ].endswith("[1, 2]}")
    assert list(read_entries("Steps: 1, Seed: 2, a1: [open, b1: 3, c1: [1]")) == ["Steps", "Seed", "a1", "b1", "c1"]


# What is read, and what is not


def said(line: str, prompt: str = "zbk") -> Reading:
    return read_text(f"{prompt}\n{line}")


@pytest.mark.parametrize(
    ("written", "sampler", "schedule"),
    [
        ("DPM++ 2S a Karras", "DPM++ 2S a Karras", "Automatic"),
        ("DPM++ 3M SDE Exponential", "DPM++ 3M SDE Exponential", "Automatic"),
        ("DPM++ 2M SDE Exponential", "DPM++ 2M SDE", "Exponential"),
        ("Euler a SGM Uniform", "Euler a", "SGM Uniform"),
        ("LMS Karras", "LMS Karras", "Automatic"),
        ("Restart", "Restart", "Automatic"),
    ],
)
def test_old_names_of_samplers_are_read(written: str, sampler: str, schedule: str) -> None:
    reading = said(f"Steps: 4, Sampler: {written}, {END}")
    assert (reading.spec.sampler, reading.spec.schedule, reading.undone) == (sampler, schedule, ())


@pytest.mark.parametrize("schedule", ["Beta", "Align Your Steps", "KL Optimal"])
def test_schedules_are_read(schedule: str) -> None:
    reading = said(f"Steps: 4, Sampler: Euler, Schedule type: {schedule}, {END}")
    assert (reading.spec.schedule, reading.undone) == (schedule, ())


@pytest.mark.parametrize(
    ("entry", "undone"),
    [
        ("Sampler: DPM adaptive", "Sampler: DPM adaptive (there is none; DDIM instead)"),
        ("Schedule type: Turbo", "Schedule type: Turbo (there is none; Automatic instead)"),
        ("ENSD: 31337", "ENSD: 31337"),
        ("RNG: NV", "RNG: NV"),
        ("VAE: x.pt", "VAE: x.pt"),
        ("Face restoration: CodeFormer", "Face restoration: CodeFormer"),
        ("Refiner: sdxl, Refiner switch at: 0.8", "Refiner: sdxl|Refiner switch at: 0.8"),
        ("TI hashes: x", "TI hashes: x"),
        ("Emphasis: Ignore", "Emphasis: Ignore (not understood)"),
        ("Hires steps: 10", "Hires steps: 10 (a second pass whose size is not told)"),
        ("Hires upscaler: Latent", "Hires upscaler: Latent (a second pass whose size is not told)"),
        ("Hires upscale: 2, Hires upscaler: ESRGAN_4x", "Hires upscaler: ESRGAN_4x (there is none; Lanczos instead)"),
        ("Hires upscale: 2, Hires sampler: Heun", "Hires sampler: Heun (the second pass has the first one's)"),
        ("Hires upscale: 2, Hires CFG Scale: 5", "Hires CFG Scale: 5 (the second pass has the first one's)"),
        ("Mask blur: 4", "Mask blur: 4"),
        ("Some new thing: on", "Some new thing: on"),
    ],
)
def test_what_cannot_be_done_is_listed(entry: str, undone: str) -> None:
    begin = "" if entry.startswith("Sampler") else "Sampler: Euler, "
    assert said(f"Steps: 4, {begin}{END}, {entry}").undone == tuple(undone.split("|"))


@pytest.mark.parametrize(
    "entry",
    [
        "ENSD: 0",
        "RNG: CPU",
        "Hires upscale: 2, Hires upscaler: Latent, Hires sampler: Use same sampler",
        "Hires upscale: 2, Hires upscaler: Latent, Hires checkpoint: Use same checkpoint",
        "Hires upscale: 2, Hires upscaler: Lanczos, Hires sampler: Euler, Hires CFG Scale: 7.0",
        "Hires upscale: 2, Hires upscaler: Latent, Hires Module 1: Use same choices",
        "Hires upscale: 2, Hires upscaler: Latent, Hires schedule type: Use same scheduler",
        "Clip skip: 2, Eta: 0.5, Tiling: True, Variation seed: 4, Variation seed strength: 0.2",
        "Emphasis: No norm",
        "Civitai metadata: {}, Created Date: 2024-05-01T10:00:00.0Z, User: me",
    ],
)
def test_what_changes_nothing_is_not_listed(entry: str) -> None:
    assert said(f"Steps: 4, Sampler: Euler, {END}, {entry}").undone == ()


def test_an_old_second_pass_has_its_first(pictures: dict[str, Path]) -> None:
    """`restore_old_hires_fix_params`: the size is the second pass's; 0x0 is about 512x512 in steps of 64."""
    spec = read_picture(pictures["first_pass"]).spec
    assert spec is not None
    assert (spec.width, spec.height) == (128, 128)
    assert spec.hires == Hires(width=256, height=256, denoising=0.7, upscaler="Lanczos")
    wide = said("Steps: 4, Sampler: Euler, CFG scale: 7, Seed: 9, Size: 1024x576, First pass size: 0x0").spec
    assert (wide.width, wide.height) == (704, 384)
    assert wide.hires is not None
    assert (wide.hires.width, wide.hires.height) == (1024, 576)


def test_lines_may_end_as_in_windows(pictures: dict[str, Path]) -> None:
    spec = read_picture(pictures["crlf"]).spec
    assert spec is not None
    assert (spec.prompt, spec.negative, spec.steps) == ("zbk", "bad", 4)


def test_a_last_line_of_adapters_is_prompt(pictures: dict[str, Path]) -> None:
    spec = read_picture(pictures["loras_last"]).spec
    assert spec == PictureSpec(TEXTS["loras_last"])
    assert read_text("a: 1, masterpiece: 2, hair: 3").spec == PictureSpec("a: 1, masterpiece: 2, hair: 3")


def test_adapters_that_no_tag_calls_are_listed() -> None:
    line = f'Steps: 4, Sampler: Euler, {END}, Lora hashes: "a: 0123456789ab, b: ffffffffffff"'
    (lost,) = said(line, "x <lora:a:1>").undone
    assert lost.startswith('adapter "b"')
    (idle,) = said(line, "x <lora:a:1> <lora:b:1> <lora:c:1>").undone
    assert idle.startswith('adapter "c"')
    assert "lora" in said(TEXTS["resources"].split("\n")[-1]).undone[0]


# Drawing again


@pytest.mark.parametrize("name", ["hires_upscaler", "img2img", "adetailer", "resources", "forge", "comfy"])
def test_what_cannot_be_done_needs_a_yes(name: str, pictures: dict[str, Path], capsys: Capture) -> None:
    error = redo(capsys, pictures[name], "--base", doodle_folder(), code=6 if name == "forge" else 5)
    if name == "forge":
        assert "other weights: d9b5d2777c" in error["message"]
        return
    assert "leave out, or do otherwise:\n  - " in error["message"]
    assert error["hint"] == "Draw it all the same with --yes."
    assert run(["picture", "redo", str(pictures[name]), "--base", "doodle", "--yes", "--out", "out"]) == 0
    shown = capsys.readouterr()
    assert "not as it was: " in shown.err
    assert Path("out/picture-0001.png").is_file()


@pytest.mark.parametrize("name", ["named_model", "sampler_unknown", "first_pass", "crlf", "novelai"])
def test_what_can_be_done_needs_none(name: str, pictures: dict[str, Path], capsys: Capture) -> None:
    words = [] if name == "named_model" else ["--base", "doodle"]
    answer = redo(capsys, pictures[name], *words)
    assert not answer["same"]
    with Image.open(answer["path"]) as drawn:
        assert drawn.size == ((256, 256) if name == "first_pass" else (128, 128))


def test_the_model_s_name_means_the_embedded_base(pictures: dict[str, Path], capsys: Capture) -> None:
    assert hash_base(doodle_folder()).startswith("b7234a4449")
    redo(capsys, pictures["named_model"])
    error = redo(capsys, pictures["wrong_model"], code=6)
    assert "other weights: ffffffffff, this base has b7234a4449" in error["message"]
    assert "other weights" in redo(capsys, pictures["wrong_model"], "--yes", code=6)["message"], "no yes helps"
    assert "Say with --base" in redo(capsys, pictures["img2img"], code=6)["hint"]


def test_a_hash_of_a_file_says_nothing_of_a_folder(
    pictures: dict[str, Path], tiny_base_folder: Path, capsys: Capture
) -> None:
    text = "red\nSteps: 1, Sampler: Euler, CFG scale: 7, Seed: 9, Size: 64x64, Model hash: {}, Model: some"
    file = write_picture(pictures["comfy"].with_name("theirs.png"), {"parameters": text.format("0123456789")})
    error = redo(capsys, file, "--base", tiny_base_folder, code=5)
    assert "Model hash: 0123456789 (of a file" in error["message"]
    redo(capsys, file, "--base", tiny_base_folder, "--yes")
    own = hash_base(tiny_base_folder)[:10]
    redo(capsys, write_picture(file, {"parameters": text.format(own)}), "--base", tiny_base_folder)


def test_a_hash_that_names_another_adapter_is_an_error(
    pictures: dict[str, Path], tiny_base: Base, tiny_base_folder: Path, capsys: Capture
) -> None:
    folder = pictures["wrong_hash"].parent / "adapters"
    right = folder / "zbk.safetensors"
    save_adapter(right, trained_adapter(tiny_base), torch.float32)
    words = ("--base", tiny_base_folder, "--adapters", folder)
    for more in ((), ("--yes",)):
        error = redo(capsys, pictures["wrong_hash"], *words, *more, code=5)
        assert 'another adapter "zbk": 0123456789ab' in error["message"]
        assert "--adapters" in error["hint"]
    text = TEXTS["wrong_hash"].replace("0123456789ab", addnet_hash(right)[:12]).replace("128x128", "64x64")
    file = write_picture(pictures["wrong_hash"], {"parameters": text})
    redo(capsys, file, *words)
    # By the hash that its header tells, as the web UI renames tags when a text is pasted.
    right.rename(folder / "other.safetensors")
    answer = redo(capsys, file, *words)
    spec = read_picture(answer["path"]).spec
    assert spec is not None
    assert spec.prompt == "zbk <lora:other:0.8>"


def test_a_start_that_is_given_is_drawn_over(pictures: dict[str, Path], capsys: Capture) -> None:
    Image.effect_noise((128, 128), 90).convert("RGB").save("start.png")
    answer = redo(capsys, pictures["img2img"], "--base", "doodle", "--init", "start.png")
    document = read_picture(answer["path"]).document
    assert document is not None
    assert document["request"]["init"]["strength"] == 0.6


# ComfyUI


Node = dict[str, Any]


def node(kind: str, **inputs: object) -> Node:
    return {"class_type": kind, "inputs": inputs}


def changed(name: str, **inputs: object) -> dict[str, Node]:
    """A node of the graph with other inputs."""
    return {name: node(GRAPH[name]["class_type"], **{**GRAPH[name]["inputs"], **inputs})}


GRAPH: Mapping[str, Node] = {
    "4": node("CheckpointLoaderSimple", ckpt_name="sub/doodle.safetensors"),
    "10": node(
        "LoraLoader",
        lora_name="x\\zbk.safetensors",
        strength_model=0.8,
        strength_clip=0.5,
        model=["4", 0],
        clip=["4", 1],
    ),
    "11": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["10", 1]),
    "5": node("EmptyLatentImage", width=96, height=128, batch_size=1),
    "6": node("CLIPTextEncode", text="a hat [red] (big:1.2)", clip=["11", 0]),
    "7": node("CLIPTextEncode", text="ugly", clip=["11", 0]),
    "3": node(
        "KSampler",
        seed=9,
        steps=4,
        cfg=7.5,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        denoise=1.0,
        model=["10", 0],
        positive=["6", 0],
        negative=["7", 0],
        latent_image=["5", 0],
    ),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
}


def comfy(changes: Mapping[str, Node]) -> Reading:
    reading = read_items({"prompt": json.dumps({**GRAPH, **changes})})
    assert reading is not None
    return reading


def test_a_common_graph_is_read() -> None:
    reading = comfy({})
    assert reading.spec == PictureSpec(
        r"a hat \[red\] (big:1.2) <lora:zbk:0.5:0.8>",
        "ugly",
        seed=9,
        steps=4,
        cfg=7.5,
        sampler="DPM++ 2M",
        schedule="Karras",
        width=96,
        height=128,
        clip_skip=2,
    )
    assert (reading.undone, reading.base, reading.strength) == ((), "doodle", None)
    assert reading.entries["KSampler 3: sampler_name"] == "dpmpp_2m"


def test_a_graph_s_second_pass_is_read() -> None:
    second = node(
        "KSampler",
        seed=9,
        steps=6,
        cfg=7.5,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        denoise=0.5,
        model=["10", 0],
        positive=["6", 0],
        negative=["7", 0],
        latent_image=["12", 0],
    )
    larger = node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=1.5, samples=["3", 0])
    reading = comfy({"12": larger, "13": second})
    assert reading.undone == ()
    assert reading.spec.hires == Hires(1.5, steps=6, denoising=0.5, upscaler="Latent (nearest-exact)")


@pytest.mark.parametrize(
    ("changes", "undone"),
    [
        ({"20": node("ControlNetApply", strength=1.0, conditioning=["6", 0])}, "the graph's ControlNetApply"),
        ({"21": node("VAELoader", vae_name="x.pt")}, "the graph's VAELoader"),
        (
            changed("3", sampler_name="res_multistep"),
            "sampler_name: res_multistep (there is none; DDIM instead)",
        ),
        (
            changed("3", scheduler="beta"),
            "scheduler: beta (there is none; Automatic instead)",
        ),
    ],
)
def test_what_a_graph_has_beside_is_listed(changes: Mapping[str, Node], undone: str) -> None:
    assert comfy(changes).undone == (undone,)


def test_a_graph_over_a_picture_asks_for_it() -> None:
    over = {
        **changed("3", latent_image=["31", 0], denoise=0.6),
        "31": node("VAEEncode", pixels=["30", 0], vae=["4", 2]),
        "30": node("LoadImage", image="in.png"),
    }
    reading = comfy(over)
    assert reading.strength == 0.6
    assert reading.undone == ("the graph's EmptyLatentImage",)


def test_a_workflow_alone_is_read_too() -> None:
    """The page's own form: widgets by their order, links by number."""
    nodes = [
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["m.safetensors"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [64, 96, 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a hat"], "inputs": [{"name": "clip", "link": 2}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["bad"], "inputs": [{"name": "clip", "link": 3}]},
        {
            "id": 3,
            "type": "KSampler",
            "widgets_values": [9, "randomize", 4, 7, "euler_ancestral", "normal", 1],
            "inputs": [
                {"name": "model", "link": 1},
                {"name": "positive", "link": 4},
                {"name": "negative", "link": 5},
                {"name": "latent_image", "link": 6},
            ],
        },
        {"id": 8, "type": "VAEDecode"},
        {"id": 9, "type": "FaceThing", "mode": 4},
    ]
    links = [[1, 4, 0, 3, 0, "MODEL"], [2, 4, 1, 6, 0, "CLIP"], [3, 4, 1, 7, 0, "CLIP"]]
    links += [[4, 6, 0, 3, 1, "C"], [5, 7, 0, 3, 2, "C"], [6, 5, 0, 3, 3, "LATENT"]]
    reading = read_items({"workflow": json.dumps({"nodes": nodes, "links": links})})
    assert reading is not None
    assert (reading.undone, reading.base) == ((), "m")
    assert reading.spec == PictureSpec(
        "a hat", "bad", seed=9, steps=4, cfg=7.0, sampler="Euler a", schedule="Normal", width=64, height=96
    )


def test_graphs_in_a_webp_s_exif_are_read(tmp_path: Path) -> None:
    """ComfyUI, `comfy_extras/nodes_images.py`: maker and model of the camera hold them."""
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{COMFY}"
    exif[0x010F] = 'workflow:{"nodes": []}'
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", exif=exif.tobytes())
    found = read_picture(tmp_path / "a.webp")
    assert found.reading is not None
    assert found.reading.spec.seed == 9


# NovelAI


def test_novelai_s_record_is_read() -> None:
    record = {
        "prompt": "1girl, {hat}",
        "uc": "[bad]",
        "steps": 28,
        "height": 128,
        "width": 96,
        "scale": 5.0,
        "uncond_scale": 0.0,
        "cfg_rescale": 0.0,
        "seed": 7,
        "n_samples": 1,
        "sampler": "k_euler_ancestral",
        "noise_schedule": "karras",
        "sm": False,
        "request_type": "PromptGenerateRequest",
        "signed_hash": "x",
    }
    reading = read_items({"Software": "NovelAI", "Source": "NAI X", "Description": "d", "Comment": json.dumps(record)})
    assert reading is not None
    assert reading.spec == PictureSpec(
        "1girl, (hat:1.05)",
        "(bad:0.952381)",
        seed=7,
        steps=28,
        cfg=5.0,
        sampler="Euler a",
        schedule="Karras",
        width=96,
        height=128,
    )
    assert (reading.prompt, reading.undone, reading.base) == ("1girl, {hat}", (), "NAI X")
    more = {**record, "sm": True, "cfg_rescale": 0.4, "sampler": "ddim_v3"}
    reading = read_items({"Comment": json.dumps(more)})
    assert reading is not None
    assert reading.undone == ("sampler: ddim_v3 (there is none; DDIM instead)", "cfg_rescale: 0.4", "sm: true")
    over = {**record, "request_type": "Img2ImgRequest", "strength": 0.7, "noise": 0}
    reading = read_items({"Comment": json.dumps(over)})
    assert reading is not None
    assert reading.strength == 0.7


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("{{a}} [b]", "((a:1.05):1.05) (b:0.952381)"),
        ("(a) b", r"\(a\) b"),
        ("1.3::a, b:: c", "(a, b:1.3) c"),
        ("-1::a::", "(a:-1)"),
    ],
)
def test_novelai_s_emphasis_is_ours(theirs: str, ours: str) -> None:
    undone: list[str] = []
    assert (from_emphasis(theirs, undone), undone) == (ours, [])


@pytest.mark.parametrize("theirs", ["{a", "{a [b} c]", "a}", "a | b", "1.2::a"])
def test_what_novelai_s_prompts_say_beyond_ours_is_told(theirs: str) -> None:
    undone: list[str] = []
    from_emphasis(theirs, undone)
    assert len(undone) == 1


# Anything


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({field for each in GRAPH.values() for field in each["inputs"]} | {"sampler", "uc", "v4_prompt"})
DOCUMENTS = st.dictionaries(st.sampled_from([*GRAPH, *FIELDS]), JSON, max_size=6)
NODES = st.dictionaries(
    st.sampled_from(list(GRAPH)),
    st.fixed_dictionaries(
        {
            "class_type": st.sampled_from([str(each["class_type"]) for each in GRAPH.values()]),
            "inputs": st.dictionaries(
                st.sampled_from(FIELDS), JSON | st.tuples(st.sampled_from(list(GRAPH)), st.just(0)), max_size=6
            ),
        }
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["prompt", "workflow", "Comment"]), DOCUMENTS | NODES | JSON)
def test_no_document_stops_the_reading(name: str, document: Any) -> None:
    assert len(READERS) == 3
    reading = read_items({name: json.dumps(document)})
    assert reading is None or isinstance(reading.spec, PictureSpec)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="Steps: 1, \"[]{}\\'x\n", max_size=200))
def test_no_text_stops_the_reading(text: str) -> None:
    read_text(f"a\nSteps: 4, Sampler: Euler, Seed: 3, {text}")


def test_a_long_line_is_read_in_one_go() -> None:
    for piece in ("aa: [, ", 'aa: "x, ', "aa: {'x, ", "aa, ", "aa:b, "):
        line = "Steps: 1, Seed: 2, Size: 8x8, " + piece * 30_000
        assert read_entries(line)["Seed"] == "2"


def test_every_reader_is_named() -> None:
    assert all(re.fullmatch(r"[\w ]+", name) for name in READERS)
