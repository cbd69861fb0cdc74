"""The peers' environment: their packages and ours would not agree on versions.

It is made with pip the first time, beside the other caches of headrace. A peer is a module that
runs there, on what the ranker saw or on batches of its own; of headrace it imports the table of
actions alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.errors import ConfigError
from headrace.services import download

REQUIREMENTS: Final = ("torch==2.13.0", "lightgbm==4.7.0", "fuxictr==2.3.10", "msgspec==0.22.0")
MODULES: Final = {
    "lightgbm": "benchmarks.peers.trees",
    "din": "benchmarks.peers.networks",
    "dcnv2": "benchmarks.peers.networks",
}
ROOT: Final = Path(__file__).resolve().parents[2]


def python() -> Path:
    """The interpreter that has the requirements; needs pip's index and 2 GB the first time."""
    text = " ".join((*REQUIREMENTS, sys.version))
    name = f"peers-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder = download.cache_folder() / name
    interpreter, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        print(f"installing {', '.join(REQUIREMENTS)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        if subprocess.run(pip).returncode:
            raise ConfigError("pip could not install the peers, see above (quality: --peers none)")
        complete.touch()
    return interpreter


def predict(peer: str, inputs: Path, plain: Path, folder: Path, seed: int) -> list[str]:
    """Has a peer write its predictions into a folder, a file per model; returns its command."""
    flags = ["--peer", peer, "--seed", str(seed)]
    files = [f"--inputs={inputs}", f"--plain={plain}", f"--out={folder}"]
    command = ["-m", MODULES[peer], *flags, *files]
    subprocess.run([python(), *command], check=True, cwd=ROOT, env=_one_thread(os.environ))
    return command


@contextmanager
def steps(sizes: Mapping[str, int]) -> Iterator[Callable[[str, int], float]]:
    """DIN with prepared batches of these sizes; asked for so many steps it says their seconds."""
    flags = [f"--{name}={size}" for name, size in sizes.items()]
    command: list[str | Path] = [python(), "-m", "benchmarks.peers.steps", *flags]
    peer = subprocess.Popen(
        command,
        cwd=ROOT,
        env=_one_thread(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(step: str, times: int) -> float:
        assert peer.stdin and peer.stdout
        print(step, times, file=peer.stdin, flush=True)
        answer = peer.stdout.readline()
        if not answer:
            raise ConfigError("DIN has ended, see above")
        return float(answer)

    with peer:
        yield ask


def _one_thread(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in environment.items() if name != "PYTHONPATH"}
    code = {"PYTHONPATH": str(ROOT / "platform")}
    return kept | code | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
