"""ComfyUI's graphs: `prompt` (what was run) and `workflow` (what was seen), as JSON in a PNG, or in EXIF of a WebP.

A graph can do anything. What is read is the road that most take: a checkpoint, LoRA files, two texts, one sampler over
empty latents and perhaps a second one over larger latents. Every other node is named as left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from lorasmith.generation.foreign.comfyui_graph import Graph, Node, read_prompt, read_workflow
from lorasmith.generation.foreign.reading import Items, Reader, Reading
from lorasmith.generation.foreign.values import integer, number
from lorasmith.generation.spec import Hires, PictureSpec
from lorasmith.prompts.networks import Network

#: ComfyUI's names (`comfy/samplers.py`, `SAMPLER_NAMES`) to ours, where they are the same.
SAMPLER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "euler": "Euler",
        "euler_ancestral": "Euler a",
        "heun": "Heun",
        "lms": "LMS",
        "dpmpp_2s_ancestral": "DPM++ 2S a",
        "dpmpp_sde": "DPM++ SDE",
        "dpmpp_sde_gpu": "DPM++ SDE",
        "dpmpp_2m": "DPM++ 2M",
        "dpmpp_2m_sde": "DPM++ 2M SDE",
        "dpmpp_2m_sde_gpu": "DPM++ 2M SDE",
        "dpmpp_3m_sde": "DPM++ 3M SDE",
        "dpmpp_3m_sde_gpu": "DPM++ 3M SDE",
        "lcm": "LCM",
        "ddim": "DDIM",
        "uni_pc": "UniPC",
    }
)
#: `SCHEDULER_NAMES` likewise. Its "beta" spreads timesteps, the web UI's and ours spread sigmas: not the same.
SCHEDULE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "normal": "Normal",
        "karras": "Karras",
        "exponential": "Exponential",
        "sgm_uniform": "SGM Uniform",
        "simple": "Simple",
        "ddim_uniform": "DDIM",
        "kl_optimal": "KL Optimal",
    }
)
UPSCALERS: Mapping[str, str] = MappingProxyType(
    {"nearest-exact": "Latent (nearest-exact)", "bilinear": "Latent", "bicubic": "Latent (bicubic)"}
)
SAMPLERS = ("KSampler", "KSamplerAdvanced")
EMPTY = ("EmptyLatentImage", "EmptySD3LatentImage")
#: Nodes without a part in what is drawn: ends, notes, and what only passes on.
IDLE = frozenset(
    {
        "SaveImage",
        "PreviewImage",
        "VAEDecode",
        "VAEDecodeTiled",
        "Note",
        "MarkdownNote",
        "Reroute",
        "PrimitiveNode",
        "SaveImageWebsocket",
    }
)
_TEXT_FIELDS = ("text", "string", "value", "prompt", "text_g", "wildcard_text", "populated_text")


def _read(items: Items) -> Reading | None:
    nodes = read_prompt(items.get("prompt")) or read_workflow(items.get("workflow"))
    return None if nodes is None else read_graph(nodes)


def read_graph(nodes: Mapping[str, Node]) -> Reading:
    """What a graph draws, as far as it takes the common road."""
    graph = Graph(nodes)
    entries = {
        f"{node.kind} {node.name}: {field}": str(value)
        for node in nodes.values()
        for field, value in node.inputs.items()
        if not isinstance(value, list | dict)
    }
    samplers = [node for node in nodes.values() if _samples(node)]
    samplers.sort(key=lambda node: len(_before(graph, node, samplers)))
    undone: list[str] = []
    spec, base, strength = PictureSpec(), None, None
    if samplers:
        first, *more = samplers
        spec, strength = _first_pass(graph, first, undone)
        if more and _larger(graph, more[0], first) is not None:
            spec = replace(spec, hires=_second_pass(graph, more.pop(0), first, undone))
        for node in more:
            undone.append(f"another sampler: {node.kind} {node.name}")
            graph.used.add(node.name)
        networks, base = _models(graph, first)
        spec = replace(spec, prompt=" ".join([spec.prompt, *map(str, networks)]).strip())
    else:
        undone.append("the graph has no sampler that is known here")
    left = [node for node in nodes.values() if node.name not in graph.used and node.kind not in IDLE]
    for kind in dict.fromkeys(node.kind for node in left):
        undone.append(f"the graph's {kind}")
    return Reading(
        tool="ComfyUI's graph",
        spec=spec,
        entries=entries,
        prompt=spec.prompt,
        negative=spec.negative,
        undone=tuple(dict.fromkeys(undone)),
        base=base,
        strength=strength,
    )


def _samples(node: Node) -> bool:
    fields = {"steps", "cfg", "sampler_name"} <= node.inputs.keys()
    return node.kind in SAMPLERS or (fields and "Detailer" not in node.kind)


def _before(graph: Graph, node: Node, samplers: list[Node]) -> list[Node]:
    """The samplers whose latents a sampler goes on from."""
    names = {each.name for each in samplers}
    return [each for each in _latents(graph, node) if each.name in names]


def _latents(graph: Graph, node: Node) -> Iterator[Node]:
    seen: set[str] = set()
    found = graph.behind(node, "latent_image")
    while found is not None and found.name not in seen:
        seen.add(found.name)
        yield found
        fields = ("samples", "latent_image", "latent", "pixels", "image")
        found = next(filter(None, (graph.behind(found, field) for field in fields)), None)


def _first_pass(graph: Graph, node: Node, undone: list[str]) -> tuple[PictureSpec, float | None]:
    graph.used.add(node.name)
    values: dict[str, Any] = {}
    seed = integer(graph.value(node, "seed" if "seed" in node.inputs else "noise_seed"))
    for name, value in (
        ("seed", seed),
        ("steps", integer(graph.value(node, "steps"))),
        ("cfg", number(graph.value(node, "cfg"))),
    ):
        if value is None:
            undone.append(f"its {name} is not told")
        else:
            values[name] = value
    for name, field, known in (("sampler", "sampler_name", SAMPLER_NAMES), ("schedule", "scheduler", SCHEDULE_NAMES)):
        said = graph.value(node, field)
        if said in known:
            values[name] = known[said]
        elif said is not None:
            undone.append(f"{field}: {said} (there is none; {getattr(PictureSpec(), name)} instead)")
    for field, whole in (("start_at_step", 0), ("end_at_step", 10_000)):
        at = integer(node.inputs.get(field))
        if at is not None and (at > whole if whole == 0 else at < (values.get("steps") or 0)):
            undone.append(f"{field}: {at}")
    start = next(iter(_latents(graph, node)), None)
    strength = None
    if start is not None and start.kind in EMPTY:
        graph.used.add(start.name)
        values |= {side: integer(graph.value(start, side)) for side in ("width", "height")}
    elif start is not None:
        strength = number(graph.value(node, "denoise")) or 1.0
        graph.used |= {each.name for each in _latents(graph, node) if each.kind in ("VAEEncode", "LoadImage")}
    texts = {
        name: _text(graph, node, field, undone) for name, field in (("prompt", "positive"), ("negative", "negative"))
    }
    if texts["prompt"] is None:
        undone.append("its prompt is not told")
    values |= {name: text or "" for name, text in texts.items()}
    skip = next((each for each in _texts(graph, node) if each.kind == "CLIPSetLastLayer"), None)
    layer = None if skip is None else integer(graph.value(skip, "stop_at_clip_layer"))
    if skip is not None and layer is not None and layer < 0:
        graph.used.add(skip.name)
        values["clip_skip"] = -layer
    return PictureSpec(**values), strength


def _texts(graph: Graph, node: Node) -> Iterator[Node]:
    encoder = graph.behind(node, "positive")
    return iter(()) if encoder is None else graph.chain(encoder, "clip")


def _text(graph: Graph, node: Node, field: str, undone: list[str]) -> str | None:
    """The text behind a sampler's conditioning: of the first encoder on the way. Square brackets are letters there."""
    seen: set[str] = set()
    found = graph.behind(node, field)
    while found is not None and found.name not in seen:
        seen.add(found.name)
        if "TextEncode" in found.kind:
            graph.used.add(found.name)
            text = _string(graph, found)
            if "text_l" in found.inputs and _string(graph, found, ("text_l",)) != text:
                undone.append("a text of its own for the first text encoder (text_l)")
            return None if text is None else re.sub(r"(?<!\\)[\[\]]", lambda found: f"\\{found[0]}", text)
        fields = (field, "conditioning", "conditioning_1", "conditioning_to")
        found = next(filter(None, (graph.behind(found, each) for each in fields)), None)
    return None


