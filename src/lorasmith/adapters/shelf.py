"""The adapters that a prompt can name: files in folders, by stem or recorded name, the last used kept loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.container import read_header
from lorasmith.adapters.files import load_adapter
from lorasmith.errors import AdapterError, PromptError, near_names

DEFAULT_BYTES = 512 * 2**20


class AdapterShelf:
    """Adapters by name, over `.safetensors` files below `folders`; earlier folders win where stems clash.

    A name is a file's stem, or its `ss_output_name` when only one file has it (A1111's rule). Loaded factors are
    kept up to `capacity` bytes, the least recently used go first; a file changed on disk is read again.
    """

    def __init__(self, folders: Sequence[Path], capacity: int = DEFAULT_BYTES) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self.capacity = capacity
        self._loaded: OrderedDict[Path, tuple[tuple[int, int], Adapter]] = OrderedDict()
        self._recorded: dict[Path, tuple[tuple[int, int], str | None]] = {}

    def names(self) -> list[str]:
        """The stems, sorted."""
        return sorted(self._stems())

    def path(self, name: str) -> Path:
        """The file of a name. Raises PromptError naming the nearest names."""
        stems = self._stems()
        if name in stems:
            return stems[name]
        recorded = [path for path in stems.values() if self._recorded_name(path) == name]
        if len(recorded) == 1:
            return recorded[0]
        if recorded:
            raise PromptError(
                f'adapter "{name}" is the recorded name of several files.',
                hint=f"Say which: {', '.join(sorted(path.stem for path in recorded))}.",
            )
        near = near_names(name, stems)
        if near:
            hint = f"Did you mean {' or '.join(near)}?"
        elif stems:
            hint = f"There are: {', '.join(sorted(stems)[:10])}{' ...' if len(stems) > 10 else ''}."
        else:
            hint = f"No adapters in {', '.join(map(str, self.folders)) or 'any folder'}."
        raise PromptError(f'adapter "{name}" is unknown.', hint=hint)

    def get(self, name: str) -> Adapter:
        """The adapter of a name, loaded or kept. Raises PromptError, AdapterError."""
        path = self.path(name)
        stamp = _stamp(path)
        kept = self._loaded.get(path)
        if kept is None or kept[0] != stamp:
            self._loaded[path] = (stamp, load_adapter(path))
        self._loaded.move_to_end(path)
        adapter = self._loaded[path][1]
        while len(self._loaded) > 1 and self.bytes > self.capacity:
            self._loaded.popitem(last=False)
        return adapter

    @property
    def bytes(self) -> int:
        """Memory of the loaded factors."""
        return sum(adapter.bytes for _, adapter in self._loaded.values())

    def _stems(self) -> dict[str, Path]:
        stems: dict[str, Path] = {}
        for folder in self.folders:
            files = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
            for file in files:
                if not file.name.startswith("."):
                    stems.setdefault(file.stem, file)
        return stems

    def _recorded_name(self, path: Path) -> str | None:
        stamp = _stamp(path)
        kept = self._recorded.get(path)
        if kept is None or kept[0] != stamp:
            try:
                name = read_header(path).metadata.get("ss_output_name")
            except AdapterError:  # told when the file itself is asked for
                name = None
            kept = self._recorded[path] = (stamp, name)
        return kept[1]


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
