"""What of a description gets drawn, and the refusal's verdict on all of it together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lorasmith.errors import PromptError
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import ParsedPrompt, parse, parse_attention, parse_schedule, split_networks
from lorasmith.tags.refusal import refuse

_USUAL_CFG = 7.0
"""Where the base's own is not known yet."""
_WHOLE, _IN_PIECES = 200_000, 1_000_000
"""Letters of the texts of one prompt's steps that are looked at text by text, and then by what is new in them."""


def refuse_picture(spec: PictureSpec, cfg: float | None = None) -> None:
    """Raise RefusedError when what is drawn of a picture combines minors with sexual content: both passes, all parts
    of AND, all steps of a schedule, all names of adapters together.

    A text that the picture is guided away from only makes it safer and is no reason: the negative prompt, and a part
    of negative weight. Which texts these are, the guidance decides (`cfg` where the spec has none): below 1 a negative
    prompt is drawn, too. Raises PromptError for what cannot be read.
    """
    refuse(_texts(spec, _USUAL_CFG if cfg is None else cfg), "prompt")


def _texts(spec: PictureSpec, cfg: float) -> Iterator[str]:
    cfg = cfg if spec.cfg is None else spec.cfg
    passes: list[tuple[str, str, int | None]] = [(spec.prompt, spec.negative, None)]
    if spec.hires is not None:
        hires = spec.hires
        second = spec.prompt if hires.prompt is None else hires.prompt
        negative = spec.negative if hires.negative is None else hires.negative
        passes.append((second, negative, hires.steps or spec.steps))
    for text, negative, hires_steps in passes:
        prompt = parse(text, spec.steps, spec.compat, hires_steps)
        yield from _drawn(text, prompt, cfg)
        # uncond + sum of w_i x cfg x (cond_i - uncond): what is left for the negative prompt.
        if 1.0 - cfg * math.fsum(part.weight for part in prompt.subprompts) > 0:
            away = split_networks(negative, "a1111").text
            yield from _forms(each for _, each in parse_schedule(away, spec.steps, hires_steps))


def _drawn(text: str, prompt: ParsedPrompt, cfg: float) -> Iterator[str]:
    """The texts that a prompt adds to a picture, as they are typed and as they are read."""
    away = [part for part in prompt.subprompts if part.weight * cfg < 0]
    if not away:
        yield text
    for network in prompt.networks:
        yield network.name
    for part in prompt.subprompts:
        if part not in away:
            yield part.text
            yield from _forms(each for _, each in part.schedule)


def _forms(texts: Iterator[str]) -> Iterator[str]:
    """Each text, and what is left of it without the brackets that could hide a word; of very many only the parts that
    no other has."""
    seen: set[str] = set()
    whole = fresh = 0
    for text in dict.fromkeys(texts):
        plain = "".join(span.text for span in parse_attention(text))
        whole += len(text)
        if whole <= _WHOLE:
            yield from dict.fromkeys((text, plain))
            continue
        for piece in plain.split(","):
            if piece not in seen:
                seen.add(piece)
                fresh += len(piece)
                yield piece
        if fresh > _IN_PIECES:
            raise PromptError("its steps have too many different texts.", where="prompt", hint="Alternate less.")
