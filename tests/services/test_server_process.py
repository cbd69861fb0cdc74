"""A child server: ready or a one-line error, stopped for certain, never left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.errors import ServiceError
from headrace.services.processes.process import Command, ServerProcess

pytestmark = pytest.mark.services


CHILD_IN_A_GROUP_OF_ITS_OWN = f"""'{sys.executable}' -c '
import os, time
os.setpgid(0, 0)
open("pid.new", "w").write(str(os.getpid()))
os.rename("pid.new", "pid")
time.sleep(60)' & wait"""


def shell(folder: Path, script: str, leaves_children: bool = False) -> ServerProcess:
    return ServerProcess(
        Command(
            name="toy",
            arguments=["/bin/sh", "-c", script],
            folder=folder,
            advice="ask the toy maker",
            leaves_children=leaves_children,
        )
    )


def never_ready() -> None:
    raise ServiceError("not yet")


def ready() -> None:
    return None


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


def test_is_ready_once_the_check_passes_and_logs_into_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    marker = folder / "marker"

    def check() -> None:
        if not marker.exists():
            raise ServiceError("no marker")

    with shell(folder, "echo hello; touch marker; exec sleep 60") as process:
        process.start()
        process.wait_ready(check, timeout_s=10)
        assert process.is_running
        assert (folder / "toy.log").read_text() == "hello\n"
    assert not process.is_running


def test_an_early_exit_is_one_line_with_the_code_the_last_lines_the_log_and_advice(
    tmp_path: Path,
) -> None:
    (tmp_path / "toy.log").write_text("a line of the run before\n")
    process = shell(tmp_path, "echo started; echo 'bad setting'; echo '   at Trace.java'; exit 3")
    process.start()
    with pytest.raises(ServiceError) as caught:
        process.wait_ready(never_ready, timeout_s=10)
    message = str(caught.value)
    assert message == (
        "toy ended with exit code 3 before it was ready; it wrote: started | bad setting;"
        f" see {tmp_path}/toy.log, or ask the toy maker"
    )


def test_a_check_that_passes_does_not_hide_an_exit(tmp_path: Path) -> None:
    process = shell(tmp_path, "exit 1")
    process.start()
    deadline = time.monotonic() + 10
    while process.is_running and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ServiceError, match="exit code 1"):
        process.wait_ready(ready, timeout_s=10)


def test_a_server_that_does_not_answer_in_time_is_stopped(tmp_path: Path) -> None:
    process = shell(tmp_path, "exec sleep 60")
    process.start()
    with pytest.raises(
        ServiceError, match="toy does not answer 0.1 s after its start; it wrote: n"
    ):
        process.wait_ready(never_ready, timeout_s=0.1)
    assert not process.is_running


def test_a_program_that_cannot_run_is_a_service_error(tmp_path: Path) -> None:
    program = tmp_path / "not-executable"
    program.write_text("")
    process = ServerProcess(
        Command(name="toy", arguments=[str(program)], folder=tmp_path, advice="do this")
    )
    with pytest.raises(ServiceError, match="toy cannot be started .*Permission denied.*: do this"):
        process.start()
    process.stop()


def test_a_folder_has_one_server_at_a_time(tmp_path: Path) -> None:
    with shell(tmp_path, "exec sleep 60") as first:
        first.start()
        with pytest.raises(ServiceError, match="^another toy runs in .*, or ask the toy maker$"):
            shell(tmp_path, "exec sleep 60").start()
    with shell(tmp_path, "exec sleep 60") as next_one:
        next_one.start()


def test_stop_kills_what_ignores_it_and_may_be_called_again(tmp_path: Path) -> None:
    process = shell(tmp_path, "trap '' TERM; touch armed; while :; do sleep 0.1; done")
    process.start()
    wait_for(tmp_path / "armed")
    process.stop(grace_s=0.2)
    assert not process.is_running
    process.stop()


def test_a_signal_to_our_group_does_not_reach_the_server(tmp_path: Path) -> None:
    with shell(tmp_path, "exec sleep 60") as process:
        process.start()
        assert process.pid is not None
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        assert os.getsid(process.pid) == process.pid


def test_stop_ends_what_the_server_started_too(
    tmp_path: Path, wait_gone: Callable[[int], bool]
) -> None:
    process = shell(tmp_path, "sleep 60 & echo $! > pid.new; mv pid.new pid; wait")
    process.start()
    wait_for(tmp_path / "pid")
    process.stop()
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_dies_when_its_parent_is_killed(
    tmp_path: Path,
    abandon: Callable[[str, dict[str, str]], int],
    wait_gone: Callable[[int], bool],
) -> None:
    code = f"""
from pathlib import Path
from headrace.services.processes.process import Command, ServerProcess
arguments = ["/bin/sh", "-c", "trap '' TERM INT HUP; while :; do sleep 0.1; done"]
folder = Path({str(tmp_path)!r})
process = ServerProcess(Command(name="toy", arguments=arguments, folder=folder, advice=""))
process.start()
"""
    assert wait_gone(abandon(code, dict(os.environ)))


def test_stop_ends_a_child_that_has_a_process_group_of_its_own(
    tmp_path: Path, wait_gone: Callable[[int], bool]
) -> None:
    process = shell(tmp_path, CHILD_IN_A_GROUP_OF_ITS_OWN, leaves_children=True)
    process.start()
    wait_for(tmp_path / "pid")
    process.stop()
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_a_child_with_a_process_group_of_its_own_dies_when_our_parent_is_killed(
    tmp_path: Path,
    abandon: Callable[[str, dict[str, str]], int],
    wait_gone: Callable[[int], bool],
) -> None:
    code = f"""
import time
from pathlib import Path
from headrace.services.processes.process import Command, ServerProcess
arguments = ["/bin/sh", "-c", {CHILD_IN_A_GROUP_OF_ITS_OWN!r}]
folder = Path({str(tmp_path)!r})
process = ServerProcess(
    Command(name="toy", arguments=arguments, folder=folder, advice="", leaves_children=True)
)
process.start()
while not (folder / "pid").exists():
    time.sleep(0.01)
"""
    abandon(code, dict(os.environ))
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_an_interrupt_while_waiting_stops_the_server(tmp_path: Path) -> None:
    process = shell(tmp_path, "exec sleep 60")
    process.start()

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:  # in a job in the background it is ignored
        with pytest.raises(KeyboardInterrupt):
            process.wait_ready(interrupted, timeout_s=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not process.is_running
