"""What a person sees of a run: the live table, the plain lines, the report."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from headrace.api.front import Front
from headrace.config import Settings
from headrace.metrics import DRAWN_TOP, Scores
from headrace.metrics.latency import Latencies
from headrace.metrics.ranking import RankedLists
from headrace.monitoring.documents import Quality, ReplayDocument
from headrace.monitoring.progress import merged
from headrace.up.display.report import build_report, fifths, to_lines
from headrace.up.display.screen import Screen
from headrace.up.display.totals import Totals
from headrace.up.load import BackgroundLoad


def scores(num: int, seed: int) -> Scores:
    random = np.random.default_rng(seed)
    p = random.uniform(0.05, 0.95, num).astype(np.float32)
    window = Scores()
    window.add(p, (random.uniform(size=num) < p).astype(np.float32))
    return window


def latencies(*durations_ms: float) -> Latencies:
    histogram = Latencies()
    for duration_ms in durations_ms:
        histogram.add(duration_ms)
    return histogram


NOTHING = Totals(
    now_ms=101_000,
    replay=None,
    accepted=0,
    rejected=0,
    unreadable=0,
    duplicates=0,
    stream_lag=0,
    feature_freshness=Latencies(),
    samples=0,
    train_lag=0,
    windows={},
    action_windows={"like": {}, "long_view": {0: scores(100, 0)}},
    num_published=0,
    num_served=0,
    model_freshness=Latencies(),
    model_version=0,
    model_age_ms=None,
    requests=0,
    latency=Latencies(),
    errors=(),
)
MUCH = replace(
    NOTHING,
    now_ms=103_000,
    replay=ReplayDocument(sent=2_000, of=10_000),
    accepted=1_990,
    rejected=7,
    duplicates=3,
    feature_freshness=latencies(40, 50, 60),
    samples=1_900,
    windows={number: scores(100, number) for number in range(19)},
    num_published=4,
    num_served=3,
    model_freshness=latencies(2_000),
    model_version=3,
    model_age_ms=1_500,
    requests=12,
    latency=latencies(4, 5),
)


def shown(*totals: Totals, terminal: bool) -> str:
    out = io.StringIO()
    with Screen(Console(file=out, force_terminal=terminal, width=120)) as screen:
        for one in totals:
            screen.show(one)
        screen.say("a line that stays")
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_has_just_begun_is_shown_without_numbers(terminal: bool) -> None:
    assert "none yet" in shown(NOTHING, terminal=terminal)


def test_the_table_shows_rates_freshness_quality_model_and_requests() -> None:
    text = shown(NOTHING, MUCH, terminal=True)
    for part in (
        *("1,000/s", "1,990 accepted", "7 rejected", "3 duplicates", "AUC", "calibration"),
        *("version 3 (1.5 s old)", "4 published", "3 served", "6/s", "p50", "▁", "█"),
    ):
        assert part in text, part


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_replica_could_not_do_is_shown(terminal: bool) -> None:
    text = shown(replace(MUCH, errors=("damaged file [/of] w.pt",)), terminal=terminal)
    assert "damaged file [/of] w.pt" in text, "and no markup is looked for in it"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_version_that_is_held_is_shown_with_the_one_that_is_served_on(terminal: bool) -> None:
    text = shown(replace(MUCH, held="worse than the base rate"), terminal=terminal)
    assert "version 3 is served on: worse than the base rate" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_quality_of_slices_is_shown_where_there_is_any(terminal: bool) -> None:
    known = Quality(samples=1_204, auc=0.7, normalized_entropy=0.95, calibration=None)
    text = shown(replace(MUCH, quality={"all": known, "new_users": known}), terminal=terminal)
    assert "AUC 0.7000, normalised entropy 0.9500, calibration nan of 1,204" in text
    assert "new_users" in text and "new_users" not in shown(MUCH, terminal=terminal)
    load = BackgroundLoad(Front(Settings().http), [], 1.0)
    report = build_report(replace(MUCH, quality={"new_users": known}), load, 0, 0.0, 0.0)
    assert report["progressive_slices"]["new_users"] == {
        **{"samples": 1_204, "auc": 0.7, "normalized_entropy": 0.95, "calibration": None}
    }


def test_events_that_were_not_taken_as_they_came_are_shown_where_there_are_any() -> None:
    assert "ahead" not in shown(MUCH, terminal=False)
    text = shown(replace(MUCH, ahead=1_200, unsigned=4), terminal=False)
    assert "1,200 with a time ahead, 4 with unsigned features, lag" in text


def test_without_a_terminal_there_is_a_plain_line_every_five_seconds() -> None:
    soon, later = replace(MUCH, now_ms=104_000), replace(MUCH, now_ms=106_100)
    text = shown(NOTHING, soon, later, terminal=False)
    assert text.count("replay ") == 2 and "\x1b" not in text
    assert "a line that stays" in text


def test_the_fifths_have_all_samples_in_order() -> None:
    windows = [scores(100, number) for number in range(100)]
    parts = [merged(part) for part in fifths(windows)]
    assert [part.num_samples for part in parts] == [2_000] * 5
    assert parts[0].sum_p == pytest.approx(sum(window.sum_p for window in windows[:20]))


def test_the_report_is_json_and_its_text_names_every_total() -> None:
    load = BackgroundLoad(Front(Settings().http), ["u"], 0.0)
    report = build_report(MUCH, load, in_features=1_990, start_s=40.04, replay_s=180.0)
    assert json.loads(json.dumps(report)) == report
    assert report["events"]["in_features"] == 1_990 and report["elapsed_s"]["start"] == 40.0
    assert list(report["progressive_actions"]) == ["long_view"]
    assert report["requests"] == {"sent": 0, "ok": 0, "p50_ms": None, "p99_ms": None}
    text = "\n".join(to_lines(report))
    for name in ("replayed 2,000", "rejected 7", "long_view, fifth 5", "3 served", "p99"):
        assert name in text


def test_of_a_log_without_impressions_the_report_says_that_probabilities_are_relative() -> None:
    load = BackgroundLoad(Front(Settings().http), ["u"], 0.0)
    lists = RankedLists(DRAWN_TOP)
    lists.add(np.array([1, 1, 2, 2]), np.array([0.9, 0.1, 0.2, 0.8]), np.array([1, 0, 1, 0]))
    drawn = replace(NOTHING, action_windows={}, choice_windows={0: lists})
    text = "\n".join(to_lines(build_report(drawn, load, in_features=3, start_s=1.0, replay_s=1.0)))
    assert "drawn requests, fifth" in text and "auc" not in text
    assert "the probabilities learned of them are relative" in text
    assert "relative" not in "\n".join(to_lines(build_report(MUCH, load, 0, 1.0, 1.0)))
