"""Settings: where they come from, what is refused, and what other processes are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import config
from headrace.config import Settings, environment, load
from headrace.errors import ConfigError


def test_without_an_environment_the_defaults_hold() -> None:
    assert load({}) == Settings()
    assert load({"HEADRACE_PORT": "", "PATH": "/bin"}) == Settings()


def test_each_field_has_a_variable_of_its_own() -> None:
    names = {field.name: name for name, field in config.FIELDS.items()}
    assert names.pop("redis_url") == "REDIS_URL"
    assert names.pop("kafka_bootstrap") == "KAFKA_BOOTSTRAP"
    assert all(name == f"HEADRACE_{field.upper()}" for field, name in names.items())


def test_variables_are_read_as_the_type_of_their_field() -> None:
    settings = load(
        {
            "HEADRACE_NAMESPACE": "shop_1",
            "REDIS_URL": "redis://cache:7000/2",
            "KAFKA_BOOTSTRAP": "log:9093",
            "HEADRACE_PORT": "9000",
            "HEADRACE_CLICK_WINDOW_S": "1.5",
            "HEADRACE_CAMPAIGNS": "123",
        }
    )
    assert (settings.namespace, settings.http.port) == ("shop_1", 9000)
    assert settings.stream.click_window_s == 1.5
    assert (settings.redis_url, settings.kafka_bootstrap) == ("redis://cache:7000/2", "log:9093")
    assert settings.campaigns == "123"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HEADRACE_NAMESPACE", "Shop 1"),
        ("HEADRACE_NAMESPACE", "x" * 49),
        ("HEADRACE_NAMESPACE", "_shop"),
        ("HEADRACE_NAMESPACE", "shop\n"),
        ("HEADRACE_HOME", "/srv/one\ntwo"),
        ("HEADRACE_HOME", "/srv/one\u2028two"),
        ("HEADRACE_HOME", "/srv/\udcff"),
        ("HEADRACE_HOME", "/srv/a*b"),
        ("HEADRACE_HOME", "/srv/[a]"),
        ("HEADRACE_HOME", "/srv/a::b"),
        ("HEADRACE_HOME", "~nobody-of-this-name/x"),
        ("HEADRACE_MODEL_REGISTRY", "models"),
        ("REDIS_URL", "redis://cache:6379/0\nproject: other"),
        ("HEADRACE_PORT", "http"),
        ("HEADRACE_PORT", "70000"),
        ("HEADRACE_PORT", "0"),
        ("HEADRACE_NUM_PARTITIONS", "0"),
        ("HEADRACE_NUM_PARTITIONS", "1.5"),
        ("HEADRACE_CLICK_WINDOW_S", "0"),
        ("HEADRACE_PUBLISH_EVERY_S", "-1"),
    ],
)
def test_a_wrong_variable_is_named_with_what_came(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: text})
    assert f"{name}={text!r}: " in str(caught.value)


def test_all_wrong_variables_are_named_at_once() -> None:
    wrong = {"HEADRACE_PORT": "no", "HEADRACE_BATCH_SIZE": "-3", "HEADRACE_MODEL_SEED": "x"}
    with pytest.raises(ConfigError) as caught:
        load({**wrong, "HEADRACE_NUM_REPLICAS": "2"})
    assert all(f"{name}={text!r}" in str(caught.value) for name, text in wrong.items())
    assert "NUM_REPLICAS" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_setting_of_few_names_says_which_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"HEADRACE_RANKER_SIZE": "huge", "HEADRACE_FUSION": "cold"})
    said = str(caught.value)
    assert "HEADRACE_RANKER_SIZE='huge': expected nano, base, large" in said
    assert "HEADRACE_FUSION='cold': expected concat, mean, " in said and "\n" not in said


def test_settings_cannot_be_changed_or_misspelt() -> None:
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.http.port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Settings(prot=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="HEADRACE_PROT: .*did you mean HEADRACE_PORT"):
        config.settings(prot=1)


def test_the_environment_gives_another_process_the_same_settings(tmp_path: Path) -> None:
    settings = config.settings(
        namespace="other",
        home=str(tmp_path),
        redis_url="redis://:secret@cache:6380/3",
        kafka_bootstrap="a:1,b:2",
        click_window_s=0.1,
        publish_every_s=1e-3,
        model_registry="s3://bucket/models",
        model_seed=-7,
        port=8123,
    )
    assert load(environment(settings)) == settings
    assert load(environment(load(environment(Settings())))) == load(environment(Settings()))


def test_the_home_is_absolute_for_other_processes() -> None:
    settings = Settings(home="some/where")
    given = environment(settings)["HEADRACE_HOME"]
    assert given == str(Path.cwd() / "some/where")
    assert Settings(home="~/x").home_path == Path.home() / "x"
    assert config.catalogue_path(settings) == Path(given) / "catalogue"


def test_the_model_registry_is_under_home_unless_it_is_given(tmp_path: Path) -> None:
    at_home = Settings(home=str(tmp_path))
    assert at_home.model_registry_uri == (tmp_path / "models").as_uri()
    assert Settings(model_registry="s3://b/m").model_registry_uri == "s3://b/m"


def test_export_puts_the_settings_into_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(namespace="exported", home="/srv/headrace")
    for name in environment(settings):
        monkeypatch.setenv(name, "before")
    config.export(settings)
    assert load() == settings


def test_a_variable_of_a_former_name_is_refused_with_its_name_now() -> None:
    with pytest.raises(ConfigError, match="HEADRACE_TOKEN_TABLES is called HEADRACE_VECTOR_TABLES"):
        load({"HEADRACE_TOKEN_TABLES": "text_e5/1"})
    assert load({"HEADRACE_TOKEN_TABLES": ""}).training.vector_tables == ()
