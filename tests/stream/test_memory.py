"""Freed memory stays with the process that asked for it, until it is given back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headrace.stream.memory import ONE_HEAP

STEPS = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from headrace.stream.memory import keep_freed
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    return [np.ones(2**20, np.uint8) for _ in range(40)]
step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_step_takes_the_memory_of_the_one_before_it() -> None:
    commands = [[sys.executable, "-c", STEPS, how] for how in ("keep", "as it is")]
    runs = [subprocess.run(command, capture_output=True, check=True) for command in commands]
    kept, given_back = (int(run.stdout) for run in runs)
    assert kept < 100 < given_back


BURST = """
from pathlib import Path
from headrace.stream.memory import give_back, keep_freed
keep_freed()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
def burst():
    kept = [bytes(100_000) for _ in range(600)]
    return kept[-1]  # lies after all the others
last = burst()
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_what_a_burst_took_is_given_back_when_asked_for() -> None:
    run = subprocess.run([sys.executable, "-c", BURST], capture_output=True, check=True)
    assert int(run.stdout) > 30_000_000


THREAD = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from headrace.stream.memory import give_back, keep_freed
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
def burst():
    before = resident()
    kept = [bytearray(100_000) for _ in range(500)]
    del kept
    give_back()
    return resident() - before
with ThreadPoolExecutor(max_workers=1) as thread:
    thread.submit(bytearray, 5_000).result()  # by now it would have a heap of its own
    keep_freed()
    print(thread.submit(burst).result())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_what_a_burst_took_in_a_thread_is_given_back_where_all_share_one_heap() -> None:
    environ = {**os.environ, **ONE_HEAP["env_vars"]}
    run = subprocess.run(
        [sys.executable, "-c", THREAD], capture_output=True, check=True, env=environ
    )
    assert int(run.stdout) < 5_000_000
