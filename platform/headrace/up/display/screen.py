"""The screen: one live table in a terminal, plain progress lines elsewhere."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from msgspec import to_builtins
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from headrace.metrics import ALL, Scores
from headrace.metrics.latency import Latencies
from headrace.monitoring.documents import Quality
from headrace.monitoring.progress import Window, merged, merged_lists
from headrace.monitoring.quality_table import choice_figures
from headrace.up.display.totals import Totals

PLAIN_EVERY_MS = 5_000
PLAIN_AFTER_REPLAY_EVERY_MS = 60_000
RATE_OVER_MS = 5_000
CURVE_POINTS = 40
NUM_CURVES = 3  # the last rows, which only a terminal shows
BARS = "▁▂▃▄▅▆▇█"


class _Console(Console):
    """A console whose closed pipe is an error to handle, where rich would exit at once."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError("nobody reads any more")


class Screen:
    """Shows totals as they come; a context manager that gives the terminal back."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _Console()
        self._live = Live(console=self.console, auto_refresh=False)
        self._earlier: deque[Totals] = deque()
        self._printed_ms = 0
        self._is_deaf = False  # the terminal is gone
        self.phase = "starting"  # what is being done, for whoever interrupts it

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal and not self._is_deaf:
            with self._until_the_terminal_goes():
                self._live.stop()

    def show(self, totals: Totals, problems: Sequence[str] = ()) -> None:
        """Update the display with these totals and problems."""
        self._earlier.append(totals)
        while totals.now_ms - self._earlier[0].now_ms > RATE_OVER_MS:
            self._earlier.popleft()
        rows = [*(("problem", line) for line in problems), *_rows(totals, self._earlier[0])]
        if self.console.is_terminal:
            table = Table(title="headrace", show_header=False, min_width=72)
            for row in rows:
                table.add_row(*map(escape, row))
            if not self._is_deaf:
                with self._until_the_terminal_goes():
                    self._live.update(table, refresh=True)
        elif totals.now_ms - self._printed_ms >= (
            PLAIN_AFTER_REPLAY_EVERY_MS if totals.replay and totals.replay.done else PLAIN_EVERY_MS
        ):
            self._printed_ms = totals.now_ms
            self.say(" | ".join(f"{name} {text}" for name, text in rows[:-NUM_CURVES]))

    def say(self, text: str) -> None:
        """A line that stays, above the table where there is one."""
        if not self._is_deaf:
            with self._until_the_terminal_goes():
                self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def _until_the_terminal_goes(self) -> Iterator[None]:
        """Ignore the error of writing to a closed terminal; the run goes on."""
        try:
            yield
        except OSError:
            self._is_deaf = True


def _rows(now: Totals, before: Totals) -> Iterator[tuple[str, str]]:
    seconds = max((now.now_ms - before.now_ms) / 1_000, 1e-3)

    def rate(count: int, earlier: int) -> str:
        return f"{max(count - earlier, 0) / seconds:,.0f}/s"

    sent, of = (now.replay.sent, now.replay.of) if now.replay else (0, 0)
    yield "replay", f"{sent:,} of {of:,}"
    yield (
        "events",
        f"{rate(now.processed, before.processed)}, {now.accepted:,} accepted, "
        f"{now.rejected:,} rejected, {now.duplicates:,} duplicates, {_corrected(now)}"
        f"lag {now.stream_lag:,}",
    )
    yield "features", f"readable after {_latency(now.feature_freshness)}"
    yield (
        "samples",
        f"{rate(now.samples, before.samples)}, {now.samples:,} trained, lag {_lag(now.train_lag)}",
    )
    yield from _quality_rows(now)
    age = "none yet" if now.model_age_ms is None else f"{now.model_age_ms / 1_000:.1f} s old"
    yield (
        "model",
        f"version {now.model_version} ({age}), {now.num_published} published, "
        f"{now.num_served} served, fresh after {_latency(now.model_freshness)}",
    )
    yield "requests", f"{rate(now.requests, before.requests)}, {_latency(now.latency)}"
    yield from _faults(now)
    yield from _curves(now)


def _quality_rows(now: Totals) -> Iterator[tuple[str, str]]:
    """Progressive quality: of impressions, of what was drawn, and of slices."""
    recent = merged(list(now.windows.values())[-10:])
    if recent.num_samples or not now.choices:
        yield (
            "quality",
            f"AUC {recent.auc:.4f}, normalised entropy {recent.normalized_entropy:.4f}, "
            f"calibration {recent.calibration:.3f} (progressive, latest windows)",
        )
    if now.choices:
        figures = choice_figures(to_builtins(now.choices)).items()
        shown = ", ".join(f"{name} {figure}" for name, figure in figures)
        yield "drawn", f"{shown} of {now.choices.requests:,} requests (progressive, newest)"
    for name, quality in now.quality.items():
        if name != ALL:
            yield name, _quality(quality)


def _curves(now: Totals) -> Iterator[tuple[str, str]]:
    """`NUM_CURVES` of them: of impressions, or where there are none of drawn requests."""
    if now.choice_windows and not any(window.num_samples for window in now.windows.values()):
        parts = _grouped(list(now.choice_windows.values()))
        lists = [merged_lists(part) for part in parts]
        yield "recall", _curve([window.recall for window in lists])
        yield "NDCG", _curve([window.ndcg for window in lists])
        yield "MRR", _curve([window.mrr for window in lists])
        return
    yield "AUC", _curve([window.auc for window in _points(now.windows)])
    yield "entropy", _curve([window.normalized_entropy for window in _points(now.windows)])
    yield "calibration", _curve([window.calibration for window in _points(now.windows)])


def _quality(quality: Quality) -> str:
    numbers = quality.auc, quality.normalized_entropy, quality.calibration
    auc, entropy, calibration = (math.nan if one is None else one for one in numbers)
    return (
        f"AUC {auc:.4f}, normalised entropy {entropy:.4f}, calibration {calibration:.3f} "
        f"of {quality.samples:,}"
    )


def _faults(now: Totals) -> Iterator[tuple[str, str]]:
    """The faults among these totals, each by name; none while all is well."""
    if now.held:
        yield "held", f"version {now.model_version} is served on: {now.held}"
    if now.skipped or now.unreadable:
        messages = f"{now.skipped:,} messages, {now.unreadable:,} of damaged batches"
        yield "skipped", f"{messages}; see headrace features status"
    if now.errors:
        yield "errors", "; ".join(sorted(set(now.errors)))


def _corrected(now: Totals) -> str:
    """Events that were not taken as they came, where there are any."""
    counts = {"with a time ahead": now.ahead, "with unsigned features": now.unsigned}
    return "".join(f"{count:,} {name}, " for name, count in counts.items() if count)


def _lag(lag: int | None) -> str:
    return "unknown" if lag is None else f"{lag:,}"


def _latency(latencies: Latencies) -> str:
    p50, p99 = latencies.percentile(0.5), latencies.percentile(0.99)
    return "-" if math.isnan(p50) else f"p50 {p50:,.0f} ms, p99 {p99:,.0f} ms"


def _points(windows: dict[int, Scores]) -> Sequence[Scores]:
    """At most `CURVE_POINTS` groups of neighbouring windows."""
    return [merged(part) for part in _grouped(list(windows.values()))]


def _grouped(every: Sequence[Window]) -> list[Sequence[Window]]:
    size = max(1, math.ceil(len(every) / CURVE_POINTS))
    return [every[start : start + size] for start in range(0, len(every), size)]


def _curve(values: Sequence[float]) -> str:
    """The values as a line of bars between their lowest and highest."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    width = (high - low) or 1.0
    bars = [
        " " if math.isnan(value) else BARS[int((value - low) / width * (len(BARS) - 1))]
        for value in values
    ]
    return f"{low:.3f} {''.join(bars)} {high:.3f}"
