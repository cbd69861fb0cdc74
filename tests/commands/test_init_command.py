"""`headrace init`: the file that it writes, what it says and asks, and what it never overwrites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import invented_shops as shops
import pytest
import yaml

from headrace import cli
from headrace.commands.init import ask
from headrace.datasets.draft.draft import drafted

Capture = pytest.CaptureFixture[str]


def test_it_writes_a_commented_file_and_says_each_guess(tmp_path: Path, capsys: Capture) -> None:
    shops.ratings(tmp_path)
    assert cli.main(["init", str(tmp_path)]) == 0
    text = (tmp_path / "headrace.yaml").read_text()
    assert "  user_id: userId  # by its name: " in text and len(text.splitlines()) < 25
    said = capsys.readouterr().out
    assert "events.user_id: userId  (by its name: " in said
    assert "items.title: title  (by its name: Film 0 (1990), " in said
    assert said.endswith(f"next: headrace check --data {tmp_path}\n")


def test_it_never_overwrites_without_force(tmp_path: Path, capsys: Capture) -> None:
    shops.ratings(tmp_path)
    path = tmp_path / "headrace.yaml"
    path.write_text("heads: [click]\n")
    assert cli.main(["init", str(tmp_path)]) == 2
    assert path.read_text() == "heads: [click]\n"
    assert f"{path} is there: edit it, or give --force" in capsys.readouterr().err
    assert cli.main(["init", str(tmp_path), "--force"]) == 0
    assert yaml.safe_load(path.read_text())["events"]["file"] == "ratings.csv"


def test_what_is_not_known_is_marked_and_listed_with_exit_code_2(
    tmp_path: Path, capsys: Capture
) -> None:
    shops.unnamed(tmp_path)
    assert cli.main(["init", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "headrace init: events.user_id: which column says who it was?"
    assert len(said) == 5 and said[-1].startswith("headrace init: fill in the lines with # ? in ")
    assert (tmp_path / "headrace.yaml").read_text().count("# ? ") == 4
    answers = ["events.user_id=a", "events.item_id=b", "events.action=click"]
    flags = [f"--set={one}" for one in (*answers, "events.time.pattern=%d/%m/%Y")]
    assert cli.main(["init", str(tmp_path), "--force", *flags]) == 0
    assert "# ? " not in (tmp_path / "headrace.yaml").read_text()


def test_on_a_terminal_it_asks_and_takes_numbers_and_words(tmp_path: Path) -> None:
    shops.unnamed(tmp_path)
    draft = drafted(tmp_path, {})
    answers = iter(["1", "b", "", "purchase"])
    ask(draft, lambda _: next(answers))
    assert [path for path, _ in draft.open()] == ["events.time.pattern"]
    events = draft.sections["events"]
    assert isinstance(events, dict)
    assert (events["user_id"].value, events["item_id"].value) == ("a", "b")
    assert events["action"].value == {"always": "purchase"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["none"], "none: there is no such folder"),
        ([".", "--set=user_id"], "--set user_id: expected PATH=VALUE"),
        (["."], ".: no file that may hold rows"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    arguments: list[str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"headrace init: {problem}") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("shop", "said", "events"),
    [
        (shops.views_and_purchases, (), 60),
        (shops.order_lines, ("events.money.currency=GBP",), 60),
        (shops.transactions_and_articles, ("events.money.currency=SEK",), 60),
        (shops.lines_of_orders_apart, ("events.money.currency=BRL",), 60),
        (shops.ratings, (), 60),
        (shops.german_orders, (), 60),
        (shops.impressions, (), 20),
    ],
)
def test_what_it_writes_can_be_checked_at_once(
    tmp_path: Path, shop: shops.Shop, said: tuple[str, ...], events: int
) -> None:
    shop(tmp_path)
    for command in (
        ["init", str(tmp_path), *(f"--set={one}" for one in said)],
        ["check", f"--data={tmp_path}"],
    ):
        words = [sys.executable, "-m", "headrace", *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{events} events: ")
    assert "bad rows" not in done.stdout


def test_the_key_of_a_file_is_the_item_whatever_it_is_called(tmp_path: Path) -> None:
    things = [f"T{n},Tool {n}" for n in range(9)]
    (tmp_path / "tools.csv").write_text("\n".join(["tool,name", *things]) + "\n")
    rows = [f"2026-09-01 08:00:{n:02},m{n % 5},T{n % 9},{n % 2},{n % 3 // 2}" for n in range(60)]
    header = "when,member,tool,opened,rent"
    (tmp_path / "visits.csv").write_text("\n".join([header, *rows]) + "\n")
    draft = drafted(tmp_path, {"events.file": "visits.csv", "items.file": "tools.csv"})
    assert draft.open() == []
    events, items = draft.sections["events"], draft.sections["items"]
    assert isinstance(events, dict) and isinstance(items, dict)
    assert (events["user_id"].value, events["item_id"].value) == ("member", "tool")
    assert (items["item_id"].value, items["title"].value) == ("tool", "name")
    assert any("not used: rent of visits.csv, yes or no" in note for note in draft.notes)


def test_a_file_of_items_without_a_key_is_asked_about(tmp_path: Path) -> None:
    shops.ratings(tmp_path)
    (tmp_path / "stock.csv").write_text("a,b\n1,1\n1,2\n2,2\n")
    draft = drafted(tmp_path, {"items.file": "stock.csv"})
    assert [path for path, _ in draft.open()] == ["items.item_id"]
