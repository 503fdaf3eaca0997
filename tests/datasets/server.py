"""A server on this machine that serves one file, with the faults that a test names."""

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """What goes wrong with one reply: by default nothing."""

    status: int | None = None  # instead of the file
    cut: int | None = None  # bytes of the reply after which the connection is closed
    silence: float = 0  # seconds after the bytes of `cut`, before the connection is closed
    range_status: int | None = None  # instead of a range
    ignores_range: bool = False
    ignores_condition: bool = False  # If-Range
    shift: int = 0  # bytes by which a range starts elsewhere than asked
    announces_size: bool = True
    names_version: bool = True


class FileServer(ThreadingHTTPServer):
    """Serves `content` at every path; `faults` are taken one per request, by path, then all goes well."""

    daemon_threads = True

    def __init__(self, content, headers=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.headers = {"ETag": '"first"'} if headers is None else headers
        self.faults = {}
        self.requests = []  # (path, Range, If-Range)
        self.stopped = threading.Event()

    def url(self, path="/file"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    @property
    def ranges(self):
        return [asked for _, asked, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked, condition = self.headers["Range"], self.headers["If-Range"]
        self.server.requests.append((self.path, asked, condition))
        faults = self.server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else Fault()
        if fault.status is not None or (asked and fault.range_status is not None):
            return self.send_error(fault.status or fault.range_status)
        met = fault.ignores_condition or condition in (None, *self.server.headers.values())
        start = None
        if asked and met and not fault.ignores_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) + fault.shift
        self._send(start, fault)

    def _send(self, start, fault):
        content = self.server.content
        if start is not None and start >= len(content):
            return self.send_error(416)
        body = content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if fault.announces_size:
            self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.items() if fault.names_version else ():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: fault.cut])
        self.server.stopped.wait(fault.silence)

    def log_message(self, *args):
        pass


@contextmanager
def serving(content, headers=None):
    """A running FileServer, stopped at the end."""
    server = FileServer(content, headers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
