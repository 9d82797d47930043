"""A studio in a process of its own, which can be killed and started again, and a browser."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page

from tests.server.running import wait_for

ARTEFACTS = Path(__file__).parents[2] / "build" / "page"
"""Where pictures of the page are kept; ignored."""


@contextmanager
def browser_page(browser: Browser, width: int = 1280, height: int = 860) -> Iterator[Page]:
    """A page of the browser, which remembers nothing; what it complains about fails the test."""
    faults = list[str]()
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert faults == []


class Studio:
    """`lorasmith studio` on a port of its own. `start` it, `kill` it, start it again."""

    def __init__(self, projects: Path) -> None:
        self.projects = projects
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["studio", "--projects", str(self.projects), "--port", str(self.port), "--no-browser"]
        self._process = subprocess.Popen([sys.executable, "-m", "lorasmith.cli.main", *command])
        wait_for(self._answers, 120)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
