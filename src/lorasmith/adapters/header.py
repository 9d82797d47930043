"""The metadata that other tools read: sd-scripts' `ss_*` facts, its payload hashes, and modelspec."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.container import header_bytes, payload_bytes, read_header
from lorasmith.bases.base import Base
from lorasmith.bases.families.family import Family
from lorasmith.errors import AdapterError

LEGACY_BEGIN, LEGACY_LENGTH = 0x100000, 0x10000
_LYCORIS = re.compile("0x[0-9a-f]{64}")
MODEL_HASH, LEGACY_HASH = "sshs_model_hash", "sshs_legacy_hash"
PREDICTION_TYPES = {"epsilon": "epsilon", "v_prediction": "v"}
"""modelspec's words; it has none for a flow, whose files go without (as sd-scripts')."""


def build_header(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as the texts that sd-scripts writes: tables and lists as JSON, None as "None", the rest by `str`."""
    return {
        key: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, (dict, list, tuple))
        else str(value)
        for key, value in facts.items()
    }


def network_facts(adapter: Adapter, base: Base) -> dict[str, Any]:
    """The `ss_*` facts that no file should lack: what the network is, and which base it was made on."""
    family = base.family.header_facts(base.parametrisation.prediction)
    conv = sorted({factors.rank for name, factors in adapter.layers.items() if base.layers[name].kind == "conv3"})
    args = {"conv_dim": str(conv[0])} if len(conv) == 1 else {}
    module, algo = network_module(adapter, base.family)
    return {
        "ss_v2": family.v2,
        "ss_base_model_version": family.version,
        "ss_network_module": module,
        "ss_network_dim": adapter.rank,
        "ss_network_alpha": adapter.alpha,
        "ss_network_args": args | algo,
        "ss_sd_model_name": base.name,
        "ss_new_sd_model_hash": base.content_hash,
    }


def network_module(adapter: Adapter, family: Family) -> tuple[str, dict[str, str]]:
    """sd-scripts' module, which some families have of their own for a plain LoRA, and the arguments of lycoris that
    tell the algorithm."""
    layers = [factors for factors in adapter.layers.values() if not factors.on_norms] or list(adapter.layers.values())
    over = [factors for factors in layers if len(factors.parts) > 1]
    names = sorted({name for factors in over or layers for name in factors.parts})
    words = [ALGORITHMS[name].kohya for name in names]
    if all(each.module for each in words):
        own = family.trainer_words.get("kohya", ()) if names == ["lora"] else ()
        return next(iter(own), min(each.module for each in words)), {}
    algo = next((each.algo for each in words if each.algo), "")
    flags = {key: value for each in words for key, value in each.flags.items()}
    return ("lycoris.kohya", {"algo": algo} | flags) if algo else (f"lorasmith.{names[0]}", flags)


def modelspec(
    base: Base,
    *,
    title: str,
    when: datetime,
    trigger: str = "",
    size: tuple[int, int] | None = None,
    thumbnail: str = "",
    **more: str,
) -> dict[str, str]:
    """modelspec 1.0.1 fields. `size` is (width, height); `thumbnail` a data URL; `more` e.g. author, description,
    license, tags, usage_hint, without their prefix. Empty fields are left out."""
    width, height = size or (base.resolution, base.resolution)
    family = base.family.header_facts(base.parametrisation.prediction)
    fields = {
        "sai_model_spec": "1.0.1",
        "architecture": family.architecture,
        "implementation": family.implementation,
        "title": title,
        "resolution": f"{width}x{height}",
        "date": when.replace(tzinfo=None, microsecond=0).isoformat(),
        "prediction_type": PREDICTION_TYPES.get(base.parametrisation.prediction, ""),
        "trigger_phrase": trigger,
        "thumbnail": thumbnail,
        **more,
    }
    return {f"modelspec.{key}": value for key, value in fields.items() if value}


def payload_hashes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """`sshs_model_hash` and `sshs_legacy_hash` of these tensors under this metadata, as sd-scripts defines them.

    The first is the sha256 of the payload. The second is eight digits of the sha256 of 64 KiB at offset 1 MiB of
    the file with the `ss_*` metadata alone; small files do not reach so far, theirs is that of nothing.
    """
    payload = payload_bytes(tensors)
    head = header_bytes(tensors, {key: value for key, value in metadata.items() if key.startswith("ss_")})
    window = (head[LEGACY_BEGIN:] + payload[max(0, LEGACY_BEGIN - len(head)) :][:LEGACY_LENGTH])[:LEGACY_LENGTH]
    return {
        MODEL_HASH: hashlib.sha256(payload).hexdigest(),
        LEGACY_HASH: hashlib.sha256(window).hexdigest()[:8],
    }


def addnet_hash(path: Path | str) -> str:
    """sha256 (64 hex digits) of a file's payload: what A1111 calls a LoRA's hash, first 12 digits shown."""
    header = read_header(path)
    with Path(path).open("rb") as opened:
        opened.seek(header.start)
        return hashlib.file_digest(opened, "sha256").hexdigest()


HashKind = Literal["none", "correct", "wrong", "of LyCORIS"]


@dataclass(frozen=True)
class HashReport:
    """Recorded and recomputed hashes of a file. `ok` is None when the header records none that can be checked."""

    recorded: Mapping[str, str]
    computed: Mapping[str, str]

    @property
    def kind(self) -> HashKind:
        """Which hash is recorded. LyCORIS since 2.2 hashes tensor by tensor in the order of its modules, which no file
        keeps, writes ``0x`` before it, and no second one (`lycoris.utils.precalculate_safetensors_hashes`)."""
        if not self.recorded:
            return "none"
        if all(self.computed[key] == value.removeprefix("0x").lower() for key, value in self.recorded.items()):
            return "correct"
        given = self.recorded.get(MODEL_HASH, "")
        return "of LyCORIS" if _LYCORIS.fullmatch(given) and LEGACY_HASH not in self.recorded else "wrong"

    @property
    def ok(self) -> bool | None:
        return {"correct": True, "wrong": False}.get(self.kind)


def check_hashes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> HashReport:
    """Compare the hashes in a file's metadata with those of its tensors, in the file's own dtypes."""
    recorded = {key: metadata[key] for key in (MODEL_HASH, LEGACY_HASH) if key in metadata}
    return HashReport(recorded, payload_hashes(tensors, metadata))


def check_finite(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raises AdapterError naming the first tensor with a NaN or an infinity."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise AdapterError(
                f"{key} holds NaN or infinite values: the adapter is broken.",
                where=where,
                hint="Its training diverged; take an earlier snapshot.",
            )
