"""The peer of benchmarks/page.py: a gallery of Gradio with the same images and tags, served until it is ended.

    PYTHON benchmarks/page_peer.py FOLDER

It runs under a Python of its own, which has gradio and nothing of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gradio


def main(folder: Path) -> None:
    """Serve it, and print where."""
    items = [(str(image), image.with_suffix(".txt").read_text("utf-8")) for image in sorted(folder.glob("*.jpg"))]
    with gradio.Blocks() as page:
        chosen = gradio.State(0)
        gallery = gradio.Gallery(items, columns=8, height=800, allow_preview=False)
        tags = gradio.Textbox(label="Tags", elem_classes="tags")
        button = gradio.Button("Set tags")

        def show(event: gradio.SelectData) -> tuple[int, str]:
            return event.index, items[event.index][1]

        def edit(index: int, text: str) -> list[tuple[str, str]]:
            items[index] = (items[index][0], text)
            return items

        gallery.select(show, None, [chosen, tags])
        button.click(edit, [chosen, tags], gallery)
    _, address, _ = page.launch(
        server_name="127.0.0.1", allowed_paths=[str(folder)], prevent_thread_lock=True, quiet=True
    )
    print(f"peer at {address}", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
