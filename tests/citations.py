"""Which test cites which trap of the list of IMAP traps: `trap 37`, `traps 71 to 76`, or an id `trap-73-blank-line`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
_CITED = re.compile(r"\btraps?[ -](\d+(?:(?:(?:, | and |, and | to )(?:trap )?)\d+)*)(?!\d)", re.IGNORECASE)
_PART = re.compile(r"(\d+)(?: to (\d+))?")


def traps_in(text: str) -> set[int]:
    """The numbers that a text cites."""
    found: set[int] = set()
    for cited in _CITED.finditer(text):
        for low, high in _PART.findall(cited[1]):
            found |= set(range(int(low), int(high or low) + 1))
    return found


@cache
def citing_tests(folder: Path = TESTS) -> dict[str, set[int]]:
    """`tests/imap/test_x.py::test_y` or `…::Class::test_y` with the traps that the test cites itself.

    It cites them in its docstring, in a comment, or in the ids of its parameters, also where they stand in a table.
    """
    cited: dict[str, set[int]] = {}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        source = text.splitlines()
        name = path.relative_to(folder.parent).as_posix()
        module = ast.parse(text)
        tables = _tables(module, source)
        for node in module.body:
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    _add(cited, f"{name}::{node.name}", each, source, tables)
            else:
                _add(cited, name, node, source, tables)
    return cited


def _tables(module: ast.Module, source: list[str]) -> dict[str, str]:
    """The text of each assignment at the top of a module."""
    return {
        target.id: _text(source, node)
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(source: list[str], node: ast.stmt | ast.expr) -> str:
    """The lines of a node; `ast.get_source_segment` would take them apart anew each time."""
    return "\n".join(source[node.lineno - 1 : node.end_lineno])


def _add(cited: dict[str, set[int]], where: str, node: ast.AST, source: list[str], tables: dict[str, str]) -> None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
        return
    texts = [_text(source, node)]
    for decorator in node.decorator_list:
        texts.append(_text(source, decorator))
        texts += [tables[each.id] for each in ast.walk(decorator) if isinstance(each, ast.Name) and each.id in tables]
    cited[f"{where}::{node.name}"] = set().union(*map(traps_in, texts))
