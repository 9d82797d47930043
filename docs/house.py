"""Draw the house: its layers, the rooms of each, and which layer asks which, from the imports of the code.

.venv/bin/python -m docs.house      writes docs/pictures/house.svg
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lorasmith"
DRAWING = ROOT / "docs" / "pictures" / "house.svg"
WIDTH, LEFT, TOP, ROW, CHIP, LETTER = 1180, 330, 40, 30, 20, 6.4
"""Pixels: the sheet, what arcs and names take, the first row, a row, a room's height, a letter."""


def layers() -> tuple[str, ...]:
    """The layers from the ground up, as the test of imports has them."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LAYERS":
            names = ast.literal_eval(node.value)
            return tuple(name for name in names if files(name))
    raise SystemExit("tests/test_layers.py names no LAYERS")


def files(layer: str) -> list[Path]:
    """The modules of a layer."""
    folder = SOURCE / layer
    found = sorted(folder.rglob("*.py")) if folder.is_dir() else [SOURCE / f"{layer}.py"]
    return [file for file in found if file.is_file()]


def rooms(layer: str) -> list[str]:
    """The modules and packages of a layer, packages with a slash."""
    folder = SOURCE / layer
    if not folder.is_dir():
        return []
    packages = sorted(f"{each.name}/" for each in folder.iterdir() if (each / "__init__.py").is_file())
    return packages + sorted(each.stem for each in folder.glob("*.py") if each.stem != "__init__")


def asks(layer: str, known: Sequence[str]) -> dict[str, int]:
    """The layers that this one imports, with the number of its modules that do."""
    counts: dict[str, int] = {}
    for file in files(layer):
        asked = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            asked |= {parts[1] for name in names if (parts := name.split("."))[0] == "lorasmith" and len(parts) > 1}
        for other in asked & set(known) - {layer}:
            counts[other] = counts.get(other, 0) + 1
    return counts


def draw() -> str:
    """The drawing as SVG: layers as rows, the faces on top; arcs at the left lead from who asks to who is asked."""
    order = list(reversed(layers()))
    heights: list[float] = []
    bodies: list[str] = []
    y = float(TOP)
    for layer in order:
        heights.append(y)
        x, line = float(LEFT), 0
        for room in rooms(layer):
            wide = len(room) * LETTER + 12
            if x + wide > WIDTH - 10:
                x, line = float(LEFT), line + 1
            at = y + 5 + line * (CHIP + 4)
            fill = "#dbe7f5" if room.endswith("/") else "#f3f5f8"
            bodies.append(f'<rect x="{x:.0f}" y="{at:.0f}" width="{wide:.0f}" height="{CHIP}" rx="4" fill="{fill}"/>')
            bodies.append(f'<text x="{x + 6:.0f}" y="{at + 14:.0f}" font-size="11">{escape(room)}</text>')
            x += wide + 4
        tall = max(ROW, 10 + (line + 1) * (CHIP + 4))
        bodies.append(f'<text x="{LEFT - 12}" y="{y + 20:.0f}" text-anchor="end" font-weight="bold">{layer}</text>')
        bodies.append(f'<line x1="150" x2="{WIDTH - 6}" y1="{y + tall:.0f}" y2="{y + tall:.0f}" stroke="#e3e6ea"/>')
        y += tall
    place = dict(zip(order, heights, strict=True))
    arcs = []
    for layer in order:
        for other, count in sorted(asks(layer, order).items()):
            above, below = place[layer] + 16, place[other] + 16
            reach = 215 - min(200.0, (below - above) * 0.24)
            thick = min(3.0, 0.5 + count / 12)
            arcs.append(
                f'<path d="M 232 {above:.0f} C {reach:.0f} {above:.0f}, {reach:.0f} {below:.0f}, 232 {below:.0f}" '
                f'fill="none" stroke="#2b6cb0" stroke-opacity="0.35" stroke-width="{thick:.1f}">'
                f"<title>{layer} asks {other} ({count})</title></path>"
            )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 20:.0f}" '
            'font-family="sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{y + 20:.0f}" fill="white"/>',
            '<text x="150" y="24" font-size="12" fill="#555">Layers, the faces on top; packages blue, modules grey; '
            "arcs lead down from who asks to who is asked.</text>",
            *arcs,
            *bodies,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    DRAWING.write_text(draw(), "utf-8")
