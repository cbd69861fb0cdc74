"""`headrace up` ends at whatever step it is: one line, nothing left; and after `kill -9` the next
start sweeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from platform_run import PlatformRun
from readme_shop import write_shop

from headrace.services.processes.owner import MARK, Owner
from headrace.up.run_file import RunFolder

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

STEP_S = 120.0


class Run:
    """A run with a temporary folder of its own, seen from outside."""

    def __init__(self, folder: Path) -> None:
        self.temporary, self.runtime = folder / "tmp", folder / "run"
        for made in (self.temporary, self.runtime):
            made.mkdir(exist_ok=True)
        self.shop = folder / "shop"
        if not self.shop.exists():
            write_shop(self.shop, 300)
        environ = {
            "KAFKA_HOME": "",
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        self.platform = PlatformRun(folder, self.shop, 20.0, environ)

    def wait_for(self, line: str) -> None:
        self.platform.wait_for(line, lambda: line in self.platform.log, STEP_S)
        self.platform.processes()

    def left(self) -> list[str]:
        """What is there of the run though it has ended."""
        _, processes = psutil.wait_procs(list(self.platform.seen), timeout=10)
        folders = [*self.temporary.glob("headrace-up-*"), *self.runtime.glob("headrace/*")]
        return [*map(str, processes), *map(str, folders), *map(str, sockets(self.platform.pid))]


def sockets(pid: int) -> list[Path]:
    """The folders of sockets that a process owns."""
    files = Path(tempfile.gettempdir()).glob("headrace-*/.owner")
    owners = {file.parent: Owner.parse(file.read_text()) for file in files}
    return [folder for folder, owner in owners.items() if owner and owner.pid == pid]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    try:
        yield started
    finally:
        started.platform.close()


@pytest.mark.parametrize(
    ("line", "number", "phase"),
    [
        # Where the next steps are quick, the signal may find one of them.
        ("started Redis", signal.SIGTERM, "starting the broker|materializing|starting Ray"),
        ("materializing ", signal.SIGHUP, "materializing|starting Ray|starting the parts"),
        ("starting the stream workers", signal.SIGINT, "starting the parts"),
        ("replaying ", signal.SIGTERM, "replaying"),
    ],
)
def test_an_interrupted_run_says_where_it_was_and_leaves_nothing(
    run: Run, line: str, number: signal.Signals, phase: str
) -> None:
    run.wait_for(line)
    assert run.platform.send(number) == 130
    last = run.platform.log.splitlines()[-1]
    said = [f"interrupted while {one}: everything that it started has ended"
            for one in phase.split("|")]  # fmt: skip
    assert last in said and "Traceback" not in run.platform.log
    assert not run.left()


def test_a_run_that_was_killed_is_swept_by_the_next_start(run: Run, tmp_path: Path) -> None:
    run.wait_for("replaying ")
    (file,) = RunFolder(run.runtime / "headrace").running()
    run.platform.kill_up()
    orphan = subprocess.Popen(["sleep", "60"], env={MARK: str(file.owner)})
    assert run.left()
    again = Run(tmp_path)
    try:
        again.wait_for("swept what a headrace up that was killed left: ")
        (swept,) = [line for line in again.platform.log.splitlines() if line.startswith("swept")]
        assert f"process {orphan.pid}" in swept and f"run file of {file.id}" in swept
        assert orphan.wait(5) == -signal.SIGKILL
        assert os.fspath(file.settings.home_path) in swept
        again.platform.send(signal.SIGTERM)
        assert not [*again.left(), *sockets(run.platform.pid)]
    finally:
        orphan.kill()
        again.platform.close()


def test_a_second_run_with_the_same_port_or_home_is_one_line(run: Run, tmp_path: Path) -> None:
    run.wait_for("started Redis")
    home = tmp_path / "home"
    for more, environ, said in (
        ([f"--port={run.platform.port}"], {}, f"port {run.platform.port} on 127.0.0.1 is taken"),
        ([], {"HEADRACE_HOME": str(home)}, "cannot be written"),
    ):
        if environ:
            home.write_text("no folder")
        words = ["-m", "headrace.cli", "up", f"--data={run.shop}", *more]
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "TMPDIR": str(run.temporary), **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr
