"""The spoiled twins: inspect finds every planted fault, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.spoiling import (
    Fault,
    invented,
    look,
    make_bundle,
    make_clash,
    make_clean,
    make_spoiled,
    missed,
    read_faults,
)

from lorasmith.dataset.findings import Finding
from lorasmith.dataset.rules import RULES
from lorasmith.tags.review import RULE_IDS


def test_the_list_names_known_rules_and_every_kind_of_fault() -> None:
    faults = [*read_faults("spoiled"), *read_faults("clash")]
    assert len(faults) > 30
    known = {*(rule.id for rule in RULES), *RULE_IDS}
    named = {rule for fault in faults for rule in fault.rules}
    assert named <= known
    assert named >= {"L0", "L1", "D3", "D7", "D12", "D13", "D16", "D17", "T1", "T9", "T10"}


def test_the_clean_twin_is_clean(tmp_path: Path) -> None:
    standing = [finding for finding in look(make_clean(tmp_path / "clean")).findings if finding.waived is None]
    assert standing == []


def test_every_planted_fault_is_found_and_nothing_else(tmp_path: Path) -> None:
    clean = look(make_clean(tmp_path / "clean")).findings
    findings = look(make_spoiled(tmp_path / "spoiled")).findings
    assert missed(read_faults("spoiled"), findings) == ()
    assert invented(read_faults("spoiled"), findings, clean) == ()


def test_a_clash_in_a_bundle_is_found_and_nothing_else(tmp_path: Path) -> None:
    clean = look(make_bundle(tmp_path / "clean")).findings
    assert {finding.level for finding in clean if finding.waived is None} <= {"note"}
    findings = look(make_clash(tmp_path / "clash")).findings
    assert missed(read_faults("clash"), findings) == ()
    assert invented(read_faults("clash"), findings, clean) == ()


@pytest.mark.parametrize(
    ("finding", "is_new"),
    [
        (Finding("D12", "warning", "as planted.", "x", ("a.png", "copy.png")), False),
        (Finding("D12", "warning", "another image too.", "x", ("b.png", "copy.png")), True),
        (Finding("D12", "warning", "the wrong images.", "x", ("a.png",)), True),
        (Finding("D17", "warning", "another rule.", "x", ("copy.png",)), True),
        (Finding("D4", "note", "there before.", "x"), False),
        (Finding("D17", "warning", "waived.", "x", ("copy.png",), waived="why"), False),
    ],
)
def test_the_judge_tells_planted_from_invented(finding: Finding, is_new: bool) -> None:
    fault = Fault("spoiled", "a copy", "copy", ("D12",), ("copy.png",), {"image": "a.png"})
    before = [Finding("D4", "note", "before.", "x")]
    assert (invented([fault], [finding], before) != ()) is is_new
    assert (missed([fault], [finding]) == ()) is (finding.rule == "D12" and "copy.png" in finding.images)
