"""kohya's words for the adapter: the network module, its size, and the arguments that go to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import KohyaWords
from lorasmith.recipe.exchange.imported import Imported, flag, number, whole
from lorasmith.recipe.exchange.kohya.flows import CONDITIONER, flow_module, flow_of, read_flow, write_conditioner
from lorasmith.recipe.exchange.kohya.pairs import read_pairs
from lorasmith.recipe.exchange.kohya.rows import Row, stated
from lorasmith.recipe.exchange.names import LYCORIS, find_algorithm, find_module, own_arguments
from lorasmith.recipe.recipe import Recipe


@dataclass(frozen=True)
class NetworkArgument:
    """An argument of the network module that has one key: `names` that it is read by, of which the first is written;
    `write` its text for a recipe, None for nothing."""

    names: tuple[str, ...]
    path: str
    read: Callable[[Any], Any]
    write: Callable[[Recipe], str | None]


def _switch(path: str, *names: str) -> NetworkArgument:
    return NetworkArgument(names, path, flag, lambda recipe: "True" if stated(recipe, path) else None)


def _number(path: str, *names: str, neutral: float = 0) -> NetworkArgument:
    def write(recipe: Recipe) -> str | None:
        value = stated(recipe, path)
        return None if value == neutral else f"{value:g}"

    return NetworkArgument(names, path, number, write)


PLUS = _number("lr.plus_ratio", "loraplus_lr_ratio", "loraplus_unet_lr_ratio", neutral=1)
RANK_DROPOUT = _number("dropout.rank", "rank_dropout")
MODULE_DROPOUT = _number("dropout.module", "module_dropout")
DROPOUT = NetworkArgument(("dropout",), "dropout.network", number, lambda _: None)  # written as network_dropout
DORA = _switch("dora", "dora_wd")
STABILISED = _switch("rank_stabilised", "rs_lora")
NORMS = _switch("norms", "train_norm")
TUCKER = _switch("conv.tucker", "use_tucker", "use_cp", "use_conv_cp")


def read_network(given: Mapping[str, Any], result: Imported) -> None:
    """The network module and its arguments."""
    module = str(given.get("network_module", "networks.lora"))
    arguments = read_pairs(given.get("network_args"))
    flow = flow_of(given)
    made = "lora" if flow is not None and module == flow_module(flow) else find_module(module)
    algo = str(arguments.pop("algo", "" if made else module)).lower()
    known = find_algorithm(algo) if algo else made
    if known is None:
        result.drop(
            "network_module", f"{module} {algo}".strip(), "this algorithm is not trained here; a LoRA stands in"
        )
    result.put("algorithm", known or "lora")
    alpha = given.get("network_alpha", 1)
    result.take("alpha", "network_alpha", alpha, lambda value: number(value) or float(result.get("rank")))
    _read_convolutions(given, arguments, module, known, result)
    for each in (PLUS, RANK_DROPOUT, MODULE_DROPOUT, DROPOUT, DORA, STABILISED, NORMS):
        for name in each.names:
            if name in arguments:
                result.take(each.path, f"network_args: {name}", arguments.pop(name), each.read)
    for name, path, read in own_arguments():
        if name in arguments:
            result.take(path, f"network_args: {name}", arguments.pop(name), read)
    tucker = [arguments.pop(name) for name in TUCKER.names if name in arguments]
    if any(flag(each) for each in tucker) and result.get("conv.rank"):
        result.put(TUCKER.path, True)
    _read_preset(str(arguments.pop("preset", "full")), result)
    read_flow(given, result, arguments.pop(CONDITIONER, False))
    for key, value in arguments.items():
        if value not in (False, "False", None, "None"):
            result.drop(f"network_args: {key}", value, "has no counterpart here")


def _read_convolutions(
    given: Mapping[str, Any], arguments: dict[str, Any], module: str, known: str | None, result: Imported
) -> None:
    """LyCORIS adapts convolutions, too, unless an argument says otherwise."""
    alpha = given.get("network_alpha", 1)
    lycoris = module == LYCORIS and known is not None and "conv.tucker" in ALGORITHMS[known].switches
    conv = arguments.pop("conv_dim", given.get("network_dim", 4) if lycoris else None)
    conv_alpha = arguments.pop("conv_alpha", alpha if lycoris else 1)
    if conv is not None and whole(conv) > 0 and ALGORITHMS[known or "lora"].ranked:
        result.take("conv.rank", "conv_dim", conv, whole)
        result.take("conv.alpha", "conv_alpha", conv_alpha, lambda value: number(value) or float(whole(conv)))
        result.put("layers", ["attention", "mlp", "conv", "time"])


def _read_preset(preset: str, result: Imported) -> None:
    if preset in ("attn-mlp", "attn-only", "unet-transformer-only"):
        result.put("layers", ["attention"] if preset == "attn-only" else ["attention", "mlp"])
        result.values.pop("conv", None)
    elif preset != "full":
        result.drop("network_args: preset", preset, "has no counterpart here; all layers are adapted")


def kohya_words(recipe: Recipe) -> KohyaWords | None:
    """What kohya calls the recipe's algorithm; None where it has nothing of the kind."""
    entry = ALGORITHMS[recipe.algorithm]
    known = entry.kohya.module or entry.kohya.algo
    return entry.kohya if known and not entry.on_norms else None


