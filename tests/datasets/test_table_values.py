"""What came of an outcome, as a user's own table tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_folder import bad, impressions, load


def test_an_outcome_may_have_a_value(tmp_path: Path) -> None:
    rows = "ann,a,10,1,4\nbob,a,11,0,0.5\neve,a,12,1,\ndan,a,13,0,-2\n"
    plain = impressions(load(tmp_path, rows, "u,i,t,c,stars", ", value: stars"))
    assert [event.items[0].value for event in plain] == [4, 0.5, 0, -2]
    of_five = load(tmp_path, rows, "u,i,t,c,stars", ", value: {column: stars, of: 5}")
    assert [event.items[0].grade for event in impressions(of_five)] == [0.8, 0.1, 0, -0.4]
    without = impressions(load(tmp_path, rows, "u,i,t,c,stars"))
    assert [event.items[0].value for event in without] == [0, 0, 0, 0]
    assert [event.event_id for event in without] == [event.event_id for event in plain]


def test_one_column_of_ratings_may_tell_the_click_and_the_value(tmp_path: Path) -> None:
    rows, click = "ann,a,10,4\nbob,a,11,3\neve,a,12,\n", "{column: stars, at_least: 4}"
    value = ", value: {column: stars, of: 5}"
    dataset = load(tmp_path, rows, "u,i,t,stars", value, clicked=click)
    shown = [event.items[0] for event in impressions(dataset)]
    assert [(one.clicked, one.grade) for one in shown] == [(True, 0.8), (False, 0.6)]
    assert bad(dataset) == [(3, "stars", "missing")]  # it is not known whether that is a click


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("good", "expected a number, got 'good'"),
        ("nan", "expected a number, got 'nan'"),
        ("1e10", "'1e10' is not between -1e+09 and 1e+09"),
        ("-1e10", "'-1e10' is not between -1e+09 and 1e+09"),
    ],
)
def test_a_value_that_no_event_takes_makes_a_bad_row(
    tmp_path: Path, cell: str, reason: str
) -> None:
    rows = f"ann,a,10,1,1e9\nbob,a,11,1,{cell}\n"
    dataset = load(tmp_path, rows, "u,i,t,c,paid", ", value: paid")
    assert [event.items[0].value for event in impressions(dataset)] == [1e9]
    assert bad(dataset) == [(2, "paid", reason)]
