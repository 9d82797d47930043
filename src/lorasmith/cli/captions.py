"""How captions, their rules and the tag table look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lorasmith.tags.building import Change
    from lorasmith.tags.explanation import Explanation
    from lorasmith.tags.imports import Imported
    from lorasmith.tags.pipeline import Captioning
    from lorasmith.tags.statistics import TagTable

SHOWN = 12
_SHOWN_TAGS = 40
_ORIGINS = {
    "caption": "its own caption",
    "tagger": "the tagger",
    "both": "its own caption and the tagger",
    "folder": "its folder's name",
    "none": "nothing: it has neither caption nor tags",
}
_STYLES = {"kept": "", "moved": "", "dropped": "red", "added": "green", "changed": "yellow"}


def draw_captions(captioning: Captioning) -> RenderableType:
    """The first captions, and how many each rule changed."""
    from rich.console import Group
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("image", style="cyan")
    table.add_column("caption")
    for name, caption in list(captioning.captions.items())[:SHOWN]:
        table.add_row(plain(name), plain(caption))
    parts: list[RenderableType] = [table]
    rest = len(captioning.captions) - SHOWN
    if rest > 0:
        parts.append(plain(f"... and {rest} more; all of them with --json", style="dim"))
    effects = ", ".join(f"{rule.name} {rule.changed}" for rule in captioning.rules if rule.changed)
    parts.append(plain(f"\nCaptions changed by rule: {effects or 'none'}"))
    return Group(*parts)


def draw_changes(changes: tuple[Change, ...]) -> RenderableType:
    """The first captions that would change, before and after."""
    from lorasmith.cli.console import plain

    text = plain("")
    for change in changes[:SHOWN]:
        text.append_text(plain(f"{change.image}\n", "cyan"))
        text.append_text(plain(f"  - {change.before}\n", "red"))
        text.append_text(plain(f"  + {change.after}\n", "green"))
    if len(changes) > SHOWN:
        text.append(f"... and {len(changes) - SHOWN} more; all of them with --json\n", style="dim")
    if len(changes) == 1:
        return text.append("1 caption would change.")
    return text.append(f"{len(changes)} captions would change." if changes else "No caption would change.")


def draw_explanation(explanation: Explanation) -> RenderableType:
    """Every tag with its fate, the rule that decided and why, and the caption in the end."""
    from rich.console import Group
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    for fate in explanation.tags:
        tag = fate.tag if fate.became is None else f"{fate.tag} -> {fate.became}"
        rule = next((step.rule for step in reversed(fate.steps) if step.id == fate.rule and step.why == fate.why), "")
        table.add_row(
            plain(fate.fate, style=_STYLES[fate.fate]), plain(tag), fate.rule, rule, plain(fate.why, style="dim")
        )
    head = plain(f"{explanation.image}: tags from {_origin(explanation)}", style="bold")
    return Group(head, table, plain(f"= {explanation.caption}", style="bold"))


def _origin(explanation: Explanation) -> str:
    origin = _ORIGINS[explanation.source]
    return origin.replace("its own caption", f"the import {explanation.imported}") if explanation.imported else origin


def draw_table(table: TagTable) -> RenderableType:
    """The most frequent tags: how often they came, how often they are left, and with the trigger."""
    from rich.console import Group
    from rich.table import Table

    from lorasmith.cli.console import plain

    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("tag", style="cyan")
    for name in ("images", "in captions", "with the trigger"):
        grid.add_column(name, justify="right")
    grid.add_column("")
    for row in table.rows[:_SHOWN_TAGS]:
        remark = ", ".join(filter(None, (row.feature, "fused with the trigger" if row.fused else "")))
        style = "dim" if row.left == 0 else ""
        grid.add_row(
            plain(row.tag),
            plain(str(row.images), style),
            plain(str(row.left), style),
            f"{row.share:.0%}",
            plain(remark),
        )
    parts: list[RenderableType] = [grid]
    if len(table.rows) > _SHOWN_TAGS:
        parts.append(plain(f"... and {len(table.rows) - _SHOWN_TAGS} rarer ones; all of them with --json", style="dim"))
    for typo, count in table.typos.items():
        parts.append(plain(f'"{typo}" ({count}) is nearly the trigger, and taken for it.', style="yellow"))
    fused = [row.tag for row in table.rows if row.fused and row.left]
    if fused:
        parts.append(
            plain(
                f"\nNearly always with the trigger: {', '.join(fused[:8])}. What captions say stays yours to choose; "
                "to make it part of the subject: [tags] fused = 0.95, or absorb.",
                style="dim",
            )
        )
    return Group(*parts)


def draw_import(imported: Imported) -> RenderableType:
    """What an import found, and what it did not."""
    from lorasmith.cli.console import plain

    count = len(imported.matched)
    text = plain(f"{count} {'image' if count == 1 else 'images'} got tags from {imported.source}.")
    others = (
        ("own captions go before it ([tags] source)", imported.captioned),
        ("mean no image", imported.unmatched),
        ("may mean several images", tuple(imported.ambiguous)),
        ("contradict each other", tuple(imported.contradicted)),
        ("cannot be read", tuple(part.where for part in imported.unreadable)),
        ("images without tags", imported.left),
    )
    for what, names in others:
        if names:
            more = ", ..." if len(names) > 4 else ""
            text.append_text(plain(f"\n  {len(names)} {what}: {', '.join(names[:4])}{more}", "yellow"))
    return text
