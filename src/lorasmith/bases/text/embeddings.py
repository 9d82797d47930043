"""Words that stand for vectors of their own (textual inversion, Gal et al. 2022): found in texts, put into encoders.

Shapes: V vectors, D the width of a text encoder, B rows, T tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lorasmith.bases.text.options import CHUNK_TOKENS
from lorasmith.errors import PromptError, near_names

if TYPE_CHECKING:
    from torch import Tensor

    from lorasmith.bases.text.chunks import Chunk
    from lorasmith.bases.text.encoder import TextEncoder

PARTS = ("clip_l", "clip_g")
"""What files of SDXL call the vectors for its two text encoders."""
SUFFIXES = (".safetensors", ".pt", ".bin")
_BASES: Mapping[tuple[int, ...], str] = {(768,): "SD 1", (1024,): "SD 2", (768, 1280): "SDXL"}
_MARKED = re.compile(r"(?<!\w)embedding:([^\s,]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Embedding:
    """Vectors (V, D) by the part that they are for: `PARTS`, or one under any name. `digest` is of the vectors, which
    tells apart what a file held at two times; `hash` the first 12 digits of the file's SHA256, "" where it has none of
    its own; `former` the SHA256 of the pickle that the file was made of."""

    name: str
    digest: str
    tables: Mapping[str, Tensor] = field(compare=False, repr=False)
    hash: str = ""
    former: str = ""

    @property
    def rows(self) -> int:
        """V, the tokens that it takes."""
        return int(next(iter(self.tables.values())).shape[0])

    def fit(self, widths: Sequence[int]) -> tuple[Tensor, ...]:
        """The vectors for each of a base's text encoders, which have these widths. Raises PromptError."""
        tables = self.tables
        found = tuple(tables[part] for part in (PARTS if PARTS[0] in tables and PARTS[1] in tables else tables))
        check_widths(self.name, tuple(int(table.shape[1]) for table in found), widths)
        return found


def check_widths(name: str, own: Sequence[int], widths: Sequence[int]) -> None:
    """Raise PromptError where vectors of these `own` widths do not fit text encoders of `widths`; without any, the base
    takes no embeddings."""
    if not widths:
        raise PromptError(
            f'embedding "{name}" cannot be used: the text encoder of this base takes none.',
            where="prompt",
            hint="Embeddings are for SD 1, SD 2, SDXL and the embedded base. Leave it out.",
        )
    if tuple(own) != tuple(widths):
        base = _BASES.get(tuple(own))
        raise PromptError(
            f'embedding "{name}" does not fit this base: its vectors have {" and ".join(map(str, own))} numbers, '
            f"the text encoders take {' and '.join(map(str, widths))}.",
            where="prompt",
            hint=None if base is None else f"It is for {base}.",
        )


