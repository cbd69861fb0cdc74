"""The command line: what a user gets wrong is one line on stderr and exit code 2."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import __version__, cli, config
from headrace.catalogue.files import write_catalogue
from headrace.datasets.registry import load_dataset
from headrace.encoders.registry import TRAINED
from headrace.services.download import RECBOLE
from headrace.services.kafka import Broker, start_broker
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer, start_redis

COMMANDS = (
    *("up", "stream", "train", "serve", "archive", "replay", "materialize", "backfill"),
    *("encode", "explain"),
)
USES_BROKER = ("up", "stream", "train", "serve", "archive", "replay", "backfill", "explain")
NEEDS = {"explain": ("--user=1", "--item=7")}  # flags without which a command does nothing
USES_DATA = ("up", "replay", "materialize", "encode")
FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t4\t9\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "7\tTwelve Monkeys\t1995\tDrama\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n",
}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _a_user_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but a home of the test's own; no command may replace the test's process."""
    given = ("HEADRACE_", "REDIS_URL", "KAFKA_", "RAY_ADDRESS", "JAVA_HOME")
    for name in [name for name in os.environ if name.startswith(given)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "execv", _refuse)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a log of one rating."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with start_broker(tmp_path_factory.mktemp("kafka"), {"PATH": os.environ["PATH"]}) as server:
        yield server


