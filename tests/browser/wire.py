"""A TCP proxy between browser and server that a test can cut. It works for the fake server and a real one."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """Listens on a free port and forwards everything to one address."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Closes every connection at once and accepts no new one until `mend`."""
        with self._lock:
            self._is_cut = True
        self.kill()

    def mend(self) -> None:
        """Accepts connections again."""
        with self._lock:
            self._is_cut = False

    def kill(self) -> None:
        """Closes every connection, but accepts new ones."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _close(end)

    def stop(self) -> None:
        """Closes everything."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return  # stopped
            with self._lock:
                is_cut = self._is_cut
            if is_cut:
                _close(browser)
                continue
            try:
                server = socket.create_connection(self._to, timeout=5)
            except OSError:
                _close(browser)
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {browser, server}
            for source, target in ((browser, server), (server, browser)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass  # the test cut the connection, or one end closed it: both ends are closed
        with self._lock:
            self._open -= {source, target}
        for end in (source, target):
            _close(end)


def _close(end: socket.socket) -> None:
    # shutdown wakes a thread that waits in recv; close alone does not.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
