"""Which snapshots enter the choice: those that the held-out loss nominates, and the mean of the last ones.

The loss on held-out images, divided by the base's own on the same noise, falls while the subject is learnt and rises
when the images are learnt by heart; its lowest point is the early edge of the good ones, so that what comes after it is
nominated, too (docs/exam.md). Without held-out images the first third is left out and the rest taken evenly.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lorasmith.adapters.container import read_header
from lorasmith.errors import LorasmithError
from lorasmith.exam.selection import candidates
from lorasmith.storage.files import write_file

#: Snapshots of which the mean is taken, at most.
AVERAGED = 3


def nominate(snapshots: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of a run's snapshots (in training order), the last one always among them."""
    if len(snapshots) <= most:
        return list(snapshots)
    losses = held_out_losses(snapshots[-1].parent)
    ratios = [nearest_loss(losses, path) for path in snapshots]
    if any(ratio is None for ratio in ratios):
        return candidates(snapshots[len(snapshots) // 3 :], most)
    known = [ratio for ratio in ratios if ratio is not None]
    smooth = [(known[max(0, i - 1)] + 2 * known[i] + known[min(len(known) - 1, i + 1)]) / 4 for i in range(len(known))]
    best = min(range(len(smooth)), key=lambda i: smooth[i])
    first = min(best, len(snapshots) - most)
    return candidates(snapshots[first:], most)


def held_out_losses(run: Path) -> dict[int, float]:
    """Step -> loss on the held-out images over the base's own (the mean over bands of timesteps where they are told);
    {} for a run that held none out."""
    found: dict[int, float] = {}
    with contextlib.suppress(OSError):
        for line in (run / "events.jsonl").read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, ZeroDivisionError):
                event = json.loads(line)
                if event["event"] != "validation":
                    continue
                bands = event.get("bands") or {}
                own = event.get("base_bands") or {}
                ratios = [bands[name] / own[name] for name in bands if own.get(name)]
                found[event["step"]] = sum(ratios) / len(ratios) if ratios else event["loss"] / event["base"]
    return found


def with_average(snapshots: Sequence[Path], most: int, cache: Path) -> list[Path]:
    """At most `most` of a run's snapshots, the mean of the last ones among them (Izmailov et al. 2018; of factors, as
    snapshots of one run are near each other). It lies in `cache` until an exam chooses it."""
    last = list(snapshots)[-AVERAGED:]
    if len(last) < 2 or most < 2:
        return nominate(snapshots, most)
    return [*nominate(snapshots, most - 1), _average(last, cache / "exam")]


def _average(files: Sequence[Path], folder: Path) -> Path:
    """Their mean, tensor by tensor; the file is a function of theirs. Raises AdapterError, StorageError."""
    import torch

    from lorasmith.adapters.container import header_bytes, payload_bytes
    from lorasmith.adapters.files import read_tensors
    from lorasmith.adapters.header import payload_hashes

    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    place = folder / digest.hexdigest()[:12] / f"{files[-1].stem}-average.safetensors"
    if place.is_file():
        return place
    parts = [read_tensors(file) for file in files]
    mean = {
        key: torch.stack([part[key].double() for part in parts]).mean(0).to(tensor.dtype)
        for key, tensor in parts[-1].items()
        if all(key in part and part[key].shape == tensor.shape for part in parts)
    }
    metadata = {key: text for key, text in read_header(files[-1]).metadata.items() if not key.startswith("sshs_")}
    metadata |= payload_hashes(mean, metadata)
    return write_file(place, header_bytes(mean, metadata) + payload_bytes(mean))


def nearest_loss(losses: Mapping[int, float], snapshot: Path) -> float | None:
    """The held-out loss measured nearest to a snapshot's step, which its header tells; None without any."""
    with contextlib.suppress(LorasmithError, ValueError, KeyError, OSError):
        step = int(read_header(snapshot).metadata["ss_steps"])
        return losses[min(losses, key=lambda measured: abs(measured - step))]
    return None
