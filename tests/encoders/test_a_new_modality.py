"""A modality that there is not: three files of a copy of the core, and the loop runs with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from headrace.catalogue.content import MODALITIES

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "platform" / "headrace"
ENCODER = """
import numpy as np

from headrace.encoders.encoder import encode_readable


class FirstByte:
    name, modality, version, dim = "first_byte", "scent", "1", 2

    def encode(self, values):
        def vectors(read):
            return np.array([(one, 1 - one) for one in read], dtype=np.float32)

        return encode_readable(values, 2, lambda path: open(path, "rb").read(1)[0], vectors)


def load(setup):
    return FirstByte()
"""
CHANGES = {  # by file: what stood there, and what is added after it
    "catalogue/content.py": ('    "video": FILE,\n', '    "scent": FILE,\n'),
    "datasets/table/mapping.py": (
        "    video: Column | Located | None = None\n",
        "    scent: Column | Located | None = None\n",
    ),
    "encoders/pretrained/first_byte.py": ("", ENCODER),
}


def test_a_modality_is_a_row_a_column_of_the_mapping_and_an_encoder(tmp_path: Path) -> None:
    assert "scent" not in MODALITIES and len(CHANGES) <= 3
    core, shop = tmp_path / "platform" / "headrace", tmp_path / "shop"
    shutil.copytree(CORE, core, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "feature_repo", tmp_path / "feature_repo")
    shop.mkdir()
    for file, (before, added) in CHANGES.items():
        text = (core / file).read_text() if before else ""
        assert not before or text.count(before) == 1, file
        (core / file).write_text(text.replace(before, before + added) if before else added)

    paths = core.parent, ROOT, ROOT / "tests" / "loop"
    script = Path(__file__).with_name("loop_with_a_modality.py")
    done = subprocess.run(
        [sys.executable, str(script), str(shop), "scent", "first_byte"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tables"] == ["first_byte/1"]
    assert found["shown"] == ["mugs"] * 4  # as ann clicks
    with_vectors, without = found["scores"]
    assert with_vectors > without + 1e-3
    names = [*MODALITIES]
    names.insert(names.index("vector"), "scent")
    assert found["views"] == [f"item_{name}_encoded" for name in names]
