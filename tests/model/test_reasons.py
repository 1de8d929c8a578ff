"""One enum of reasons for conditions, Events and metrics: no other word is ever one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from archivmail.decide.conditions import Claim
from archivmail.model.errors import ArchivmailError
from archivmail.model.folder import LedgerEntry
from archivmail.model.notices import Notice
from archivmail.model.outcome import Failure, QuarantinedUid
from archivmail.model.reasons import Reason
from archivmail.model.status import Condition

SOURCE = Path(__file__).parents[2] / "operator" / "archivmail"
CARRIERS = (ArchivmailError, Claim, Condition, Failure, LedgerEntry, Notice, QuarantinedUid)
MADE_OF_REASONS = {each.__name__ for each in CARRIERS} - {"ArchivmailError"}
MODULES = sorted(SOURCE.rglob("*.py"))


def test_reasons_are_words_that_kubernetes_takes() -> None:
    """metav1.Condition and core/v1 Event: CamelCase, at most 128 characters, each once."""
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]{1,127}", each) for each in Reason)
    assert len(set(Reason)) == len(Reason.__members__)


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda each: each.__name__)
def test_what_carries_a_reason_carries_one_of_the_enum(carrier: type) -> None:
    """mypy holds every caller to it."""
    assert get_type_hints(carrier)["reason"] is Reason


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_reason_is_a_literal(module: Path) -> None:
    """Neither as a `reason`, nor where a reason is compared, nor as the first of what makes a Failure or a Notice."""
    assert [] == list(literals(ast.parse(module.read_text())))


def literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            yield from _texts(node.value)
        if isinstance(node, ast.Call) and _name(node.func) in MADE_OF_REASONS:
            yield from (text for each in node.args for text in _texts(each) if text in set(Reason))
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (text for key, value in pairs if "reason" in _texts(key) for text in _texts(value))
        if isinstance(node, ast.Compare) and "reason" in {_name(each) for each in (node.left, *node.comparators)}:
            sides = (node.left, *node.comparators)
            yield from (text for each in sides for text in _texts(each) if text in set(Reason))


def test_the_search_for_literals_finds_them() -> None:
    """It would hold nothing otherwise."""
    code = 'Failure("TimedOut", "text")\nf(reason="X")\n{"reason": "Y"}\nfailure.reason == "Resumed"\nReason.SUSPENDED'

    assert ["Resumed", "TimedOut", "X", "Y"] == sorted(literals(ast.parse(code)))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr | None) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
