"""YAML as kubectl reads it: plain data, bounded, without surprises.

Not the whole of YAML 1.1: times stay text, as they do in JSON, and a key that stands twice is an error instead of the
silent loss of the first. Errors name the line and never quote the text, which may be a password.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from archivmail.kube.refusals import shown
from archivmail.model.errors import SpecInvalid

MAX_NODES: Final = 500_000  # values of one document with its aliases followed; ten thousand accounts have about as many
MAX_DEPTH: Final = 64
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick where libyaml is there
_TOO_LARGE: Final = "{name}: a document is too large or nested too deeply; split it into several"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_MERGE: Final = "tag:yaml.org,2002:merge"


def documents(name: str, text: str) -> Iterator[Any]:
    """The documents of a stream one after the other; None for an empty one. Raises SpecInvalid."""
    try:
        _check_depth(name, text)
        stream = _Documents(text)
        while stream.check_data():
            document = stream.get_data()
            _check_size(name, document)
            yield document
    except _RepeatedKey as error:
        raise SpecInvalid(
            f"{name}, line {error.line}: the key {shown(error.key)} stands twice in one group; keep one of them"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SpecInvalid(
            f"{name}{where}: this is no YAML; check the indentation, and put values with special characters in quotes"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError):
        # The latter four: PyYAML stumbles over explicit tags with other values, such as `!!bool perhaps`.
        raise SpecInvalid(f"{name}: this is no YAML that a manifest could be; look for stray characters") from None


class _RepeatedKey(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key = key
        self.line = line


class _Documents(_Loader):  # type: ignore[misc]  # one of two classes, chosen when the module is loaded
    """A loader of plain data."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the kind are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        for key in keys:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in seen:
                raise _RepeatedKey(key.value, key.start_mark.line + 1)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """Of a key that was merged in and is there itself, keep one: merges of merges would double at each step."""
        super().flatten_mapping(node)
        kept = {
            (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key): (key, value)
            for key, value in node.value
        }
        node.value = list(kept.values())


def _check_depth(name: str, text: str) -> None:
    """Look at the brackets alone first: libyaml's composer recurses in C and dies of a hundred thousand of them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise SpecInvalid(_TOO_LARGE.format(name=name))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(name: str, document: Any) -> None:
    """Aliases make a small text a huge document, or an endless one."""
    left = MAX_NODES
    waiting = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise SpecInvalid(_TOO_LARGE.format(name=name))
        if isinstance(value, dict):
            waiting.extend((part, depth + 1) for part in value.values())
        elif isinstance(value, list):
            waiting.extend((part, depth + 1) for part in value)
