"""Declared inputs: the sections `context` and `attributes`, and what a request may tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.application.declared import Field
from headrace.application.sections import read_sections
from headrace.errors import InvalidEvent
from headrace.event import accept

ASK = """
import json, sys
from headrace.events.declared import as_declared, fault_of, numbers, word_codes, word_keys
told = json.loads(sys.argv[1])
keys, codes = word_keys(told), word_codes(told)
print(json.dumps([fault_of(told), as_declared(told), len(keys), codes, str(numbers(told))]))
"""
DECLARED = """
context:
  device: word
  query: {kind: word, max_length: 5}
  hour: number
  basket: {kind: number, log: true}
"""


def section(text: str) -> tuple[tuple[Field, ...], list[str]]:
    application, problems = read_sections(yaml.safe_load(text))
    return application.context, problems


def test_fields_are_words_or_numbers_in_the_order_of_the_file() -> None:
    fields, problems = section(DECLARED)
    assert not problems
    words = Field("device", "word"), Field("query", "word", 5)
    assert fields == (*words, Field("hour"), Field("basket", log=True))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("context: [device]", "context: got ['device'], expected fields by name"),
        ("context: {device: text}", "context.device.kind: got 'text', expected word, number"),
        ("context: {device: {}}", "context.device.kind: missing, expected word or number"),
        ("context: {Device: word}", "context: got the name 'Device', expected small letters"),
        ("context: {surface: word}", "but not surface, action, field"),
        ("context: {hour: {kind: number, max_length: 3}}", "hour.max_length: it is for a word"),
        ("context: {query: {kind: word, max_length: 999}}", "context.query.max_length: got 999"),
        ("context: {device: {kind: word, log: true}}", "context.device.log: it is for a number"),
        ("attributes: {weight: {lgo: true}}", "attributes.weight.lgo: unknown key (did you mean"),
        (f"context: {dict.fromkeys(map('f{}'.format, range(17)), 'word')}", "expected at most 16"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(text: str, problem: str) -> None:
    _, problems = section(text)
    assert any(problem in one for one in problems), problems


def told(folder: Path, context: dict[str, Any]) -> list[Any]:
    """What a process of the application makes of a context."""
    (folder / "headrace.yaml").write_text(DECLARED)
    command = [sys.executable, "-c", ASK, json.dumps(context)]
    environ = {**os.environ, "HEADRACE_APP": str(folder)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    said: list[Any] = json.loads(done.stdout)
    return said


def test_words_have_keys_and_codes_and_numbers_are_numbers(tmp_path: Path) -> None:
    fault, declared, num_keys, (device, query), numbers = told(
        tmp_path, {"device": "phone", "hour": 13, "basket": 1e9, "query": None}
    )
    assert fault is None and num_keys == 1 and 0 < device < 256 and query == 0
    assert declared == {"device": "phone", "hour": 13, "basket": 1e9}
    assert numbers == "[13.0, 1000000000.0]"


@pytest.mark.parametrize(
    ("context", "fault"),
    [
        ({"colour": "red"}, ["colour", "is not declared, known: device, query, hour, basket"]),
        ({"device": 3}, ["device", "got '3', expected text"]),
        ({"device": ""}, ["device", "got 0 characters, expected 1 to 64"]),
        ({"query": "shoes!"}, ["query", "got 6 characters, expected 1 to 5"]),
        ({"hour": "13"}, ["hour", "got '13', expected a number"]),
        ({"hour": True}, ["hour", "got 'True', expected a number"]),
        ({"hour": [1]}, ["hour", "got '[1]', expected a number"]),
        ({"hour": 1e5}, ["hour", "got 100000, expected a number from -10000 to 10000"]),
        ({"basket": 1e16}, ["basket", "got 1e+16, expected a number from"]),
    ],
)
def test_what_is_not_as_declared_is_a_fault_and_is_not_read(
    tmp_path: Path, context: dict[str, Any], fault: list[str]
) -> None:
    (name, reason), declared, num_keys, codes, numbers = told(tmp_path, context)
    assert name == fault[0] and fault[1] in reason
    assert not declared and not num_keys and codes == [0, 0] and numbers == "[nan, nan]"


def test_without_a_section_an_event_may_tell_nothing() -> None:
    click = {"type": "click", "user_id": "ann", "item_id": "mug", "context": {}}
    assert accept(click, 1_714_554_000_000).context == {}
    with pytest.raises(InvalidEvent, match="not declared, known: none") as caught:
        accept({**click, "context": {"device": "phone"}}, 1_714_554_000_000)
    assert caught.value.field == "context.device"
