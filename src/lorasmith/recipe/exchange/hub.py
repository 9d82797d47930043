"""The hub trainer's JSON (R6), in both of its shapes, as a recipe; and a recipe as its JSON.

Arguments that its worker adds (optimizer arguments, bucket limits) are known in part only; what is our own choice is
said in a note.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.recipe.exchange.contradictions import one_rate
from lorasmith.recipe.exchange.imported import Imported, LeftOut, at_least_one, flag, number, sides, whole
from lorasmith.recipe.exchange.names import find_family, find_optimizer, find_schedule
from lorasmith.recipe.exchange.other_trainer import OtherTrainer, Surroundings
from lorasmith.recipe.recipe import Recipe

KEYS = (
    "engine", "unetLR", "textEncoderLR", "clipSkip", "loraType", "keepTokens", "networkDim", "networkAlpha",
    "numRepeats", "resolution", "lrScheduler", "lrSchedulerNumCycles", "minSnrGamma", "noiseOffset", "targetSteps",
    "maxTrainEpochs", "enableBucket", "optimizerType", "shuffleCaption", "trainBatchSize", "flipAugmentation",
)  # fmt: skip
MOST_SNAPSHOTS = 20
_DEFAULTS: Mapping[str, Any] = {
    "unetLR": 5e-4, "textEncoderLR": 5e-5, "clipSkip": 1, "loraType": "lora", "keepTokens": 0, "networkDim": 32,
    "networkAlpha": 16, "resolution": 512, "lrScheduler": "cosine_with_restarts", "lrSchedulerNumCycles": 3,
    "minSnrGamma": 5, "noiseOffset": 0.1, "maxTrainEpochs": 10, "enableBucket": True, "optimizerType": "AdamW8Bit",
    "shuffleCaption": False, "trainBatchSize": 6, "flipAugmentation": False,
}  # fmt: skip
_TOOLKIT_DEFAULTS: Mapping[str, Any] = {
    "steps": 2000, "epochs": 10, "batchSize": 1, "resolution": 1024, "lr": 1e-4, "textEncoderLr": None,
    "lrScheduler": "constant", "optimizerType": "adamw8bit", "networkDim": 32, "networkAlpha": 16, "noiseOffset": None,
    "minSnrGamma": None, "flipAugmentation": False, "shuffleTokens": False, "keepTokens": 0,
}  # fmt: skip
_ABOUT = {"engine", "loraType", "ecosystem", "modelVariant", "numRepeats", "trainTextEncoder"}


def is_hub_recipe(document: Mapping[str, Any]) -> bool:
    """Whether a JSON document is one of the hub trainer's."""
    params = parameters(document)
    return "unetLR" in params or params.get("engine") == "ai-toolkit" or {"networkDim", "trainBatchSize"} <= set(params)


