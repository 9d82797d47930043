"""The pass over a template's text that makes nodes of it."""

from __future__ import annotations

from itertools import product

from lorasmith.errors import PromptError, did_you_mean
from lorasmith.prompts.dynamic.drawing import MOST_LETTERS, too_long
from lorasmith.prompts.dynamic.frames import Frame, Macro, start_option
from lorasmith.prompts.dynamic.nodes import (
    METHODS,
    Choice,
    Keep,
    Lookup,
    Method,
    Node,
    Recall,
    Wrap,
    new_choice,
    new_sequence,
    reads_of,
    recalled_slots,
)
from lorasmith.prompts.dynamic.notation import (
    COMMENT,
    ESCAPABLE,
    HEAD,
    SPECIAL,
    SPLIT,
    TOKEN,
    VARIABLE,
    WILDCARD,
    clean_path,
    match_braces,
    skip_space,
    split_parameters,
)
from lorasmith.prompts.dynamic.scope import MOST_NESTED, Scope
from lorasmith.prompts.dynamic.ways import Ways
from lorasmith.prompts.dynamic.wildcards import MissingWildcard, Value, Wildcards
from lorasmith.prompts.joining import join_texts

MOST_READ = 64_000_000  # characters, all values of wildcards and uses of variables counted
MOST_PATHS = 1000  # of one wildcard whose path varies


