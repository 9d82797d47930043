"""The images of a project as one document: what they are and what is decided about each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.dataset.decisions import Decisions, read_decisions
from lorasmith.dataset.provenance import Provenance, read_provenance
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.project import Project


def list_images(project: Project, dataset: Dataset) -> dict[str, Any]:
    """All images by name, rejected ones too, the problems, and how many steps can be undone and redone.

    Of an image is left out what it has not: `folder`, `role`, `crop`, `facets`, `member`, `made` (how, and of which
    images), `caption` (whether there is one), `source` with `author` and `licence`.
    """
    decisions, provenance = read_decisions(project), read_provenance(project)
    names = {item.facts.sha256: item.name for item in (*dataset.rejected, *dataset.items)}
    rejected = {item.name for item in dataset.rejected}
    everything = sorted((*dataset.items, *dataset.rejected), key=lambda item: item.name)
    return {
        "images": [_describe(item, item.name in rejected, decisions, names, provenance) for item in everything],
        "problems": [{"name": one.name, "message": one.message} for one in dataset.problems],
        "undo": len(decisions.steps),
        "redo": len(decisions.redoable),
    }


def _describe(
    item: Item,
    is_rejected: bool,
    decisions: Decisions,
    names: Mapping[str, str],
    provenance: Mapping[str, Provenance],
) -> dict[str, Any]:
    standing, facts = decisions.about(item.facts.sha256), item.facts
    state = "rejected" if is_rejected else "kept" if standing.kept else "in"
    made = item.lineage and {
        "by": item.lineage.operation,
        "of": [names.get(source, source) for source in item.lineage.sources],
    }
    known = provenance.get(facts.sha256)
    said: dict[str, Any] = {
        "folder": item.folder,
        "role": item.role,
        "crop": item.crop and list(item.crop),
        "facets": list(item.facets),
        "member": item.member,
        "made": made,
        "caption": item.caption is not None,
        "reason": standing.reason,
        "source": known.source if known else "",
        "author": known.author if known else "",
        "licence": known.licence if known else "",
    }
    head = {
        "name": item.name,
        "id": facts.sha256,
        "width": facts.width,
        "height": facts.height,
        "repeats": item.repeats,
        "state": state,
    }
    return head | {key: value for key, value in said.items() if value}
