"""The section `accumulators` of features.yaml: states of entities, and their views, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.application.declared import NUMBER, WORD
from headrace.application.document import shown
from headrace.application.reading import keys_of, unknown
from headrace.application.sections import Application
from headrace.features.aggregation.crosses import Attribute, ContextNumber
from headrace.features.aggregation.facts import AMOUNT, SHOWN, SURFACE, VALUE
from headrace.features.definitions.kinds import ACCUMULATORS, COUNTING, Kind

DEFAULT_MEASURES: Final = ("shown", "click")


@dataclass(frozen=True, slots=True)
class Measured:
    """The measures of facts, where these are the actions."""

    every: tuple[str, ...]
    counted: tuple[str, ...]  # of the last outcomes
    words: tuple[str, ...]  # by which there may be sums

    @classmethod
    def of(cls, application: Application) -> Measured:
        """The measures of facts about outcomes of an application's actions."""
        names = [row.name for row in application.actions]
        featured = [row.name for row in application.actions if row.features]
        words = [field.name for field in application.context if field.kind == WORD]
        return cls((SHOWN, *names, VALUE, AMOUNT), (SHOWN, *featured), (SURFACE, *words))


@dataclass(frozen=True, slots=True)
class Kept:
    """One accumulator or view that has a name."""

    kind: str
    view: Any
    measures: tuple[str, ...]  # whose sums it reads, if it reads sums


def read_kept(
    section: Mapping[str, Any], application: Application, problems: list[str]
) -> dict[str, Kept | None]:
    """The accumulators and views of a section by name, None where one is wrong; the numbers that
    the application declares are views too."""
    found: dict[str, Kept | None] = {**dict.fromkeys(section), **_declared(application)}
    views, measured = {}, Measured.of(application)
    for name, keys in section.items():
        path = f"accumulators.{name}"
        kind = kind_of(keys, "kind", ACCUMULATORS, path, problems)
        if kind and ACCUMULATORS[kind].reads:
            views[name] = kind
        elif kind:
            found[name] = _made(kind, keys, path, (None, measured), problems)
    for name, kind in views.items():
        keys, path = section[name], f"accumulators.{name}"
        of = named(keys.get("of"), ACCUMULATORS[kind], found, f"{path}.of", problems)
        found[name] = _made(kind, keys, path, (of, measured), problems) if of else None
    return found


def _declared(application: Application) -> dict[str, Kept]:
    """The numbers that an application declares, by the names that rows call them."""
    context = [field for field in application.context if field.kind == NUMBER]
    told = {f"context.{one.name}": Kept("context", ContextNumber(one.name), ()) for one in context}
    for one in application.attributes:
        told[f"attribute.{one.name}"] = Kept("attribute", Attribute(one.name), ())
    return told


def kind_of(
    keys: object, key: str, kinds: Mapping[str, Kind], path: str, problems: list[str]
) -> str:
    """The kind that the keys name; empty where it is none."""
    if not isinstance(keys, dict):
        problems.append(f"{path}: got {shown(keys)}, expected the keys {key}, ...")
        return ""
    kind = keys.get(key)
    if isinstance(kind, str) and kind in kinds:
        return kind
    problems.append(f"{path}.{key}: got {shown(kind)}, expected one of {', '.join(kinds)}")
    return ""


def named(
    name: object, kind: Kind, kept: Mapping[str, Kept | None], path: str, problems: list[str]
) -> Kept | None:
    """The accumulator or view of this name, which must be of a kind that `kind` reads."""
    if not isinstance(name, str) or name not in kept:
        known = [one for one, there in kept.items() if there and there.kind in kind.reads]
        expected = f"expected one of {', '.join(known)}" if known else "there is none"
        problems.append(f"{path}: got {shown(name)}, {expected} (accumulators of {_list(kind)})")
        return None
    found = kept[name]
    if found and found.kind not in kind.reads:
        problems.append(f"{path}: got {name}, of the kind {found.kind}, expected {_list(kind)}")
        return None
    return found


def arguments_of(
    kind: Kind, keys: Mapping[str, Any], path: str, problems: list[str], others: Sequence[str]
) -> dict[str, Any] | None:
    """The arguments that the keys give to an object of a kind; None where something is wrong.
    `others` are keys that are read elsewhere."""
    before = len(problems)
    own = {key: value for key, value in keys.items() if key not in others}
    known = {**kind.keys, **dict.fromkeys(others)}
    problems += [unknown(key, known, path) for key in own if key not in kind.keys]
    given = {key: value for key, value in own.items() if key in kind.keys}
    found = keys_of(kind.keys, given, path, problems)
    problems += [f"{path}.{key}: missing" for key in kind.needs if given.get(key) is None]
    return None if len(problems) > before else found


def wrong_measures(
    names: Sequence[str], known: Sequence[str], path: str, problems: list[str]
) -> bool:
    """Whether some of these are no measures here; adds each."""
    wrong = [name for name in names if name not in known]
    problems += [f"{path}: got {name}, expected some of {', '.join(known)}" for name in wrong]
    return bool(wrong)


def _made(
    kind: str,
    keys: Mapping[str, Any],
    path: str,
    about: tuple[Kept | None, Measured],
    problems: list[str],
) -> Kept | None:
    (of, measured), word = about, ACCUMULATORS[kind]
    found = arguments_of(word, keys, path, problems, ("kind", "of") if of else ("kind",))
    if found is None:
        return None
    measures = DEFAULT_MEASURES if of is None else of.measures
    if "measures" in found:
        told = found["measures"]
        measures = measured.counted if told == "counted" else tuple(dict.fromkeys(told))
        found["measures"] = measures
        if wrong_measures(measures, measured.every, f"{path}.measures", problems):
            return None
    if "measure" in found:
        known = measures if of else measured.every
        if wrong_measures([found["measure"]], known, f"{path}.measure", problems):
            return None
    if "field" in found:
        if wrong_measures([found["field"]], measured.words, f"{path}.field", problems):
            return None
    if of:
        if found.get("num", 0) > getattr(of.view, "length", found.get("num", 0)):
            problems.append(f"{path}.num: got {found['num']}, expected at most {of.view.length}")
            return None
        found["of"] = of.view
    measures = measured.counted if kind in COUNTING else measures
    return Kept(kind, word.make(**found), measures)


def _list(kind: Kind) -> str:
    return " or ".join(kind.reads)
