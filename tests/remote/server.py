"""A small web server for tests: files by range, with faults where a test asks for them."""

import contextlib
import hashlib
import json
import re
import socket
import sys
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of a path.

    `kind`: `status` (with `status` and `retry_after`), `cut` (half of the body, then the connection ends), `slow`
    (waits until the server is closed or `seconds` are over), `whole` (ignores Range), `shifted` (a wrong range),
    `html` (a page instead of the content), `redirect` (to `location`).
    """

    kind: str
    times: int = 1
    status: int = 503
    retry_after: str | None = None
    seconds: float = 5.0
    location: str = ""


@dataclass
class RemoteServer:
    """Serves `folder` at `http://127.0.0.1:<port>/`; a context manager.

    Attributes:
        folder: What is served; written to by tests at any time.
        counts: Requests by path (a path's query is left out), faulty ones too.
        requests: (method, path with query, Range header or None, status) in their order.
        protected: Paths beginning with one of these need a token of `/token` in their query, or get 403.
        documents: What is answered at a path instead of a file: JSON, or a function of (path with query, body).
    """

    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str, str | None, int]] = field(default_factory=list)
    protected: tuple[str, ...] = ()
    documents: dict[str, Any] = field(default_factory=dict)
    etags: bool = True
    _faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    _tokens: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _connections: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> "RemoteServer":
        handler = type("Handler", (_Handler,), {"site": self})
        self._http = _Threads(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # closed by its client meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def at(self, path: str) -> str:
        """The address of a file below the folder."""
        return f"{self.url}/{path.lstrip('/')}"

    def fail(self, path: str, kind: str, times: int = 1, **options: Any) -> None:
        """Let the next `times` requests of `/path` go wrong; see `Fault`. Faults of one path come in their order."""
        with self._lock:
            self._faults[f"/{path.lstrip('/')}"].append(Fault(kind, times, **options))

    @property
    def sas(self) -> str:
        """The address of the SAS token endpoint."""
        return f"{self.url}/token"

    def revoke(self) -> None:
        """All tokens that were given out open nothing any more."""
        with self._lock:
            self._tokens.clear()

    def new_token(self) -> dict[str, str]:
        """A token as a SAS endpoint answers it."""
        with self._lock:
            secret = hashlib.sha256(f"{self.folder}{self.counts['/token']}{len(self.requests)}".encode()).hexdigest()
            self._tokens.add(secret)
        expiry = datetime.now(UTC) + timedelta(hours=1)
        return {"token": f"sv=2024-01-01&sig={secret}", "msft:expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _next_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults[path]:
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def _allowed(self, path: str, query: str) -> bool:
        if not path.startswith(self.protected or ("\0",)):
            return True
        found = re.search(r"(?:^|&)sig=([0-9a-f]+)", query)
        return found is not None and found[1] in self._tokens


class _Threads(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them: no thread outlives its test

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients go away when they like
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True
    site: RemoteServer

    def setup(self) -> None:
        super().setup()
        self.site._connections.add(self.connection)

    def finish(self) -> None:
        super().finish()
        self.site._connections.discard(self.connection)

    def do_GET(self) -> None:
        self._answer(None)

    def do_HEAD(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: object) -> None:
        """Tests look at `requests` instead."""

    def _answer(self, posted: bytes | None) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        with self.site._lock:
            self.site.counts[path] += 1
        fault = self.site._next_fault(path)
        if fault is not None and fault.kind == "slow":
            self.site._closing.wait(fault.seconds)
        if fault is not None and fault.kind == "status":
            wait = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return self._send(fault.status, b"<html>no</html>", wait)
        if fault is not None and fault.kind == "redirect":
            return self._send(302, b"", {"Location": fault.location})
        if not self.site._allowed(path, parts.query):
            return self._send(403, b"<html>no signature</html>")
        kind = fault.kind if fault is not None else ""
        if kind == "html":
            return self._send(200, b"<html>a page of a network that asks for a login</html>")
        if path == "/token" or path.startswith("/token/"):
            return self._send(200, json.dumps(self.site.new_token()).encode())
        if path in self.site.documents:
            return self._document(self.site.documents[path], posted, kind)
        return self._file(path, kind)

    def _document(self, document: Any, posted: bytes | None, kind: str) -> None:
        value = document(self.path, posted) if callable(document) else document
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, cut=kind == "cut")

    def _file(self, path: str, kind: str) -> None:
        target = (self.site.folder / path.lstrip("/")).resolve()
        if not target.is_file() or not target.is_relative_to(self.site.folder.resolve()):
            return self._send(404, b"<html>nothing here</html>")
        content = target.read_bytes()
        headers = {"Accept-Ranges": "bytes"}
        headers["Last-Modified"] = self.date_time_string(int(target.stat().st_mtime))
        if self.site.etags:
            headers["ETag"] = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        else:
            del headers["Last-Modified"]
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None or kind == "whole":
            return self._send(200, content, headers, cut=kind == "cut")
        start = int(span[1]) + (kind == "shifted")
        end = min(int(span[2]) + 1 if span[2] else len(content), len(content))
        if start >= len(content):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._send(206, content[start:end], headers, cut=kind == "cut")

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        with self.site._lock:
            self.site.requests.append((self.command, self.path, self.headers.get("Range"), status))
        try:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
        except OSError:
            cut = True  # the client went away, as clients may
        self.close_connection = self.close_connection or cut or self.site._closing.is_set()
