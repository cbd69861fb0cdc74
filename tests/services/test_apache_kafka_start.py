"""Apache Kafka on this machine's Java: what stops it is named, and its folder can be used again."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from headrace.errors import ServiceError
from headrace.services.apache_kafka import apache_kafka_command, find_java
from headrace.services.kafka import start_broker
from headrace.services.ports import free_port

pytestmark = pytest.mark.services


@pytest.fixture
def kafka_home(tmp_path: Path) -> str:
    """A folder that looks like Apache Kafka until it is started."""
    home = tmp_path / "kafka"
    (home / "libs").mkdir(parents=True)
    (home / "libs" / "kafka.jar").write_bytes(b"")
    return str(home)


def fake_java(folder: Path, script: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return java


def test_no_java_says_what_to_install(tmp_path: Path, kafka_home: str) -> None:
    with pytest.raises(ServiceError) as caught:
        start_broker(tmp_path / "data", {"KAFKA_HOME": kafka_home, "PATH": "", "JAVA_HOME": ""})
    assert str(caught.value) == (
        "Apache Kafka needs Java and there is no java in PATH: expected Java 17 or newer;"
        " apt-get install openjdk-17-jre-headless, or unset KAFKA_HOME to use the embedded broker,"
        " or set KAFKA_BOOTSTRAP to a running one"
    )


def test_a_java_home_without_java_is_named(tmp_path: Path, kafka_home: str) -> None:
    with pytest.raises(ServiceError, match=f"no java in JAVA_HOME={tmp_path}: expected Java 17"):
        start_broker(tmp_path / "data", {"KAFKA_HOME": kafka_home, "JAVA_HOME": str(tmp_path)})


@pytest.mark.parametrize(("text", "version"), [("11.0.2", "11"), ("1.8.0_392", "8")])
def test_a_java_that_is_too_old_is_named(
    text: str, version: str, tmp_path: Path, kafka_home: str
) -> None:
    java = fake_java(tmp_path / "jdk", f"echo 'openjdk version \"{text}\"' >&2")
    environ = {"KAFKA_HOME": kafka_home, "PATH": str(java.parent)}
    with pytest.raises(
        ServiceError, match=rf"Java {version} \({java}\): expected Java 17 or newer"
    ):
        start_broker(tmp_path / "data", environ)


def test_a_java_that_does_not_work_is_named(tmp_path: Path, kafka_home: str) -> None:
    java = fake_java(tmp_path / "jdk", "echo 'cannot load libjvm.so' >&2; exit 1")
    environ = {"KAFKA_HOME": kafka_home, "JAVA_HOME": str(tmp_path / "jdk")}
    with pytest.raises(ServiceError, match=f"{java} -version .* got 'cannot load libjvm.so'"):
        start_broker(tmp_path / "data", environ)


@pytest.mark.parametrize("text", ["17.0.15", "25", "21-ea"])
def test_a_new_java_is_taken_from_java_home_before_the_path(text: str, tmp_path: Path) -> None:
    java = fake_java(tmp_path / "jdk", f"echo 'Picked up x'; echo 'openjdk version \"{text}\"'")
    other = fake_java(tmp_path / "other", "exit 1")
    environ = {"JAVA_HOME": str(tmp_path / "jdk"), "PATH": str(other.parent)}
    assert find_java(environ) == str(java)


def test_a_kafka_home_without_jars_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=rf"KAFKA_HOME={tmp_path} .* folder with libs/\*.jar"):
        start_broker(tmp_path / "data", {"KAFKA_HOME": str(tmp_path)})


def test_a_failed_format_is_one_line(tmp_path: Path, kafka_home: str) -> None:
    script = 'case "$*" in *-version*) echo \'version "17"\';; *) echo no space >&2; exit 1;; esac'
    fake_java(tmp_path / "jdk", script)
    environ = {"KAFKA_HOME": kafka_home, "JAVA_HOME": str(tmp_path / "jdk")}
    with pytest.raises(ServiceError, match=r"cannot format .*/data, it wrote: no space; give it"):
        start_broker(tmp_path / "data", environ)


def test_a_kafka_home_without_logging_set_up_gets_ours(tmp_path: Path, kafka_home: str) -> None:
    script = 'case "$*" in *-version*) echo \'version "17"\';; *) echo "$@" >&2; exit 1;; esac'
    fake_java(tmp_path / "jdk", script)
    environ = {"KAFKA_HOME": kafka_home, "JAVA_HOME": str(tmp_path / "jdk")}
    with pytest.raises(ServiceError, match=f"configurationFile={tmp_path}/data/log4j2.properties"):
        start_broker(tmp_path / "data", environ)
    assert "rootLogger.level" in (tmp_path / "data" / "log4j2.properties").read_text()


def topics(bootstrap: str, create: str | None = None) -> list[str]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        if create:
            admin.create_topics([NewTopic(create, 4, 1)])
        return list(admin.list_topics())
    finally:
        admin.close()


def test_keeps_its_topics_across_restarts_on_the_same_and_on_another_port(
    apache_environ: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    with start_broker(tmp_path, apache_environ, port) as broker:
        assert topics(broker.bootstrap, create="events") == ["events"]
    cluster = (tmp_path / "data" / "meta.properties").read_text()
    with start_broker(tmp_path, apache_environ, port) as broker:
        assert broker.bootstrap == f"127.0.0.1:{port}"
        assert topics(broker.bootstrap) == ["events"]
    with start_broker(tmp_path, apache_environ) as broker:
        assert broker.bootstrap != f"127.0.0.1:{port}"
        assert topics(broker.bootstrap) == ["events"]
        with pytest.raises(ServiceError, match="another apache-kafka runs in"):
            start_broker(tmp_path, apache_environ)
        assert topics(broker.bootstrap) == ["events"]
    assert (tmp_path / "data" / "meta.properties").read_text() == cluster


@pytest.mark.parametrize("name", ["a,b", "a#b", "a%41b", "a b"])
def test_apache_kafka_is_told_its_logging_set_up_as_a_uri(
    name: str, tmp_path: Path, apache_environ: dict[str, str]
) -> None:
    home, folder = tmp_path / name / "kafka", tmp_path / name / "data"
    (home / "config").mkdir(parents=True)
    (home / "libs").symlink_to(Path(apache_environ["KAFKA_HOME"]) / "libs")
    (home / "config" / "log4j2.yaml").touch()
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").touch()
    command = apache_kafka_command(folder, {**apache_environ, "KAFKA_HOME": str(home)}, 1)
    place = (home / "config" / "log4j2.yaml").as_uri()
    assert f"-Dlog4j2.configurationFile={place}" in command.arguments
    (home / "config" / "log4j2.yaml").unlink()
    command = apache_kafka_command(folder, {**apache_environ, "KAFKA_HOME": str(home)}, 1)
    place = (folder / "log4j2.properties").as_uri()
    assert f"-Dlog4j2.configurationFile={place}" in command.arguments
