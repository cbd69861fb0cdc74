"""Every command of the README, as printed, in a second terminal beside a running `headrace up`.

The terminal has no settings; the platform is found by its run file. What is not run here has a line
in `ELSEWHERE` with the test that runs it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from platform_run import PlatformRun
from shop import write_shop

from headrace.broker import LogWriter, Topics
from headrace.commands.running import PLACES
from headrace.config import Settings, environment, variable
from headrace.dead_letter import read_letters
from headrace.up.run_file import RunFolder

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUM_EVENTS = 400
COMMAND_TIMEOUT_S = 120.0

# Commands that begin so, and the test that runs them.
ELSEWHERE = {
    "make up": "tests/loop/test_loop.py",
    "make test": "",  # this
    "make bench": "tests/evaluation/test_quality_benchmark.py",
    ".venv/bin/headrace up": "tests/loop/test_loop.py",
    "headrace stream": "tests/loop/test_parts_alone.py",
    "headrace train": "tests/loop/test_parts_alone.py",
    "headrace serve": "tests/loop/test_parts_alone.py",
    "headrace encode": "tests/trainers/test_encode_job.py",  # downloads weights
    "headrace evaluate": "tests/evaluation/test_evaluate.py",  # reads no platform
    "headrace compare-fusion": "tests/evaluation/test_compare_fusion.py",
}
# Commands that run until they are ended, and the port at which they answer.
SERVERS = {"headrace archive": None, "headrace feast serve": 6566, "headrace feast ui": 8888}
ARCHIVED_S = 6.0  # an archive that is left alone so long has written something
MACHINES = "10.0.0.5"  # the block with this address is of other machines than this one


@dataclass
class Terminal:
    """A shell of the same user, in a folder with a shop, without settings."""

    folder: Path
    environ: dict[str, str]
    port: int
    replaced: dict[str, str] = field(default_factory=dict)

    def run(self, command: str, exports: str = "") -> subprocess.CompletedProcess[str]:
        """A command that ends by itself, and what it said."""
        for printed, here in self.replaced.items():
            command = command.replace(printed, here)
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        return subprocess.run(
            ["bash", "-c", f"{exports}\n{command}"],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )

    def serve(self, command: str, port: int | None, exports: str = "") -> str:
        """Start a command, wait until it answers, end it; what it said."""
        log = self.folder / f"{abs(hash(command))}.log"
        with log.open("w") as file:
            server = subprocess.Popen(
                ["bash", "-c", f"{exports}\nexec {command.partition('#')[0]}"],
                cwd=self.folder,
                env=self.environ,
                stdout=file,
                stderr=file,
            )
        try:
            deadline = time.monotonic() + (COMMAND_TIMEOUT_S if port else ARCHIVED_S)
            while time.monotonic() < deadline and not (port and _answers(port)):
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            assert not port or _answers(port), log.read_text()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        return log.read_text()


def blocks() -> list[tuple[str, str]]:
    """Language and text of each block of commands in the README."""
    return [(match[1], match[2]) for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def commands(block: str) -> Iterator[str]:
    """The commands of a block; one may go on over several lines."""
    held = ""
    for line in block.splitlines():
        held = f"{held}\n{line}" if held else line
        is_open = held.endswith("\\") or held.count("'") % 2
        if not is_open:
            if held.strip():
                yield held
            held = ""


def beginning_of(command: str, table: dict[str, object]) -> str | None:
    """The entry of a table that a command begins with."""
    return next((one for one in table if f"{command} ".startswith(f"{one} ")), None)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("readme")
    unset = ("HEADRACE_", "REDIS_URL", "KAFKA_", "RAY_ADDRESS")
    environ = {n: text for n, text in os.environ.items() if not n.startswith(unset)}
    environ |= {
        "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}",
        "HEADRACE_ARCHIVE_EVERY_S": "1",
    }
    shop = write_shop(folder / "shop", NUM_EVENTS)
    write_shop(folder / "shop-last-year", 100, seed=1)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "feature_repo").symlink_to(ROOT / "feature_repo")
    run = PlatformRun(folder, shop, 200.0, {"KAFKA_HOME": "", "XDG_RUNTIME_DIR": str(folder)})
    try:
        run.wait_report()
        yield Terminal(folder, environ, run.port)
    finally:
        run.close()
    assert not RunFolder(folder / "headrace").running()


@pytest.fixture(scope="module")
def settings(terminal: Terminal) -> Settings:
    (run,) = RunFolder(terminal.folder / "headrace").running()
    return run.settings


@pytest.fixture(scope="module")
def bad_event(terminal: Terminal, settings: Settings) -> str:
    """The place of an event that was not accepted, and a file with it mended."""
    writer = LogWriter(settings)
    writer.send(Topics(settings.namespace).events, b"not json", key=b"1")
    writer.flush()
    writer.close()
    mended = '{"type": "click", "user_id": "196", "item_id": "288", "event_id": "mended"}\n'
    (terminal.folder / "mended.jsonl").write_text(mended)
    deadline = time.monotonic() + 20
    while not (letters := list(read_letters(settings))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return letters[0].place


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    every = [one for language, block in blocks() if language == "sh" for one in commands(block)]
    for table in (ELSEWHERE, SERVERS):
        for beginning in table:
            assert any(beginning_of(one, {beginning: 0}) for one in every), f"no {beginning}"
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


def test_each_command_of_the_readme_works_in_a_second_terminal(
    terminal: Terminal, settings: Settings, bad_event: str
) -> None:
    terminal.replaced = {"3:1234": bad_event}
    here = [block for language, block in blocks() if language == "sh" and MACHINES not in block]
    every = [one for block in here for one in commands(block)]
    every = [one for one in every if not beginning_of(one, ELSEWHERE)]
    servers = [one for one in every if beginning_of(one, SERVERS)]
    for command in servers:  # the archive first: other commands read it
        said = terminal.serve(command, SERVERS[str(beginning_of(command, SERVERS))])
        assert "using the running platform" in said, said
    with ThreadPoolExecutor(2) as pool:
        others = [one for one in every if one not in servers]
        problems = list(pool.map(lambda one: problem_of(terminal, one), others))
    assert not any(problems), "\n\n".join(filter(None, problems))
    assert (terminal.folder / "parity.json").is_file()


def problem_of(terminal: Terminal, command: str, exports: str = "") -> str:
    """What is wrong with a command, empty if nothing is."""
    done = terminal.run(command, exports)
    said = f"{command}\n{done.returncode}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"
    if done.returncode or "Traceback" in done.stderr:
        return said
    if command.startswith("curl") and '"error"' in done.stdout:
        return said
    return ""


def test_the_commands_of_machines_of_their_own_work_with_the_variables_set(
    terminal: Terminal, settings: Settings
) -> None:
    (block,) = [block for language, block in blocks() if MACHINES in block]
    exports, rest = "", []
    for command in commands(block):
        if command.startswith("export"):
            exports += f"{command}\n"
        elif not beginning_of(command, ELSEWHERE):
            rest.append(command)
    printed = {
        "redis://10.0.0.5:6379/0": settings.redis_url,
        "10.0.0.6:9092": settings.kafka_bootstrap,
        "/mnt/headrace": str(terminal.folder / "own-home"),
    }
    for text, ours in printed.items():
        assert text in exports
        exports = exports.replace(text, ours)
    exports += "export HEADRACE_NAMESPACE=own"
    for command in rest:
        beginning = beginning_of(command, SERVERS)
        if beginning:
            terminal.serve(command, SERVERS[beginning], exports)
        else:
            assert not problem_of(terminal, command, exports)


def test_the_python_of_the_readme_joins_after_the_variables_were_taken(
    terminal: Terminal, settings: Settings
) -> None:
    (program,) = [block for language, block in blocks() if language == "python"]
    requests = (
        "import pandas as pd\n"
        "requests = pd.DataFrame({'user_id': ['196'], 'item_id': ['288'],"
        " 'event_timestamp': [pd.Timestamp.now('UTC')]})\n"
    )
    (terminal.folder / "join.py").write_text(requests + program)
    assert not problem_of(terminal, 'eval "$(headrace status --env)"; python join.py')
    given = terminal.run("headrace status --env").stdout
    assert all(f"export {variable(place)}=" in given for place in PLACES)
    assert environment(settings)["REDIS_URL"] in given


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
