"""A key of an adapter file in the spelling of any tool: the layer that it names, and what the tensor is.

Layers are called by kohya's prefixes and the path that the file has, dots as underscores: ``lora_unet_``, ``lora_te_``,
``lora_te2_`` ... From there a family's tables (`Family.spellings`) lead to its own names. What a tensor is, is told by
kohya's and LyCORIS's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from lorasmith.bases.families import FAMILIES, find_family
from lorasmith.bases.families.family import FIRST_TEXTS
from lorasmith.bases.targets import underscored

PEFT_ROOT = "base_model.model."
BUNDLED = "bundle_emb."
"""How embeddings begin that lie in an adapter's file (OneTrainer, A1111's web UI)."""
BOOKKEEPING = "_aux."
"""What some slider tools append; OneTrainer drops it, too (`load_lora_util.normalize_various`)."""
MAGNITUDE, IA3, BIAS, ROTATION, SCALED = "magnitude", "ia3_l", "lora_up.bias", "oft_R.weight", "oft_R.scaled_oft"
"""What PEFT, ai-toolkit and OneTrainer have and kohya has not in this form."""

_SIDES = {"A": "down", "B": "up"}
_NAME = r"(?:\.(?!weight$|bias$)[^.]+)?"  # an adapter's name, as PEFT puts it after a parameter's: ``lora_A.default``
_ENDINGS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    # The end of a key, what belongs to the layer's path, what the tensor is.
    (re.compile(pattern), path, suffix)
    for pattern, path, suffix in (
        # diffusers until 0.26: attention processors, and monkey-patched text encoders.
        (r"(?:\.processor)?\.(to_[qkv])_lora\.(down|up)\.weight$", r".\1", r"lora_\2.weight"),
        (r"(?:\.processor)?\.to_out_lora\.(down|up)\.weight$", r".to_out.0", r"lora_\1.weight"),
        (r"\.lora(?:_linear_layer)?\.(down|up)\.weight$", "", r"lora_\1.weight"),
        # kohya, LyCORIS.
        (r"\.(lora_(?:down|up|mid)\.weight)$", "", r"\1"),
        (r"\.(alpha|dora_scale|diff|diff_b|w_norm|b_norm|oft_blocks|rescale|on_input)$", "", r"\1"),
        (r"\.([ab][12]\.weight)$", "", r"\1"),
        # PEFT, and what took its words.
        (rf"\.lora_([AB]){_NAME}(?:\.weight)?$", "", "{side}"),
        (rf"\.lora_B{_NAME}\.bias$", "", BIAS),
        (rf"\.lora_magnitude_vector{_NAME}(?:\.weight)?$", "", MAGNITUDE),
        (r"\.magnitude$", "", MAGNITUDE),  # ai-toolkit
        (rf"\.(hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2){_NAME}$", "", r"\1"),
        (rf"\.ia3_l{_NAME}$", "", IA3),
        (r"\.oft_R(?:\.[^.]+)??\.(weight|scaled_oft|terms)$", "", r"oft_R.\1"),
        (rf"\.(boft_[Rs]){_NAME}$", "", r"\1"),
    )
)
_FLAT = re.compile(r"^((?:lora|lycoris)_[^.]+)\.(.+)$")
_TEXT_ATTENTION = re.compile(r"(encoder_layers_\d+_self_attn)_to_(q|k|v|out)(?:_0)?$")  # CLIP's, in old files


@dataclass(frozen=True)
class Key:
    """A key taken apart: the layer's name under kohya's prefix, what the tensor is, and the dotted path that the file
    has inside the part `owner` of the model ("" where it says none)."""

    layer: str
    suffix: str
    owner: str
    path: str


def read_key(key: str, bare_text: str = "lora_te_", alone: str = "") -> Key | None:
    """A key taken apart; None when it is in no spelling. `bare_text` is how kohya's names of the text encoder begin
    whose layers are named without a word of it; `alone` those of the only part that the file is for, if it is known."""
    return _read_key(key, bare_text, alone, tuple(FAMILIES))


@lru_cache(maxsize=16384)
def _read_key(key: str, bare_text: str, alone: str, families: tuple[str, ...]) -> Key | None:
    """`read_key` with these families; thousands of files have the same keys."""
    place = _ending_of(_tail(key))
    if place is not None:
        ending, tail, suffix = _ENDINGS[place]
        found = ending.search(key)
        if found is not None:
            said = f"lora_{_SIDES[found[1]]}.weight" if suffix == "{side}" else _fill(suffix, found)
            return _named(key[: found.start()] + _fill(tail, found), said, bare_text, alone, families)
    flat = _FLAT.match(key)
    return None if flat is None else _named(flat[1], flat[2], bare_text, alone, families)


def _tail(key: str) -> str:
    """What decides how a key ends: of a flat one all behind the layer, of others the last four words."""
    layer, dot, rest = key.partition(".")
    if layer.startswith(("lora_", "lycoris_")) and rest.count(".") < 4:
        return dot + rest
    words = key.rsplit(".", 4)
    return key if len(words) < 5 else "." + ".".join(words[1:])


@lru_cache(maxsize=4096)
def _ending_of(tail: str) -> int | None:
    """Which of the endings a key has that ends so; few are met."""
    return next((place for place, (ending, _, _) in enumerate(_ENDINGS) if ending.search(tail)), None)


def _fill(template: str, found: re.Match[str]) -> str:
    """As `found.expand(template)`, which parses the template anew for each of a file's thousands of keys."""
    for number in range(1, (found.re.groups or 0) + 1):
        template = template.replace(f"\\{number}", found[number] or "")
    return template


