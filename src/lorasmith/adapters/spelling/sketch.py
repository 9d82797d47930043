"""What an adapter file is by the keys and shapes in its header alone: importable without torch, no weight is read.

What `spelling.reading` and the algorithms tell of loaded tensors, told of shapes; tests hold both together. Not told:
a shift that may be nothing but zeros, and the rank of LoKr with two whole factors, which is its alpha.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from lorasmith.adapters.spelling.fused import parts_of
from lorasmith.adapters.spelling.keys import (
    BIAS,
    BOOKKEEPING,
    BUNDLED,
    IA3,
    MAGNITUDE,
    ROTATION,
    SCALED,
    bare_text_prefix,
    read_key,
)

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
_DOWN, _UP, _MID, _ALPHA = "lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha"
_SHIFT, _DORA = "diff_b", "dora_scale"
_HADA = frozenset(("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"))
_CORES = frozenset(("hada_t1", "hada_t2"))
_GLORA = frozenset(("a1.weight", "a2.weight", "b1.weight", "b2.weight"))
_LOKR = tuple(
    frozenset((*first, *second))
    for first in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
    for second in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"), ("lokr_w2_a", "lokr_w2_b", "lokr_t2"))
)


@dataclass(frozen=True)
class LayerSketch:
    """A layer's algorithm by its name in the registry, its rank (None: the header does not tell), and the shape of the
    weight that it is for."""

    algorithm: str
    rank: int | None
    extent: tuple[int | None, ...]


@dataclass(frozen=True)
class Sketch:
    """An adapter's layers under kohya's prefixes; `unknown` are keys that no algorithm takes, `embeddings` those of
    embeddings in the file."""

    layers: Mapping[str, LayerSketch]
    unknown: tuple[str, ...] = ()
    embeddings: int = 0
    algorithms: tuple[str, ...] = field(default=())

    @property
    def rank(self) -> int | None:
        """The commonest rank of its layers; norms count only when there is nothing else."""
        ranks = [each.rank for each in self.layers.values() if each.algorithm != "norm"] or [1]
        return Counter(ranks).most_common(1)[0][0]

    @property
    def extents(self) -> dict[str, tuple[int | None, ...]]:
        """The shapes of the weights that it is for, by layer."""
        return {name: each.extent for name, each in self.layers.items()}


def sketch_adapter(shapes: Shapes, alone: str = "") -> Sketch:
    """A file with tensors of these shapes. `alone` is how kohya's names of the only part begin that the file is for, if
    that is known (`keys.part_prefix`)."""
    bare_text = bare_text_prefix(shapes)
    layers: dict[str, dict[str, Shape]] = {}
    keys: dict[str, list[str]] = {}
    unknown: list[str] = []
    embeddings = 0
    for key, shape in shapes.items():
        if key.startswith((BUNDLED, BOOKKEEPING)):
            embeddings += key.startswith(BUNDLED)
            continue
        read = read_key(key, bare_text, alone)
        if read is None:
            unknown.append(key)
            continue
        layers.setdefault(read.layer, {})[read.suffix] = shape
        keys.setdefault(read.layer, []).append(key)
    told: dict[str, LayerSketch] = {}
    for name, tensors in layers.items():
        sketch = _sketch_layer(tensors)
        if sketch is None:
            unknown += keys[name]
            continue
        for part in () if layers.keys() & set(parts_of(name)) else parts_of(name):
            outputs = sketch.extent[0]
            outputs = None if outputs is None else outputs // len(parts_of(name))
            told[part] = LayerSketch(sketch.algorithm, sketch.rank, (outputs, *sketch.extent[1:]))
        if not parts_of(name):
            told[name] = sketch
    algorithms = tuple(sorted({each.algorithm for each in told.values()}))
    return Sketch(told, tuple(unknown), embeddings, algorithms)


def _sketch_layer(tensors: dict[str, Shape]) -> LayerSketch | None:
    """A layer by its tensors' shapes, under kohya's and LyCORIS's words; None when no algorithm has these."""
    if IA3 in tensors:
        shape = tensors.pop(IA3)
        count = math.prod(shape)
        extent = (None, count) if len(shape) == 2 and shape[0] == 1 else (count, None)
        return LayerSketch("ia3", 1, extent) if not tensors else None
    if "hada_t1" not in tensors:
        tensors |= {
            key: (shape[0], math.prod(shape[1:]))
            for key, shape in tensors.items()
            if key.startswith("hada_w") and len(shape) == 4
        }
    if MAGNITUDE in tensors:
        tensors[_DORA] = tensors.pop(MAGNITUDE)
    tensors.pop(SCALED, None)
    tensors.pop(BIAS, None)
    try:
        return _with_shift(tensors)
    except (IndexError, ValueError):  # fewer sides than the algorithm's tensors have
        return None


