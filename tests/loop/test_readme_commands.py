"""Every command of README and the pages that it leads to, as printed, in a second terminal beside a
running `headrace up`.

The terminal has no settings; the platform is found by its run file. What is not run here has a line
in `ELSEWHERE` with the test that runs it.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from readme_shop import write_shop
from second_terminal import ROOT, Terminal, answers

from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.commands.running import PLACES
from headrace.config import Settings, environment
from headrace.event import ClickEvent, encode
from headrace.settings.variables import variable
from headrace.stream.dead_letter import read_letters

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PAGES = ("README.md", "docs/machines.md", "docs/offline.md")

# Commands that begin so, and the test that runs them.
ELSEWHERE = {
    "make up": "tests/loop/test_loop.py",
    "make test": ".ci/run",
    "headrace up": "tests/loop/test_loop.py",
    "headrace init": "tests/commands/test_init_command.py",
    "headrace check": "tests/commands/test_check_command.py",
    "headrace stream": "tests/loop/test_parts_alone.py",
    "headrace train": "tests/loop/test_parts_alone.py",
    "headrace serve": "tests/loop/test_parts_alone.py",
    "headrace encode": "tests/trainers/test_encode_job.py",  # downloads weights
    "headrace keys revoke": "tests/serving/test_api_keys.py",  # of a key that is nobody's
    "headrace evaluate": "tests/evaluation/test_evaluate.py",  # reads no platform
    "headrace compare-fusion": "tests/evaluation/test_compare_fusion.py",
}
# Commands that run until they are ended, and the port at which they answer.
SERVERS = {"headrace archive": None, "headrace feast serve": 6566, "headrace feast ui": 8888}
FOUND = "using the running platform"
MACHINES = "10.0.0.5"  # the block with this address is of other machines than this one


def blocks() -> list[tuple[str, str]]:
    """Language and text of each block of commands in the pages."""
    text = "\n".join((ROOT / page).read_text() for page in PAGES)
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def commands(block: str) -> Iterator[str]:
    """The commands of a block; one may go on over several lines."""
    held = ""
    for line in block.splitlines():
        held = f"{held}\n{line}" if held else line
        try:
            words = shlex.split(held, comments=True)
        except ValueError:  # a quote that is open
            continue
        if held.endswith("\\"):
            continue
        if words:
            yield held
        held = ""


def beginning_of(command: str, table: dict[str, object]) -> str | None:
    """The entry of a table that a command begins with."""
    return next((one for one in table if f"{command} ".startswith(f"{one} ")), None)


@pytest.fixture(scope="module")
def settings(terminal: Terminal) -> Settings:
    return terminal.settings


@pytest.fixture(scope="module")
def bad_event(terminal: Terminal, settings: Settings) -> str:
    """The place of an event that was not accepted, and a file with it mended."""
    writer = LogWriter(settings)
    writer.send(Topics(settings.namespace).events, b"not json", key=b"1")
    writer.flush()
    writer.close()
    mended = encode(ClickEvent("mended", now_ms(), "196", "288"))
    (terminal.folder / "mended.jsonl").write_bytes(mended + b"\n")
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
    problems = []
    for language, block in blocks():
        if language == "sh" and MACHINES not in block:
            every = [one for one in commands(block) if not beginning_of(one, ELSEWHERE)]
            at_once = 1 if any(beginning_of(one, SERVERS) for one in every) else 2
            with ThreadPoolExecutor(at_once) as pool:
                problems += pool.map(lambda one: problem_of(terminal, one), every)
    assert not any(problems), "\n\n".join(filter(None, problems))
    assert (terminal.folder / "parity.json").is_file()


def is_up(server: str, home: Path) -> bool:
    """Whether a server does its work: it answers, or has archived events."""
    port = SERVERS[server]
    if port:
        return answers(port)
    is_there = any((home / "offline" / "events").rglob("*.parquet"))
    time.sleep(2.5 if is_there else 0)  # what it has read by then is written when it ends
    return is_there


def problem_of(terminal: Terminal, command: str, exports: str = "") -> str:
    """What is wrong with a command, empty if nothing is."""
    server = beginning_of(command, SERVERS)
    if server:
        home = terminal.folder / "own-home" if exports else terminal.settings.home_path
        said = terminal.serve(command, lambda: is_up(server, home), exports)
        return "" if exports or FOUND in said else said
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
    (terminal.folder / "elsewhere").mkdir()
    write_shop(terminal.folder / "elsewhere" / "shop", 10)  # at one event a second
    write_shop(terminal.folder / "elsewhere" / "shop-last-year", 50, seed=1)
    for command in rest:
        assert not problem_of(terminal, command, f"cd elsewhere\n{exports}")


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
