"""What a file is, by its header: an adapter or a base, for which family, by which algorithm, called by which words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.adapters.catalogue import IS_EMBEDDING
from lorasmith.adapters.embeddings.layouts import tell_embedding
from lorasmith.adapters.spelling.keys import part_prefix
from lorasmith.adapters.spelling.origin import LayerFit, choose_origin, fit_families
from lorasmith.adapters.spelling.sketch import sketch_adapter
from lorasmith.bases.detection import examine
from lorasmith.bases.families.evidence import Evidence
from lorasmith.container import Header
from lorasmith.errors import AdapterError, BaseError
from lorasmith.library.entry import Kind
from lorasmith.library.hashes import OF_NOTHING
from lorasmith.library.header import HeaderReader

MOST_TAGS = 256
_ADAPTER = (
    "lora",
    "lycoris",
    "hada_",
    "lokr_",
    "oft_",
    "boft_",
    "ia3",
    ".diff",
    "w_norm",
    "a1.weight",
    "on_input",
    "bundle_emb.",
)
"""One of these is in the keys of an adapter, whatever wrote it."""
_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(double|single)_(transformer_)?blocks[._]\d", "Flux or another model of its kind"),
        (r"joint_blocks[._]\d", "Stable Diffusion 3"),
        (r"llm_adapter", "Anima"),
        (r"noise_refiner|context_refiner|cap_embedder", "Lumina or Z-Image"),
        (r"double_layers[._]\d", "AuraFlow"),
        (r"adaln_modulation|blocks[._]\d+[._](self|cross)_attn", "Wan, Cosmos or Anima"),
        (r"adaln_single|caption_projection", "PixArt or another transformer of its kind"),
        (r"motion_modules", "AnimateDiff"),
        (r"(^|[._])transformer[._]", "a diffusion transformer"),
    )
)
_TRAINING = {
    "ss_sd_model_name": "base",
    "ss_sd_model_hash": "base_hash",
    "ss_new_sd_model_hash": "base_sha256",
    "ss_num_train_images": "images",
    "ss_num_epochs": "epochs",
    "ss_epoch": "epoch",
    "ss_steps": "step",
    "ss_max_train_steps": "steps",
    "ss_learning_rate": "learning_rate",
    "ss_unet_lr": "unet_lr",
    "ss_text_encoder_lr": "text_encoder_lr",
    "ss_optimizer": "optimizer",
    "ss_lr_scheduler": "schedule",
    "ss_network_dim": "rank",
    "ss_network_alpha": "alpha",
    "ss_network_module": "module",
    "ss_clip_skip": "clip_skip",
    "ss_resolution": "resolution",
    "ss_training_comment": "comment",
    "ss_training_finished_at": "finished_at",
    "modelspec.date": "date",
    "modelspec.author": "author",
    "modelspec.license": "licence",
    "modelspec.usage_hint": "usage",
    "modelspec.tags": "kind",
}
"""What is kept of the training, and what it is called here."""
_LONGEST = 500
_CALLED_AT = re.compile(r"<(?:lora|lyco):[^:>]+:([\d.]+)")


@dataclass(frozen=True)
class Structure:
    """What the tensors of a file tell. Of an adapter the header's words decide among the families that `fit`; `first`
    is one of its layers."""

    kind: Kind
    algorithms: tuple[str, ...] = ()
    rank: int | None = None
    family: str | None = None
    reason: str = ""
    problem: str = ""
    fit: LayerFit | None = None
    first: str = ""


@dataclass(frozen=True)
class Head:
    """What a header tells of a file: `LibraryEntry`'s fields of the same names; `digest` is of the whole header."""

    kind: Kind
    family: str | None = None
    reason: str = ""
    algorithms: tuple[str, ...] = ()
    rank: int | None = None
    alias: str = ""
    title: str = ""
    recorded: str = ""
    addnet: str = ""
    base: str = ""
    triggers: tuple[str, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    facts: Mapping[str, Any] | None = None
    description: str = ""
    strength: float | None = None
    mine: bool = False
    problem: str = ""
    digest: str = ""


class Teller:
    """Tells files by their headers; what is built alike is looked through once."""

    def __init__(self) -> None:
        self._reader = HeaderReader(tell_structure)

    def tell(self, path: Path, size: int) -> Head:
        """What a file's header says, or the configurations of a base's folder; a `problem` where it cannot be read, or
        is no model's."""
        if path.is_dir():
            return _tell_folder(path)
        try:
            header = self._reader.read(path, size, part_prefix(path.parent.name))
        except AdapterError as fault:
            return Head("other", problem=" ".join(part for part in (fault.message, fault.hint) if part))
        structure, metadata = header.structure, header.metadata
        if structure.kind != "adapter":
            return Head(
                structure.kind,
                structure.family,
                structure.reason,
                title=_short(metadata.get("modelspec.title")),
                recorded=_hash(metadata, "modelspec.hash_sha256"),
                description=_short(metadata.get("modelspec.description"), 5000),
                problem=structure.problem,
                digest=header.digest,
            )
        family, reason = _told_family(structure, metadata)
        return _adapter_head(structure, metadata, family, reason, header.digest)


def _tell_folder(path: Path) -> Head:
    try:
        return Head("base", examine(Evidence(path)).family.name)
    except (BaseError, OSError) as fault:
        return Head("other", reason=fault.message if isinstance(fault, BaseError) else str(fault))


def tell_structure(path: Path, header: Header) -> Structure:
    """What the tensors in a header are: an adapter's, else a base's, else what they look like."""
    if any(word in key for key in header.tensors for word in _ADAPTER):
        sketch = sketch_adapter(
            {key: entry.shape for key, entry in header.tensors.items()}, part_prefix(path.parent.name)
        )
        if sketch.layers:
            problem = ""
            if sketch.unknown:
                some = ", ".join(sorted(sketch.unknown)[:3])
                problem = f"{len(sketch.unknown)} of its keys belong to no known algorithm: {some}."
            return Structure(
                "adapter",
                sketch.algorithms,
                sketch.rank,
                problem=problem,
                fit=fit_families(sketch.extents),
                first=min(sketch.layers),
            )
        if sketch.embeddings or not header.tensors:
            return Structure("other", problem="holds embeddings alone, no layer of an adapter.")
        some = ", ".join(sorted(sketch.unknown)[:3])
        return Structure("adapter", problem=f"is of a kind that is not read: keys such as {some}.", reason=_looks(some))
    if tell_embedding(header) is not None:
        return Structure("other", problem=IS_EMBEDDING)
    try:
        structure = examine(Evidence(path, header))
    except BaseError as fault:
        return Structure("other", reason=f"{fault.message}")
    return Structure("base", family=structure.family.name)


def _told_family(structure: Structure, metadata: Mapping[str, str]) -> tuple[str | None, str]:
    """A family's name or the header's word for it; else None and why it cannot be told."""
    fit = structure.fit
    if fit is None:
        return structure.family, structure.reason
    name = choose_origin(fit, metadata).name
    if name is not None:
        return name, ""
    fitting = [family for family, count in fit.known.items() if count > fit.layers // 2]
    if not fitting:
        first = structure.first
        return None, f"no known family has layers such as {first[:80]}{_looks(first, ': they look like ')}"
    own = [family for family in fitting if family not in fit.contradicted]
    names = " or ".join(family.name for family in own or fitting)
    if own:
        return None, f"its layers may be of {names}, and nothing tells which"
    looks = _looks(structure.first, "; they look like ")
    return None, f"its layers are named as those of {names}, but are of other sizes{looks}"


def _looks(keys: str, before: str = "it looks like ") -> str:
    name = next((name for pattern, name in _LOOKS if pattern.search(keys)), "")
    return f"{before}{name}" if name else ""


def _adapter_head(
    structure: Structure, metadata: Mapping[str, str], family: str | None, reason: str, digest: str
) -> Head:
    facts = {name: _short(metadata[key]) for key, name in _TRAINING.items() if metadata.get(key, "None") != "None"}
    rank = structure.rank if structure.rank is not None else _number(metadata.get("ss_network_dim"))
    hint = _CALLED_AT.search(metadata.get("modelspec.usage_hint", ""))
    made_by = (metadata.get("ss_training_comment", ""), metadata.get("modelspec.implementation_version", ""))
    phrase = _short(metadata.get("modelspec.trigger_phrase") or metadata.get("lorasmith.trigger"))
    return Head(
        "adapter",
        family,
        reason or structure.reason,
        structure.algorithms,
        rank,
        alias=_short(metadata.get("ss_output_name"), 200),
        title=_short(metadata.get("modelspec.title")),
        recorded=_hash(metadata, "sshs_model_hash"),
        addnet=_hash(metadata, "sshs_legacy_hash").replace(OF_NOTHING, ""),
        base=_short(metadata.get("ss_sd_model_name")),
        triggers=(phrase,) if phrase else (),
        tags=_tags(metadata.get("ss_tag_frequency")),
        facts=facts,
        description=_short(metadata.get("modelspec.description"), 5000),
        strength=_strength(metadata.get("lorasmith.strength") or (hint[1] if hint else "")),
        mine=any(word.startswith(("lorasmith ", "lorasmith/")) for word in made_by),
        problem=structure.problem,
        digest=digest,
    )


def _tags(text: str | None) -> tuple[tuple[str, int], ...]:
    """The commonest tags of the training captions, over all folders; none where the record is missing or broken."""
    total: Counter[str] = Counter()
    try:
        for counts in json.loads(text or "{}").values():
            for tag, count in counts.items():
                total[tag.strip()] += int(count)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ()
    del total[""]
    return tuple((tag[:200], count) for tag, count in total.most_common(MOST_TAGS))


def _short(text: str | None, most: int = _LONGEST) -> str:
    return "" if text is None or text == "None" else text[:most]


def _hash(metadata: Mapping[str, str], key: str) -> str:
    text = metadata.get(key, "").lower()
    return text if re.fullmatch(r"(0x)?[0-9a-f]{8,64}", text) else ""


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,6}", text) else None


def _strength(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
