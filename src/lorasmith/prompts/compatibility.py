"""Which dialect a prompt is read in.

The default is the documented language of the A1111 web UI. ``compat="a1111"`` gives that tool's own answers where
they differ from what is documented:

| prompt | default | a1111 |
| --- | --- | --- |
| `(a BREAK b:1.2)` | BREAK closes the chunk | the word BREAK, weighted -1.2 |
| `(a:1.2.3)` | text "a:1.2.3" at 1.1 | an error |
| `a cat, :3` (no AND) | the text as it stands | "a cat," weighted 3 |
| `<lora:a:1> <lora:b:x>` | an error that names the tag | no adapter at all |

Besides, the default sums repeats of one adapter, takes the first item of a tag for the name even when it contains
"=", and refuses items of a tag that mean nothing; "a1111" lists repeats apart and ignores such items.
"""

from __future__ import annotations

from typing import Literal

from lorasmith.errors import PromptError

Compat = Literal["a1111"] | None


def read_compat(value: object) -> Compat:
    """The dialect by its name: None or "a1111". Raises PromptError for anything else."""
    if value is None:
        return None
    if value == "a1111":
        return "a1111"
    raise PromptError(f"compat = {value!r}: unknown dialect.", hint='Known: "a1111", or leave it out.')
