"""A ComfyUI graph: nodes with values and links, read from what was run (`prompt`) or what was seen (`workflow`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

#: The widgets of nodes in a `workflow`, by their order there; None is one that the graph does not have.
WIDGETS: Mapping[str, tuple[str | None, ...]] = MappingProxyType(
    {
        "KSampler": ("seed", None, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
        "CLIPTextEncode": ("text",),
        "EmptyLatentImage": ("width", "height", "batch_size"),
        "CheckpointLoaderSimple": ("ckpt_name",),
        "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
        "LoraLoaderModelOnly": ("lora_name", "strength_model"),
        "CLIPSetLastLayer": ("stop_at_clip_layer",),
        "LatentUpscale": ("upscale_method", "width", "height", "crop"),
        "LatentUpscaleBy": ("upscale_method", "scale_by"),
        "VAELoader": ("vae_name",),
        "LoadImage": ("image",),
    }
)


@dataclass(frozen=True)
class Node:
    """A node of a graph: what it is, and its inputs: values, or links [node, output]."""

    name: str
    kind: str
    inputs: Mapping[str, Any]


class Graph:
    """The nodes by name; `used` are those that were understood."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.used: set[str] = set()

    def behind(self, node: Node, field: str) -> Node | None:
        """The node that an input comes from, past those that only pass on."""
        seen: set[str] = set()
        found = self._linked(node.inputs.get(field))
        while found is not None and found.kind == "Reroute" and found.name not in seen:
            seen.add(found.name)
            found = next(filter(None, map(self._linked, found.inputs.values())), None)
        return found

    def _linked(self, value: object) -> Node | None:
        return self.nodes.get(str(value[0])) if isinstance(value, list) and len(value) == 2 else None

    def value(self, node: Node, field: str) -> Any:
        """An input's value, also where a node of one value gives it."""
        value = node.inputs.get(field)
        source = self._linked(value)
        if source is None:
            return None if isinstance(value, list | dict) else value
        self.used.add(source.name)
        plain = [each for each in source.inputs.values() if not isinstance(each, list | dict)]
        return plain[0] if len(plain) == 1 else None

    def chain(self, node: Node, field: str) -> Iterator[Node]:
        """The nodes behind an input, each by the input of the same name (model, clip)."""
        seen: set[str] = set()
        found = self.behind(node, field)
        while found is not None and found.name not in seen:
            seen.add(found.name)
            yield found
            found = self.behind(found, field)


def read_prompt(text: str | None) -> dict[str, Node] | None:
    """The nodes of a `prompt`; None for what is no graph."""
    document = _object(text)
    if document is None:
        return None
    found = {
        str(name): Node(str(name), str(node["class_type"]), node["inputs"])
        for name, node in document.items()
        if isinstance(node, dict) and "class_type" in node and isinstance(node.get("inputs"), dict)
    }
    return found or None


def read_workflow(text: str | None) -> dict[str, Node] | None:
    """The nodes of a `workflow`, whose widgets have an order and no names."""
    document = _object(text)
    if document is None or not isinstance(document.get("nodes"), list):
        return None
    links = {
        link[0]: [str(link[1]), link[2]]
        for link in document.get("links") or []
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[0], int)
    }
    found: dict[str, Node] = {}
    for node in document["nodes"]:
        if not isinstance(node, dict) or "type" not in node or node.get("mode") in (2, 4):  # muted, bypassed
            continue
        kind, widgets = str(node["type"]), node.get("widgets_values")
        names = WIDGETS.get(kind, ())
        inputs: dict[str, Any] = {}
        if isinstance(widgets, list):
            names = names or (("value",) if len(widgets) == 1 else ())
            inputs = {name: value for name, value in zip(names, widgets, strict=False) if name is not None}
        for each in node.get("inputs") or []:
            if isinstance(each, dict) and isinstance(each.get("link"), int) and each["link"] in links:
                inputs[str(each.get("name"))] = links[each["link"]]
        found[str(node.get("id"))] = Node(str(node.get("id")), kind, inputs)
    return found or None


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
