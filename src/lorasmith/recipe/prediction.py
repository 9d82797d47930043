"""What a recipe may ask of a base, by what the base's denoiser predicts. Importable without torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from lorasmith.diffusion.losses import WEIGHTS
from lorasmith.errors import RecipeError

if TYPE_CHECKING:
    from lorasmith.diffusion.parametrisation import Predicted


class Asking(Protocol):
    """A recipe, as far as it concerns what a base predicts."""

    @property
    def loss(self) -> object: ...

    @property
    def noise(self) -> object: ...

    @property
    def prediction(self) -> str: ...


_WHAT = {"epsilon": "noise", "v_prediction": "v", "flow": "a flow"}
_BASES = {
    ("epsilon",): "bases that predict noise",
    ("v_prediction",): "v-prediction bases",
    ("epsilon", "v_prediction"): "bases that predict noise or v",
}
_PURE = "its noise becomes pure noise, and this makes up for tables whose noise does not"
#: Keys that mean nothing for a flow, and why.
_FLOW = {
    "noise.offset": _PURE,
    "noise.offset_adaptive": _PURE,
    "noise.multires_iterations": _PURE,
    "noise.zero_terminal_snr": "it ends in pure noise as it is",
}


def check_prediction(recipe: Asking, predicted: Predicted, base: str, *, where: str | None = None) -> None:
    """Raises RecipeError with all that a base of that name cannot learn from, each by its key with the reason."""
    faults = list(prediction_faults(recipe, predicted, base))
    if not faults:
        return
    alone = faults == [_zero_terminal(base)]
    raise RecipeError(" ".join(faults), where=where, hint="Use it with v-prediction bases." if alone else None)


def prediction_faults(recipe: Asking, predicted: Predicted, base: str) -> Iterator[str]:
    """What in a recipe means nothing to a base that predicts this."""
    for name, weight in WEIGHTS.items():
        if _asks(recipe.loss, name) and predicted not in weight.bases:
            reason = f": {weight.flow}" if predicted == "flow" else ""
            yield f"loss.{name} is for {_BASES[weight.bases]}; {base} predicts {_WHAT[predicted]}{reason}."
    if predicted == "flow":
        for key, reason in _FLOW.items():
            if _asks(recipe.noise, key.removeprefix("noise.")):
                yield f"{key}: {base} predicts a flow: {reason}."
        if recipe.prediction != "auto":
            yield f"prediction = {recipe.prediction}: {base} predicts a flow, and nothing else can be asked of it."
    elif _asks(recipe.noise, "zero_terminal_snr") and predicted != "v_prediction":
        yield _zero_terminal(base)


def _asks(table: object, key: str) -> bool:
    return bool(getattr(table, key))


def _zero_terminal(base: str) -> str:
    return f"noise.zero_terminal_snr: {base} predicts noise, which is all there is at the last timestep."
