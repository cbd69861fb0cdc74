"""Entity frames: the requests of a training set, of whatever types pandas has, made joinable.

R requests   N rows of a view
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

from headrace.errors import FeatureError

EVENT_TIMESTAMP: Final = "event_timestamp"
NUMBERS: Final = ("integer", "floating", "mixed-integer-float", "decimal")
UNITS: Final = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))  # of epoch numbers below these


def require_frame(entity_df: Any) -> pd.DataFrame:
    """The frame itself; raises `FeatureError` if it is no DataFrame, or has a column twice."""
    if not isinstance(entity_df, pd.DataFrame):
        raise FeatureError(
            f"entity_df is a {type(entity_df).__name__}, expected a pandas DataFrame: files "
            "cannot be queried"
        )
    if twice := [str(name) for name in entity_df.columns[entity_df.columns.duplicated()]]:
        raise FeatureError(
            f"entity_df has several columns named {', '.join(twice)}: give each a name of its own"
        )
    return entity_df


def time_column(entity_df: pd.DataFrame) -> str:
    """The column with the times of the requests."""
    if EVENT_TIMESTAMP in entity_df.columns:
        return EVENT_TIMESTAMP
    times = entity_df.select_dtypes(include=["datetime", "datetimetz"]).columns
    if len(times) != 1:
        raise FeatureError(
            f"entity_df has columns {', '.join(map(str, entity_df.columns))}: expected the times "
            f"of the requests in {EVENT_TIMESTAMP!r}"
        )
    return str(times[0])


def request_times(entity_df: pd.DataFrame, name: str) -> pd.Series[Any]:
    """The times of the requests in UTC, which is the zone of those without one; NaT where none is
    given. Numbers are refused: nothing says of which unit and epoch they are."""
    column = entity_df[name]
    kind = infer_dtype(column, skipna=True)
    if kind in NUMBERS and column.notna().any():
        first = column.dropna().iloc[0]
        unit = next((unit for bound, unit in UNITS if abs(first) < bound), "ns")
        raise FeatureError(
            f"entity_df column {name!r} has numbers such as {first}, expected times: change it "
            f"with pd.to_datetime(entity_df[{name!r}], unit={unit!r}, utc=True), if they are epoch "
            f"times in {unit}"
        )
    try:
        return utc(column, "ISO8601" if kind == "string" else None)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).partition(". ")[0]
        raise FeatureError(
            f"entity_df column {name!r} has what is no time from 1678 to 2261 ({reason}): expected "
            "datetimes, or text such as 2024-05-01T09:30:00Z"
        ) from None


def utc(times: pd.Series[Any], form: str | None = None) -> pd.Series[Any]:
    """Times in UTC, to the nanosecond."""
    return pd.to_datetime(times, utc=True, format=form).astype("datetime64[ns, UTC]")


def require_like(column: pd.Series[Any], stored: pa.DataType, view: str) -> None:
    """Raises `FeatureError` if ids in this column can equal none that are stored: text and numbers
    do not meet."""
    kind = infer_dtype(column.astype(object), skipna=True)
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    is_text = pa.types.is_string(stored) or pa.types.is_large_string(stored)
    is_number = pa.types.is_integer(stored) or pa.types.is_floating(stored)
    allowed = (*(("string",) if is_text else NUMBERS), "empty")
    if (is_text or is_number) and kind not in allowed:
        wanted = "str" if is_text else "'int64'"
        raise FeatureError(
            f"entity_df column {column.name!r} is of type {kind}, in the rows of view {view!r} it "
            f"is {stored}: change it with entity_df[{column.name!r}].astype({wanted})"
        )


def ids_as(column: pd.Series[Any], stored: pa.DataType) -> pa.Array | None:
    """The distinct ids of a column as those in a file; None where some have no such form."""
    try:
        return pa.array(column.dropna().unique().tolist()).cast(stored)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def entity_numbers(
    requests: pd.DataFrame, rows: pd.DataFrame, keys: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[R], [N]: whose each request and row is, as a number; -1 where a request's entity has no row
    or no id. Ids are equal if their values are, whatever their types."""
    number_R, number_N = np.zeros(len(requests), np.int64), np.zeros(len(rows), np.int64)
    for key in keys:
        known = pd.Index(rows[key].unique())
        place_N = known.get_indexer(pd.Index(rows[key]))
        place_R = _places(known, requests[key])
        is_known_R = (number_R >= 0) & (place_R >= 0)
        number_R = np.where(is_known_R, number_R * len(known) + place_R, -1)
        number_N = number_N * len(known) + place_N
    return number_R, number_N


def _places(known: pd.Index[Any], ids: pd.Series[Any]) -> NDArray[np.int64]:
    """[R]: where each id is among the known ones, -1 for none and for a missing one."""
    is_plain = isinstance(ids.dtype, np.dtype)
    place_R: NDArray[np.int64] = known.get_indexer(
        pd.Index(ids if is_plain else ids.astype(object))
    )
    return np.where(ids.isna(), -1, place_R)
