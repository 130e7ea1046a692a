"""What a call costs, and when training has paid for itself. Knows money, tokens and seconds; invents no price."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from tunekit._validation import Spec
from tunekit.data.wording import brief
from tunekit.errors import SpecError

Usd = Annotated[float, Field(ge=0.0)]


class CallPrice(Spec):
    """What calls of a model cost somewhere. What is not billed there is 0.

    Attributes:
        usd_per_million_input_tokens: Of the prompt.
        usd_per_million_output_tokens: Of the answer.
        usd_per_call: For every call.
        usd_per_hour: For the time that the calls of the evaluation took, where a machine is billed.
        as_of: Day on which it was known, as YYYY-MM-DD.
        source: Where it is written.

    Raises:
        SpecError: A price is negative or no number.

    Examples:
        >>> price = CallPrice(usd_per_million_input_tokens=2.5, usd_per_million_output_tokens=10)
        >>> price.usd(calls=1000, input_tokens=200_000, output_tokens=5_000, seconds=60.0)
        0.55
    """

    usd_per_million_input_tokens: Usd = 0.0
    usd_per_million_output_tokens: Usd = 0.0
    usd_per_call: Usd = 0.0
    usd_per_hour: Usd = 0.0
    as_of: str = ""
    source: str = ""

    @property
    def bills_tokens(self) -> bool:
        """Whether tokens must be known to say what a call costs."""
        return self.usd_per_million_input_tokens > 0.0 or self.usd_per_million_output_tokens > 0.0

    def usd(self, *, calls: int, input_tokens: float, output_tokens: float, seconds: float) -> float:
        """What so much comes to."""
        tokens = (
            input_tokens * self.usd_per_million_input_tokens
            + output_tokens * self.usd_per_million_output_tokens
        )
        return tokens / 1e6 + calls * self.usd_per_call + seconds / 3600 * self.usd_per_hour


def checked_usd(name: str, usd: object) -> float | None:
    """An amount, or None.

    Raises:
        SpecError: It is negative or no number.
    """
    if usd is None:
        return None
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0.0 <= usd < math.inf:
        raise SpecError(f"{name} is {brief(usd)}", hint="give US dollars, 0 or more, or leave it out")
    return float(usd)


def break_even_calls(once_usd: float, saved_usd_per_call: float) -> int | None:
    """Calls after which what was paid once is saved; None where a call saves nothing.

    Examples:
        >>> break_even_calls(25.0, 0.002)
        12500
    """
    if once_usd <= 0.0:
        return 0
    if saved_usd_per_call <= 0.0:
        return None
    # What the division leaves over may be its own rounding: 25 / 0.002 is a little more than 12,500.
    calls = once_usd / saved_usd_per_call
    return max(1, round(calls) if math.isclose(calls, round(calls), rel_tol=1e-12) else math.ceil(calls))
