"""Apache Kafka on the machine's Java: one KRaft node on loopback, formatted once, started often.

`KAFKA_HOME` is a distribution, or any folder with its `libs/`. The JVM is started directly, without
the distribution's shell scripts. The node keeps its topics in `<folder>/data` across restarts, on
whatever ports it is given.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from headrace.errors import ServiceError
from headrace.services.ports import LOOPBACK, free_ports
from headrace.services.processes.process import Command
from headrace.services.processes.program import search_path

MIN_JAVA = 17  # Kafka 4's own requirement
JVM_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC")
FORMAT_TIMEOUT_S = 120.0
ADVICE = "unset KAFKA_HOME to use the embedded broker, or set KAFKA_BOOTSTRAP to a running one"
LOGGING_FILES = ("log4j2.properties", "config/log4j2.properties", "config/log4j2.yaml")

# One node plays both roles; group joins do not wait for company.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=data
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""

LOGGING = """\
status = error
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
"""


def apache_kafka_command(folder: Path, environ: Mapping[str, str], port: int) -> Command:
    """The command that runs a node on `port` and keeps its data in `folder`."""
    home = _kafka_home(environ["KAFKA_HOME"])
    java = find_java(environ)
    folder.mkdir(parents=True, exist_ok=True)
    controller_port = next(free for free in free_ports(2) if free != port)
    properties = PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port)
    (folder / "server.properties").write_text(properties)
    jvm = [java, *JVM_FLAGS, *_logging_flags(home, folder), "-cp", f"{home}/libs/*"]
    if not (folder / "data" / "meta.properties").exists():
        _format(jvm, folder, environ)
    return Command(
        name="apache-kafka",
        arguments=[*jvm, "kafka.Kafka", "server.properties"],
        folder=folder,
        advice=ADVICE,
        environ=environ,
    )


def find_java(environ: Mapping[str, str]) -> str:
    """The `java` of JAVA_HOME, else of PATH; raises `ServiceError` unless it is new enough."""
    java_home = environ.get("JAVA_HOME")
    if java_home:
        java = shutil.which("java", path=str(Path(java_home).expanduser().resolve() / "bin"))
        place = f"JAVA_HOME={java_home}"
    else:
        java = shutil.which("java", path=search_path(environ))
        place = "PATH"
    next_step = f"apt-get install openjdk-{MIN_JAVA}-jre-headless, or {ADVICE}"
    if java is None:
        raise ServiceError(
            f"Apache Kafka needs Java and there is no java in {place}:"
            f" expected Java {MIN_JAVA} or newer; {next_step}"
        )
    version = _java_version(java, environ)
    if version < MIN_JAVA:
        raise ServiceError(
            f"Apache Kafka cannot run on Java {version} ({java}):"
            f" expected Java {MIN_JAVA} or newer; {next_step}"
        )
    return str(Path(java).absolute())


def _java_version(java: str, environ: Mapping[str, str]) -> int:
    """The major version by `java -version`: its first number, or the second where that is 1."""
    try:
        answer = subprocess.run(
            [java, "-version"], env=environ, capture_output=True, text=True, timeout=30
        )
        text = answer.stderr + answer.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(error)
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    if not found:
        raise ServiceError(
            f"{java} -version does not tell a Java version: expected {MIN_JAVA} or newer,"
            f" got {' '.join(text.split())[:200]!r}; set JAVA_HOME to a working Java, or {ADVICE}"
        )
    return int(found[1])


def _kafka_home(text: str) -> Path:
    home = Path(text).expanduser().resolve()
    if not any((home / "libs").glob("*.jar")):
        raise ServiceError(
            f"KAFKA_HOME={text} is not Apache Kafka: expected a folder with libs/*.jar;"
            f" set it to an unpacked distribution, or {ADVICE}"
        )
    if os.pathsep in str(home):
        raise ServiceError(
            f"KAFKA_HOME={text} has {os.pathsep!r} in its path, which Java takes for two:"
            f" expected a path without; move it, or {ADVICE}"
        )
    return home


def _logging_flags(home: Path, folder: Path) -> list[str]:
    """Kafka's own logging set-up where KAFKA_HOME has one, else ours; its files go to `folder`."""
    present = [home / name for name in LOGGING_FILES if (home / name).is_file()]
    if not present:
        present = [folder.resolve() / "log4j2.properties"]
        present[0].write_text(LOGGING)
    uri = present[0].as_uri()  # Log4j takes a path with commas for several files
    place = uri if "%" in uri else str(present[0])
    return [f"-Dlog4j2.configurationFile={place}", "-Dkafka.logs.dir=logs"]


def _format(jvm: list[str], folder: Path, environ: Mapping[str, str]) -> None:
    """Makes `folder` the storage of a new cluster."""
    # A leading "-" would be read as an option.
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode().replace("-", "A")
    words = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties"]
    try:
        answer = subprocess.run(
            [*jvm, *words],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
        )
        failed, text = answer.returncode != 0, answer.stderr or answer.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, text = True, str(error)
    if failed:
        said = " ".join(text.split())[:400] or "nothing"
        raise ServiceError(
            f"Apache Kafka cannot format {folder}, it wrote: {said}; give it an empty folder that"
            f" can be written, or {ADVICE}"
        )
