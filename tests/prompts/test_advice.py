"""What the linter says, and what it keeps quiet about."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from lorasmith.errors import PromptError, near_names
from lorasmith.prompts.advice import advise


class Table:
    """Adapters by name, with their trigger phrases."""

    triggers = MappingProxyType({"zbk": "zbk, blue hat", "style": "", "b": "B-word"})

    def trigger(self, name: str) -> str:
        if name not in self.triggers:
            near = near_names(name, self.triggers)
            raise PromptError(f'adapter "{name}" is unknown.', hint=f"Did you mean {' or '.join(near)}?")
        return self.triggers[name]


TRIGGERS = Table()


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("a <lora:zbx:1>", "error", 'adapter "zbx" is unknown. Did you mean zbk'),
        ("a <LORA:zbk:1>", "error", "unknown kind"),
        ("a <lora:zbk:x>", "error", "not a number"),
        ("zbk <lora:zbk>", "warning", 'without its trigger "blue hat"'),
        ("zbk, blue hat <lora:zbk> <lora:b:0.8:apart=red>", "warning", 'without its trigger "B-word"'),
        ("(a cat", "warning", '"(" not closed'),
        ("a cat]", "warning", "closes nothing"),
        ("(a:1,5)", "warning", "not a comma"),
        ("(a:1.2.3)", "warning", "no number"),
        ("[a:b:1.0]", "warning", "never switches"),
        ("zbk blue hat (<lora:zbk:1>:1.2)", "warning", "do not weigh"),
        ("<lora:style:1:start=5:end=2>", "warning", "never on"),
        ("<lora:style:0>", "note", "strength 0"),
        ("(a:1.9)", "note", "weighs 1.9"),
        ("a cat, :3", "note", "only with AND"),
        ("{a|b}", "note", "template"),
    ],
)
def test_doubts(text: str, level: str, words: str) -> None:
    found = [(advice.level, advice.message) for advice in advise(text, 20, adapters=TRIGGERS)[1]]
    assert len(found) == 1, found
    assert found[0][0] == level
    assert words in found[0][1]


def test_a_good_prompt_needs_no_advice() -> None:
    text = (
        r"zbk, (blue_hat:1.2), [day:night:0.5], cat \(animal\) BREAK b-word <lora:zbk:0.8> <lora:b:0.5> AND a dog :0.5"
    )
    prompt, advice = advise(text, 20, adapters=TRIGGERS)
    assert prompt is not None
    assert advice == ()
    assert advise("<lora:nobody:1>", 20)[1] == ()  # nobody knows which adapters there are
