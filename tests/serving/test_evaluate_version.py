"""`headrace evaluate --model-version`: a published version says what a replica ranks by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_loop import ITEMS, NOW_MS, SHOP, USERS, SmallLoop, replica, sample, small_loop, trained

from headrace import config
from headrace.catalogue.item import Dataset
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.cli import main
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.evaluation.dataset.cases import Case, Cases, Terms
from headrace.evaluation.dataset.published import (
    PublishedEvaluation,
    PublishedVersion,
    find_version,
)
from headrace.evaluation.days import Days
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import batches_of
from headrace.event import ImpressionEvent, Shown
from headrace.features.inputs import RequestFeatures
from headrace.model.batch import BatchRequest
from serving.replica.follow import Live
from serving.replica.models import LiveModel

pytestmark = pytest.mark.services

VECTORS = "given_vector/1-4d"
SAMPLES = [sample(number, surface="home") for number in range(60)]
NUM_EVENTS = 40
LABELS = ("click", "long_view")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("evaluated")) as running:
        running.write_vectors(VECTORS, 4)
        yield running


@pytest.fixture(scope="module")
def published(loop: SmallLoop) -> Settings:
    """Settings of a namespace in which version 1 was published."""
    settings = loop.settings("evaluated", vector_tables=VECTORS, surfaces="home")
    with trained(settings, SAMPLES):
        return settings


def log() -> Dataset:
    """Impressions of three of the shop's items each, with a stranger among the users."""
    draw = np.random.default_rng(1)
    users = [*(user.user_id for user in USERS), "stranger"]
    events = []
    for number in range(NUM_EVENTS):
        chosen = draw.choice(len(ITEMS), 3, replace=False)
        shown = tuple(
            Shown(f"i{n}", clicked=bool(n % 4 == 1), long_viewed=bool(n % 3 == 1)) for n in chosen
        )
        user = users[number % len(users)]
        time_ms = NOW_MS + 120_000 * number
        events.append(ImpressionEvent(f"e{number}", time_ms, user, f"r{number}", shown, "home"))
    end_ms = events[-1].event_time_ms
    return replace(SHOP, events=lambda: iter(events), num_events=NUM_EVENTS, end_ms=end_ms)


class Predictions(Quality):
    """The predictions themselves, with their cases."""

    def __init__(self) -> None:
        super().__init__(LABELS)
        self.of: list[tuple[Case, NDArray[Any]]] = []

    def add(self, rows: Sequence[Any], p_CJ: NDArray[Any], at_midnight_CJ: NDArray[Any]) -> None:
        ends = np.cumsum([len(row.num_of_items) for row in rows])[:-1]
        self.of += zip(rows, np.split(p_CJ, ends), strict=True)


def as_ranked(live: Live, model: LiveModel, case: Case) -> NDArray[np.float32]:
    """[N, J]: what a replica says of the items of a request that has these features."""
    one, rows_of = case.sample, live.catalogue.rows_of_keys
    surface = model.manifest.model.surface_number(one.surface)
    features = RequestFeatures(one.dense_NF.copy(), one.history_3T.copy())
    request = BatchRequest(one.user_key, one.user_word_keys, (), features, surface=surface)
    logits = model.items.logits(request, rows_of(one.history_3T[0]), rows_of(one.item_keys))
    return model.calibration.of_request(logits, surface)


def test_a_version_says_what_a_replica_ranks_by(published: Settings) -> None:
    terms = Terms(LABELS, NOW_MS + 120_000 * 20, Days())
    content = ContentTable({item.item_id: item for item in ITEMS}, ContentVectors.of(published))
    version = PublishedVersion(find_version(published, 1), content)
    evaluation = PublishedEvaluation(version, LABELS)
    evaluation.quality = predictions = Predictions()
    for batch in batches_of(Cases(log(), published, terms)):
        evaluation.take(batch)
    assert len(predictions.of) == NUM_EVENTS - 20
    with replica(published) as live:
        model = live.catch_up(1).model
        assert model is not None
        for case, p_NJ in predictions.of:
            served_NJ = as_ranked(live, model, case)[:, [0, 2]]
            np.testing.assert_allclose(p_NJ, served_NJ, rtol=1e-4)
    assert np.std([p_NJ[:, 0].mean() for _, p_NJ in predictions.of]) > 0


def write_folder(folder: Path) -> Path:
    """The log as a shop's own tables."""
    rows = [
        f"{event.user_id},{shown.item_id},{event.event_time_ms},{event.request_id},"
        f"{int(bool(shown.clicked))}"
        for event in log().events()
        if isinstance(event, ImpressionEvent)
        for shown in event.items
    ]
    (folder / "events.csv").write_text("\n".join(["u,i,t,r,c", *rows]) + "\n")
    (folder / "headrace.yaml").write_text(
        "events: {file: events.csv, user_id: u, item_id: i, request_id: r,"
        " time: {column: t, unit: ms}, clicked: c}\n"
    )
    return folder


def test_the_command_judges_the_version_of_the_settings_namespace(
    published: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, text in config.environment(published).items():
        monkeypatch.setenv(name, text)
    out = tmp_path / "out.json"
    flags = ["evaluate", f"--data={write_folder(tmp_path)}", "--test-share=0.5", f"--json={out}"]
    assert main([*flags, "--model-version=1"]) == 0
    told = json.loads(out.read_text())
    assert told["model_version"] == 1 and told["samples"] == 3 * NUM_EVENTS / 2
    assert told["labels"]["click"]["auc"] is not None
    assert "model version 1" in capsys.readouterr().out
    assert main([*flags, "--model-version=7"]) == 2
    assert "no model version 7 in namespace 'evaluated'; published: 1" in capsys.readouterr().err
    monkeypatch.setenv("HEADRACE_VECTOR_TABLES", "")
    assert main([*flags, "--model-version=1"]) == 2
    assert f"was trained with the vector tables {VECTORS}" in capsys.readouterr().err


def test_a_version_whose_weights_are_gone_is_named(loop: SmallLoop) -> None:
    settings = loop.settings("gone")
    with trained(settings, SAMPLES):
        pass
    for file in (settings.home_path / "models").glob("gone-*"):
        file.unlink()
    with pytest.raises(ConfigError, match="weights of model version 1 .* are gone"):
        find_version(settings, 1)


def test_a_label_that_the_version_does_not_predict_is_named(loop: SmallLoop) -> None:
    settings = loop.settings("clicks", heads="click")
    with trained(settings, SAMPLES):
        pass
    version = PublishedVersion(find_version(settings, 1), ContentTable({}))
    with pytest.raises(ConfigError, match="1 does not predict 'long_view'; its heads are click"):
        PublishedEvaluation(version, LABELS)
