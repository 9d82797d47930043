"""axe-core, the npm package that finds what people with other eyes and hands cannot use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  const grave = found.violations.filter((each) => ["serious", "critical"].includes(each.impact));
  return grave.map((each) => ({
    id: each.id, help: each.help,
    nodes: each.nodes.slice(0, 5).map((one) => one.html.slice(0, 200) + " " + one.failureSummary),
  }));
}"""


def find_axe() -> Path | None:
    """Its file where npm put it: below LORASMITH_NODE_MODULES, or node_modules here."""
    modules = os.environ.get("LORASMITH_NODE_MODULES") or Path(__file__).parents[2] / "node_modules"
    file = Path(modules) / "axe-core" / "axe.min.js"
    return file if file.is_file() else None


def faults_on(page: Any) -> list[dict[str, Any]]:
    """What axe calls serious or critical on the page as it stands; axe must be there."""
    file = find_axe()
    assert file is not None
    page.evaluate(file.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return found
