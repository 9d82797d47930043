"""Adapter tags (U1): ``<lora:NAME>``, ``<lora:NAME:0.8>``, ``<lora:NAME:te=0.5:unet=1>``; ``<lyco:...>`` too.

| item | meaning |
| --- | --- |
| first | the name |
| second, `te=` | strength in the text encoders, 1 if left out |
| third, `unet=` | strength in the denoiser, that of the text encoders if left out |
| fourth, `dyn=` | only the first so many ranks of a plain LoRA |
| `0@0,1@0.5,0@1` as a strength | the denoiser's strength runs in straight lines through these values |
| `start=`, `end=` (`stop=`), `step=3-8` | the steps in which the denoiser has it |
| `lbw=1,0,...` or `lbw=MIDD` | a strength for each block: 12, 17, 20 or 26 of them, or a preset |
| `in=`, `mid=`, `out=` | strengths of the denoiser's three parts |
| `apart=WORDS` | it is told these words and acts by itself: what it makes of them is added to what the others draw |

A moment with "." is a fraction of the steps, without it is a step, as in prompt editing. ``<base:WORDS>`` is no adapter
and stays where it stands (`borrowing`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lorasmith.errors import PromptError, did_you_mean
from lorasmith.prompts.borrowing import KIND as BORROWING
from lorasmith.prompts.compatibility import Compat

KINDS = ("lora", "lyco")
ITEMS = ("te", "unet", "dyn", "start", "end", "stop", "step", "lbw", "in", "mid", "out", "apart")
CORE_ITEMS = ("te", "unet", "dyn")
#: How many weights `lbw=` may list, by what the families of bases that are known have layouts of.
BLOCK_COUNTS = {12, 17, 20, 26}
#: Named block weights for SD 1: text encoders, six IN, one MID, nine OUT blocks.
BLOCK_PRESETS: Mapping[str, str] = {
    "NONE": "00000000000000000",
    "ALL": "11111111111111111",
    "INS": "11100000000000000",
    "IND": "10001110000000000",
    "INALL": "11111110000000000",
    "MIDD": "10001111111100000",
    "OUTD": "10000000111100000",
    "OUTS": "10000000000011111",
    "OUTALL": "10000000111111111",
}
#: Beyond it a product with a block's weight is no number of 32 bits.
MOST_STRENGTH = 1e18
_TAG = re.compile(r"<(\w+):([^>]+)>")
_MOMENT = re.compile(r"\s*(\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})\s*")


@dataclass(frozen=True)
class Moment:
    """A point of a picture's making: a step, or with `is_fraction` a share of the steps."""

    value: float
    is_fraction: bool = False

    def step(self, steps: int) -> float:
        """As a number of steps that are done, 0 to `steps`."""
        return min(float(steps), self.value * steps if self.is_fraction else self.value)

    def __str__(self) -> str:
        return repr(self.value) if self.is_fraction else str(int(self.value))


@dataclass(frozen=True)
class Network:
    """One adapter that a prompt calls.

    `te` and `unet` are the strengths in the text encoders and in the denoiser; `dyn`, when given, keeps only the
    first `dyn` ranks of a plain LoRA at its full scale. `curve` are moments and the denoiser's strengths there
    (`unet` is then the strongest of them); `start` and `end` bound the steps that have it; `blocks` are factors for
    the blocks in the order of `BLOCK_COUNTS`' layouts, empty for none. `apart` are words that this adapter alone is
    told, "" for one that acts with the others.
    """

    name: str
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None
    curve: tuple[tuple[Moment, float], ...] = ()
    start: Moment | None = None
    end: Moment | None = None
    blocks: tuple[float, ...] = ()
    apart: str = ""

    @property
    def is_steady(self) -> bool:
        """Whether the denoiser's strength is one number for all steps and blocks."""
        return not (self.curve or self.start or self.end or self.blocks)

    def unet_at(self, step: int, steps: int) -> float:
        """The denoiser's strength in a step, 1 to `steps`, before the factors of the blocks.

        It acts in the steps behind `start` up to and with `end`. A curve runs straight from moment to moment and is
        level outside of them; step s stands at s - 1 steps done.
        """
        if self.start is not None and step <= int(self.start.step(steps)):
            return 0.0
        if self.end is not None and step > int(self.end.step(steps)):
            return 0.0
        if not self.curve:
            return self.unet
        done = float(step - 1)
        points = sorted((moment.step(steps), value) for moment, value in self.curve)
        before = [point for point in points if point[0] <= done]
        after = [point for point in points if point[0] > done]
        if not before or not after:
            return points[0][1] if not before else points[-1][1]
        (x0, y0), (x1, y1) = before[-1], after[0]
        return y0 + (y1 - y0) * (done - x0) / (x1 - x0)

    def __str__(self) -> str:
        """The tag that says this."""
        items = [f"lora:{self.name}"]
        if self.curve:
            items += [f"te={self.te!r}", f"unet={_print_curve(self.curve)}"]
        elif self.te != self.unet:
            items += [repr(self.te), repr(self.unet)]
        elif self.te != 1.0 or "=" in self.name:
            items.append(repr(self.te))
        if self.dyn is not None:
            items.append(f"dyn={self.dyn}")
        if self.start is not None:
            items.append(f"start={self.start}")
        if self.end is not None:
            items.append(f"end={self.end}")
        if self.blocks:
            items.append(f"lbw={','.join(map(repr, self.blocks))}")
        if self.apart:
            items.append(f"apart={self.apart}")
        return f"<{':'.join(items)}>"


