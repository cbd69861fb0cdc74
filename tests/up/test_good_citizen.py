"""A `headrace up` beside others: what it leaves, what it sweeps, and what it takes for itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from readme_shop import write_shop

from headrace import cli, config
from headrace.errors import ConfigError, ServiceError
from headrace.services.ports import HeldPort, free_port
from headrace.services.processes.owner import MARK, Owner
from headrace.settings.text import require_home
from headrace.up.display.screen import Screen
from headrace.up.home import LOCK, MIN_START_BYTES, lock_home, require_space
from headrace.up.interruption import SIGNALS, interruptible
from headrace.up.sweep import OWNER_FILE, SHORT_PREFIX, own_folder, sweep

HERE = Owner.current()
DEAD = Owner(HERE.pid, HERE.started + 1, HERE.pid_namespace)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder and a folder of run files of the test's own."""
    for folder in ("tmp", "run"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("headrace.up.sweep.SHORT_PARENT", tmp_path / "tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield tmp_path / "tmp"
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_owner_is_known_again_and_not_taken_for_another() -> None:
    assert Owner.parse(str(HERE)) == HERE and HERE.is_alive and not DEAD.is_alive
    assert Owner.parse("junk") is None and Owner.parse("") is None
    assert Owner(2**22, 1, HERE.pid_namespace).is_alive is False
    assert Owner(HERE.pid, 1, "of another container").is_alive


def test_folders_of_dead_owners_go_and_others_stay(temporary: Path) -> None:
    mine, dead = own_folder(HERE), own_folder(DEAD, SHORT_PREFIX)
    nobodys = temporary / f"{SHORT_PREFIX}of-the-user"
    nobodys.mkdir()
    (temporary / f"{SHORT_PREFIX}link").symlink_to(dead)
    assert mine.stat().st_mode & 0o077 == 0
    assert sweep() == [f"folder {dead}"]
    assert sorted(path.name for path in temporary.iterdir() if path.is_dir()) == sorted(
        [mine.name, nobodys.name]
    )
    assert (mine / OWNER_FILE).exists()


def test_folders_that_were_left_empty_go_and_others_stay(temporary: Path) -> None:
    empty, new, full = (temporary / f"{SHORT_PREFIX}{name}" for name in ("empty", "new", "full"))
    for folder in (empty, new, full):
        folder.mkdir()
    (full / "file").touch()
    for folder in (empty, full):
        os.utime(folder, (0, 0))
    assert sweep() == []
    assert not empty.exists() and new.exists() and full.exists()


def test_processes_of_dead_owners_go_and_others_stay() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    orphan = subprocess.Popen(command, env={MARK: str(DEAD)}, start_new_session=True)
    child = subprocess.Popen(command, env={MARK: str(HERE)}, start_new_session=True)
    try:
        assert sweep() == [f"process {orphan.pid}"]
        assert orphan.wait(5) == -signal.SIGKILL
        assert child.poll() is None
    finally:
        for process in (orphan, child):
            process.kill()
            process.wait()


def test_no_temporary_folder_is_one_line(temporary: Path) -> None:
    shutil.rmtree(temporary)
    with pytest.raises(ConfigError, match="^no temporary folder can be made .*set TMPDIR, or HEAD"):
        own_folder(HERE)


def test_a_home_that_is_made_is_its_users_alone(tmp_path: Path) -> None:
    require_home(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_home_has_one_run_at_a_time(tmp_path: Path) -> None:
    with lock_home(tmp_path):
        with pytest.raises(ConfigError) as caught:
            lock_home(tmp_path)
        assert str(caught.value) == (
            f"another headrace up (process {os.getpid()}) uses HEADRACE_HOME={str(tmp_path)!r}: "
            "stop it, or name another home; without HEADRACE_HOME each run has its own"
        )
    lock_home(tmp_path).close()


def test_a_disk_that_is_too_full_is_said_before_anything_starts(tmp_path: Path) -> None:
    require_space(tmp_path, lambda _: MIN_START_BYTES)
    with pytest.raises(ConfigError) as caught:
        require_space(tmp_path, lambda _: MIN_START_BYTES - 1)
    assert str(caught.value) == (
        f"the disk of HEADRACE_HOME={str(tmp_path)!r} is full, 64.0 MB are left: free some space, "
        "or name another home (expected 64 MB at the start)"
    )


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own; skips where nobody may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("size=16m", "is full, 16.0 MB are left: free some space, or name another home"),
        ("ro", "cannot be written (Read-only file system): expected a folder"),
    ],
)
def test_a_home_on_a_full_or_read_only_disk_is_one_line(
    options: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = write_shop(tmp_path / "shop", 10)
    with mounted(tmp_path / "disk", options) as disk:
        monkeypatch.setenv("HEADRACE_HOME", str(disk))
        assert cli.main(["up", f"--data={shop}", f"--port={free_port()}"]) == 2
        assert os.listdir(disk) in ([], [LOCK])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("headrace up: ") and said in lines[0]


def test_a_held_port_is_nobodys_until_it_is_shared_with_the_server_it_is_held_for() -> None:
    port = free_port()
    with HeldPort("127.0.0.1", port, "HTTP", "--port") as held:
        with pytest.raises(OSError, match="in use"):  # sets SO_REUSEADDR, as most servers do
            socket.create_server(("127.0.0.1", port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        held.share()
        with socket.create_server(("127.0.0.1", port), backlog=50):
            for _ in range(20):  # none of them is lost to the socket that does not listen
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
    HeldPort("127.0.0.1", port, "HTTP").__exit__()


@pytest.mark.parametrize("is_shared", [False, True])
def test_two_holders_of_a_port_are_one_too_many(is_shared: bool) -> None:
    port = free_port()
    with HeldPort("127.0.0.1", port, "HTTP", "--port") as held:
        if is_shared:  # also while the server that it is shared with is away
            held.share()
        with pytest.raises(ServiceError, match=f"^port {port} on 127.0.0.1 is taken .HTTP: .*port"):
            HeldPort("127.0.0.1", port, "HTTP", "--port")


def test_connections_that_are_still_closing_do_not_take_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # first, so that the server's side waits
        client.close()
    HeldPort("127.0.0.1", port, "HTTP").__exit__()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_what_is_done_and_not_how_it_is_ended(number: int) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):
        try:
            with interruptible():
                steps.append("begun")
                os.kill(os.getpid(), number)
                time.sleep(5)
                steps.append("not reached")
        finally:
            os.kill(os.getpid(), number)
            steps.append("ended")
    assert steps == ["begun", "ended"]


class InterruptedWhileItGoes:
    """A finaliser, one of the places where Python prints an exception and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


def test_a_signal_that_falls_where_nothing_can_be_raised_interrupts_nevertheless() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        one = InterruptedWhileItGoes()
        del one
        steps.append("gone")
        time.sleep(60)
        steps.append("not reached")
    assert steps == ["gone"]


def test_what_is_ended_after_an_error_is_not_interrupted_either() -> None:
    with pytest.raises(ServiceError):
        try:
            with interruptible():
                raise ServiceError("no Redis")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_terminal_that_closes_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    terminal = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stdout", terminal)
    with Screen() as screen:
        screen.say("heard")
        assert os.read(reader, 100) == b"heard\n"
        os.close(reader)
        for _ in range(3):
            screen.say("not heard")
    with pytest.raises(BrokenPipeError):
        terminal.close()


def test_the_run_files_lie_in_a_folder_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.runtime_path() == tmp_path / "run" / "headrace"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    assert config.runtime_path() == tmp_path / "tmp" / f"headrace-{os.getuid()}"
