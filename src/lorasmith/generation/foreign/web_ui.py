"""The A1111 web UI's text, which its forks and many others write, too: `parameters` in a PNG, a comment elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.generation.entries import unquote
from lorasmith.generation.foreign.reading import Items, Reader, Reading
from lorasmith.generation.foreign.values import number
from lorasmith.generation.infotext import ENTRIES, INFOTEXT_KEY, cut_infotext, read_infotext
from lorasmith.generation.spec import PARAMETERS, PictureSpec
from lorasmith.prompts.networks import Network, split_networks

Values = Mapping[str, str]
#: Entries that change nothing of a picture, or are looked at elsewhere.
SILENT = frozenset(
    {
        "Model",
        "Model hash",
        "Lora hashes",
        "Hashes",
        "Version",
        "App",
        "Backend",
        "Pipeline",
        "User",
        "Created Date",
        "Civitai resources",
        "Civitai metadata",
        "Template",
        "Negative Template",
        "Batch size",
        "Batch pos",
        "Init image hash",
        "Pad conds",
    }
)
#: What other entries say where they do nothing; so does any value that begins with "Use same".
NEUTRAL: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ENSD": frozenset({"0"}),
        "RNG": frozenset({"CPU"}),
        "FP8 weight": frozenset({"Disable"}),
        "VAE Encoder": frozenset({"Full"}),
        "VAE Decoder": frozenset({"Full"}),
        "Schedule max sigma": frozenset({"0", "0.0"}),
        "Schedule min sigma": frozenset({"0", "0.0"}),
        "Schedule rho": frozenset({"0", "0.0"}),
        "Variation seed strength": frozenset({"0", "0.0"}),
        "Sigma churn": frozenset({"0", "0.0"}),
        "Sigma noise": frozenset({"1", "1.0"}),
        "Eta DDIM": frozenset({"0", "0.0"}),
        "Hires prompt": frozenset({""}),
        "Hires negative prompt": frozenset({""}),
        "NGMS": frozenset({"0", "0.0"}),
        "Token merging ratio": frozenset({"0", "0.0"}),
    }
)
_SAME = "Use same"
_HIRES = (
    "Hires upscale",
    "Hires resize",
    "Hires steps",
    "Hires upscaler",
    "Hires prompt",
    "Hires negative prompt",
    "First pass size",
)
_READ = {entry.key: entry.read for entry in ENTRIES}


def read_text(text: str) -> Reading:
    """What the text says. Entries that are not ours, and values that we have not, are `undone`."""
    spec = read_infotext(text)
    prompt, negative, entries = cut_infotext(text)
    values = {key: unquote(value) for key, value in entries.items()}
    adapters = _hashes(values.get("Lora hashes", "")) | _gallery_hashes(values.get("Hashes", ""))
    embeddings = _gallery_hashes(values.get("Hashes", ""), "embed") | _hashes(values.get("TI hashes", ""))
    undone = [line for key in entries for line in (_missing(key, entries[key], values, spec),) if line]
    return Reading(
        tool=_tool(values),
        spec=spec,
        entries=entries,
        prompt=prompt,
        negative=negative,
        undone=(*undone, *_uncalled(adapters, spec), *_gallery_resources(values.get("Civitai resources", ""))),
        base=values.get("Model") or None,
        base_hash=values.get("Model hash") or _gallery_model(values.get("Hashes", "")),
        adapters=adapters,
        embeddings=embeddings,
        strength=_strength(values),
    )


def _read(items: Items) -> Reading | None:
    text = items.get(INFOTEXT_KEY)
    return None if text is None or _is_other(text) else read_text(text)


def _is_other(text: str) -> bool:
    """Whether a text under this name is another tool's document."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _tool(values: Values) -> str:
    version = values.get("Version", "")
    if version.startswith("lorasmith"):
        return version
    return f"A1111 web UI's text{f', {version}' if version else ''}"


def _missing(key: str, written: str, values: Values, spec: PictureSpec) -> str | None:
    """What of an entry drawing it here would leave out; None for nothing."""
    value = values[key]
    if key in SILENT or value in NEUTRAL.get(key, ()) or value.startswith(_SAME):
        return None
    if key == "TI hashes" and _hashes(value):
        return None  # looked at elsewhere
    if key in _HIRES and spec.hires is None:
        return f"{key}: {written} (a second pass whose size is not told)"
    if key in _JUDGES:
        why = _JUDGES[key](value, values, spec)
        return why and f"{key}: {written} ({why})"
    if key in _READ:
        return None if _READ[key](values) else f"{key}: {written} (not understood)"
    return f"{key}: {written}"


