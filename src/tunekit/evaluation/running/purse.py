"""What an evaluation may cost. Knows prices and what was answered; not who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tunekit._canonical import canonical_json
from tunekit._clock import Clock
from tunekit.backends.base import Generation, ScoreRequest
from tunekit.errors import BudgetError
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.running.answer_codec import Request, question
from tunekit.spec import Sampling

_TEMPLATE_TOKENS = 1_000  # what a host may put around a prompt, such as a system message of its own


@dataclass(slots=True, kw_only=True)
class Purse:
    """Money for one model's answers, which is never overspent: a call is made only if its worst case can be paid.

    The worst case of a call is a token for each byte of its prompt, and the longest answer. Once it is answered, what
    it took is paid instead, and where the backend does not count tokens, the worst case.

    Args:
        max_usd: What there is.
        price: What calls cost.
        clock: What time is measured by, where a machine is billed by the hour.
    """

    max_usd: float
    price: CallPrice
    clock: Clock
    _paid_usd: float = field(default=0.0, init=False)
    _held_usd: float = field(default=0.0, init=False)
    _began: float = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock.monotonic()

    @property
    def spent_usd(self) -> float:
        """What was paid until now."""
        return self._paid_usd + self.price.usd(
            calls=0, input_tokens=0, output_tokens=0, seconds=self._elapsed_s
        )

    async def hold(self, requests: Sequence[Request], sampling: Sampling | None) -> float:
        """Set aside what a call may cost, as soon as there is enough. Returns it, for `pay`.

        Raises:
            BudgetError: There will not be enough.
        """
        worst = sum(self._worst_usd(request, sampling) for request in requests)
        while self.spent_usd + self._held_usd + worst > self.max_usd:
            if self._held_usd <= 0.0:
                raise BudgetError(
                    f"the next call may cost ${worst:.4f}, and of ${self.max_usd:g} for this evaluation"
                    f" ${self.spent_usd:.4f} are spent",
                    hint="raise max_usd and evaluate again: answers that are kept are not paid for twice",
                )
            self._changed.clear()
            await self._changed.wait()
        self._held_usd += worst
        return worst

    def pay(self, held_usd: float, answers: Sequence[object]) -> None:
        """What a call came to, in place of what was set aside. A call that failed costs what it may have."""
        self._held_usd -= held_usd
        share = held_usd / max(1, len(answers))
        self._paid_usd += sum(self._usd(answer, share) for answer in answers) if answers else held_usd
        self._changed.set()

    @property
    def _elapsed_s(self) -> float:
        return self.clock.monotonic() - self._began

    def _usd(self, answer: object, worst: float) -> float:
        usage = answer.usage if isinstance(answer, Generation) else None
        if self.price.bills_tokens and (usage is None or not usage.input_tokens):
            return worst
        inputs, outputs = (usage.input_tokens, usage.output_tokens) if usage else (0, 0)
        return self.price.usd(calls=1, input_tokens=inputs, output_tokens=outputs, seconds=0.0)

    def _worst_usd(self, request: Request, sampling: Sampling | None) -> float:
        """No tokenizer makes more of a text than a token for each byte."""
        prompt = len(canonical_json(question(request))) + _TEMPLATE_TOKENS
        asked = len(request.choices) if isinstance(request, ScoreRequest) else 1
        longest = sampling.max_tokens if sampling else 0
        return self.price.usd(calls=1, input_tokens=prompt * asked, output_tokens=longest, seconds=0.0)
