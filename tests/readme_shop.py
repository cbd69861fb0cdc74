"""A small shop of one's own: the log and catalogue that README's examples can be run on."""

from __future__ import annotations

import random
from pathlib import Path

MAPPING = """\
events: {file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
users: {file: users.csv, user_id: u, attributes: [group]}
items: {file: items.csv, item_id: i, title: name, categories: {column: kind, separator: "|"}}
"""
OWN = """\
actions:
  click: {}
  wish: {}
  rent: {after: click, value: money}
  bored: {wish: false, predicted: false, hides: 30d}
ranking: {click: 1, rent: 5}
surfaces: [shelf, counter]
events:
  file: events.csv
  user_id: u
  item_id: i
  time: {column: t, unit: s}
  clicked: c
  outcomes: {wish: wish, rent: rent}
  money: {column: fee, currency: EUR}
  surface: place
"""
USERS = ("196", "7", *(str(number) for number in range(1_000, 1_020)))
ITEMS = ("288", "313", "50", *(str(number) for number in range(2_000, 2_037)))
START_S = 1_714_600_000  # 1 May 2024


def write_lending_shop(folder: Path, num_events: int, seed: int = 0) -> Path:
    """The same, with actions, heads, weights and surfaces of its own."""
    write_shop(folder, num_events, seed)
    header, *rows = (folder / "events.csv").read_text().splitlines()
    draw, lines = random.Random(seed), [f"{header},wish,rent,fee,place"]
    for row in rows:
        rents = int(row.endswith("1") and draw.random() < 0.5)
        place, fee = draw.choice(["shelf", "counter"]), "12.50" if rents else ""
        lines.append(f"{row},{draw.randint(0, 1)},{rents},{fee},{place}")
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    _, of_users_and_items = MAPPING.split("\n", 1)
    (folder / "headrace.yaml").write_text(OWN + of_users_and_items)
    return folder


def write_shop(folder: Path, num_events: int, seed: int = 0) -> Path:
    """A folder with a log of this many impressions, one every ten seconds; the folder."""
    folder.mkdir()
    draw = random.Random(seed)
    rows = [
        f"{draw.choice(USERS)},{draw.choice(ITEMS)},{START_S + 10 * number},{draw.randint(0, 1)}"
        for number in range(num_events)
    ]
    items = [f"{item_id},Thing {item_id},{'Sci-Fi' if n % 2 else 'Drama'}"
             for n, item_id in enumerate(ITEMS)]  # fmt: skip
    users = [f"{user_id},{'a' if n % 2 else 'b'}" for n, user_id in enumerate(USERS)]
    (folder / "headrace.yaml").write_text(MAPPING)
    (folder / "events.csv").write_text("\n".join(["u,i,t,c", *rows]) + "\n")
    (folder / "items.csv").write_text("\n".join(["i,name,kind", *items]) + "\n")
    (folder / "users.csv").write_text("\n".join(["u,group", *users]) + "\n")
    return folder
