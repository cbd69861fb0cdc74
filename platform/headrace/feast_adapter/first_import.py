"""A patch of the first import of Feast; importing this package applies it.

With it a process has Feast after 2.5 s of CPU instead of 10. Feast lets typeguard rewrite each
method of its definitions to check at run time what it is given, and each time typeguard parses the
method's whole module: ours are checked by mypy. It imports torch, which only its tensors need.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TypeVar

import kafka as _before_its_warnings  # noqa: F401  or feast turns kafka's on
import prometheus_client as _before_its_metrics  # noqa: F401  or feast.metrics redirects it
import typeguard

Definition = TypeVar("Definition")


def _unchecked(definition: Definition) -> Definition:
    return definition


torch_on_demand = ModuleType("feast.torch_wrapper")
torch_on_demand.get_torch = partial(import_module, "torch")  # type: ignore[attr-defined]

typeguard.typechecked = _unchecked  # type: ignore[assignment]
sys.modules.setdefault("feast.torch_wrapper", torch_on_demand)