def parameters(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, also where they lie inside a model version's training details."""
    for key in ("trainingDetails", "params"):
        inner = document.get(key)
        if isinstance(inner, Mapping):
            document = inner
    return document


def from_hub(document: Mapping[str, Any]) -> Imported:
    """A recipe from the hub trainer's JSON. Raises ValueError for another LoRA type."""
    params = parameters(document)
    if params.get("engine") == "ai-toolkit" or ("lr" in params and "unetLR" not in params):
        return _from_toolkit(params)
    result = Imported("hub trainer")
    value = {**_DEFAULTS, **{key: each for key, each in params.items() if each is not None}}
    if str(value["loraType"]).lower() != "lora":
        result.drop("loraType", value["loraType"], "not known; a LoRA stands in")
    if value.get("engine", "kohya") not in ("kohya", "rapid"):
        result.drop("engine", value["engine"], "that engine trains other families of models")
    _shared(result, value, batch="trainBatchSize", shuffle="shuffleCaption")
    result.take("lr.unet", "unetLR", value["unetLR"], number)
    result.take("lr.text_encoder", "textEncoderLR", value["textEncoderLR"], number)
    result.take("schedule.cycles", "lrSchedulerNumCycles", value["lrSchedulerNumCycles"], at_least_one)
    result.take("clip_skip", "clipSkip", value["clipSkip"], at_least_one)
    result.take("bucket.enabled", "enableBucket", value["enableBucket"], flag)
    result.take("epochs", "maxTrainEpochs", value["maxTrainEpochs"], at_least_one)
    if "targetSteps" in params:
        result.take("target_steps", "targetSteps", params["targetSteps"], at_least_one)
        result.notes.append(
            f"targetSteps = {params['targetSteps']} counts no buckets: the plan shows the steps that buckets make of "
            "it. Repeats are solved from it (R7)."
        )
    elif "numRepeats" in params:
        result.drop("numRepeats", params["numRepeats"], "repeats are set with the images, in folders named 5_name")
    _save(result, params)
    if OPTIMIZERS[result.get("optimizer.name")].one_rate:
        one_rate(result)
    result.notes.append(
        "Not published by the hub, hence our choice: bucket limits, warm-up, precision, seed, gradient clipping."
    )
    known = {*_DEFAULTS, *_ABOUT, "targetSteps", "saveEvery"}
    _tell_unknown(result, params, known)
    return result


def to_hub(recipe: Recipe, *, repeats: int | None, steps: int | None) -> tuple[dict[str, Any], list[LeftOut]]:
    """The recipe as the hub trainer's JSON, and what it cannot say.

    `repeats` and `steps` are the plan's, where the images are known; the hub sets one number of repeats for all.
    """
    optimizer = OPTIMIZERS[recipe.optimizer.name].words.hub
    schedule = SCHEDULES[recipe.schedule.name].words.hub
    document: dict[str, Any] = {
        "engine": "kohya",
        "unetLR": recipe.lr.unet,
        "textEncoderLR": recipe.lr.text_encoder,
        "clipSkip": recipe.clip_skip,
        "loraType": "lora",
        "keepTokens": recipe.caption.keep_tokens,
        "networkDim": recipe.rank,
        "networkAlpha": recipe.alpha,
        "numRepeats": repeats or 1,
        "resolution": max(recipe.resolution),
        "lrScheduler": schedule or "cosine",
        "lrSchedulerNumCycles": recipe.schedule.cycles,
        "minSnrGamma": recipe.loss.min_snr_gamma,
        "noiseOffset": recipe.noise.offset,
        "targetSteps": steps or recipe.target_steps or 0,
        "maxTrainEpochs": recipe.epochs or 1,
        "enableBucket": recipe.bucket.enabled,
        "optimizerType": optimizer or "AdamW8Bit",
        "shuffleCaption": recipe.caption.shuffle,
        "trainBatchSize": recipe.batch_size,
        "flipAugmentation": recipe.flip,
    }
    lost: list[LeftOut] = []
    if recipe.algorithm != "lora":
        lost.append(LeftOut("algorithm", recipe.algorithm, "the hub trains plain LoRAs; one stands in"))
    if not schedule:
        lost.append(LeftOut("schedule.name", recipe.schedule.name, "the hub has no such schedule; cosine stands in"))
    if not optimizer:
        lost.append(
            LeftOut("optimizer.name", recipe.optimizer.name, "the hub has no such optimizer; AdamW8Bit stands in")
        )
    if steps is None and recipe.target_steps is None:
        lost.append(LeftOut("epochs", recipe.epochs, "the steps are not known without the images"))
    return document, lost


def _from_toolkit(params: Mapping[str, Any]) -> Imported:
    result = Imported("hub trainer (ai-toolkit)")
    value = {**_TOOLKIT_DEFAULTS, **{key: each for key, each in params.items() if each is not None}}
    _shared(result, value, batch="batchSize", shuffle="shuffleTokens")
    result.take("lr.unet", "lr", value["lr"], number)
    trains = bool(value.get("trainTextEncoder", value["textEncoderLr"] is not None))
    trains = _read_ecosystem(result, params, trains) and trains
    text = value["textEncoderLr"] if value["textEncoderLr"] is not None else value["lr"]
    result.take("lr.text_encoder", "textEncoderLr", text if trains else 0.0, number)
    result.take("target_steps", "steps", value["steps"], at_least_one)
    steps, snapshots = result.get("target_steps", 2000), max(1, whole(value["epochs"]))
    every = min(max(round(steps / snapshots), 50), 5000)
    result.put("save_every", f"{params.get('saveEvery') or every} steps")
    if "numRepeats" in params:
        result.drop("numRepeats", params["numRepeats"], "steps are given; repeats are set with the images")
    if OPTIMIZERS[result.get("optimizer.name")].one_rate:
        one_rate(result)
    _tell_unknown(result, params, {*_TOOLKIT_DEFAULTS, *_ABOUT, "saveEvery"})
    return result


def _read_ecosystem(result: Imported, params: Mapping[str, Any], trains_text: bool) -> bool:
    """The family that the other shape is for, and what ai-toolkit does on it; whether it trains text encoders."""
    word = params.get("ecosystem")
    if word is None:
        return True
    family = find_family("hub", str(word).lower())
    if family is None:
        result.drop("ecosystem", word, "that family of bases is not trained here")
        return True
    result.notes.append(f"ecosystem = {word}: the recipe is one for {family.title}.")
    if family.objective != "flow":
        return True
    result.put("alpha", float(result.get("rank", 32)))
    result.notes.append(f"networkAlpha: for {family.title} ai-toolkit takes alpha = rank.")
    result.notes.append("The times at which the hub trains a flow are not published: the project's own stay.")
    if trains_text:
        result.drop("trainTextEncoder", True, f"ai-toolkit trains no text encoder of {family.title}")
    return False


def _shared(result: Imported, value: Mapping[str, Any], *, batch: str, shuffle: str) -> None:
    """What both shapes say in the same or nearly the same words."""
    result.put("preserve.kind", "none")
    result.put("algorithm", "lora")
    result.take("rank", "networkDim", value["networkDim"], at_least_one)
    result.take("alpha", "networkAlpha", value["networkAlpha"], number)
    result.take("resolution", "resolution", value["resolution"], sides)
    result.take("batch_size", batch, value[batch], at_least_one)
    result.take("loss.min_snr_gamma", "minSnrGamma", value["minSnrGamma"] or 0, number)
    result.take("noise.offset", "noiseOffset", value["noiseOffset"] or 0, number)
    result.take("caption.shuffle", shuffle, value[shuffle], flag)
    result.take("caption.keep_tokens", "keepTokens", value["keepTokens"], whole)
    result.take("flip", "flipAugmentation", value["flipAugmentation"], flag)
    schedule = str(value["lrScheduler"])
    known = find_schedule(schedule)
    if known is None:
        result.drop("lrScheduler", schedule, "this learning-rate schedule is not there; cosine stands in")
    result.put("schedule.name", known or "cosine")
    name = str(value["optimizerType"])
    optimizer = find_optimizer(name)
    if optimizer is None:
        result.drop("optimizerType", name, "this optimizer is not there; AdamW stands in")
    result.put("optimizer.name", optimizer or "adamw")
    for key, each in OPTIMIZERS[optimizer].words.hub_adds.items() if optimizer else ():
        result.put(f"optimizer.{key}", each)
    for key in ("optimizerArgs", "continueFrom"):
        if value.get(key):
            result.drop(key, value[key], "is not taken over; set it by hand if it matters")


def _save(result: Imported, params: Mapping[str, Any]) -> None:
    epochs, steps = result.get("epochs", 1), result.get("target_steps")
    if params.get("saveEvery"):
        result.take("save_every", "saveEvery", params["saveEvery"], lambda value: f"{at_least_one(value)} epochs")
    elif epochs == 1 and steps:
        result.put("save_every", f"{max(1, math.ceil(steps / 10))} steps")
        result.notes.append("One epoch saves one snapshot on the hub; here ten are saved, to choose from (R3).")
    else:
        result.put("save_every", f"{max(1, math.ceil(epochs / MOST_SNAPSHOTS))} epochs")


def _tell_unknown(result: Imported, params: Mapping[str, Any], known: set[str]) -> None:
    known = known | {each.key for each in result.left_out}
    for key, value in params.items():
        if key not in known and value not in (None, "", [], {}) and not key.startswith("sample"):
            result.drop(key, value, "has no counterpart here")


def _write(recipe: Recipe, around: Surroundings) -> tuple[str, list[LeftOut]]:
    document, left_out = to_hub(recipe, repeats=around.repeats, steps=around.steps)
    return json.dumps(document, indent=2) + "\n", left_out


OTHER_TRAINER = OtherTrainer("hub", "the hub trainer's JSON", is_hub_recipe, from_hub, _write, counts=True)
