"""Leave out rows that a target would cut. Knows the fix; the counting is `tunekit.data.tokens.limits`."""

from __future__ import annotations

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes.base import Fix
from tunekit.data.tokens.limits import counters, longest_over
from tunekit.examples import Example


class DropOverContext(Fix):
    """Leaves out rows that are longer than some target trains on."""

    name = "drop-over-context"
    safety = "lossy"
    says = "Leaves out rows that are longer than the target trains on, whose answers would be cut."

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._counters = counters(context)

    def apply(self, example: Example) -> Example | None:
        """The row, or None where a target would cut it."""
        for counter, profiles in self._counters:
            if any(longest_over(example, profile, counter) for profile in profiles):
                return None
        return example
