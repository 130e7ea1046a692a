"""Tokens: counting and estimating them, limits of targets, and the spelling of control tokens."""

from __future__ import annotations

from tunekit.data.tokens.counters import TextCounter as TextCounter
from tunekit.data.tokens.counters import TokenCounter as TokenCounter
from tunekit.data.tokens.counters import checked_counter as checked_counter
from tunekit.data.tokens.counters import counter_for as counter_for