class Reader:
    """Reads texts into nodes."""

    def __init__(self, wildcards: Wildcards, keep_missing: bool) -> None:
        self.wildcards = wildcards
        self.keep_missing = keep_missing
        self.scope = Scope()
        self.kept: list[Node] = []  # the value of each slot
        self._known: dict[tuple[str, int], Node] = {}
        self._plain: dict[str, Node] = {}
        self._from_wildcard: set[int] = set()
        self._alive: list[Node] = []  # so that the identities above stay theirs
        self._read = 0

    def read(self, text: str) -> Node:
        """The node of a text. Variables that it sets hold to its end."""
        if SPECIAL.search(text) is None:
            return text
        self._read += len(text)
        if self._read > MOST_READ:
            raise PromptError(
                "the template's wildcards and variables are too many to read.",
                where="template",
                hint="Name fewer wildcards, or without globs.",
            )
        if "#" in text:
            text = COMMENT.sub(lambda match: match[0] if match[0][0] == "\\" else "", text)
        closes, wraps = match_braces(text)
        stack = [Frame("text", len(text))]
        in_tag = False
        at = 0
        search = TOKEN.search
        while (match := search(text, at)) is not None:
            frame = stack[-1]
            token, start = match[0], match.start()
            if start > at:
                frame.parts.append(text[at:start])
            at = match.end()
            if token[0] == "\\":
                frame.parts.append(token[1:] if token[1] in ESCAPABLE else token)
            elif token[-1] == "{":
                at = self._open(text, start, at - 1, closes, wraps, stack)
            elif token == "}":
                if start == frame.end:
                    self._close(stack)
                else:
                    frame.parts.append(token)
            elif token == "|" and frame.kind == "choice":
                self._end_option(frame)
                at = start_option(text, at, frame)
            elif token == "$$" and frame.kind == "wrap" and not frame.options:
                self._end_option(frame)
                at = skip_space(text, at)
            elif token[0] == "_":
                at = self._wildcard(text, match.end() - 2, start, in_tag, frame)
            else:
                in_tag = token == "<" if token in "<>" else in_tag
                frame.parts.append(token)
        stack[0].parts.append(text[at:])
        node = _join(stack[0].parts)
        self.scope.forget(stack[0])
        return node

    def _open(
        self, text: str, start: int, brace: int, closes: dict[int, int], wraps: set[int], stack: list[Frame]
    ) -> int:
        """What a bracket opens; gives where to read on. Unclosed ones are text."""
        frame, sign, end = stack[-1], text[start:brace], closes.get(brace)
        if end is None:
            frame.parts.append(text[start : brace + 1])
            return brace + 1
        if sign == "$":
            variable = VARIABLE.match(text, brace + 1, end)
            if variable is not None:
                name, sign = variable.groups()
                raw = text[variable.end() : end]
                if "=" in sign:
                    self._assign(frame, name, raw, only_unset=sign[0] == "?", rolled=sign[-1] == "!")
                else:
                    frame.parts.append(self._use(name, raw if sign else None))
                return end + 1
        elif sign == "%" and brace in wraps:
            stack.append(Frame("wrap", end))
            return skip_space(text, brace + 1)
        if sign:
            frame.parts.append(sign)
        stack.append(new := Frame("choice", end))
        head = HEAD.match(text, brace + 1, end)
        assert head is not None  # every part of it is optional
        symbol, low, dash, high, most, separator = head.groups()
        if symbol:
            new.method = METHODS[symbol]
        if low is not None:
            new.low = int(low)
            new.high = (int(high) if high else None) if dash else new.low
        elif most is not None:
            new.high = int(most)
        if separator is not None:
            new.separator = separator
        return start_option(text, head.end(), new)

    def _end_option(self, frame: Frame) -> None:
        frame.options.append(_join(frame.parts))
        frame.parts = []
        self.scope.forget(frame)

    def _close(self, stack: list[Frame]) -> None:
        frame = stack.pop()
        self._end_option(frame)
        if frame.kind == "wrap":
            wrapper, inner = frame.options
            stack[-1].parts.append(Wrap(wrapper, inner, reads_of(frame.options)))
            return
        options, weights = tuple(frame.options), tuple(frame.weights)
        method = frame.method
        only = options[0]
        if len(options) == 1 and isinstance(only, Choice) and id(only) in self._from_wildcard:
            options, weights, method = only.options, only.weights or (), method or only.method
        high = len(options) if frame.high is None else frame.high
        stack[-1].parts.append(new_choice(options, weights, frame.low, high, frame.separator, method))

    def _assign(self, frame: Frame, name: str, raw: str, only_unset: bool, rolled: bool) -> None:
        if only_unset and name in self.scope.variables:
            return
        if not rolled:
            self.scope.set(frame, name, Macro(raw))
            return
        with self.scope.within(f"${{{name}}}"):
            value = self.read(raw)
        if isinstance(value, str):
            self.scope.set(frame, name, value)
            return
        slot = len(self.kept)
        self.kept.append(value)
        frame.parts.append(Keep(slot, value, reads_of([value]) | recalled_slots(value)))
        self.scope.set(frame, name, Recall(slot))

    def _use(self, name: str, fallback: str | None) -> Node:
        value = self.scope.variables.get(name)
        if value is None and fallback is None:
            raise PromptError(
                f"variable ${{{name}}} is not set.",
                where="template",
                hint=did_you_mean(name, self.scope.variables)
                or f"Write ${{{name}=...}} before it, or ${{{name}:default}}.",
            )
        if value is None or isinstance(value, Macro):
            raw = fallback or "" if value is None else value.text
            key = (f"${raw}", self.scope.version)
            if key not in self._known:
                with self.scope.within(f"${{{name}}}"):
                    node = self.read(raw)
                self._known[f"${raw}", self.scope.version] = node
                self._known[key] = node
            return self._known[key]
        return value

    def _wildcard(self, text: str, at: int, start: int, in_tag: bool, frame: Frame) -> int:
        """The wildcard whose opening `__` stands at `at`, or else those letters as text; gives where to read on."""
        if at > start:
            frame.parts.append(text[start:at])
        match = WILDCARD.match(text, at)
        if match is None:
            frame.parts.append("__")
            return at + 2
        raw = match["path"]
        path = raw.strip()
        varies = "{" in path
        glued = text[at - 1 : at].isalnum() or text[match.end() : match.end() + 1].isalnum()
        is_text = glued or in_tag or raw != path or not path.strip("-+. /") or (varies and SPLIT.search(path))
        try:
            if not varies and not self.wildcards.values(clean_path(path)):
                raise self.wildcards.missing(clean_path(path))
            symbol = (match["method"] or "").strip()
            frame.parts.append(self._find(path, match["values"], METHODS[symbol] if symbol else None, varies))
            return match.end()
        except MissingWildcard:
            if not (self.keep_missing or is_text):
                raise
        frame.parts.append("__")
        return at + 2

    def _find(self, path: str, values: str | None, method: Method | None, varies: bool) -> Node:
        """A wildcard's node. `values` are the variables that are set in it, as they are written."""
        frame = Frame("text", 0)
        with self.scope.within(f"__{path}__"):
            given = [(name, self.read(raw)) for name, raw in split_parameters(values or "")]
        for name, value in given:
            self.scope.set(frame, name, value)
        try:
            if not varies:
                return self._list(clean_path(path), method)
            with self.scope.within(f"__{path}__"):
                where = self.read(path)
                if isinstance(where, str):
                    return self._list(clean_path(where), method)
                table = {found: self._list(clean_path(found), method) for found in self._possible(where, 0)}
            return Lookup(where, table, recalled_slots(where) | reads_of(table.values()))
        finally:
            self.scope.forget(frame)

    def _list(self, path: str, method: Method | None) -> Node:
        """A choice among the values of a wildcard; each is a template of its own."""
        key = f"{method or ''}:{path}"
        known = self._plain.get(key) or self._known.get((key, self.scope.version))
        if known is not None:
            return known
        values = self.wildcards.values(path)
        if not values:
            if self.keep_missing:
                return f"__{path}__"
            raise self.wildcards.missing(path)
        plain = True
        nodes: list[Node] = []
        with self.scope.within(f"__{path}__"):
            for value in values:
                if SPECIAL.search(value.text) is None:
                    nodes.append(value.text)
                else:
                    plain = False
                    nodes.append(self._value(value))
        node = new_choice(nodes, [value.weight for value in values], method=method)
        if isinstance(node, Choice):
            self._from_wildcard.add(id(node))
            self._alive.append(node)
        if plain:
            self._plain[key] = node
        else:
            self._known[key, self.scope.version] = node
        return node

    def _value(self, value: Value) -> Node:
        try:
            return self.read(value.text)
        except PromptError as fault:
            if fault.where == "template" and value.where:
                raise PromptError(fault.message, where=value.where, hint=fault.hint) from None
            raise

    def _possible(self, node: Node, depth: int) -> list[str]:
        """Every text that a path can give, whatever is kept."""
        slots = sorted(recalled_slots(node))
        if depth > MOST_NESTED:
            raise PromptError("a wildcard's path hangs on too many variables.", where="template")
        values = [self._possible(self.kept[slot], depth + 1) for slot in slots]
        found: dict[str, None] = {}
        for combination in product(*values):
            texts = Ways(every=True).texts(node, dict(zip(slots, combination, strict=True)), MOST_PATHS)
            found.update(dict.fromkeys(texts))
            if len(found) > MOST_PATHS:
                raise PromptError(f"a wildcard has more than {MOST_PATHS} possible paths.", where="template")
        return list(found)


def _join(parts: list[Node]) -> Node:
    """The parts as one node, with neighbouring texts put together."""
    if len(parts) < 2:
        return new_sequence(parts)
    if sum(len(part) for part in parts if isinstance(part, str)) > MOST_LETTERS:
        raise too_long()
    joined: list[Node] = join_texts(parts)
    return new_sequence([part for part in joined if part != ""])
