"""The policy of seen items as a setting spells it, and what is refused."""

from __future__ import annotations

import pytest

from headrace.application.seen import SeenPolicy
from headrace.config import load
from headrace.errors import ConfigError
from headrace.settings.seen import seen_policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("never_again", SeenPolicy()),
        ("never_again:strict", SeenPolicy(strict=True)),
        ("after:2592000", SeenPolicy(policy="after", after_s=2_592_000)),
        ("after:30d", SeenPolicy(policy="after", after_s=2_592_000)),
        ("after:90s", SeenPolicy(policy="after", after_s=90)),
        ("after:15m:strict", SeenPolicy(policy="after", after_s=900, strict=True)),
        ("after:2h", SeenPolicy(policy="after", after_s=7_200)),
        ("always", SeenPolicy(policy="always")),
    ],
)
def test_a_text_spells_a_policy(text: str, policy: SeenPolicy) -> None:
    assert seen_policy(text) == policy
    assert load({"HEADRACE_SEEN": text}).serving.seen == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sometimes", "sometimes"),
        ("after", "a time above 0 belongs to after"),
        ("after:0", "a time above 0"),
        ("after:30w", "after:30w"),
        ("after:-1", "after:-1"),
        ("never_again:30d", "a time above 0 belongs to after"),
        ("always:strictly", "always:strictly"),
        ("always:strict:strict", "always:strict:strict"),
    ],
)
def test_what_spells_none_is_refused_with_those_that_there_are(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match="expected never_again, after:30d .* always") as caught:
        load({"HEADRACE_SEEN": text})
    assert told in str(caught.value) and str(caught.value).startswith("HEADRACE_SEEN=")


def test_what_was_bought_can_only_be_left_out_where_an_action_says_what_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.settings.seen.BOUGHT", ())
    with pytest.raises(ConfigError, match="no action of the table says that an item was bought"):
        seen_policy("after_purchase")
    monkeypatch.setattr("headrace.settings.seen.BOUGHT", ("purchase",))
    assert seen_policy("after_purchase") == SeenPolicy(policy="after_purchase")
