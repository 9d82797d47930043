"""UvicornServer the application: one uvicorn server that closes its doors before it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from lorasmith.errors import UsageError
from lorasmith.server.app import create_app
from lorasmith.server.service import Service
from lorasmith.server.settings import ServerSettings
from lorasmith.server.workshop import Workshop

CONNECTIONS = 1024
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients usually keep theirs."""


class UvicornServer(uvicorn.Server):
    """At the first signal the job board closes, so that streams end and waiting clients are told; what is in the
    making gets its grace. A second signal ends at once."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[str], None] | None = None) -> None:
        super().__init__(config)
        self.service = service
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self._ready is not None and not self.should_exit:
            self._ready(self.address)

    @property
    def address(self) -> str:
        """Where it listens, once it does."""
        host, port = self.config.host, self.config.port
        for server in getattr(self, "servers", ()):
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM, in the middle of whatever the main thread does: the doors close beside it."""
        threading.Thread(target=self.service.board.close, daemon=True).start()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """The same from another thread."""
        self.service.board.close()
        self.should_exit = True


def build_server(
    settings: ServerSettings,
    ready: Callable[[str], None] | None = None,
    loader: Any = None,
    workshop: Workshop | None = None,
) -> UvicornServer:
    """A server that is not running yet; `ready` is called with its address when it listens. Raises StorageError."""
    app = create_app(settings, loader, workshop)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, int(settings.grace) + 5),
        ws="none",
        lifespan="on",
    )
    return UvicornServer(config, app.state.service, ready)


def serve(
    settings: ServerSettings, ready: Callable[[str], None] | None = None, workshop: Workshop | None = None
) -> None:
    """Serve until a signal. Raises UsageError when the address is taken, StorageError for an unusable data folder."""
    server = build_server(settings, ready, workshop=workshop)
    try:
        server.run()
    except KeyboardInterrupt:  # uvicorn hands the signal on once it has stopped
        pass
    except SystemExit as stop:
        if stop.code:
            raise _unheard(settings) from None
        raise
    if not server.started:
        raise _unheard(settings)


def _unheard(settings: ServerSettings) -> UsageError:
    return UsageError(
        f"cannot listen on {settings.host}, port {settings.port}.",
        hint="Something else may listen there; choose another --port.",
    )