@pytest.fixture
def servers(redis: RedisServer, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis and a broker that answer, configured."""
    monkeypatch.setenv("REDIS_URL", redis.url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)


def mistake(capsys: Capture, command: str, *arguments: str) -> str:
    """What a command says on its one line about what is wrong."""
    assert cli.main([command, *NEEDS.get(command, ()), *arguments]) == 2
    return said_by(command, capsys.readouterr().err)


def mistake_of_process(command: str, *arguments: str) -> str:
    """The same of a command that becomes another program."""
    words = [sys.executable, "-m", "headrace.cli", command, *NEEDS.get(command, ()), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    return said_by(command, done.stderr)


def said_by(command: str, stderr: str) -> str:
    assert stderr.startswith(f"headrace {command}: ") and stderr.count("\n") == 1, stderr
    return stderr.removeprefix(f"headrace {command}: ").rstrip("\n")


def test_help_names_every_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"\n    {command}" in said for command in (*COMMANDS, "features", "dead-letters"))


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"headrace {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["down"], "invalid choice: 'down'"),
        (["up", "--sped=3"], "unrecognized arguments: --sped=3"),
        (["up", "--speed=fast"], "argument --speed: invalid float value: 'fast'"),
        (["serve", "--port=http"], "unrecognized arguments: --port=http"),
    ],
)
def test_a_wrong_flag_is_named(arguments: list[str], said: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_all_wrong_settings_are_named_at_once(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    wrong = {"HEADRACE_NAMESPACE": "A-B", "HEADRACE_PORT": "http", "HEADRACE_BATCH_SIZE": "0"}
    for name, text in wrong.items():
        monkeypatch.setenv(name, text)
    said = mistake(capsys, command)
    assert all(f"{name}={text!r}: Expected " in said for name, text in wrong.items())


def test_an_unknown_dataset_is_answered_with_the_known_ones(capsys: Capture) -> None:
    assert mistake(capsys, "up", "--dataset=nope") == (
        "no dataset 'nope'; known: movielens, kuairand, kuairand-history, openbandit, globo, table"
    )


def test_an_unknown_encoder_is_answered_with_the_known_ones(capsys: Capture) -> None:
    assert mistake(capsys, "encode", "--encoder=text_e5", "--encoder=nope") == (
        "no encoder 'nope'; known: given_vector, image_efficientnet, text_e5, text_minilm, "
        + ", ".join(TRAINED)
    )


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    said = mistake(capsys, "up", f"--data={tmp_path / 'none'}")
    assert said == f"{tmp_path / 'none'}: does not exist; --data expects a folder with data files"


def test_a_folder_with_nothing_known_is_answered_with_the_known_files(
    tmp_path: Path, capsys: Capture
) -> None:
    said = mistake(capsys, "up", f"--data={tmp_path}")
    assert said.startswith(f"{tmp_path}: no dataset found there; looked for headrace.yaml (table);")


def test_a_damaged_download_is_to_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    wheel = tmp_path / "headrace" / RECBOLE.file
    wheel.parent.mkdir()
    wheel.write_bytes(b"half a wheel")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = mistake(capsys, "up")
    assert said.startswith(f"{wheel}: sha256 is ")
    assert said.endswith(f", expected {RECBOLE.sha256}: delete {wheel} and run again")


@pytest.mark.parametrize("speed", ["0", "-5", "nan"])
@pytest.mark.parametrize("command", ["up", "replay"])
def test_a_speed_that_never_arrives_is_refused(
    command: str, speed: str, data: Path, capsys: Capture
) -> None:
    said = mistake(capsys, command, f"--data={data}", f"--speed={speed}")
    assert said == f"--speed {speed}: expected more than 0 events per second"


def test_a_report_that_could_not_be_written_is_refused_before_the_replay(
    tmp_path: Path, data: Path, capsys: Capture
) -> None:
    said = mistake(capsys, "up", f"--data={data}", f"--report={tmp_path / 'none' / 'r.json'}")
    assert (
        said == f"--report {tmp_path / 'none' / 'r.json'}: there is no folder {tmp_path / 'none'}"
    )


def test_a_taken_port_is_named_with_the_flag_that_sets_another(data: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = mistake(capsys, "up", f"--data={data}", f"--port={port}")
    assert said == (
        f"port {port} on 127.0.0.1 is taken (HTTP: Address already in use):"
        " stop what uses it or choose another with --port"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_redis_that_does_not_answer_is_named(
    command: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setenv("REDIS_URL", url)
    arguments = [f"--data={data}"] if command in USES_DATA else []
    arguments += [f"--port={free_port()}"] if command == "up" else []
    said = mistake(capsys, command, *arguments)
    assert said.startswith(f"no Redis answers at {url} (") and "start it" in said


@pytest.mark.services
@pytest.mark.parametrize("command", USES_BROKER)
def test_a_broker_that_does_not_answer_is_named(
    command: str, data: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("REDIS_URL", redis.url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", bootstrap)
    arguments = [f"--data={data}"] if command in USES_DATA else []
    arguments += [f"--port={free_port()}"] if command == "up" else []
    said = mistake(capsys, command, *arguments)
    assert said.startswith(f"no Kafka broker answers at {bootstrap} (") and "start it" in said


@pytest.mark.services
def test_apache_kafka_without_java_says_what_to_install(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "kafka" / "libs").mkdir(parents=True)
    (tmp_path / "kafka" / "libs" / "kafka.jar").write_bytes(b"")
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path / "kafka"))
    monkeypatch.setenv("PATH", str(tmp_path))
    said = mistake(capsys, "up", f"--data={data}", f"--port={free_port()}")
    assert said.startswith("Apache Kafka needs Java and there is no java in PATH: expected Java 17")
    assert "apt-get install openjdk-17-jre-headless" in said


@pytest.mark.services
@pytest.mark.parametrize("command", ["stream", "train", "serve", "explain"])
def test_a_part_without_a_catalogue_says_to_materialize(command: str, servers: None) -> None:
    assert "headrace materialize" in mistake_of_process(command)


@pytest.mark.services
@pytest.mark.parametrize("command", ["train", "serve"])
def test_vectors_that_were_never_made_are_named(data: Path, servers: None, command: str) -> None:
    write_catalogue(load_dataset("movielens", data), config.catalogue_path(config.load()), 0)
    said = mistake_of_process(command, "--vectors=text_e5/9")
    assert said.startswith("no content vectors 'text_e5/9' in ") and "run `headrace encode`" in said


@pytest.mark.services
def test_parity_without_an_archive_says_to_make_one(servers: None, capsys: Capture) -> None:
    assert "no archived events: run `headrace archive`" in mistake(capsys, "features", "parity")


@pytest.mark.parametrize("command", [["backfill"], ["features", "parity"]])
def test_a_time_that_is_none_is_refused(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--from=yesterday"])
    assert "argument --from: invalid time value: 'yesterday'" in capsys.readouterr().err


@pytest.mark.services
def test_a_wrong_campaigns_file_is_named_before_anything_is_served(
    tmp_path: Path, data: Path, servers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "campaigns.yaml"
    path.write_text("campaigns: [{id: a, item_id: nothing, bid_micros: 1, budget_micros: 1}]\n")
    monkeypatch.setenv("HEADRACE_CAMPAIGNS", str(path))
    write_catalogue(load_dataset("movielens", data), config.catalogue_path(config.load()), 0)
    assert mistake_of_process("serve").startswith(f"campaigns file {path}: ")


def test_a_reader_that_has_ended_is_no_traceback(data: Path) -> None:
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    command = [sys.executable, "-m", "headrace.cli", "check", f"--data={data}"]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    os.close(output)
    assert (done.returncode, done.stderr) == (141, "")


def _refuse(*_: object) -> None:
    raise AssertionError("the command was to stop before it becomes another program")
