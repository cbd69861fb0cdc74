"""A running load: the generator's process, and the answers that it has so far."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.front.answers import Answer
from benchmarks.front.generator import Plan

LINE = msgspec.json.Decoder(Answer)
FOR_EVER_S = 36_000.0
END_S = 30.0


class Load:
    """A context manager; the load ends with the block, or with its plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self._answers, self._read = plan, list[Answer](), 0
        Path(plan.file).touch()
        module = "benchmarks.front.generator"
        arguments = [sys.executable, "-m", module, msgspec.json.encode(plan).decode()]
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answers(self) -> list[Answer]:
        """Those that came so far, in the order in which they did."""
        with Path(self.plan.file).open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._answers.append(LINE.decode(line))
                self._read += len(line)
        return self._answers

    def finish(self) -> list[Answer]:
        """All answers, once the plan is over."""
        self._process.wait(self.plan.seconds + END_S)
        return self.answers()

    def stop(self) -> list[Answer]:
        """Send no more; all answers, once those that are due have come."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(END_S)
        return self.answers()

    def wait(self, done: Callable[[list[Answer]], bool], timeout_s: float) -> bool:
        """Until the answers are so; whether they were in time."""
        ends_s = time.monotonic() + timeout_s
        while not done(self.answers()):
            if time.monotonic() > ends_s:
                return False
            time.sleep(0.1)
        return True