def _judge_sampler(value: str, values: Values, spec: PictureSpec) -> str | None:
    del value
    return None if _READ["Sampler"](values) else f"there is none; {spec.sampler} instead"


def _judge_schedule(value: str, values: Values, spec: PictureSpec) -> str | None:
    del value
    return None if _READ["Schedule type"](values) else f"there is none; {spec.schedule} instead"


def _judge_upscaler(value: str, values: Values, spec: PictureSpec) -> str | None:
    del values
    if spec.hires is None or value.lower() in (known.lower() for known in PARAMETERS["hires.upscaler"].choices):
        return None
    return f"there is none; {spec.hires.upscaler} instead"


_FIRST = "the second pass has the first one's"


def _judge_hires_sampler(value: str, values: Values, spec: PictureSpec) -> str | None:
    del spec
    own = SAMPLERS[value].infotext if value in SAMPLERS else None
    return None if value == values.get("Sampler") or own == values.get("Sampler") else _FIRST


def _judge_hires_schedule(value: str, values: Values, spec: PictureSpec) -> str | None:
    del spec
    return None if value == values.get("Schedule type", "Automatic") else _FIRST


def _judge_hires_cfg(value: str, values: Values, spec: PictureSpec) -> str | None:
    del spec
    return None if number(value) == number(values.get("CFG scale")) else _FIRST


def _judge_denoising(value: str, values: Values, spec: PictureSpec) -> str | None:
    """A second pass's, or `strength`."""
    del values, spec
    return None if number(value) is not None else "not understood"


_JUDGES: Mapping[str, Callable[[str, Values, PictureSpec], str | None]] = MappingProxyType(
    {
        "Sampler": _judge_sampler,
        "Schedule type": _judge_schedule,
        "Hires upscaler": _judge_upscaler,
        "Hires sampler": _judge_hires_sampler,
        "Hires schedule type": _judge_hires_schedule,
        "Hires CFG Scale": _judge_hires_cfg,
        "Denoising strength": _judge_denoising,
    }
)


def _strength(values: Values) -> float | None:
    """How much of another picture was drawn anew: without a second pass, the strength is that."""
    return None if any(key in values for key in _HIRES) else number(values.get("Denoising strength"))


def _hashes(text: str) -> dict[str, str]:
    """``a: 0123456789ab, b: ...`` by name."""
    found = {}
    for part in text.split(","):
        name, colon, digest = part.rpartition(":")
        if colon and re.fullmatch(r"\s*[0-9a-fA-F]{8,64}\s*", digest):
            found[name.strip()] = digest.strip().lower()
    return found


def _gallery_hashes(text: str, kind: str = "lora") -> dict[str, str]:
    """Of the galleries' ``{"lora:a": "0123456789", "embed:b": ..., "model": ...}``, those of a kind."""
    found = ((key.partition(":"), digest) for key, digest in _gallery(text).items())
    return {name: digest for (own, colon, name), digest in found if own == kind and colon}


def _gallery_model(text: str) -> str | None:
    return _gallery(text).get("model")


def _gallery(text: str) -> dict[str, str]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: digest.lower() for key, digest in found.items() if isinstance(digest, str) and digest}


def _gallery_resources(text: str) -> list[str]:
    """What galleries say that a picture was drawn with beside its checkpoint; no tag calls these."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [
        f'Civitai resources: {each.get("type")} "{each.get("modelName", each.get("modelVersionId"))}"'
        f" at {each.get('weight', 1)}"
        for each in listed
        if str(each.get("type", "")).lower() not in ("", "checkpoint", "model", "vae", "upscaler")
    ]


def hash_name(name: str) -> str:
    """An adapter's name as hashes are listed under it (`extensions-builtin/Lora/networks.py`)."""
    return name.replace(":", "").replace(",", "")


def _uncalled(adapters: Mapping[str, str], spec: PictureSpec) -> list[str]:
    """Adapters that acted and are called by no tag, and such as are called and did not act."""
    called = {hash_name(network.name) for network in _called(spec)}
    lost = [f'adapter "{name}": its hash is listed, no tag calls it' for name in adapters if name not in called]
    idle = sorted(called - set(adapters)) if adapters else []
    return lost + [
        f'adapter "{name}": a tag calls it, its hash is not listed, so it may not have acted' for name in idle
    ]


def _called(spec: PictureSpec) -> list[Network]:
    texts = [spec.prompt, spec.hires.prompt or "" if spec.hires else ""]
    return [network for text in texts for network in split_networks(text, "a1111").networks]


READER = Reader("A1111 web UI", 0, _read)
