"""Canonical JSON and fingerprints. Knows how to give equal things equal bytes; not what the things mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: the same bytes for equal values, on every machine.

    Raises:
        ValueError: The value holds NaN or an infinity, which have no JSON form.
        TypeError: The value holds something that JSON cannot express.

    Examples:
        >>> canonical_json({"b": 1, "a": "é"}).decode()
        '{"a":"é","b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # A lone surrogate is legal in a Python string and has no UTF-8 form; keep it distinct, not fatal.
    return text.encode("utf-8", "surrogatepass")


def plain_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON can hold them. What it cannot hold becomes text, so that a failure can always be written down.

    Examples:
        >>> plain_facts({"step": 3, "state": {"of": (1, 2)}, "cause": ValueError("x")})
        {'step': 3, 'state': {'of': [1, 2]}, 'cause': 'x'}
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(facts), default=str, skipkeys=True))
    except (TypeError, ValueError, RecursionError):
        return {"details": repr(facts)[:1000]}
    return plain


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def fingerprint_rows(rows: Iterable[Any]) -> str:
    """SHA-256 over a sequence of rows in order, without holding them all in memory."""
    digest = hashlib.sha256()
    for row in rows:
        encoded = canonical_json(row)
        # The length prefix keeps ["ab", "c"] apart from ["a", "bc"].
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
