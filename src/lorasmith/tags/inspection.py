"""Look at a project's images and at its tags: the dataset rules, the tag rules, and what a tagger sees."""

from __future__ import annotations

from lorasmith.dataset.fingerprinting import measure_blur
from lorasmith.dataset.index import open_index
from lorasmith.dataset.inspection import Inspection, inspect
from lorasmith.dataset.reading import Dataset
from lorasmith.events import Work
from lorasmith.project import Project
from lorasmith.tags.apart import measure_apart
from lorasmith.tags.inputs import read_inputs
from lorasmith.tags.review import RULE_IDS, Vocabulary, review_inputs
from lorasmith.tags.sights import read_sights


def inspect_project(project: Project, dataset: Dataset, vocabulary: Vocabulary | None = None) -> Work[Inspection]:
    """Run every rule, D and T, over a project. `vocabulary` is what is known outside of it (T2).

    Raises RefusedError, before anything is said, for what must not be trained; ProjectError for a wrong `waive`.
    """
    with open_index(project.cache) as index:  # what the rules ask for is measured where it can be seen
        yield from measure_blur(index, dataset)
    inputs = read_inputs(project, dataset)
    also = review_inputs(inputs, vocabulary)
    tags = {name: image.tags for name, image in inputs.raw.items()}
    apart = yield from measure_apart(project, dataset)
    return (yield from inspect(project, dataset, tags, also, RULE_IDS, read_sights(inputs.raw), apart))
