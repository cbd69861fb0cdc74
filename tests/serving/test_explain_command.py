"""`headrace explain` on real servers: it explains what serving would answer, new users included."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from small_loop import ITEMS, NOW_MS, SHOP, replica
from two_surfaces import SURFACES, VECTORS

from headrace import config
from headrace.api.slate import RecommendRequest
from headrace.catalogue.files import write_catalogue
from headrace.cli import build_parser
from headrace.commands.flags import explain_arguments
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.features.inputs import DENSE_NAMES
from headrace.features.online.store import OnlineStore
from serving import explain
from serving.explain import Explained, Explainer, Where, dense_groups
from serving.recommend import Recommender
from serving.stages.hydrate import Hydrate

pytestmark = pytest.mark.services

GROUPS = {"history", "user", "item_id", "content", *dense_groups()}


def without(settings: Settings, item_id: str, folder: Path) -> Settings:
    """The same loop after an item has left the catalogue."""
    items = tuple(item for item in ITEMS if item.item_id != item_id)
    changed = config.changed(settings, home=folder)
    write_catalogue(replace(SHOP, items=items), config.catalogue_path(changed), NOW_MS)
    for kept in settings.home_path.iterdir():
        if not (folder / kept.name).exists():
            (folder / kept.name).symlink_to(kept)
    return changed


def explained(settings: Settings, user: str, *items: str) -> Explained:
    with replica(settings) as live:
        explainer = Explainer(live, OnlineStore(settings))
        return explainer.explain(user, items, live.catch_up(), NOW_MS)


def check_explained_as_served(settings: Settings, surface: str = "home") -> Explained:
    """Explain three items to u0 both ways; returns the explanation."""
    ids = ["i3", "i4", "i7"]
    with replica(settings) as live:
        view, store = live.catch_up(), OnlineStore(settings)
        others = tuple(item_id for item_id in live.catalogue.ids() if item_id not in ids)
        asked = RecommendRequest("u0", len(ids), surface, others)
        slate, _ = Recommender(Hydrate(store), live.catalogue, 10).recommend(asked, view, NOW_MS)
        answer = Explainer(live, store).explain("u0", ids, view, NOW_MS, Where(surface))
    assert view.model is not None
    assert [item.item_id for item in answer.items] == ids
    served = {item.item_id: (item.p_click, item.score) for item in slate.items}
    for item in answer.items:
        assert (item.p["click"], item.score) == pytest.approx(served[item.item_id])
    number = view.model.manifest.model.surface_number(surface)
    logit_CK = torch.tensor([[item.logit, 0, 0] for item in answer.items])
    p_CJ = view.model.calibration(logit_CK, torch.full((len(ids),), number))
    assert [item.p["click"] for item in answer.items] == pytest.approx(p_CJ[:, 0].tolist())
    return answer


@pytest.mark.parametrize("surface", [*SURFACES, "elsewhere"])
def test_what_is_explained_is_what_serving_answers(settings: Settings, surface: str) -> None:
    answer = check_explained_as_served(settings, surface)
    assert answer.known and answer.model_version == 1
    assert (answer.surface, answer.surface_known) == (surface, surface in SURFACES)


def test_an_item_that_left_the_catalogue_is_explained_as_it_is_served(
    settings: Settings, tmp_path: Path
) -> None:
    before = check_explained_as_served(settings)
    after = check_explained_as_served(without(settings, "i1", tmp_path / "i1"))
    for was, item in zip(before.items, after.items, strict=True):
        assert item.score != pytest.approx(was.score, rel=1e-6)  # it is no longer known
        assert [past.item_id for past in item.history] == ["i2", None]
        assert [past.actions for past in item.history] == [(), ("click",)]
    gone, never = explained(without(settings, "i4", tmp_path / "i4"), "u0", "i4", "novelty").items
    assert not gone.known and gone == msgspec.structs.replace(never, item_id="i4")


def test_each_surface_has_its_features_and_its_calibration(settings: Settings) -> None:
    with replica(settings) as live:
        view, explainer = live.catch_up(), Explainer(live, OnlineStore(settings))
        home, search = (
            explainer.explain("u0", ["i4"], view, NOW_MS, Where(surface)).items[0]
            for surface in SURFACES
        )
    assert view.model is not None
    for item, own, other in ((home, 1, 2), (search, 2, 1)):
        logits_2K = torch.tensor([[item.logit, 0, 0]]).repeat(2, 1)
        by_own, by_other = view.model.calibration(logits_2K, torch.tensor([own, other]))[:, 0]
        assert item.p["click"] == pytest.approx(float(by_own))
        assert item.p["click"] != pytest.approx(float(by_other), rel=1e-3)
    effects = [item.effects["surface_features"] for item in (home, search)]
    assert effects[0] != pytest.approx(effects[1], rel=1e-3)  # u0 has events on `home` only


def test_the_groups_tell_the_users_rates_on_the_surface_from_what_differs_by_item() -> None:
    columns = {name: [DENSE_NAMES[place] for place in of] for name, of in dense_groups().items()}
    assert tuple(itertools.chain(*columns.values())) == DENSE_NAMES
    outcomes = ("click", "like", "long_view")
    assert columns["surface_features"] == [f"user_surface_{one}_rate" for one in outcomes]
    assert columns["user_item_features"] == ["category_rate_mean", "category_rate_max"]


def test_the_parts_of_an_explanation_are_whole(settings: Settings) -> None:
    (item,) = explained(settings, "u0", "i4").items
    assert [(e.item_id, e.age_ms, e.actions) for e in item.history] == [
        ("i2", 60_000, ()),
        ("i1", 120_000, ("click",)),
    ]
    total = item.attention_profile + sum(past.attention for past in item.history)
    assert total == pytest.approx(1)
    assert set(item.effects) == GROUPS and any(abs(e) > 1e-4 for e in item.effects.values())
    assert list(item.fusion) == ["title", "categories", "attributes", VECTORS]
    assert sum(item.fusion.values()) == pytest.approx(1) and item.fusion["attributes"] == 0
    assert set(item.p) == {"click", "like", "long_view"}


def test_attention_is_told_of_the_events_that_the_model_reads(settings: Settings) -> None:
    (item,) = explained(settings, "u1", "i4").items
    assert len(item.history) == 16 < len(ITEMS)
    total = item.attention_profile + sum(past.attention for past in item.history)
    assert total == pytest.approx(1)


def test_a_new_user_and_a_new_item_are_explained_as_such(settings: Settings) -> None:
    answer = explained(settings, "stranger", "i4", "novelty")
    known, new = answer.items
    assert (answer.known, known.known, new.known) == (False, True, False)
    assert new.history == () and new.attention_profile == pytest.approx(1)
    assert new.effects["content"] == 0 and 0 < new.p["click"] < 1


def test_without_a_model_or_with_a_version_that_is_not_there_it_says_so(settings: Settings) -> None:
    with replica(config.changed(settings, namespace="untrained")) as live:
        live_store = OnlineStore(settings)
        with pytest.raises(ConfigError, match="no model version yet"):
            Explainer(live, live_store).explain("u0", ["i1"], live.snapshot, NOW_MS)
    with replica(settings) as live:
        with pytest.raises(ConfigError, match="no model version 7 in .*; published: 1 to 1"):
            live.catch_up(7)


def main(*flags: str) -> int:
    """What `headrace explain` starts when it is given these flags."""
    return explain.main(explain_arguments(build_parser().parse_args(["explain", *flags])))


def test_the_command_prints_a_table_or_the_same_as_json(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    assert main("--user=u0", "--item=i4", "--model-version=1", "--json") == 0
    answer = msgspec.convert(json.loads(capsys.readouterr().out), Explained)
    assert (answer.user_id, answer.items[0].item_id, answer.model_version) == ("u0", "i4", 1)
    assert answer.surface == "home"
    assert main("--user=u0", "--item=i4", "--surface=elsewhere") == 0
    said = capsys.readouterr().out
    assert "user u0 on elsewhere (not told apart by the model), model version" in said
    for part in ("item i4: score 0.", "i1  ", "click, ", VECTORS):
        assert part in said, part
    assert main("--user=u0", "--item=i4", "--model-version=9") == 2
    assert capsys.readouterr().err.startswith("headrace explain: no model version 9 ")
