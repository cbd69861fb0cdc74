"""`headrace up` ends at whatever step it is: one line, nothing left; and after `kill -9` the next
start sweeps."""

from __future__ import annotations

import os
import signal
import subprocess
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
PHASES = ["starting the broker", "materializing", "starting Ray", "starting the parts", "replaying"]


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
    ("line", "number", "first"),
    [
        ("started Redis", signal.SIGTERM, "starting the broker"),
        ("materializing ", signal.SIGHUP, "materializing"),
        ("starting the stream workers", signal.SIGINT, "starting the parts"),
    ],
)
def test_an_interrupted_run_says_where_it_was_and_leaves_nothing(
    run: Run, line: str, number: signal.Signals, first: str
) -> None:
    run.wait_for(line)
    # On a busy machine the signal finds the run some steps further.
    check_interrupted(run, number, *PHASES[PHASES.index(first) :])


def check_interrupted(run: Run, number: signal.Signals, *phases: str) -> None:
    """A signal ends it with one line that names one of these phases, and nothing is left."""
    assert run.platform.send(number) == 130
    last = run.platform.log.splitlines()[-1]
    said = [f"interrupted while {one}: everything that it started has ended" for one in phases]
    assert last in said and "Traceback" not in run.platform.log
    assert not run.left()


def test_a_run_that_was_killed_leaves_no_process_and_the_next_start_sweeps_the_rest(
    run: Run, tmp_path: Path
) -> None:
    run.wait_for("replaying ")
    (file,) = RunFolder(run.runtime / "headrace").running()
    run.platform.kill_up()
    assert len(run.platform.seen) > 10
    _, running = psutil.wait_procs(list(run.platform.seen), timeout=20)
    assert not running
    orphan = subprocess.Popen(["sleep", "600"], env={MARK: str(file.owner)})
    assert run.left()
    again = Run(tmp_path)
    try:
        again.wait_for("swept what a headrace up that was killed left: ")
        (swept,) = [line for line in again.platform.log.splitlines() if line.startswith("swept")]
        assert f"process {orphan.pid}" in swept and f"run file of {file.id}" in swept
        assert orphan.wait(5) == -signal.SIGKILL
        assert os.fspath(file.settings.home_path) in swept
        again.wait_for("replaying ")
        check_interrupted(again, signal.SIGTERM, "replaying")
        assert not sockets(run.platform.pid)
    finally:
        orphan.kill()
        again.platform.close()
