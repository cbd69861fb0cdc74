"""The first words with a Kafka broker, over a socket of our own: does it speak, may we come in?

kafka-python tries again and again, whatever is wrong, and says only that it took too long.
"""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import IO, Final

from kafka.net.sasl import get_sasl_mechanism

from headrace.access.kafka import KafkaAccess

CORRELATION_ID: Final = 4301
API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = (18, 0), (17, 1), (36, 0)  # key, version
MAX_ANSWER_BYTES: Final = 1_000_000


def problem_of(host: str, port: int, timeout_s: float, access: KafkaAccess) -> str | None:
    """The fault of the server at this address; None if it is a broker that lets us in."""
    try:
        with _connection(host, port, timeout_s, access) as connection:
            with connection.makefile("rb") as stream:
                talk = _Talk(connection, stream)
                if talk.ask(API_VERSIONS) is None:
                    return "does not speak the Kafka protocol" + (
                        ""
                        if access.is_encrypted
                        else ", or only by TLS: see HEADRACE_KAFKA_SECURITY_PROTOCOL"
                    )
                return _log_in(talk, host, access) if access.is_authenticated else None
    except ssl.SSLCertVerificationError as error:
        return f"is not trusted ({error.verify_message}): check HEADRACE_KAFKA_CA_FILE"
    except ssl.SSLError as error:
        return (
            f"does not agree on TLS ({error.reason or error}): check "
            "HEADRACE_KAFKA_SECURITY_PROTOCOL and HEADRACE_KAFKA_CERT_FILE"
        )
    except OSError as error:
        return str(error)


@dataclass(slots=True)
class _Talk:
    """Requests and answers, one after the other."""

    connection: socket.socket
    stream: IO[bytes]

    def ask(self, what: tuple[int, int], body: bytes = b"") -> bytes | None:
        """The answer's body; None if it is none of Kafka's."""
        request = struct.pack(">hhih", *what, CORRELATION_ID, -1) + body  # no client id
        self.connection.sendall(struct.pack(">i", len(request)) + request)
        head = self.stream.read(8)
        if len(head) < 8:
            return None
        length, correlation_id = struct.unpack(">ii", head)
        if correlation_id != CORRELATION_ID or not 4 <= length <= MAX_ANSWER_BYTES:
            return None
        return self.stream.read(length - 4)


def _connection(host: str, port: int, timeout_s: float, access: KafkaAccess) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=timeout_s)
    tls = access.tls_context()
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except OSError:
        connection.close()
        raise


def _log_in(talk: _Talk, host: str, access: KafkaAccess) -> str | None:
    """Why the broker does not let the user in, None if it does."""
    name = access.sasl_mechanism
    answer = talk.ask(SASL_HANDSHAKE, struct.pack(">h", len(name)) + name.encode())
    if not answer or struct.unpack_from(">h", answer)[0]:
        return f"knows no log-in by {name} at this address: check HEADRACE_KAFKA_SASL_MECHANISM"
    mechanism = get_sasl_mechanism(name)(host=host, **access.client_options())
    refused = (
        f"does not let in user {access.user!r} by {name}: check HEADRACE_KAFKA_USER, "
        "HEADRACE_KAFKA_PASSWORD and HEADRACE_KAFKA_SASL_MECHANISM"
    )
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = talk.ask(SASL_AUTHENTICATE, struct.pack(">i", len(token)) + token)
        if not answer or struct.unpack_from(">h", answer)[0]:
            return refused
        (length,) = struct.unpack_from(">h", answer, 2)  # of an error's text, -1 for none
        try:
            mechanism.receive(answer[4 + max(length, 0) + 4 :])
        except (ValueError, KeyError) as error:  # whoever answers does not know the password
            return f"{refused} ({type(error).__name__})"
    return None if mechanism.is_authenticated() else refused