@dataclass(frozen=True)
class Tags:
    """A prompt taken apart: its text without tags (but those that borrow), the adapters in order, and kinds of tags
    that nobody knows."""

    text: str
    networks: tuple[Network, ...]
    unknown: tuple[str, ...]
    compat: Compat = None

    def __str__(self) -> str:
        """A prompt that says the same. The tags stand in front, unless one is needed to keep two texts apart."""
        tags = [*map(str, self.networks), *self.unknown]
        # Text around a tag may look like a tag once that is gone; there a tag goes back in.
        formed = _tags(self.text, self.compat)
        lead = max(0, len(tags) - len(formed))
        pieces, position = tags[:lead], 0
        for match, tag in zip(formed, tags[lead:], strict=False):
            pieces += [self.text[position : match.start() + 1], tag]
            position = match.start() + 1
        return "".join([*pieces, self.text[position:]])


def split_networks(text: str, compat: Compat = None) -> Tags:
    """Take the adapter tags out of `text`; what is around them stays to the letter.

    Repeats of one adapter (same in all but constant strengths) sum. Raises PromptError for a strength that is not a
    number; with ``compat="a1111"`` that drops every adapter instead, as that tool does.
    """
    networks: list[Network] = []
    unknown: list[str] = []
    broken = False
    for tag in _tags(text, compat):
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
    return Tags(_without_tags(text, compat), tuple(networks), tuple(unknown), compat)


def unknown_tag_error(tag: str) -> PromptError:
    """The error for a tag of a kind that we do not have, such as ``<LORA:x>``."""
    kind = tag[1:].split(":", 1)[0]
    known = (*KINDS, BORROWING)
    hint = did_you_mean(kind, known) or f"Known tags: {', '.join(f'<{each}:...>' for each in known)}."
    return PromptError(f"{tag}: unknown kind of tag.", where="prompt", hint=hint)


def _tags(text: str, compat: Compat) -> list[re.Match[str]]:
    """All tags but those that borrow; A1111's web UI knows none of these."""
    # NOTE: a "<" that no ">" follows would make the pattern scan to the end again and again: stop at the last ">".
    found = _TAG.finditer(text, 0, text.rfind(">") + 1)
    return [tag for tag in found if compat is not None or tag.group(1) != BORROWING]


def _without_tags(text: str, compat: Compat) -> str:
    kept, position = [], 0
    for tag in _tags(text, compat):
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
            named[key if compat == "a1111" else key.strip()] = value
        else:
            positional.append(item)
    if compat is None:
        _refuse_surplus(tag, positional, named)
    else:
        named = {key: value for key, value in named.items() if key in CORE_ITEMS}
    first = positional[1] if len(positional) > 1 else "1"
    second = named.get("unet", positional[2] if len(positional) > 2 else None)
    curve: tuple[tuple[Moment, float], ...] = ()
    if compat is None and "@" in (second if second is not None else first):
        curve = _read_curve(tag, first if second is None else second)
    peak = max((value for _, value in curve), key=abs) if curve else None
    if "te" in named:
        te = _number(tag, named["te"])
    else:
        te = peak if peak is not None and (second is None or len(positional) < 2) else _number(tag, first)
    unet = peak if peak is not None else te if second is None else _number(tag, second)
    for item in positional[1:3]:
        if "@" not in item or compat is not None:
            _number(tag, item)  # a wrong strength is told even where another one takes its place
    dyn = _rank(tag, positional[3]) if len(positional) > 3 else None
    dyn = _rank(tag, named["dyn"]) if "dyn" in named else dyn
    start, end = _read_window(tag, named)
    name = positional[0] if positional else ""
    blocks = _read_blocks(tag, named)
    apart = named.get("apart", "").strip()
    if "apart" in named and not apart:
        raise _no_words(tag, name)
    return Network(name if compat == "a1111" else name.strip(), te, unet, dyn, curve, start, end, blocks, apart)


