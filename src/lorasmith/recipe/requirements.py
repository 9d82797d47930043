"""What must be installed for a recipe, and what must lie where it says, looked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lorasmith.bases.hub import is_hub_id
from lorasmith.errors import RecipeError
from lorasmith.images.opening import is_image_name
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.recipe import Recipe
from lorasmith.remedies import Install


def check_requirements(recipe: Recipe, root: Path) -> None:
    """Raises RecipeError naming the library and the extra that installs it, or the file or folder (beside the project
    file in `root`), where one is missing."""
    OPTIMIZERS[recipe.optimizer.name].require()
    if recipe.tensorboard and find_spec("tensorboard") is None:
        raise RecipeError(
            "tensorboard = true, but TensorBoard is not installed.",
            hint="Install it:",
            remedy=Install("tensorboard"),
        )
    if recipe.init and not (root / Path(recipe.init).expanduser()).is_file():
        raise RecipeError(f'init = "{recipe.init}": no such file.', hint="Give the path of an adapter file.")
    _check_helper(recipe.training_adapter, root)
    table = recipe.preserve
    if table.kind == "images" and not _holds_images(root / Path(table.folder).expanduser()):
        raise RecipeError(
            f'preserve.folder = "{table.folder}": there are no class images.',
            where=root,
            hint="Put some there, or set preserve.kind = differential.",
        )


def _check_helper(helper: str, root: Path) -> None:
    place = root / Path(helper).expanduser()
    if not helper or place.is_file():
        return
    if place.is_dir():
        files = sorted(file.name for file in place.glob("*.safetensors"))
        name = next(iter(files), "FILE.safetensors")
        raise RecipeError(
            f'training_adapter = "{helper}": a folder, where an adapter file is wanted.',
            hint=f'Name the file in it: "{Path(helper).as_posix().rstrip("/")}/{name}"'
            f"{f', one of {len(files)}' if len(files) > 1 else ''}.",
        )
    if not is_hub_id(helper):
        raise RecipeError(
            f'training_adapter = "{helper}": no such file.',
            hint="Give the path of an adapter file, or OWNER/REPOSITORY/FILE.safetensors.",
        )


def check_clip_skip(recipe: Recipe, most: int, base: str) -> None:
    """Raises RecipeError when the recipe counts further back than the `most` that the base's text encoder can."""
    if recipe.clip_skip > most:
        reach = f"has {most} layers" if most > 1 else "is read at its end"
        raise RecipeError(f"clip_skip = {recipe.clip_skip}: the text encoder of {base} {reach}.")


def _holds_images(folder: Path) -> bool:
    return any(is_image_name(path) and path.is_file() for path in folder.rglob("*"))