def _with_shift(tensors: dict[str, Shape]) -> LayerSketch | None:
    plain = _with_magnitude(tensors)
    if plain is not None or _SHIFT not in tensors:
        return plain
    inner = _with_magnitude({key: shape for key, shape in tensors.items() if key != _SHIFT})
    return None if inner is None else LayerSketch("biased", inner.rank, inner.extent)


def _with_magnitude(tensors: dict[str, Shape]) -> LayerSketch | None:
    if _DORA not in tensors:
        return _plain(tensors)
    inner = _plain({key: shape for key, shape in tensors.items() if key != _DORA})
    return None if inner is None else LayerSketch("dora", inner.rank, inner.extent)


def _plain(tensors: Mapping[str, Shape]) -> LayerSketch | None:
    names = tensors.keys()
    own = names - {_ALPHA}
    if own == {_DOWN, _UP}:
        down, up = tensors[_DOWN], tensors[_UP]
        return LayerSketch("lora", down[0], (up[0], *down[1:]))
    if own == {_DOWN, _MID, _UP}:
        down, mid, up = tensors[_DOWN], tensors[_MID], tensors[_UP]
        return LayerSketch("tucker", down[0], (up[0], down[1], *mid[2:]))
    if own in (_HADA, _HADA | _CORES):
        return _loha(tensors)
    if own in _LOKR:
        return _lokr(tensors)
    if own == _GLORA:
        return LayerSketch("glora", tensors["a2.weight"][0], (tensors["b1.weight"][0], *tensors["b2.weight"][1:]))
    if names and names <= {"diff", _SHIFT}:
        return _full(tensors)
    if {"w_norm"} <= names <= {"w_norm", "b_norm"}:
        return LayerSketch("norm", 1, tensors["w_norm"])
    if names == {"weight", "on_input"}:
        return LayerSketch("ia3", 1, (None, None))
    return _rotation(tensors)


def _full(tensors: Mapping[str, Shape]) -> LayerSketch:
    if "diff" not in tensors:
        return LayerSketch("full", 1, (tensors[_SHIFT][0], None))
    diff = tensors["diff"]
    return LayerSketch("full", min(diff[0], math.prod(diff[1:])), diff)


def _loha(tensors: Mapping[str, Shape]) -> LayerSketch:
    w1_a, w1_b = tensors["hada_w1_a"], tensors["hada_w1_b"]
    if "hada_t1" not in tensors:
        return LayerSketch("loha", w1_b[0], (w1_a[0], w1_b[1]))
    return LayerSketch("loha", w1_b[0], (w1_a[1], w1_b[1], *tensors["hada_t1"][2:]))


def _lokr(tensors: Mapping[str, Shape]) -> LayerSketch:
    t = {key.removeprefix("lokr_"): shape for key, shape in tensors.items()}
    f1, f2 = t["w1"] if "w1" in t else (t["w1_a"][0], t["w1_b"][1])
    rank = t["w2_b"][0] if "w2_b" in t else t["w1_b"][0] if "w1_b" in t else None
    kernel: Shape = ()
    if "w2" in t:
        o2, i2, *rest = t["w2"]
        kernel = tuple(rest)
    elif "t2" in t:
        o2, i2, kernel = t["w2_a"][1], t["w2_b"][1], t["t2"][2:]
    else:
        o2, i2 = t["w2_a"][0], math.prod(t["w2_b"][1:])
    return LayerSketch("lokr", rank, (f1 * o2, f2 * i2, *kernel))


def _rotation(tensors: Mapping[str, Shape]) -> LayerSketch | None:
    """Layers that turn a weight: LyCORIS's OFT and BOFT over the output, PEFT's over the input."""
    names = tensors.keys()
    if {"oft_blocks"} <= names <= {"oft_blocks", "rescale", _ALPHA}:
        blocks = tensors["oft_blocks"]
        return LayerSketch("boft" if len(blocks) == 4 else "oft", blocks[-1], (blocks[-3] * blocks[-1], None))
    if {ROTATION} <= names <= {ROTATION, "oft_R.terms"}:
        count, elements = tensors[ROTATION]
        side = (1 + math.isqrt(1 + 8 * elements)) // 2
        return LayerSketch("oft_input", side, (None, None if count == 1 else count * side))
    if names == {"boft_R", "boft_s"}:
        blocks = tensors["boft_R"]
        return LayerSketch("boft_input", blocks[-1], (tensors["boft_s"][0], blocks[1] * blocks[-1]))
    return None
