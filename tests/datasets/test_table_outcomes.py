"""A table's columns of actions beside the click."""

from __future__ import annotations

from pathlib import Path

from headrace.datasets.table import loader as table
from headrace.event import ImpressionEvent


def test_further_actions_have_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: events.tsv, user_id: u, item_id: i, time: {column: t, unit: ms},"
        " clicked: c, outcomes: {long_view: {column: s, at_least: 9}, like: l}}"
    )
    rows = ["u\ti\tt\tc\ts\tl", "a\tx\t1\t1\t9\t0", "b\tx\t2\t0\t8.5\t1", "c\tx\t3\t0\t1\t"]
    (tmp_path / "events.tsv").write_text("\n".join(rows))
    dataset = table.load(tmp_path)
    events = [event for event in dataset.events() if isinstance(event, ImpressionEvent)]
    told = [event.items[0].told for event in events]
    assert [one[:3] for one in told] == [(True, False, True), (False, True, False)]
    assert {some for one in told for some in one[3:]} == {None}
    assert [(row.line, row.column) for row in dataset.bad_rows] == [(3, "l")]
