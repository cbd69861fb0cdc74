"""A real server on loopback in front of a router, with TLS where it has a certificate."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from starlette.responses import Response

from headrace.services.ports import LOOPBACK

Answered = Callable[[str, str, Mapping[str, str], bytes], Response]  # method, path, headers, body


@contextmanager
def http_server(answered: Answered, certificate: Path | None = None) -> Iterator[str]:
    """Its address while it listens; `certificate` is a PEM file with the key in it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            response = answered(self.command, self.path, dict(self.headers), body)
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing: a test says by itself what came."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        scheme = "http" if certificate is None else "https"
        try:
            yield f"{scheme}://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
