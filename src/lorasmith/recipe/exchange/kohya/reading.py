"""kohya's training arguments (sd-scripts) as a recipe: what its TOML and JSON files and adapters' headers say.

Where an argument is not given, kohya's own default is taken, not ours: the import shall train as kohya would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.contradictions import settle
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.kohya.length import BASE, LENGTH, SHOWN, read_length, read_rest
from lorasmith.recipe.exchange.kohya.network import NETWORK, read_network
from lorasmith.recipe.exchange.kohya.rates import RATES, read_optimizer, read_rates, read_schedule
from lorasmith.recipe.exchange.kohya.terms import TERMS
from lorasmith.recipe.exchange.kohya.times import TIMES, read_times
from lorasmith.recipe.exchange.kohya.words import ELSEWHERE, TECHNICAL

ROWS = (*TERMS, *TIMES, *NETWORK, *RATES, *LENGTH, *SHOWN, *BASE)
"""The whole table, in the order in which exports write it."""


def from_arguments(arguments: Mapping[str, Any], source: str) -> Imported:
    """A recipe from sd-scripts' arguments, by their names without the dashes."""
    result = Imported(source)
    given = {key: value for key, value in arguments.items() if value is not None and value != ""}
    for term in TERMS:
        value = given.get(term.argument, term.default)
        result.take(term.path, term.argument, value, term.read)
        if result.get(term.path) is None:
            result.put(term.path, term.default)
    for read in (read_length, read_rates, read_optimizer, read_schedule, read_network, read_times, read_rest):
        read(given, result)
    _settle(result)
    known = {row.argument for row in ROWS}
    for key, value in given.items():
        if key in ELSEWHERE:
            result.notes.append(f"{key}: {ELSEWHERE[key]}.")
        elif key not in known and key not in TECHNICAL and value not in (False, [], {}, 0):
            result.drop(key, value, "has no counterpart here")
    return result


def _settle(result: Imported) -> None:
    """Contradictions that kohya tolerates, taken the way it acts."""
    if (
        not result.get("caption.shuffle")
        and not result.get("caption.tag_dropout")
        and result.get("caption.keep_tokens")
    ):
        result.notes.append("keep_tokens does nothing without shuffling; it is kept for when that is switched on.")
    if result.get("caption.max_tokens") not in (75, 150, 225):
        result.put("caption.max_tokens", 75)
    settle(result, "debiased_estimation_loss")
