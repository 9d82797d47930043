"""kohya's words for the times at which a flow is trained: `timestep_sampling` and what goes with it.

As sd-scripts' `flux_train_utils.get_noisy_model_input_and_timesteps` takes them: uniform and sigmoid know no shift,
shift and flux_shift shift sigmoid's times, sigma draws from its schedule, which is shifted. Recipes that say nothing of
flows have none of these; on a base that learns a flow all is said, for what is not said is sigmoid there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.imported import Imported, number
from lorasmith.recipe.exchange.kohya.flows import flow_of
from lorasmith.recipe.exchange.kohya.rows import Row
from lorasmith.recipe.recipe import Recipe

_SAMPLINGS = ("sigma", "uniform", "sigmoid", "shift", "flux_shift")
_EVEN = ("none", "")


def read_times(given: Mapping[str, Any], result: Imported) -> None:
    """The moments of a flow. What is given and acts on nothing there is listed."""
    if not given.keys() & {row.argument for row in TIMES} and flow_of(given) is None:
        return
    sampling = str(given.get("timestep_sampling", "sigmoid"))
    scheme = str(given.get("weighting_scheme", "none"))
    if sampling not in _SAMPLINGS:
        result.drop("timestep_sampling", sampling, "not a value that is known here")
        return
    normal = sampling == "sigma" and scheme == "logit_normal"
    result.put("timesteps.sampling", _our_sampling(sampling, normal))
    if normal:
        result.take("timesteps.mean", "logit_mean", given.get("logit_mean", 0), number)
        result.take("timesteps.std", "logit_std", given.get("logit_std", 1), number)
    elif scheme not in (*_EVEN, "logit_normal"):
        result.drop("weighting_scheme", scheme, "flows are learnt with one weight here")
    if sampling in ("sigmoid", "shift", "flux_shift"):
        result.take("timesteps.std", "sigmoid_scale", given.get("sigmoid_scale", 1), number)
    shift = given.get("discrete_flow_shift", 1)
    if sampling == "flux_shift":
        result.put("timesteps.shift", "size")
    elif sampling in ("shift", "sigma"):
        result.take("timesteps.shift", "discrete_flow_shift", shift, number)
    elif shift not in (1, "1"):
        result.notes.append(f"discrete_flow_shift: kohya's {sampling} does not shift.")


def _our_sampling(sampling: str, normal: bool) -> str:
    if sampling == "sigma":
        return "logit_normal" if normal else "uniform"
    return "uniform" if sampling == "uniform" else "sigmoid"


def _sampling(recipe: Recipe) -> str | None:
    times = recipe.timesteps
    if times.sampling == "uniform":
        told = "uniform" if recipe.family.objective == "flow" else None
        return told if times.shift == 1 else "sigma"
    if times.sampling == "logit_normal" and times.mean:
        return "sigma"
    if times.shift == "size":
        return "flux_shift"
    return "sigmoid" if times.shift == 1 else "shift"


def _scheme(recipe: Recipe) -> str | None:
    sampling = _sampling(recipe)
    if sampling is None:
        return None
    return "logit_normal" if sampling == "sigma" and recipe.timesteps.sampling == "logit_normal" else "none"


def _scale(recipe: Recipe) -> float | None:
    return recipe.timesteps.std if _sampling(recipe) in ("sigmoid", "shift", "flux_shift") else None


def _shift(recipe: Recipe) -> float | None:
    shift = recipe.timesteps.shift
    return None if _sampling(recipe) in (None, "uniform") or isinstance(shift, str) else shift


def _of_normal(key: str) -> Row:
    def say(recipe: Recipe) -> Any:
        return getattr(recipe.timesteps, key) if _scheme(recipe) == "logit_normal" else None

    return Row(f"logit_{key}", say, say)


TIMES = (
    Row("timestep_sampling", _sampling, _sampling),
    Row("sigmoid_scale", _scale, _scale),
    Row("discrete_flow_shift", _shift, _shift),
    Row("weighting_scheme", _scheme, _scheme),
    _of_normal("mean"),
    _of_normal("std"),
)
