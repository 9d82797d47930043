"""Fields of that API that mean nothing here: named in the answer, unless what was sent asks for nothing there either.

Source of what asks for nothing: the A1111 web UI, modules/processing.py (the defaults of StableDiffusionProcessing and
its two kinds) and modules/api/api.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

NOTHING: tuple[Any, ...] = (None, "", False, [], {})
_OFF = (0, -1)
#: What, beside `NOTHING`, asks for nothing; None is whatever it says. Other fields always ask for something.
NEUTRAL: Mapping[str, Collection[Any] | None] = {
    "seed_resize_from_h": _OFF,
    "seed_resize_from_w": _OFF,
    "firstphase_width": _OFF,
    "firstphase_height": _OFF,
    "s_churn": (0,),
    "s_tmin": (0,),
    "s_tmax": (0,),
    "s_noise": (1,),
    "s_min_uncond": (0,),
    "image_cfg_scale": (1.5,),
    "initial_noise_multiplier": (1,),
    "inpainting_fill": (1,),
    "inpaint_full_res_padding": None,
    "do_not_save_samples": None,
    "do_not_save_grid": None,
    "do_not_reload_embeddings": None,
    "refiner_switch_at": None,
    "script_args": None,
    "infotext": None,
}
#: Options that ask for nothing with these values.
NEUTRAL_OPTIONS: Mapping[str, Collection[Any] | None] = {
    "sd_vae": ("Automatic", "None"),
    "enable_pnginfo": (True,),
    "eta_noise_seed_delta": (0,),
    "return_grid": None,
    "save_images_add_number": None,
}
#: Scripts that are there in that tool; its API takes them and does nothing with the first two: setup_for_ui_only in
#: modules/processing_scripts/seed.py and sampler.py, setup_scrips in modules/scripts.py.
SCRIPTS = ("seed", "sampler", "refiner", "comments", "extra options", "hypertile", "soft inpainting")


def ignored_fields(body: BaseModel, has_mask: bool) -> list[str]:
    """What of a request was not done, by that API's names, in the order in which it was sent."""
    extra = dict(body.model_extra or {})
    styles = {"styles": getattr(body, "styles", [])}
    found = [name for name, value in (styles | extra).items() if _asks(name, value, NEUTRAL)]
    if not has_mask:  # they say what is done with a mask
        found = [name for name in found if not name.startswith(("inpaint", "latent_mask"))]
    options: BaseModel = body.override_settings  # type: ignore[attr-defined]  # every body of a drawing has them
    unknown = options.model_extra or {}
    found += [f"override_settings.{name}" for name, value in unknown.items() if _asks(name, value, NEUTRAL_OPTIONS)]
    return found + list(_scripts(body))


def _scripts(body: BaseModel) -> Iterator[str]:
    scripts: Mapping[str, Any] = body.alwayson_scripts  # type: ignore[attr-defined]
    for name, value in scripts.items():
        if not isinstance(value, Mapping) or value.get("args") not in NOTHING:
            yield f"alwayson_scripts.{name}"


def _asks(name: str, value: Any, neutral: Mapping[str, Collection[Any] | None]) -> bool:
    if any(value is nothing or value == nothing for nothing in NOTHING if not isinstance(value, bool | int)):
        return False
    if value is False:
        return False
    if name not in neutral:
        return True
    known = neutral[name]
    return known is not None and value not in known