def _string(graph: Graph, node: Node, fields: tuple[str, ...] = _TEXT_FIELDS) -> str | None:
    seen: set[str] = set()
    found: Node | None = node
    while found is not None and found.name not in seen:
        seen.add(found.name)
        graph.used.add(found.name)
        for field in fields:
            value = found.inputs.get(field)
            if isinstance(value, str):
                return value
        found = next(filter(None, (graph.behind(found, field) for field in fields)), None)
        fields = _TEXT_FIELDS
    return None


def _models(graph: Graph, node: Node) -> tuple[list[Network], str | None]:
    """The LoRA files on the way to the sampler, and the checkpoint's name."""
    networks: list[Network] = []
    base = None
    for each in graph.chain(node, "model"):
        if each.kind in ("LoraLoader", "LoraLoaderModelOnly"):
            graph.used.add(each.name)
            strength = number(graph.value(each, "strength_model"))
            clip = number(graph.value(each, "strength_clip")) if "strength_clip" in each.inputs else 0.0
            name = _stem(graph.value(each, "lora_name"))
            networks.insert(0, Network(name, 1.0 if clip is None else clip, 1.0 if strength is None else strength))
        elif "ckpt_name" in each.inputs or "unet_name" in each.inputs:
            graph.used.add(each.name)
            base = _stem(graph.value(each, "ckpt_name") or graph.value(each, "unet_name"))
    return networks, base


