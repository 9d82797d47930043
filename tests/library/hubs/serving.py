"""The mock of both hubs as a program: `scripts/mock-hubs`."""

from __future__ import annotations

import argparse
import time

from tests.library.hubs.mock import TOKEN, Hubs, adapter_bytes, picture_bytes, serve_hubs


def stock(hubs: Hubs) -> dict[str, str]:
    """Fill the shelves; gives what there is to try, by its reference."""
    hubs.add_model(
        12,
        "Teal hair",
        hubs.version(34, adapter_bytes(1, pad=8 << 20), "teal.safetensors"),
        hubs.version(33, adapter_bytes(2), "teal-first.safetensors"),
    )
    hubs.add_model(20, "For members", hubs.version(50, adapter_bytes(5), requireLogin=True))
    paid = {"permanent": False, "endsAt": "2027-01-01T00:00:00.000Z"}
    hubs.add_model(21, "Early bird", hubs.version(51, adapter_bytes(6), paidAccess=paid))
    hubs.add_model(22, "In the archive", hubs.version(52, adapter_bytes(7)), mode="Archived")
    hubs.add_model(23, "Taken down", hubs.version(53, adapter_bytes(8)), mode="TakenDown")
    hubs.add_model(24, "Old style", hubs.version(54, adapter_bytes(9), "old.pt"))
    hubs.add_model(25, "Grown up", hubs.version(55, adapter_bytes(10)), nsfw=True)
    swapped = hubs.version(56, adapter_bytes(11), "swapped.safetensors")
    hubs.files[swapped["files"][0]["hashes"]["SHA256"].lower()] = adapter_bytes(12)
    hubs.add_model(26, "Swapped", swapped)
    files = {"pytorch_lora_weights.safetensors": adapter_bytes(3), "images/0.jpg": picture_bytes("salmon")}
    hubs.add_repository("maker/salmon-lora", files)
    hubs.add_repository("maker/gated", {"gated.safetensors": adapter_bytes(4)}, gated="auto")
    return {
        "civitai:12": "a model with two versions",
        "civitai:20": f"401 without the key {TOKEN}",
        "civitai:21": "403, early access",
        "civitai:22": "410, in the archive",
        "civitai:23": "taken down",
        "civitai:24": "a pickle",
        "civitai:25": "mature",
        "civitai:26": "other bytes than its hash says",
        "civitai:99": "404",
        "hf:maker/salmon-lora": "a repository as diffusers leaves it",
        "hf:maker/gated": "one whose owner asks to accept terms",
    }


def main() -> None:
    """Serve until Ctrl-C."""
    options = argparse.ArgumentParser(description="A mock of both hubs of adapters.")
    options.add_argument("--port", type=int, default=8123)
    options.add_argument("--slow", type=float, default=0.0, help="seconds between two pieces of a file")
    options.add_argument("--cut", type=int, default=0, help="break every download off after so many bytes")
    options.add_argument("--per-second", type=float, default=0.0, help="requests a second before 429")
    given = options.parse_args()
    hubs = Hubs(slow=given.slow, cut_after=given.cut, cuts=1 << 30 if given.cut else 0, per_second=given.per_second)
    shelves = stock(hubs)
    with serve_hubs(hubs, given.port) as served:
        print(f"export LORASMITH_CIVITAI_URL={served.address} HF_ENDPOINT={served.address}")
        for reference, words in shelves.items():
            print(f"  {reference:<24}{words}")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
