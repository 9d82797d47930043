"""Responsibility: of a real person source, licence and consent are on record."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.findings import Finding
from lorasmith.tags.review.check import Case, TagCheck


def check(case: Case) -> Iterator[Finding]:
    """A warning naming the fields that are missing."""
    provenance = case.inputs.project.provenance
    fields = {"source": provenance.source, "licence": provenance.licence, "consent": provenance.consent}
    missing = [name for name, text in fields.items() if not text.strip()]
    if provenance.real_person and missing:
        message = f"an adapter of a real person without {' and '.join(missing)} on record."
        advice = "Write it into [provenance] of lora.toml; it goes into the adapter and its card."
        yield Finding("P1", "warning", message, advice)


PERSON = TagCheck("P1", "a real person's consent, and the source and licence of the images", check)
