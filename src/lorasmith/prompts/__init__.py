"""The prompt language: text in, values out. Pure, linear in the text's length, without recursion."""

from lorasmith.prompts.attention import Span, parse_attention
from lorasmith.prompts.composition import split_subprompts
from lorasmith.prompts.networks import Network, split_networks
from lorasmith.prompts.prompt import ParsedPrompt, SubPrompt, parse
from lorasmith.prompts.schedule import parse_schedule

__all__ = [
    "Network",
    "ParsedPrompt",
    "Span",
    "SubPrompt",
    "parse",
    "parse_attention",
    "parse_schedule",
    "split_networks",
    "split_subprompts",
]
