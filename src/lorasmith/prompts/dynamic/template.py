"""Reading a template: one pass over its text, with variables and wildcards looked up on the way.

| written | meaning |
| --- | --- |
| `{a|b|}` | one of the options; the last one is empty |
| `{3::a|.5::b|c}` | weights; without one it is 1 |
| `{2$$a|b|c}`, `{1-2$$...}`, `{-2$$...}`, `{2-$$...}` | so many different options, joined by "," |
| `{2$$ and $$a|b|c}` | joined by " and " |
| `{~...}`, `{!...}`, `{@...}` | random, combinatorial, cyclical, whatever the mode is |
| `__colours/warm__`, `__colours/*__`, `__@name__` | a value of a wildcard, of several; with a sampler |
| `__shirt(colour=red)__` | a wildcard's value with variables set in it |
| `${x={a|b}}`, `${x=!{a|b}}`, `${x?=...}` | set a variable: rolled at each use; rolled once; only where it is unset |
| `${x}`, `${x:default}` | use it; what holds where it is unset |
| `%{a ... b$$inner}` | `inner` in place of the ellipsis |
| `# ...` | a comment up to the line's end, at a line's start or behind white space |
| `\\{ \\} \\| \\$ \\% \\# \\_` | the plain character; other backslashes stay |

White space in front of an option goes, all other stays. Whatever fits no form is text: `$5`, `50%`, `a__b`, brackets
that are not closed. A wildcard that is not found is an error, unless it is glued to a word, has spaces inside or
stands in a `<...>` tag: then it is text.
"""

from __future__ import annotations

from dataclasses import dataclass

from lorasmith.prompts.dynamic.nodes import Node
from lorasmith.prompts.dynamic.reader import Reader
from lorasmith.prompts.dynamic.wildcards import Wildcards


@dataclass(frozen=True)
class Template:
    """A template that has been read: nothing in it can be missing when prompts are drawn."""

    text: str
    node: Node


def read_template(text: str, wildcards: Wildcards | None = None, keep_missing: bool = False) -> Template:
    """Read a template in time linear in its length and in that of the wildcards it names.

    With `keep_missing` a wildcard that is not found stays as text. Raises PromptError for one that is not found, a
    variable that is not set, and what refers to itself.
    """
    return Template(text, Reader(wildcards or Wildcards(), keep_missing).read(text))
