"""A server that is there to be killed: `python -m tests.server.killed DATA`; it prints its address."""

from __future__ import annotations

import sys
from pathlib import Path

from lorasmith.server.settings import ServerSettings
from lorasmith.server.uvicorn_server import build_server
from tests.server.running import Plain

if __name__ == "__main__":
    settings = ServerSettings(data=Path(sys.argv[1]), port=0, batch_size=3)
    build_server(settings, lambda address: print(address, flush=True), Plain(delay=0.01)).run()
