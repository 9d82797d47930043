"""Adapter tags (U1): ``<lora:NAME>``, ``<lora:NAME:0.8>``, ``<lora:NAME:te=0.5:unet=1>``; ``<lyco:...>`` too."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from lorasmith.errors import PromptError, did_you_mean
from lorasmith.prompts.compatibility import Compat

KINDS = ("lora", "lyco")
ITEMS = ("te", "unet", "dyn")
_TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclass(frozen=True)
class Network:
    """One adapter that a prompt calls.

    `te` and `unet` are the strengths in the text encoders and in the denoiser; `dyn`, when given, keeps only the
    first `dyn` ranks of a plain LoRA at its full scale.
    """

    name: str
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None


@dataclass(frozen=True)
class Tags:
    """A prompt taken apart: its text without any tag, the adapters in order, and kinds of tags nobody knows."""

    text: str
    networks: tuple[Network, ...]
    unknown: tuple[str, ...]


def split_networks(text: str, compat: Compat = None) -> Tags:
    """Take the adapter tags out of `text`; what is around them stays to the letter.

    Repeats of one adapter (same name and `dyn`) sum. Raises PromptError for a strength that is not a number; with
    ``compat="a1111"`` that drops every adapter instead, as that tool does.
    """
    networks: list[Network] = []
    unknown: list[str] = []
    broken = False
    for tag in _tags(text):
        kind, items = tag.group(1), tag.group(2).split(":")
        if kind not in KINDS:
            unknown.append(tag.group(0))
            continue
        try:
            networks.append(_read_items(tag.group(0), items, compat))
        except PromptError:
            if compat is None:
                raise
            broken = True
    if broken:
        networks = []
    if compat is None:
        networks = _sum_repeats(networks)
    return Tags(_without_tags(text), tuple(networks), tuple(unknown))


def unknown_tag_error(tag: str) -> PromptError:
    """The error for a tag of a kind that we do not have, such as ``<LORA:x>``."""
    kind = tag[1:].split(":", 1)[0]
    hint = did_you_mean(kind, KINDS) or f"Known tags: {', '.join(f'<{known}:...>' for known in KINDS)}."
    return PromptError(f"{tag}: unknown kind of tag.", where="prompt", hint=hint)


def _tags(text: str) -> list[re.Match[str]]:
    # NOTE: a "<" that no ">" follows would make the pattern scan to the end again and again: stop at the last ">".
    return list(_TAG.finditer(text, 0, text.rfind(">") + 1))


def _without_tags(text: str) -> str:
    kept, position = [], 0
    for tag in _tags(text):
        kept.append(text[position : tag.start()])
        position = tag.end()
    kept.append(text[position:])
    return "".join(kept)


def _read_items(tag: str, items: list[str], compat: Compat) -> Network:
    positional: list[str] = []
    named: dict[str, str] = {}
    for index, item in enumerate(items):
        key, equals, value = item.partition("=")
        is_named = equals and "=" not in value and (compat == "a1111" or index > 0)
        if is_named:
            named[key] = value
        else:
            positional.append(item)
    if compat is None:
        _refuse_surplus(tag, positional, named)
    te = _number(tag, positional[1]) if len(positional) > 1 else 1.0
    te = _number(tag, named["te"]) if "te" in named else te
    unet = _number(tag, positional[2]) if len(positional) > 2 else te
    unet = _number(tag, named["unet"]) if "unet" in named else unet
    dyn = _rank(tag, positional[3]) if len(positional) > 3 else None
    dyn = _rank(tag, named["dyn"]) if "dyn" in named else dyn
    return Network(positional[0] if positional else "", te, unet, dyn)


def _refuse_surplus(tag: str, positional: list[str], named: dict[str, str]) -> None:
    for key in named:
        if key not in ITEMS:
            hint = did_you_mean(key, ITEMS) or f"Known: {', '.join(f'{known}=' for known in ITEMS)}."
            raise PromptError(f'{tag}: unknown item "{key}=".', where="prompt", hint=hint)
    if len(positional) > 4:
        raise PromptError(
            f"{tag}: more than name, text-encoder strength, denoiser strength and ranks.",
            where="prompt",
            hint="Write <lora:NAME:0.8>, or <lora:NAME:te=0.5:unet=0.8>.",
        )


def _number(tag: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PromptError(
            f'{tag}: the strength "{text}" is not a number.',
            where="prompt",
            hint="Write for example <lora:NAME:0.8>.",
        )
    return value


def _rank(tag: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise PromptError(f'{tag}: dyn "{text}" is not a whole number of ranks from 1.', where="prompt")
    return value


def _sum_repeats(networks: list[Network]) -> list[Network]:
    summed: dict[tuple[str, int | None], Network] = {}
    for network in networks:
        key = (network.name, network.dyn)
        seen = summed.get(key)
        summed[key] = network if seen is None else replace(seen, te=seen.te + network.te, unet=seen.unet + network.unet)
    return list(summed.values())
