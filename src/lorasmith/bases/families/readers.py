"""What other tools take of adapter files: by family the spellings and algorithms that each reads.

Sources: A1111's extensions-builtin/Lora/networks.py (names up to the first dot); ComfyUI's comfy/lora.py and
comfy/weight_adapter; diffusers 0.42.1's loaders/lora_pipeline.py and lora_conversion_utils.py (counted on tiny
pipelines, too); sd-scripts' networks; ai-toolkit's toolkit/network_mixins.py. A1111's algorithms are those of its
module types. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LORA = frozenset(("lora", "dora"))
"""Plain LoRAs, and DoRAs, of which a tool that has no more may drop the magnitudes."""
_LYCORIS = frozenset(("lora", "tucker", "dora", "biased", "loha", "lokr", "full", "norm", "oft", "boft", "glora"))
_ALL = _LYCORIS | {"ia3"}


@dataclass(frozen=True)
class Takes:
    """What a tool takes for a family: by spelling the algorithms; nothing of layers whose key has one of `but`.

    `refuses`: what makes it refuse the whole file: "others" an algorithm that it does not read, "alpha" one beside
    dotted names, "down" kohya's words under dotted names. What is refused only under some spelling is in `strict`.
    `text`: it loads text encoders' layers.
    """

    spellings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    but: tuple[tuple[str, str], ...] = ()
    refuses: frozenset[str] = frozenset()
    strict: frozenset[str] = frozenset()
    text: bool = True


NOTHING = Takes()
UNET_READERS: Mapping[str, Takes] = {
    "A1111": Takes({"kohya": _ALL}),
    "ComfyUI": Takes(
        {"kohya": _LYCORIS, "comfyui": _LYCORIS, "diffusers": LORA},
        but=(("diffusers", ".to_"),),  # its table has these under the names of diffusers' first files
    ),
    "diffusers": Takes(
        {"kohya": LORA, "diffusers": LORA},
        refuses=frozenset(("others", "alpha")),
        strict=frozenset(("kohya", "comfyui", "diffusers")),
    ),
    "sd-scripts": Takes({"kohya": _ALL}),
}
ANIMA_READERS: Mapping[str, Takes] = {
    "A1111": NOTHING,
    "ComfyUI": Takes({"kohya": _LYCORIS, "comfyui": _LYCORIS}),
    "diffusers": Takes(
        {"comfyui": frozenset(("lora",)), "diffusers": LORA},
        refuses=frozenset(("others", "alpha", "down")),
        strict=frozenset(("comfyui", "diffusers")),
        text=False,
    ),
    "sd-scripts": Takes({"kohya": frozenset(("lora",))}),
    "ai-toolkit": Takes({"comfyui": frozenset(("lora",)), "diffusers": frozenset(("lora",))}, text=False),
}
KLEIN_READERS: Mapping[str, Takes] = {
    "A1111": NOTHING,
    "ComfyUI": Takes({"diffusers": _LYCORIS, "lycoris": _LYCORIS}),
    "diffusers": Takes(
        {"diffusers": LORA},
        but=(("diffusers", ".lora_down."),),  # it takes such a file for kohya's, which has other names
        refuses=frozenset(("others", "alpha")),
        strict=frozenset(("diffusers",)),
        text=False,
    ),
}
ZIMAGE_READERS: Mapping[str, Takes] = {
    "A1111": NOTHING,
    "ComfyUI": Takes(
        {"kohya": _LYCORIS, "comfyui": _LYCORIS, "diffusers": LORA, "peft": LORA, "lycoris": _LYCORIS},
        but=(("kohya", "_attention_"),),  # its model has these three in one, under other names
    ),
    "diffusers": Takes(
        {"kohya": LORA, "comfyui": LORA | {"lokr"}, "diffusers": LORA},
        refuses=frozenset(("others",)),
        strict=frozenset(("kohya", "comfyui", "diffusers")),
        text=False,
    ),
    "ai-toolkit": Takes({"comfyui": frozenset(("lora",)), "diffusers": frozenset(("lora",))}, text=False),
}