def _refuse_surplus(tag: str, positional: list[str], named: dict[str, str]) -> None:
    for key in named:
        if key not in ITEMS:
            hint = did_you_mean(key, ITEMS) or f"Known: {', '.join(f'{known}=' for known in ITEMS)}."
            raise PromptError(f'{tag}: unknown item "{key}=".', where="prompt", hint=hint)
    if any(item.strip() == "apart" for item in positional[1:]):
        raise _no_words(tag, positional[0].strip())
    if len(positional) > 4:
        raise PromptError(
            f"{tag}: more than name, text-encoder strength, denoiser strength and ranks.",
            where="prompt",
            hint="Write <lora:NAME:0.8>, or <lora:NAME:te=0.5:unet=0.8>.",
        )


def _no_words(tag: str, name: str) -> PromptError:
    return PromptError(
        f"{tag}: no words for the adapter that acts apart.",
        where="prompt",
        hint=f"Give it its trigger: <lora:{name}:0.8:apart=TRIGGER>.",
    )


def _read_curve(tag: str, text: str) -> tuple[tuple[Moment, float], ...]:
    points = []
    for part in text.split(","):
        value, _, moment = part.partition("@")
        points.append((_read_moment(tag, moment), _number(tag, value)))
    return tuple(points)


def _read_moment(tag: str, text: str) -> Moment:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise PromptError(
            f'{tag}: "{text}" is no moment.',
            where="prompt",
            hint="Write a step such as 5, or a fraction of the steps such as 0.25.",
        )
    return Moment(float(match[1]), "." in match[1])


def _read_window(tag: str, named: Mapping[str, str]) -> tuple[Moment | None, Moment | None]:
    start, end = named.get("start"), named.get("end", named.get("stop"))
    if "step" in named:
        first, dash, last = named["step"].partition("-")
        start, end = start or first, end or (last if dash else None)
    return (
        None if start is None else _read_moment(tag, start),
        None if end is None else _read_moment(tag, end),
    )


def _read_blocks(tag: str, named: Mapping[str, str]) -> tuple[float, ...]:
    if "lbw" in named:
        preset = BLOCK_PRESETS.get(named["lbw"].strip().upper())
        if preset is not None:
            return tuple(map(float, preset))
        if not re.search(r"[\d,]", named["lbw"]):
            hint = did_you_mean(named["lbw"].strip(), BLOCK_PRESETS) or f"Known: {', '.join(BLOCK_PRESETS)}."
            raise PromptError(f'{tag}: block weights "{named["lbw"]}" are unknown.', where="prompt", hint=hint)
        blocks = tuple(_number(tag, part) for part in named["lbw"].split(","))
        if len(blocks) not in BLOCK_COUNTS:
            raise PromptError(
                f"{tag}: {len(blocks)} block weights.",
                where="prompt",
                hint=f"There are layouts of {', '.join(map(str, sorted(BLOCK_COUNTS)))}.",
            )
        return blocks
    if not any(key in named for key in ("in", "mid", "out")):
        return ()
    parts = [_number(tag, named[key]) if key in named else 1.0 for key in ("in", "mid", "out")]
    return (1.0, *[parts[0]] * 6, parts[1], *[parts[2]] * 9)


def _print_curve(curve: tuple[tuple[Moment, float], ...]) -> str:
    return ",".join(f"{value!r}@{moment}" for moment, value in curve)


def _number(tag: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and abs(value) > MOST_STRENGTH:
        raise PromptError(
            f'{tag}: the strength "{text}" is too great: not a number to draw with.',
            where="prompt",
            hint="About 0 to 1.5 is usual.",
        )
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
    summed: dict[object, Network] = {}
    for network in networks:
        key = replace(network, te=0.0, unet=0.0) if not network.curve else (network, len(summed))
        seen = summed.get(key)
        if seen is None:
            summed[key] = network
            continue
        total = replace(seen, te=seen.te + network.te, unet=seen.unet + network.unet)
        _number(str(total), repr(total.te))
        _number(str(total), repr(total.unet))
        summed[key] = total
    return list(summed.values())
