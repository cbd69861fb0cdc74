"""Settings by room: which fields each has, their texts and values, and their page in the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import config
from headrace.config import FIELDS, Settings, changed, environment, load
from headrace.errors import ConfigError
from headrace.settings.text import text_of, value_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
ROOMS: Final = {
    "For all parts": "",
    "Stream": "stream",
    "Training": "training",
    "Serving": "serving",
    "HTTP": "http",
    "Kafka": "kafka",
}
OTHERS: Final[dict[str, Any]] = {  # for each flat field a value that is not its default
    "namespace": "shop_1",
    "home": "/srv/headrace",
    "redis_url": "redis://:secret@cache:6380/3",
    "kafka_bootstrap": "a:1,b:2",
    "model_registry": "s3://bucket/models",
    "campaigns": "campaigns.yaml",
    "time_zone": "Asia/Shanghai",
    "ranker_size": "base",
    "fusion": "mean",
    "heads": ("click", "long_view"),
    "surfaces": ("home", "search page"),
    "app": "/srv/shop/headrace.yaml",
    "content_folder": "photos",
    "content_hosts": ("img.example", "127.0.0.1:9"),
    "vector_tables": ("text_e5/1-f3b1a2c4", "given_vector/2"),
    "rank_by": {"click": 0.1, "like": -2.0, "long_view": 1e-9},
    "seen": "after:30d:strict",
    "platform": "0a1b",
    "body_timeout_s": 2.0,
    "host": "0.0.0.0",
    "metrics_host": "::",
    "auth": "required",
    "own_key": f"hr_{'0' * 12}_{'1' * 64}",
    "allowed_hosts": ("api.shop", "[2001:db8::1]"),
    "cors_origins": ("https://shop.example", "http://localhost:3000"),
    "tls_cert": str(PAGE),  # any file: what is in it is looked at later
    "tls_key": str(PAGE),
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "PLAIN",
    "kafka_user": "me",
    "negatives_popularity": 0.5,
    "kafka_password": "1e5,a=b/c@d:% \"'",
    "kafka_ca_file": str(PAGE),
    "kafka_cert_file": str(PAGE),
    "kafka_key_file": str(PAGE),
}


def other(name: str, value: Any) -> object:
    """A value of a field that is not this one, its default."""
    if name in OTHERS:
        return OTHERS[name]
    return not value if isinstance(value, bool) else value + 1


ALL_OTHER: Final = {f.name: other(f.name, f.of(Settings())) for f in FIELDS.values()}


def test_each_field_is_in_one_room_and_its_variable_sets_it_there() -> None:
    every = load({name: text_of(ALL_OTHER[field.name]) for name, field in FIELDS.items()})
    for field in FIELDS.values():
        owner = getattr(every, field.room) if field.room else every
        assert getattr(owner, field.attribute) == ALL_OTHER[field.name], field
        assert field.of(every) != field.of(Settings()), field
    rooms = [part for part in msgspec.structs.fields(Settings) if part.name in ROOMS.values()]
    sizes = [len(msgspec.structs.fields(room.type)) for room in rooms]
    assert len(rooms) == 5 and sum(sizes) + len(msgspec.structs.fields(Settings)) - 5 == len(FIELDS)


def test_fields_are_changed_by_flat_names_and_given_to_other_processes() -> None:
    every = config.settings(**ALL_OTHER)
    assert load(environment(every)) == every == changed(Settings(), **ALL_OTHER)
    assert {FIELDS[name].name for name in environment(every)} == ALL_OTHER.keys()
    assert changed(every, port=8000, surfaces=()).http.port == 8000
    assert changed(every, surfaces=["feed"]).training.surfaces == ("feed",)
    assert changed(every, rank_by="like=2").serving.rank_by == {"like": 2.0}


def test_settings_of_one_field_have_the_defaults_of_all_others() -> None:
    assert config.settings() == Settings()
    stream = msgspec.structs.replace(Settings().stream, num_partitions=1)
    assert config.settings(num_partitions=1) == Settings(stream=stream)


def test_lists_and_weights_are_read_in_order_and_without_the_space_around_them() -> None:
    settings = load(
        {
            "HEADRACE_HEADS": " click , like,",
            "HEADRACE_SURFACES": "home,search page",
            "HEADRACE_CORS_ORIGINS": "https://a.example,https://b.example",
            "HEADRACE_RANK_BY": "click=1, like = 0.5",
        }
    )
    assert settings.training.heads == ("click", "like")
    assert settings.training.surfaces == ("home", "search page")
    assert settings.http.cors_origins == ("https://a.example", "https://b.example")
    assert settings.serving.rank_by == {"click": 1.0, "like": 0.5}
    assert settings.training.vector_tables == () == settings.http.allowed_hosts


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("HEADRACE_HEADS", ",", "expected names such as 'click,like,long_view'"),
        ("HEADRACE_RANK_BY", "click", "expected weights of heads such as 'click=1,like=1'"),
        ("HEADRACE_RANK_BY", "click=much", "expected weights of heads"),
        ("HEADRACE_RANK_BY", "click=nan", "expected weights of heads"),
        ("HEADRACE_RANK_BY", "click=1,click=2", "expected weights of heads"),
        ("HEADRACE_RANK_BY", ",", "expected weights of heads"),
        ("HEADRACE_SURFACES", "home\n", "it has '\\n': expected printable characters"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: text})
    assert str(caught.value).startswith(f"{name}={text!r}: {expected}")


NAME = st.from_regex(r"[a-z_/.-]{1,9}", fullmatch=True)


@given(st.lists(NAME), st.dictionaries(NAME, st.floats(allow_nan=False, allow_infinity=False)))
def test_the_text_of_a_value_is_read_as_the_value(
    names: list[str], weights: dict[str, float]
) -> None:
    assert value_of("surfaces", tuple[str, ...], text_of(tuple(names))) == tuple(names)
    if weights:
        read = value_of("rank_by", dict[str, float], text_of(weights))
        assert read.items() == weights.items()


def on_the_page() -> dict[str, tuple[str, str]]:
    """Of each variable on the page: its room and its default."""
    found: dict[str, tuple[str, str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        room = ROOMS[section.splitlines()[0]]
        for name, default, told in re.findall(r"^\| `(\w+)` \| *(.*?) *\| (.+) \|$", section, re.M):
            assert name not in found and told.strip(), name
            found[name] = (room, default.strip("`"))
    return found


def test_the_page_has_each_setting_in_its_room_with_its_default() -> None:
    page = on_the_page()
    assert {name: room for name, (room, _) in page.items()} == {
        name: field.room for name, field in FIELDS.items()
    }
    for name, (_, text) in page.items():
        read = value_of(FIELDS[name].name, FIELDS[name].kind, text) if text else ""
        assert (read or None) == (FIELDS[name].of(Settings()) or None), name
