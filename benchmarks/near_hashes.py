"""All near pairs among random 64-bit hashes with 10 % planted copies up to 8 bits away, exactly.

Run: python -m benchmarks.near_hashes [--quick]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.timing import machine, ratio_line
from lorasmith.dataset.grouping import near_pairs

SECONDS = {100_000: 6, 1_000_000: 360}
GIGABYTES = 4


def planted(count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes, and the (original, copy) places of the planted pairs."""
    random = np.random.default_rng(count)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    copies = random.permutation(count)[: count // 10]
    originals = random.integers(0, count, len(copies))
    keep = ~np.isin(originals, copies)
    copies, originals = copies[keep], originals[keep]
    for copy, original in zip(copies.tolist(), originals.tolist(), strict=True):
        bits = random.choice(64, int(random.integers(0, 9)), replace=False)
        hashes[copy] = hashes[original] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    return hashes, np.stack((originals, copies), axis=1)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 only")
    quick = parser.parse_args(argv).quick
    print(machine())
    lines = []
    for count, goal in SECONDS.items():
        if quick and count > 100_000:
            continue
        hashes, expected = planted(count)
        start = time.process_time()
        pairs = near_pairs(hashes, hashes, 8)
        seconds = time.process_time() - start
        found = set(map(tuple, pairs.tolist()))
        missed = [pair for pair in np.sort(expected, axis=1).tolist() if tuple(pair) not in found]
        print(f"{count:>9,} hashes: {seconds:.1f} CPU s, {len(pairs):,} pairs, {len(missed)} planted pairs missed")
        if missed:
            raise SystemExit("the search is not exact")
        lines.append(ratio_line(f"CPU seconds, {count:,} hashes / allowed", seconds / goal, at_most=1.0))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines.append(ratio_line(f"memory of the whole process, {memory:.2f} GB / allowed", memory / GIGABYTES, at_most=1.0))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
