"""How many values a JSON text holds, counted while it comes in: a few bytes of text can become a hundred of memory."""

from __future__ import annotations

import re

_INSIDE = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL)
"""What is left of a string, up to its end or that of the piece, or to a backslash at the end of the piece."""
_OUTSIDE = re.compile(rb'[^"]*')


class ValueCounter:
    """Counts tables, lists, texts, and the commas between them: more than there are values, and less than thrice as
    many. What is no JSON is counted, too; no piece takes longer than its count says."""

    def __init__(self) -> None:
        self.values = 0
        self._in_string = False
        self._escaped = False

    def feed(self, piece: bytes) -> int:
        """Count a piece that follows those before; gives the number so far."""
        at = 0
        if self._escaped and piece:
            at, self._escaped = 1, False
        while at < len(piece):
            if self._in_string:
                end = _end_of(_INSIDE, piece, at)
                self._escaped = piece[end : end + 1] == b"\\"
                self._in_string = self._escaped or end == len(piece)
            else:
                end = _end_of(_OUTSIDE, piece, at)
                self.values += sum(piece.count(sign, at, end) for sign in (b"{", b"[", b","))
                self._in_string = end < len(piece)
                self.values += self._in_string
            at = end + 1
        return self.values


def _end_of(pattern: re.Pattern[bytes], piece: bytes, at: int) -> int:
    match = pattern.match(piece, at)
    assert match is not None  # both match nothing at all, too
    return match.end()