def find_called(text: str, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """What a text calls by ``embedding:NAME``, and which of the names it has as whole words: what can be told without a
    tokenizer."""
    marked = [match[1] for match in _MARKED.finditer(text)]
    any_name = "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))
    bare = re.findall(rf"(?<!\w)(?:{any_name})(?!\w)", text, re.IGNORECASE) if any_name else []
    return marked, bare


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Embeddings by what calls them, in small letters; one is read when it is called. Names with a ``/`` are for
    ``embedding:sub/name`` only."""

    called: Mapping[str, Callable[[], Embedding]]

    @property
    def names(self) -> list[str]:
        """What calls one as a plain word."""
        return [name for name in self.called if "/" not in name]

    def get(self, name: str) -> Embedding:
        """The embedding of one of the names. Raises PromptError, AdapterError."""
        embedding = self.called[name]()
        if embedding.rows > CHUNK_TOKENS:
            raise PromptError(
                f'embedding "{embedding.name}" has {embedding.rows} vectors: a chunk has room for {CHUNK_TOKENS}.',
                where="prompt",
            )
        return embedding

    def find_marked(self, said: str) -> tuple[Embedding, int]:
        """The embedding of what stands behind ``embedding:``, and how many of the characters name it. Raises
        PromptError naming the nearest names."""
        name, length = find_name(said, self.called)
        return self.get(name), length


def find_name(said: str, names: Collection[str]) -> tuple[str, int]:
    """The one of `names` that stands behind ``embedding:``, and how many of the characters say it. Raises PromptError
    naming the nearest."""
    for used in (said, said.rstrip(".;:!?")):
        name = used.lower().replace("\\", "/").lstrip("/")
        stem = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
        for each in (name, stem):
            if each in names:
                return each, len(used)
    near = near_names(said, names)
    listed = sorted(each for each in names if "/" not in each)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(listed[:10])}."
    raise PromptError(
        f'embedding "{said}" is unknown.', where="prompt", hint=hint if listed else "There are no embeddings."
    )


class PieceReader:
    """Reads texts as a tokenizer's ids, with embeddings where a text calls one."""

    def __init__(self, tokenizer: Any, token_ids: Callable[[str, Any], list[int]]) -> None:
        self._tokenizer, self._token_ids = tokenizer, token_ids
        self._known: dict[str, tuple[int, ...]] = {}

    def read(self, text: str, words: Vocabulary | None) -> list[int | Embedding]:
        """The pieces of a text without marks. ``embedding:NAME`` is ComfyUI's way (`comfy/sd1_clip.py`); as a plain
        word a name is found by its tokens, the longest first, as A1111's web UI does it
        (`textual_inversion.py`, `find_embedding_at_position`)."""
        if words is None:
            return list(self._token_ids(text, self._tokenizer))
        by_first = self._index(words)
        pieces: list[int | Embedding] = []
        at = 0
        for match in _MARKED.finditer(text):
            embedding, length = words.find_marked(match[1])
            pieces += [*self._match(text[at : match.start()], words, by_first), embedding]
            at = match.start(1) + length
        return pieces + self._match(text[at:], words, by_first)

    def _match(
        self, text: str, words: Vocabulary, by_first: Mapping[int, list[tuple[tuple[int, ...], str]]]
    ) -> list[int | Embedding]:
        ids = self._token_ids(text, self._tokenizer)
        pieces: list[int | Embedding] = []
        at = 0
        while at < len(ids):
            for own, name in by_first.get(ids[at], ()):
                if tuple(ids[at : at + len(own)]) == own:
                    pieces.append(words.get(name))
                    at += len(own)
                    break
            else:
                pieces.append(ids[at])
                at += 1
        return pieces

    def _index(self, words: Vocabulary) -> Mapping[int, list[tuple[tuple[int, ...], str]]]:
        """Names by their first token, the longest first."""
        found: dict[int, list[tuple[tuple[int, ...], str]]] = {}
        for name in words.names:
            if name not in self._known:
                self._known[name] = tuple(self._token_ids(name, self._tokenizer))
            own = self._known[name]
            if own:
                found.setdefault(own[0], []).append((own, name))
        for alike in found.values():
            alike.sort(key=lambda each: len(each[0]), reverse=True)
        return found


def refuse_called(texts: Sequence[str], words: Vocabulary | None) -> None:
    """Raise PromptError where a text calls an embedding, on a base whose text encoder takes none."""
    if words is None:
        return
    for text in texts:
        marked, bare = find_called(text, words.names)
        for name in (*marked, *bare):
            check_widths(name, (), ())


def width_of(encoder: TextEncoder) -> int:
    """D, the width of a text encoder's token vectors."""
    return int(encoder.model.get_input_embeddings().weight.shape[1])


@contextmanager
def placed(encoders: Sequence[TextEncoder], chunks: Sequence[Chunk]) -> Iterator[None]:
    """Inside, passes over rows of these chunks have their embeddings' vectors in place of the tokens' own. Nothing of
    it stays behind."""
    if not any(chunk.placed for chunk in chunks):
        yield
        return
    widths = [width_of(encoder) for encoder in encoders]
    with ExitStack() as hooks:
        for number, encoder in enumerate(encoders):
            put = [
                (row, at, embedding.fit(widths)[number])
                for row, chunk in enumerate(chunks)
                for at, embedding in chunk.placed
            ]
            handle = encoder.model.get_input_embeddings().register_forward_hook(_placing(put))
            hooks.callback(handle.remove)
        yield


def _placing(put: Sequence[tuple[int, int, Tensor]]) -> Callable[[Any, Any, Tensor], Tensor]:
    def place(_module: Any, _ids: Any, vectors_BTD: Tensor) -> Tensor:
        changed = vectors_BTD.clone()
        for row, at, own in put:
            changed[row, at : at + len(own)] = own.to(changed)
        return changed

    return place
