"""The merge patch that turns one status into another (RFC 7396)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archivmail.kube.statuswriter import merge_patch

LEAVES = st.one_of(st.integers(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
DOCUMENTS = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), LEAVES, max_size=4),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), st.one_of(LEAVES, inner), max_size=4),
    max_leaves=8,
)


def apply(target: Any, patch: Any) -> Any:
    """RFC 7396 §2, word by word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result


@given(before=DOCUMENTS, after=DOCUMENTS)
def test_the_patch_leads_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever was there before: nothing old stays."""
    assert after == apply(before, merge_patch(before, after))


@given(document=DOCUMENTS)
def test_nothing_changed_is_no_patch(document: dict[str, Any]) -> None:
    """So that nothing is written."""
    assert {} == merge_patch(document, document)


def test_a_field_that_went_is_null_and_what_stayed_is_not_sent() -> None:
    """Conditions are replaced as a whole."""
    before = {"lastResult": "Failed", "consecutiveFailures": 2, "conditions": [{"type": "Ready"}, {"type": "Stalled"}]}
    after = {"consecutiveFailures": 2, "conditions": [{"type": "Ready"}]}

    assert {"lastResult": None, "conditions": [{"type": "Ready"}]} == merge_patch(before, after)