def _stem(name: object) -> str:
    return PurePosixPath(str(name).replace("\\", "/")).stem


def _larger(graph: Graph, node: Node, first: Node) -> Node | None:
    """The node between two samplers that makes the first one's latents larger, if there is nothing else."""
    between: list[Node] = []
    for each in _latents(graph, node):
        if each.name == first.name:
            return between[0] if len(between) == 1 and between[0].kind in ("LatentUpscale", "LatentUpscaleBy") else None
        between.append(each)
    return None


def _second_pass(graph: Graph, node: Node, first: Node, undone: list[str]) -> Hires:
    larger = _larger(graph, node, first)
    assert larger is not None
    graph.used |= {node.name, larger.name}
    for field in ("sampler_name", "scheduler", "cfg"):
        said = graph.value(node, field)
        if said != graph.value(first, field):
            undone.append(f"the second pass's {field}: {said} (it has the first one's)")
    seed = graph.value(node, "seed")
    if seed != graph.value(first, "seed"):
        undone.append(f"the second pass's seed: {seed} (it has the first one's)")
    method = str(graph.value(larger, "upscale_method"))
    if method not in UPSCALERS:
        undone.append(f"upscale_method: {method} (there is none; {Hires().upscaler} instead)")
    texts = [_text(graph, node, field, undone) for field in ("positive", "negative")]
    own = [_text(graph, first, field, []) for field in ("positive", "negative")]
    denoise = number(graph.value(node, "denoise"))
    return Hires(
        scale=number(graph.value(larger, "scale_by")) or Hires().scale,
        width=integer(graph.value(larger, "width")) or None,
        height=integer(graph.value(larger, "height")) or None,
        steps=integer(graph.value(node, "steps")),
        denoising=1.0 if denoise is None else denoise,
        upscaler=UPSCALERS.get(method, Hires().upscaler),
        prompt=None if texts[0] == own[0] else texts[0],
        negative=None if texts[1] == own[1] else texts[1],
    )


READER = Reader("ComfyUI", 1, _read)
