"""TLS in front of a Redis that speaks none: a relay on loopback, with certificates of its own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.services.ports import LOOPBACK


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate of the loopback address, with its key in the same file."""
    folder.mkdir()
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=redis", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *words, *names, *files], check=True, capture_output=True)
    return folder


@contextmanager
def tls_relay(certificate: Path, port: int) -> Iterator[int]:
    """Listens with TLS and passes on what it hears to the port; gives its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, context, port), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:  # the relay ends
            return
        threading.Thread(target=_serve, args=(plain, context, port), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """One connection; one whose handshake fails, or who ends it, is closed."""
    with suppress(OSError), plain, socket.create_connection((LOOPBACK, port)) as redis:
        with context.wrap_socket(plain, server_side=True) as client:
            back = threading.Thread(target=_pump, args=(redis, client), daemon=True)
            back.start()
            _pump(client, redis)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while heard := source.recv(65_536):
            target.sendall(heard)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
