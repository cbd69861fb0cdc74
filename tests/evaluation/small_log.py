"""Small logs in the columns of KuaiRand, as rows and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue.item import Item, User
from headrace.evaluation.files.impressions import Impression
from headrace.event import ImpressionEvent, Shown

START_MS = 1_650_816_000_000  # midnight in UTC+8
ITEMS = {f"{n}": Item(f"{n}", categories=(f"tag={n % 2}",)) for n in range(4)}
USERS = {f"{n}": User(f"{n}", ("age=1",)) for n in range(3)}


def impression(at_ms: int, user: int, item: int, clicked: bool, split: str) -> Impression:
    shown = (Shown(f"{item}", 0, clicked, liked=False, long_viewed=clicked),)
    event = ImpressionEvent(
        f"e-{at_ms}-{user}-{item}", START_MS + at_ms, f"{user}", f"r-{at_ms}-{user}-{item}", shown
    )
    return Impression(event, (int(clicked),), split)


def columns(num_rows: int, start_ms: int, seed: int) -> dict[str, Any]:
    """Impressions of four videos; the even ones are clicked nine times of ten, the others once."""
    draw = np.random.default_rng(seed)
    video_N = draw.integers(0, 4, num_rows)
    click_N = (draw.random(num_rows) < np.where(video_N % 2 == 0, 0.9, 0.1)).astype(np.int64)
    return {
        "user_id": draw.integers(0, 20, num_rows),
        "video_id": video_N,
        "time_ms": start_ms + 5_000 * np.arange(num_rows),
        "tab": draw.integers(0, 2, num_rows),
        "is_click": click_N,
        "is_like": click_N * draw.integers(0, 2, num_rows),
        "long_view": click_N,
        "play_time_ms": click_N * 5_000,
        "duration_ms": np.full(num_rows, 10_000),
    }


def write(path: Path, of_columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(of_columns), path)
    return path


def write_catalogue(folder: Path) -> None:
    write(
        folder / "videos.parquet",
        {
            "video_id": np.arange(4),
            "tag": ["1", "2", "1", "2"],
            "author_id": [7, 7, 8, 8],
            "music_type": ["9"] * 4,
            "video_type": ["NORMAL"] * 4,
            "upload_type": ["Web"] * 4,
            "video_duration": [9_000.0] * 4,
        },
    )
    write(
        folder / "users.parquet",
        {"user_id": np.arange(20), "user_active_degree": ["high_active"] * 20},
    )
