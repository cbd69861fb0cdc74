"""Apache Kafka behind TLS and passwords: every client goes through, and errors are one line."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion

from headrace import config
from headrace.access.kafka import KafkaAccess
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics, create_topics, log_identity
from headrace.broker.writer import LogWriter
from headrace.errors import ServiceError
from headrace.services.apache_kafka import apache_kafka_command
from headrace.services.kafka import check_broker
from headrace.services.ports import LOOPBACK, free_ports
from headrace.services.processes.process import ServerProcess

pytestmark = pytest.mark.services

PASSWORD = "1e5,a=b/c@d:%"  # what a configuration could stumble over
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
SECONDS = 10.0  # within which what is wrong is said
PROPERTIES = """
listeners=PLAINTEXT://{host}:{plain},SECURE://{host}:{secure},MUTUAL://{host}:{mutual},\
CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{plain},SECURE://{host}:{secure},MUTUAL://{host}:{mutual}
controller.quorum.voters=1@{host}:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_me="{password}";
listener.name.secure.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.mutual.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={trusted}
"""


@dataclass(frozen=True)
class Guarded:
    """The addresses of a broker, a plain one too, and its certificate."""

    plain: str
    secure: str
    mutual: str
    certificate: Path  # of the broker; it signed itself
    key: Path

    def settings(self, mechanism: str = "PLAIN", **changes: str | bool) -> config.Settings:
        given: dict[str, str | bool] = {
            "kafka_bootstrap": self.secure,
            "namespace": mechanism.lower().replace("-", "_"),
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": mechanism,
            "kafka_user": "me",
            "kafka_password": PASSWORD,
            "kafka_ca_file": str(self.certificate),
            **changes,
        }
        return config.settings(**given)


def make_certificate(folder: Path, name: str, address: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={address}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words, *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def guarded(
    apache_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    certificate, key = make_certificate(folder, "broker", f"IP:{LOOPBACK}")
    keystore = folder / "keystore.pem"
    keystore.write_text(key.read_text() + certificate.read_text())
    ports = dict(zip(("plain", "secure", "mutual", "controller"), free_ports(4), strict=True))
    command = apache_kafka_command(folder / "kafka", apache_environ, ports["plain"])
    more = PROPERTIES.format(
        host=LOOPBACK, password=PASSWORD, keystore=keystore, trusted=certificate, **ports
    )
    with (folder / "kafka" / "server.properties").open("a") as properties:
        properties.write(more)  # of a property that is there twice the last one counts
    bootstrap = f"{LOOPBACK}:{ports['plain']}"
    with ServerProcess(command) as process:
        process.start()
        process.wait_ready(lambda: check_broker(bootstrap, KafkaAccess()), 90)
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            for name in MECHANISMS[1:]:
                credential = UserScramCredentialUpsertion("me", name, PASSWORD)
                assert admin.alter_user_scram_credentials([credential]) == {"me": None}
        address = (f"{LOOPBACK}:{ports[name]}" for name in ("plain", "secure", "mutual"))
        yield Guarded(*address, certificate, key)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_client_goes_through_tls_and_logs_in(guarded: Guarded, mechanism: str) -> None:
    settings = guarded.settings(mechanism)
    check_broker(settings.kafka_bootstrap, settings.kafka)
    create_topics(settings)
    topic = Topics(settings.namespace).events
    assert log_identity(settings, topic).topics.keys() == {topic}
    with closing(LogWriter(settings)) as writer:
        writer.send(topic, b"value", b"key")
        writer.flush()
    start = dict.fromkeys(range(settings.stream.num_partitions), 0)
    with closing(LogReader(settings, topic, start)) as reader:
        read = [record.value for records in reader.read_to_end() for record in records]
    assert read == [b"value"]


def test_a_client_shows_its_own_certificate_where_the_broker_asks_for_one(guarded: Guarded) -> None:
    nobody: dict[str, str | bool] = dict.fromkeys(
        ("kafka_sasl_mechanism", "kafka_user", "kafka_password"), ""
    )
    mutual = guarded.settings(
        kafka_bootstrap=guarded.mutual, kafka_security_protocol="SSL", **nobody
    )
    with pytest.raises(ServiceError, match="HEADRACE_KAFKA_CERT_FILE"):
        check_broker(mutual.kafka_bootstrap, mutual.kafka)
    files = {"kafka_cert_file": str(guarded.certificate), "kafka_key_file": str(guarded.key)}
    check_broker(mutual.kafka_bootstrap, config.changed(mutual, **files).kafka)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kafka_password": "wrong" + PASSWORD}, "does not let in user 'me' by"),
        ({"kafka_user": "stranger"}, "does not let in user 'stranger' by"),
    ],
    ids=["password", "user"],
)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_or_user_is_one_line_within_seconds(
    guarded: Guarded, mechanism: str, change: dict[str, str], said: str
) -> None:
    settings = guarded.settings(mechanism, **change)
    started = time.monotonic()
    with pytest.raises(ServiceError, match=f"{said} {mechanism}") as caught:
        check_broker(settings.kafka_bootstrap, settings.kafka)
    assert time.monotonic() - started < SECONDS
    assert PASSWORD not in str(caught.value) and "\n" not in str(caught.value)


def test_a_way_to_log_in_that_the_broker_does_not_know_is_named(guarded: Guarded) -> None:
    plaintext = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ca_file": ""}
    settings = guarded.settings(kafka_bootstrap=guarded.plain, **plaintext)
    with pytest.raises(ServiceError, match="knows no log-in by PLAIN at this address"):
        check_broker(settings.kafka_bootstrap, settings.kafka)


def test_a_certificate_that_is_not_trusted_is_one_line_within_seconds(
    guarded: Guarded, tmp_path: Path
) -> None:
    other, _ = make_certificate(tmp_path, "other", f"IP:{LOOPBACK}")
    for trusted in (str(other), ""):
        settings = guarded.settings(kafka_ca_file=trusted)
        with pytest.raises(ServiceError, match="is not trusted .*: check HEADRACE_KAFKA_CA_FILE"):
            check_broker(settings.kafka_bootstrap, settings.kafka)


def test_the_name_in_the_certificate_counts_unless_it_is_said_that_it_does_not(
    guarded: Guarded,
) -> None:
    by_name = guarded.secure.replace(LOOPBACK, "localhost")
    settings = guarded.settings(kafka_bootstrap=by_name)
    with pytest.raises(ServiceError, match="is not trusted .*localhost"):
        check_broker(settings.kafka_bootstrap, settings.kafka)
    check_broker(by_name, config.changed(settings, kafka_check_hostname=False).kafka)


def test_a_plain_client_of_a_broker_behind_tls_is_told_so(guarded: Guarded) -> None:
    with pytest.raises(ServiceError, match="or only by TLS: see HEADRACE_KAFKA_SECURITY_PROTOCOL"):
        check_broker(guarded.secure, KafkaAccess())
