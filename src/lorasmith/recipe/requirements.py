"""What must be installed for a recipe, looked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from lorasmith.errors import RecipeError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.recipe import Recipe
from lorasmith.remedies import Install


def check_requirements(recipe: Recipe) -> None:
    """Raises RecipeError naming the library and the extra that installs it, where one is missing."""
    OPTIMIZERS[recipe.optimizer.name].require()
    if recipe.tensorboard and find_spec("tensorboard") is None:
        raise RecipeError(
            "tensorboard = true, but TensorBoard is not installed.",
            hint="Install it:",
            remedy=Install("tensorboard"),
        )
