"""What things that are no base of a known family are called, by their keys and configurations: errors name them."""

from __future__ import annotations

import re

from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.original import UNET, VAE
from lorasmith.errors import BaseError

_WHOLE = "Give the whole checkpoint, or the model's diffusers folder."
_ADAPTER = "an adapter, not a base"
_KEYS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    # What a key looks like, what has such a one, what to do.
    (re.compile(pattern), what, hint)
    for pattern, what, hint in (
        (r"lora_(up|down|A|B)|\.(hada|lokr)_w|oft_blocks|dora_scale", _ADAPTER, "Give the base that it is for."),
        (r"^control_model\.|^controlnet_", "a ControlNet", ""),
        (r"motion_module", "an AnimateDiff motion module", ""),
        (r"time_stack|time_mixer", "Stable Video Diffusion", ""),
        (r"(^|\.)joint_blocks\.\d", "Stable Diffusion 3", ""),
        (r"(^|\.)double_blocks\.\d", "Flux or another model of its kind", ""),
        (r"(^|\.)double_layers\.\d", "AuraFlow", ""),
        (r"(^|\.)llm_adapter\.", "Anima", ""),
        (r"(^|\.)(noise_refiner|cap_embedder)", "Lumina, or not a whole Z-Image", ""),
        (r"clip_txt_mapper|effnet_mapper|\.channelwise\.", "Stable Cascade", ""),
        (r"adaln_modulation_self_attn|^net\.blocks\.\d", "a Cosmos transformer, as Anima has", ""),
        (r"(^|\.)adaln_single\.|scale_shift_table", "PixArt or another transformer of its kind", ""),
        (r"(^|\.)blocks\.\d+\.(self_attn|cross_attn)\.norm_q", "Wan", ""),
        (r"^(model\.diffusion_model\.|net\.)?(blocks|transformer_blocks|layers)\.\d", "a diffusion transformer", ""),
        (r"noise_augmentor|^embedder\.model\.visual", "Stable Diffusion 2 unCLIP", ""),
        (r"^conditioner\.embedders\.0\.model\.", "the SDXL refiner", "Use the SDXL base; the refiner is not needed."),
        (r"^down_blocks\.\d|^unet\.", "one part of a model, its UNet", _WHOLE),
        (r"^(encoder|decoder)\.(conv_in|down|mid|up)", "one part of a model, its VAE", _WHOLE),
        (r"^text_model\.", "one part of a model, a text encoder", _WHOLE),
        (r"^(encoder|decoder)\.", "one part of a model", _WHOLE),
    )
)
CLASSES: tuple[tuple[str, str], ...] = (
    # How the class in a transformer's configuration begins, and the model that has it.
    ("Flux2", "FLUX.2"),
    ("Flux", "FLUX"),
    ("SD3", "Stable Diffusion 3"),
    ("Cosmos", "Cosmos or Anima"),
    ("PixArt", "PixArt"),
    ("Wan", "Wan"),
    ("ZImage", "Z-Image"),
    ("Chroma", "Chroma"),
    ("QwenImage", "Qwen-Image"),
    ("Krea2", "Krea 2"),
    ("Hunyuan", "Hunyuan"),
    ("Lumina", "Lumina"),
    ("AuraFlow", "AuraFlow"),
    ("Sana", "Sana"),
    ("LTX", "LTX-Video"),
    ("CogVideo", "CogVideoX"),
)
WORDS = (
    # How kohya's base version and modelspec's architecture begin for families that are none of ours.
    *("flux", "sd3", "stable-diffusion-3", "stable-cascade", "lumina", "hunyuan", "wan", "qwen"),
    *("chroma", "krea", "pixart", "sana", "kolors", "auraflow", "ltx", "cogvideo", "hidream", "cosmos"),
)
_PARTS: tuple[tuple[str, str], ...] = (
    ("UNet", "a UNet"),
    ("Autoencoder", "a VAE"),
    ("CLIPText", "a text encoder"),
    ("ControlNet", "a ControlNet"),
    ("T5", "a text encoder"),
)
PICKLES = (".bin", ".ckpt", ".pt", ".pth")


def foreign(evidence: Evidence, supported: str) -> BaseError | None:
    """The error that names what lies there; None when nothing tells. An SD checkpoint that has
    a ControlNet's key besides its own is a ControlNet. `supported` is what can be used instead, as a hint."""
    return _of_file(evidence, supported) if evidence.header is not None else _of_folder(evidence, supported)


def _of_file(evidence: Evidence, supported: str) -> BaseError | None:
    found = next(
        ((what, hint) for pattern, what, hint in _KEYS if any(pattern.search(key) for key in evidence.shapes)), None
    )
    if found is None:
        return None
    what, hint = found
    return BaseError(f"is {what}.", where=evidence.path, hint=hint or supported)


def _of_folder(evidence: Evidence, supported: str) -> BaseError | None:
    folder = evidence.path
    transformer = evidence.config("transformer")
    if transformer is not None:
        kind = str(transformer.get("_class_name", ""))
        called = next((name for start, name in CLASSES if kind.startswith(start)), "another model")
        what = f"is {called}: it has a transformer{f' ({kind})' if kind else ''}, which no supported model has."
        return BaseError(what, where=folder, hint=supported)
    if (folder / "adapter_config.json").is_file():
        return BaseError(f"is {_ADAPTER} (a folder as PEFT writes it).", where=folder, hint=supported)
    own = evidence.config(".")
    if own is None or evidence.has("unet"):
        return None
    word = str(own.get("_class_name") or next(iter(own.get("architectures") or [""]), ""))
    called = next((name for start, name in _PARTS if word.startswith(start)), f"a {word}")
    return BaseError(f"is one part of a model, {called}.", where=folder, hint=_WHOLE) if word else None


def unknown(evidence: Evidence, supported: str) -> BaseError:
    """The error for what no family claims and nothing names."""
    where, shapes = evidence.path, evidence.shapes
    if evidence.header is None:
        return _unknown_folder(evidence)
    if not shapes:
        return BaseError("holds no tensors.", where=where, hint=supported)
    if any(key.startswith(UNET) for key in shapes):
        return BaseError("holds no text encoder of a known family.", where=where, hint=supported)
    if all(key.startswith(VAE) for key in shapes):
        return BaseError("is one part of a model, its VAE.", where=where, hint=_WHOLE)
    first = min(shapes)
    return BaseError(
        f"is no base of a known kind: it has no UNet, and keys such as {first[:80]}.", where=where, hint=supported
    )


def _unknown_folder(evidence: Evidence) -> BaseError:
    folder = evidence.path
    names = sorted(each.name for each in folder.iterdir())
    files = [name for name in names if name.endswith(".safetensors")]
    if files:
        return BaseError(
            "is a folder of files, not a base: no unet/config.json.",
            where=folder,
            hint=f"Give one of its files: {', '.join(files[:3])}.",
        )
    pickled = [name for name in names if name.endswith(PICKLES)]
    if pickled:
        return BaseError(
            f"has pickled files only ({', '.join(pickled[:3])}), which can run code and are not read: no "
            "unet/config.json.",
            where=folder,
            hint="Take the model's safetensors files.",
        )
    return BaseError(
        f"{'' if names else 'is an empty folder: '}no unet/config.json.",
        where=folder,
        hint="A base is a diffusers folder: unet/, vae/, text_encoder/ ...",
    )
