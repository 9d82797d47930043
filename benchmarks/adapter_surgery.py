"""Shortening a LoRA by QR and a small SVD, against the full SVD of its matrix; and extraction's best product.

A random LoRA of rank 32 on a 1280x1280 layer becomes rank 16. The results are compared too: both are the best product
of that rank. Extraction finds it for a matrix of full rank by the eigenvectors of its Gram matrix in float64.

Run: python -m benchmarks.adapter_surgery [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.surgery.extraction import best_product
from lorasmith.adapters.surgery.products import Cut, shorten

SIDE, RANK, AFTER = 1280, 32, 16


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 1 if parser.parse_args(argv).quick else 7
    print(machine(), f"{torch.get_num_threads()} threads")
    generator = torch.Generator().manual_seed(0)
    up = torch.randn(SIDE, RANK, generator=generator) / SIDE**0.5
    down = torch.randn(RANK, SIDE, generator=generator) / SIDE**0.5
    change = up @ down
    whole = torch.randn(SIDE, SIDE, generator=generator) / SIDE**0.5

    def full(matrix: torch.Tensor) -> torch.Tensor:
        U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
        return (U[:, :AFTER] * S[:AFTER]) @ Vh[:AFTER]

    short = shorten(up, down, Cut(AFTER))
    gap = float((short[0] @ short[1] - full(change)).abs().max())
    print(f"largest difference of an entry to the full SVD's: {gap:.1e}")
    seconds = alternate({"ours": lambda: shorten(up, down, Cut(AFTER)), "full SVD": lambda: full(change)}, rounds)
    print(", ".join(f"{name} {1000 * value:.2f} ms" for name, value in seconds.items()))
    taken = alternate({"ours": lambda: best_product(whole, Cut(AFTER)), "full SVD": lambda: full(whole)}, rounds)
    print("extraction: " + ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in taken.items()))
    print(
        ratio_line("1e-5 / largest difference to the full SVD", 1e-5 / max(gap, 1e-12), at_least=1),
        ratio_line("full SVD / ours, 1280x1280 rank 32 to 16", seconds["full SVD"] / seconds["ours"], at_least=100),
        ratio_line("full SVD / ours, extraction at 1280x1280", taken["full SVD"] / taken["ours"], at_least=1.5),
        sep="\n",
    )


if __name__ == "__main__":
    main()
