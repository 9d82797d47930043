"""The dataset rules, one a file, in the order in which they are shown."""

from lorasmith.dataset.findings import Rule
from lorasmith.dataset.rules import balance, captions, clones, count, duplicates, limited, readable

RULES: tuple[Rule, ...] = (
    readable.RULE,
    count.RULE,
    limited.RULE,
    clones.RULE,
    duplicates.RULE,
    balance.RULE,
    captions.RULE,
)
