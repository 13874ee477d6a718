"""A TCP proxy between browser and server that a test can cut. It works for the fake server and a real one."""

from __future__ import annotations

import contextlib
import random
import socket
import threading


class Wire:
    """Listens on a free port, of so many digits if that is given, and forwards everything to one address.

    `told` is a text in the server's answers and one of the same length that the browser gets instead.
    """

    def __init__(self, host: str, port: int, told: tuple[bytes, bytes] | None = None, digits: int | None = None) -> None:
        self._to = (host, port)
        self._told = told
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._listener = _listener(digits)
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
            for source, target, told in ((browser, server, None), (server, browser, self._told)):
                threading.Thread(target=self._carry, args=(source, target, told), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, told: tuple[bytes, bytes] | None) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data.replace(*told) if told else data)
        except OSError:
            pass  # the test cut the connection, or one end closed it: both ends are closed
        with self._lock:
            self._open -= {source, target}
        for end in (source, target):
            _close(end)


def _listener(digits: int | None) -> socket.socket:
    if digits is None:
        return socket.create_server(("127.0.0.1", 0))
    for _ in range(1000):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", random.randrange(max(1024, 10 ** (digits - 1)), min(65536, 10**digits))))
    raise OSError(f"no free port of {digits} digits")


def _close(end: socket.socket) -> None:
    # shutdown wakes a thread that waits in recv; close alone does not.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
