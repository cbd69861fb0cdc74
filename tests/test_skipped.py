"""Skipped messages: counted by kind, the first named, the rest said once a minute."""

from __future__ import annotations

from headrace.skipped import MAX_KINDS, SAY_EVERY_MS, Skipped, SkippedKind, merged


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def test_the_first_of_each_kind_is_named_and_the_rest_said_once_a_minute() -> None:
    said: list[str] = []
    clock = Clock()
    skipped = Skipped(clock, said.append)
    for number in range(1_000):
        skipped.add("samples", "no samples", f"partition 0 offset {number}: junk")
    skipped.add("models", "no manifest", "partition 0 offset 3: junk")
    assert len(said) == 2
    assert said[0].startswith("skipped samples: no samples: partition 0 offset 0: junk")
    assert said[1].startswith("skipped models: no manifest: partition 0 offset 3")
    clock.now_ms = SAY_EVERY_MS
    for number in range(1_000, 1_500):
        skipped.add("samples", "no samples", f"partition 0 offset {number}: junk")
    assert len(said) == 3 and said[2].startswith("skipped 1,000 more, samples: no samples")
    assert skipped.counts() == {("samples", "no samples"): 1_500, ("models", "no manifest"): 1}


def test_the_report_counts_each_kind_and_names_its_first() -> None:
    one, other = Skipped(), Skipped()
    one.add("samples", "no samples", "partition 0 offset 4: junk", num=3)
    other.add("samples", "no samples", "partition 1 offset 9: junk")
    first = "partition 0 offset 4: junk"
    assert one.report() == (SkippedKind("samples", "no samples", 3, first),)
    (both,) = merged([one.report(), other.report()])
    assert (both.count, both.first) == (4, "partition 0 offset 4: junk")


def test_neither_kinds_nor_what_is_said_grow_without_bounds() -> None:
    skipped = Skipped(say=lambda line: None)
    for number in range(10 * MAX_KINDS):
        skipped.add("samples", f"reason {number}", "x" * 100_000)
    assert len(skipped.report()) <= MAX_KINDS + 2 and skipped.total() == 10 * MAX_KINDS
    assert max(len(kind.first) for kind in skipped.report()) < 700
