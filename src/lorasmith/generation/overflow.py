"""Pictures whose numbers are none: too large for their format, and then NaN, which would be drawn black."""

from __future__ import annotations

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.errors import BaseError, LorasmithError, PromptError
from lorasmith.generation.prepare import PictureTask
from lorasmith.prompts import Network, parse_attention, split_networks, split_subprompts
from lorasmith.remedies import Give, Sentence

#: Strengths and guidance beyond these are hardly meant: they go first when a cause is looked for.
GREAT_STRENGTH, GREAT_WEIGHT, GREAT_CFG = 5.0, 100.0, 40.0
_SHOWN = 60


def check_numbers(values: Tensor, task: PictureTask, base: Base, when: str) -> None:
    """Raise PromptError or BaseError, naming the picture and the cause, where a number is infinite or none."""
    if not bool(torch.isfinite(values).all()):
        raise overflow_error(task, base, when)


def overflow_error(task: PictureTask, base: Base, when: str) -> LorasmithError:
    """The error about a picture whose numbers were none, `when`; the cause is what is most likely one."""
    spec = task.spec
    prompt = " ".join(spec.prompt.split())
    shown = prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}..."
    what = f'the picture of seed {spec.seed} ("{shown}") came to numbers that are none (NaN) {when}'
    networks = [call.network for stage in task.stages for call in stage.calls]
    strongest = max(networks, key=_strength, default=None)
    if strongest is not None and _strength(strongest) > GREAT_STRENGTH:
        return PromptError(
            f'{what}: adapter "{strongest.name}" has strength {_strength(strongest):g}.',
            hint="Strengths are about 0 to 1.5; give it less.",
        )
    weight, text = _heaviest(spec.prompt)
    if weight > GREAT_WEIGHT:
        return PromptError(
            f'{what}: "{text}" has weight {weight:g}.', hint="Weights are about 0.5 to 1.5; give it less."
        )
    if spec.cfg > GREAT_CFG:
        return PromptError(f"{what}: the guidance is {spec.cfg:g}.", remedy=Sentence("Give less: ", Give("cfg"), "."))
    if base.dtype == torch.float16:
        return BaseError(
            f"{what}: in fp16 they end at 65504.",
            remedy=Sentence("Draw in other numbers: ", Give("precision", "fp32"), "."),
        )
    if strongest is not None:
        names = ", ".join(dict.fromkeys(network.name for network in networks))
        return PromptError(
            f"{what}, with {names}.", hint="Draw it without, or with less of them: one of them may be broken."
        )
    return BaseError(f"{what}: the base makes them by itself.", where=base.name, hint="Its weights may be broken.")


def _heaviest(prompt: str) -> tuple[float, str]:
    """The greatest weight in a prompt, of a word or a part, and what it is given to."""
    found = [(1.0, "")]
    for text, weight in split_subprompts(split_networks(prompt, "a1111").text):
        found.append((abs(weight), text))
        found += [(abs(span.weight), span.text) for span in parse_attention(text) if not span.is_break]
    weight, text = max(found)
    return weight, " ".join(text.split())[:_SHOWN]


def _strength(network: Network) -> float:
    return max(abs(network.te), abs(network.unet))