def _write_module(recipe: Recipe) -> str:
    words = kohya_words(recipe) or ALGORITHMS["lora"].kohya
    switched = recipe.dora or recipe.norms or recipe.conv.tucker or recipe.rank_stabilised
    if not words.module or switched:
        return LYCORIS
    flow = flow_module(recipe.family) if words is ALGORITHMS["lora"].kohya else None
    return flow or words.module


def _convolutions(recipe: Recipe) -> dict[str, str]:
    if not recipe.conv.rank:
        return {}
    return {"conv_dim": str(recipe.conv.rank), "conv_alpha": f"{recipe.conv.alpha or recipe.alpha:g}"}


def _texts(recipe: Recipe, *arguments: NetworkArgument) -> dict[str, str]:
    return {each.names[0]: text for each in arguments if (text := each.write(recipe)) is not None}


def _write_arguments(recipe: Recipe) -> list[str] | None:
    words, arguments = kohya_words(recipe) or ALGORITHMS["lora"].kohya, {}
    if _write_module(recipe) == LYCORIS:
        arguments["algo"] = words.algo
        if not recipe.conv.rank and ALGORITHMS[recipe.algorithm].ranked:
            arguments["preset"] = "attn-mlp"
    arguments |= _convolutions(recipe) | _texts(recipe, DORA, STABILISED, NORMS, TUCKER)
    arguments |= {name: str(value) for name, value in words.tell(recipe.options).items() if value is not False}
    arguments |= _texts(recipe, PLUS, RANK_DROPOUT, MODULE_DROPOUT) | write_conditioner(recipe)
    return [f"{name}={text}" for name, text in arguments.items()] or None


def header_arguments(recipe: Recipe) -> dict[str, str]:
    """A header's ss_network_args: what LyCORIS would have been given besides rank and alpha."""
    words, facts = ALGORITHMS[recipe.algorithm].kohya, _convolutions(recipe)
    if not words.module or recipe.dora or recipe.conv.tucker or recipe.norms:
        facts["algo"] = words.algo or recipe.algorithm
    facts |= {name: str(value) for name, value in words.tell(recipe.options).items() if name != "decompose_both"}
    return facts | _texts(recipe, DORA, STABILISED, TUCKER, NORMS)


NETWORK = (
    Row("network_module", _write_module),
    Row("network_alpha", lambda recipe: recipe.alpha),
    Row("network_args", _write_arguments, header_arguments),
)
