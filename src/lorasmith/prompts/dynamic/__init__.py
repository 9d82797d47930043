"""Dynamic prompts (U4): one template, many prompts. Own grammar and sampler; no template engine, so no code to run."""

from lorasmith.prompts.dynamic.expansion import Expansion, Seeds, count_prompts, expand
from lorasmith.prompts.dynamic.nodes import Method
from lorasmith.prompts.dynamic.template import Template, read_template
from lorasmith.prompts.dynamic.wildcards import Wildcards

__all__ = [
    "Expansion",
    "Method",
    "Seeds",
    "Template",
    "Wildcards",
    "count_prompts",
    "expand",
    "read_template",
]
