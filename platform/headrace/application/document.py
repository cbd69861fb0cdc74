"""The application file, headrace.yaml, and features.yaml beside it: found and parsed."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from headrace.errors import ConfigError

FILE: Final = "headrace.yaml"
FEATURES_FILE: Final = "features.yaml"  # beside it


class _Loader(yaml.SafeLoader):
    """A loader that refuses a key which is there twice: YAML keeps the last and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for (key_node, _), key in zip(node.value, keys, strict=True):
            if keys.count(key) > 1:
                problem = f"the key {key!r} is there {keys.count(key)} times"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        return super().construct_mapping(node, deep)


def path_of(given: str | Path) -> Path:
    """The absolute path of the application file that is named; a folder stands for the
    headrace.yaml in it."""
    path = Path(given).expanduser().absolute()
    return path / FILE if path.is_dir() else path


def read(path: Path) -> dict[str, Any]:
    """The sections of a file by name; raises `ConfigError` where it is none."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; expected an application file: `headrace init FOLDER` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: got {shown(document)}, expected sections by name")
    return document


def shown(value: object) -> str:
    """A value of a file as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