def _named(layer: str, suffix: str, bare_text: str, alone: str, families: tuple[str, ...]) -> Key | None:
    named = _named_layer(layer, bare_text, alone, families)
    return None if named is None else Key(named[0], suffix, named[1], named[2])


@lru_cache(maxsize=16384)
def _named_layer(layer: str, bare_text: str, alone: str, families: tuple[str, ...]) -> tuple[str, str, str] | None:
    """A layer under kohya's prefix, the part of the model that the file says, and the path in it; a layer's several
    keys ask for the same."""
    layer = layer.removeprefix(PEFT_ROOT)
    start, prefix = next(((s, p) for s, p in _starts(families) if layer.startswith(s)), ("", ""))
    path = layer.removeprefix(start)
    flat = underscored(path)
    if not start and alone:
        prefix = alone
    elif start in ("", "lycoris_") and _is_text(flat, families):
        prefix = bare_text
    elif not start and path.split(".")[0] in _heads(families):
        prefix = "lora_unet_"
    if not prefix and layer.startswith("lora_") and "." not in layer:
        return layer, "", layer  # a family's own prefix, or nobody's: a base's names will tell
    if not prefix or not path:
        return None
    if prefix != "lora_unet_":
        flat = _TEXT_ATTENTION.sub(lambda match: f"{match[1]}_{match[2]}_proj", flat)
    return f"{prefix}{flat}", start.removesuffix("."), path


def part_prefix(folder: str) -> str:
    """What stands before the names of the layers of a part of a model, by its folder; "" where it is none."""
    return dict(_starts(tuple(FAMILIES))).get(f"{folder}.", "")


@cache
def _starts(families: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """How names begin in any family's files, longest first, and how kohya's do. What several families say is as the
    first one has it: a base knows its layers by the others' prefixes, too."""
    found: dict[str, str] = {}
    for name in families:
        for start, prefix in find_family(name).prefixes.items():
            found.setdefault(start, prefix)
    return tuple(sorted(found.items(), key=lambda item: -len(item[0])))


@cache
def _heads(families: tuple[str, ...]) -> frozenset[str]:
    """The first words of the paths of denoisers' layers, of files that say no more."""
    layers = (target for name in families for target in find_family(name).public_layers().values())
    paths = (path for target in layers if target.part == "unet" for path in (target.path, *target.aliases))
    return frozenset(path.split(".")[0] for path in paths)


def _is_text(flat: str, families: tuple[str, ...]) -> bool:
    """Whether a layer without a word of its part is a text encoder's: it begins as theirs do, and not as a denoiser's
    block does that is called alike."""
    begins = any(f"{flat}_".startswith(f"{head}_") for head in _text_heads(families))
    return begins and not any(f"{_unnumbered(flat)}_".startswith(f"{head}_") for head in _alike(families))


@cache
def _alike(families: tuple[str, ...]) -> frozenset[str]:
    """How the paths of denoisers' layers begin that share their first words with text encoders': three words, dots as
    underscores, without numbers."""
    layers = (target for name in families for target in find_family(name).public_layers().values())
    paths = (path for target in layers if target.part == "unet" for path in (target.path, *target.aliases))
    texts = {head.split("_")[0] for head in _text_heads(families)}
    return frozenset(
        _unnumbered(underscored(".".join(path.split(".")[:3]))) for path in paths if path.split(".")[0] in texts
    )


def _unnumbered(name: str) -> str:
    return re.sub(r"(?<=_)\d+(?=_|$)", "#", name)


@cache
def _text_heads(families: tuple[str, ...]) -> frozenset[str]:
    """How the paths of text encoders' layers begin, dots as underscores, with and without `text_model.`: the first two
    words, or the only one."""
    layers = (target for name in families for target in find_family(name).public_layers().values())
    paths = {target.path for target in layers if target.part == "te"}
    paths |= {path.removeprefix("text_model.") for path in paths}
    starts = {underscored(".".join(path.split(".")[:2])) for path in paths}
    return frozenset(starts - _heads(families))


def bare_text_prefix(shapes: Mapping[str, tuple[int, ...]], projects: bool = False) -> str:
    """How kohya's names of the text encoder begin that a file of these shapes is for, where its names say no part of
    the model: of the second one when the model's class `projects` or its layers are as wide; else of the first."""
    parts = [part for each in FAMILIES.values() for part in each.text[1:] if part.owner.startswith("text_encoder")]
    widths = {part.width for part in parts if part.width}
    second = projects or any(
        len(shape) == 2 and shape[1] in widths and _QUERY.search(key) is not None for key, shape in shapes.items()
    )
    return f"{parts[0].prefix}_" if parts and second else FIRST_TEXTS[0]


_QUERY = re.compile(r"q_proj\.lora_(A|down)\b")
