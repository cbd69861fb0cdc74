"""`headrace encode` as a user runs it: killed half-way, and run again.

The tests run in order on one catalogue.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from feast import FeatureStore
from PIL import Image

from headrace import config
from headrace.catalogue import content
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.vector_table import VectorTable, available
from headrace.catalogue.vectors import ContentVectors
from headrace.datasets.registry import load_dataset
from headrace.keys import key
from headrace.services.haproxy import short_folder
from headrace.services.redis import start_redis
from trainers.encode import make_plan, work_key

pytestmark = [pytest.mark.ray, pytest.mark.services]

ROOT = Path(__file__).resolve().parents[2]
NUM_ITEMS = 100
TIMEOUT_S = 400.0  # two cores may be shared with other tests
ENCODERS = ("text_minilm", "image_efficientnet", "given_vector")
MAPPING = """
events: {file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
items:
  {file: items.csv, item_id: id, title: name, description: plot, image: photo, vector: features}
"""


def write_shop(folder: Path) -> None:
    """Items with texts; three have photos, of which one is no photo and one is not there."""
    (folder / "photos").mkdir(parents=True)
    Image.new("RGB", (40, 60), "red").save(folder / "photos" / "i0.jpg")
    (folder / "photos" / "i1.jpg").write_bytes(b"no photo")
    (folder / "headrace.yaml").write_text(MAPPING)
    (folder / "events.csv").write_text("u,i,t,c\nann,i0,1,1\n")
    rows = ["id,name,plot,photo,features"]
    photos = {0: "photos/i0.jpg", 1: "photos/i1.jpg", 2: "photos/i2.jpg"}
    vectors = {0: "1|2|3", 1: "4|5|6", 2: "7|8", 3: "9|?|9"}
    for n in range(NUM_ITEMS):
        plot = f"Story {n} of a boat and its crew on the long way home."
        rows.append(f"i{n},Film {n},{plot},{photos.get(n, '')},{vectors.get(n, '')}")
    rows.append("empty,,,,")
    (folder / "items.csv").write_text("\n".join(rows))


class Shop:
    """The catalogue, its settings, and `headrace encode` on them."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.data = folder / "data"
        write_shop(self.data)
        self.ray_folder = short_folder()  # Ray's socket paths are long
        unset = ("RAY_ADDRESS", "HEADRACE_")
        self.environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(unset)},
            "RAY_TMPDIR": self.ray_folder.name,
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "encode_job",
            "REDIS_URL": redis_url,
        }
        self.settings = config.load(self.environ)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`headrace encode` in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "headrace.cli", "encode", *arguments],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def encode(self, *arguments: str) -> str:
        """What `headrace encode` says when it is done."""
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, said
        return said

    def table(self, encoder: str) -> VectorTable:
        root = config.vectors_path(self.settings)
        (folder,) = (root / encoder).iterdir()
        return VectorTable(root, f"{encoder}/{folder.name}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("encode")
    with start_redis(folder) as redis:
        shop = Shop(folder, redis.url)
        yield shop
        shop.ray_folder.cleanup()


def counts(said: str, encoder: str) -> dict[str, int]:
    """The numbers in an encoder's line of the summary, by the word that follows them."""
    (line,) = re.findall(rf"^{encoder}/\S+: (.*)$", said, re.MULTILINE)
    found = re.findall(r"([\d,]+) (items|encoded|before|without|unreadable)", line)
    return {word: int(number.replace(",", "")) for number, word in found}


def test_a_killed_run_keeps_what_it_encoded(shop: Shop) -> None:
    process = shop.start("--data", str(shop.data), "--encoder", "text_minilm")
    children: list[psutil.Process] = []
    try:
        root, deadline = config.vectors_path(shop.settings), time.monotonic() + TIMEOUT_S
        while not list(root.glob("text_minilm/*/part-*.parquet")):
            assert process.poll() is None and time.monotonic() < deadline, "no part came"
            time.sleep(0.05)
        children += psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()  # Ray's processes are left to themselves, as in a real crash
        process.communicate()
        psutil.wait_procs(children, timeout=30)
    assert 0 < len(shop.table("text_minilm").encoded()) < NUM_ITEMS
    assert available(root) == []


def test_the_next_run_encodes_the_rest_and_reports_what_it_could_not_read(shop: Shop) -> None:
    before = len(shop.table("text_minilm").encoded())
    said = shop.encode(*(word for name in ENCODERS for word in ("--encoder", name)))
    assert counts(said, "text_minilm") == {
        "items": NUM_ITEMS + 1,
        "encoded": NUM_ITEMS - before,
        "before": before,
        "without": 1,
        "unreadable": 0,
    }
    pictures, vectors = counts(said, "image_efficientnet"), counts(said, "given_vector")
    assert (pictures["encoded"], pictures["unreadable"]) == (3, 2)
    assert (vectors["encoded"], vectors["unreadable"]) == (4, 2)
    assert "item 'i1': image: not a picture that can be read" in said
    assert f"item 'i2': image: there is no file {shop.data / 'photos' / 'i2.jpg'}" in said
    assert "item 'i2': vector: expected 3 numbers, got 2" in said
    assert "item 'i3': vector: number 2 is missing" in said
    item_ids = shop.table("text_minilm").read()["item_id"].to_pylist()
    assert len(item_ids) == len(set(item_ids)) == NUM_ITEMS


def test_the_ranker_finds_the_vectors(shop: Shop) -> None:
    root = config.vectors_path(shop.settings)
    vectors = ContentVectors.read(root, [shop.table(name).name for name in ENCODERS])
    keys = np.array([key(item_id) for item_id in ("i0", "i1", f"i{NUM_ITEMS - 1}", "empty")])
    vector_UMD, mask_UM = vectors.vectors(keys)
    assert vectors.widths == (384, 1_280, 3)
    assert mask_UM.tolist() == [
        [True, True, True],
        [True, False, True],
        [True, False, False],
        [False, False, False],
    ]
    assert vector_UMD[1, 2, :4].tolist() == [4, 5, 6, 0]


def test_the_online_store_has_the_vectors_and_their_version(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in config.environment(shop.settings).items():
        monkeypatch.setenv(name, text)
    store = FeatureStore(repo_path=str(ROOT / "feature_repo"))
    views = [f"item_{modality}_encoded" for modality in ("text", "image", "vector")]
    online = store.get_online_features(
        features=[f"{view}:{name}" for view in views for name in ("vector", "encoder")],
        entity_rows=[{"item_id": "i0"}, {"item_id": "empty"}],
        full_feature_names=True,
    ).to_dict()
    for view, encoder, width in zip(views, ENCODERS, (384, 1_280, 3), strict=True):
        assert online[f"{view}__encoder"] == [shop.table(encoder).name] * 2
        there, none = online[f"{view}__vector"]
        assert len(there) == width and not none
    assert online["item_vector_encoded__vector"][0] == [1, 2, 3]


def test_only_what_changed_is_left_to_do(shop: Shop) -> None:
    assert len(make_plan("text_minilm", shop.settings).todo_N) == 0
    items = shop.data / "items.csv"
    items.write_text(items.read_text().replace("Film 7,", "Movie seven,") + "\nnew,Brand new,,,")
    catalogue = config.catalogue_path(shop.settings)
    write_catalogue(load_dataset("table", shop.data), catalogue, as_of_ms=0)
    changed = {i: content.read_hashes(catalogue, "text")[i] or 0 for i in ("i7", "new")}
    left = make_plan("text_minilm", shop.settings).todo_N.tolist()
    assert left == sorted(work_key(*pair) for pair in changed.items())
