"""Every rule of the domain is a check, with a dataset that passes and one that fails, and a row in the docs."""

from __future__ import annotations

import importlib.util
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from lorasmith.dataset.findings import Rule
from lorasmith.dataset.rules import RULES

ROOT = Path(__file__).parents[2]
DOMAIN = [f"D{number}" for number in range(1, 18)]


def test_every_rule_of_the_domain_is_there_once_and_ours_are_named_apart() -> None:
    ids = [rule.id for rule in RULES]
    assert [rule for rule in ids if rule.startswith("D")] == DOMAIN
    assert [rule for rule in ids if not rule.startswith("D")] == ["L0", "L1", "L2"]
    assert all(rule.title for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_it_has_a_file_a_test_a_dataset_that_passes_and_one_that_fails(rule: Rule) -> None:
    file = Path(inspect.getfile(rule.check))
    assert (file.parent.name, (file.parent / file.name).exists()) == ("rules", True)
    assert (inspect.getmodule(rule.check).__doc__ or "").startswith(rule.id)
    tests = import_module(f"tests.dataset.rules.test_{file.stem}")
    assert list(rule.check(tests.passing())) == []
    failing = list(rule.check(tests.failing()))
    assert failing
    assert {finding.rule for finding in failing} == {rule.id}
    assert all(finding.message.endswith(".") and finding.advice for finding in failing)


def test_every_rule_has_a_row_in_the_generated_docs() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page: str = generate.rules_page()
    for rule in RULES:
        assert f"| {rule.id} | {rule.title} |" in page
