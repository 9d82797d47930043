"""The state that a run resumes from: one safetensors file, written whole or not at all, with JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lorasmith.errors import TrainingError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file

VERSION = 2


@dataclass(frozen=True)
class SessionState:
    """Where one adapter of a run stands after `step` optimizer steps.

    `events` is the size of its events.jsonl in bytes; `dataset` the fingerprint of what it is trained on; `losses`
    and `bands` are what its figures are made of; `fault` says why it has ended early.
    """

    step: int
    events: int
    dataset: str
    losses: tuple[float, ...] = ()
    bands: tuple[tuple[float, ...], ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class State:
    """Where a run stands, and what must be the same again for it to go on bit for bit.

    `tensors` are the factors in fp32 and the optimizers' memory, with the session's number before their name; `base`
    is a content hash; `seconds` were spent training; `most_rows` went through the base at once (None: all).
    """

    seconds: float
    threads: int
    base: str
    started_at: float
    sessions: tuple[SessionState, ...]
    most_rows: int | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict, compare=False)


def save_state(file: Path, state: State) -> None:
    """Write the state; the old one stays until the new one is whole. Raises StorageError."""
    facts = {key: value for key, value in vars(state).items() if key not in ("tensors", "sessions")}
    facts["members"] = [asdict(session) for session in state.sessions]
    tensors = {key: tensor.detach().to("cpu", copy=False).contiguous() for key, tensor in state.tensors.items()}
    write_file(file, save(tensors, {"state": json.dumps({"version": VERSION} | facts)}))


def load_state(file: Path) -> State:
    """Read a state. Raises TrainingError when it is damaged or of another version."""
    try:
        with safe_open(file, "pt") as opened:
            facts = json.loads(opened.metadata()["state"])
            tensors = {key: opened.get_tensor(key).clone() for key in opened.keys()}  # noqa: SIM118
        version = facts.pop("version")
        if version != VERSION:
            raise TrainingError(f"written by another version (state {version}, this one reads {VERSION}).", where=file)
        sessions = tuple(
            SessionState(**{**each, "losses": tuple(each["losses"]), "bands": tuple(map(tuple, each["bands"]))})
            for each in facts.pop("members")
        )
        return State(**facts, sessions=sessions, tensors=tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as fault:
        raise TrainingError(
            f"the state cannot be read ({fault}).",
            where=file,
            remedy=Sentence("Start again without ", Give("resume"), "."),
        ) from fault
