"""Why this technique, how sure that is, and what to do next, in sentences. Knows numbers; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunekit.data.wording import counted, listed
from tunekit.evaluation.report import interval
from tunekit.evaluation.report.numbers import number
from tunekit.evaluation.stats import Interval
from tunekit.tuning.recommending.choosing import Choice
from tunekit.tuning.recommending.options import Sight, by_rows
from tunekit.tuning.recommending.results import TECHNIQUES, Option
from tunekit.tuning.recommending.words import points, shown, what

_SURE = {
    "settled": "nothing that takes more training can be better by more than noise",
    "likely": "something that takes more training may be better, but probably not by more than noise",
    "open": "what takes more training may well be better, and was not measured with these data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a choice rests on.

    Attributes:
        sight: What was found.
        options: Each technique.
        choice: What was chosen.
        majority: What always giving the commonest class scores; None where there are no classes.
        above_majority: By how much the best is better than that; None likewise.
    """

    sight: Sight
    options: Sequence[Option]
    choice: Choice
    majority: float | None
    above_majority: Interval | None

    def verdict(self) -> str:
        """The choice in a sentence."""
        option = self.choice.option
        if option is None:
            return "open: nothing could be measured here, so this is where to begin and no more"
        if not self._has_learned:
            return (
                "open: nothing that was measured is shown to be better than always giving the commonest class"
            )
        if self._is_perfect:
            return f"{self.choice.confidence}: {self._do(option)}; it scores {self._shown(option)}"
        said = "everything was measured" if not self.choice.rivals else _SURE[self.choice.confidence]
        return f"{self.choice.confidence}: {self._do(option)}; {said}"

    def reasons(self) -> Iterator[str]:
        """Why, in words and numbers."""
        option = self.choice.option
        if option is not None:
            yield from self._why(option)
        yield from self._on_majority()
        yield from self._on_rows()
        yield from self._on_the_small_run()
        yield from self._on_estimates()
        for other in self.options:
            if other.basis == "not possible":
                yield f"no {other.technique}: {other.why}"

    def next_steps(self) -> Iterator[str]:
        """What is open, and what to do."""
        names = [rival.technique for rival in self.choice.rivals]
        if self.choice.confidence == "open" and names:
            yield (
                f"measure {listed(names)}: recommend(..., measure={self._measured_and(names)!r}) finds what was"
                " measured again, and trains the rest"
            )
        gain = self._last_doubling()
        if gain is not None and gain[2].low > 0.0:
            yield f"label more rows: the last doubling gained {self._points(gain[2].estimate)}, and the next may again"
        if self.choice.option is not None and self.choice.option.technique in TECHNIQUES[2:]:
            yield "train it on all rows: FineTuneJob.submit(found.prepare(data), found.target, found.spec)"
        if self.choice.option is not None:
            yield "confirm it once on your own test, which this has not seen: Evaluator(test, sealed=True)"

    def _why(self, option: Option) -> Iterator[str]:
        items = self.sight.weighing.asking.task.dev
        part = f" ({option.why})" if option.why else ""
        yield f"{option.technique} scores {self._shown(option)} on {counted(len(items), 'dev item')}{part}"
        for other in self.options:
            if other is option or other.behind is None or option.behind is None:
                continue
            apart = other.behind.estimate - option.behind.estimate
            if other.behind.estimate == 0.0 and option.behind_se is not None:
                more, error = self._points(option.behind.estimate), self._points(option.behind_se)
                yield (
                    f"{other.technique} scores {more} more, {self._interval(option.behind)}, and takes more: that is"
                    f" within one standard error of the difference ({error}), or within the margin"
                )
            elif apart >= 0.0:
                less = f"{self._points(apart)} less" if apart else "as much"
                yield f"{other.technique} scores {less}: {self._interval(other.behind)} behind the best"
            # The interval is that of the difference to the best one, and of no other pair.
            pair = option.behind if other.behind.estimate == 0.0 else other.behind
            if 0.0 in (option.behind.estimate, other.behind.estimate) and pair.low <= 0.0:
                yield f"these items cannot tell {option.technique} from {other.technique}: that is inconclusive"

    def _on_majority(self) -> Iterator[str]:
        if self.majority is None or self.above_majority is None:
            return
        always = number(self.majority, percent=self.sight.is_share)
        said = "better" if self._has_learned else "not shown to be better"
        yield (
            f"always giving the commonest class scores {always}; the best measured is {said}:"
            f" {self._interval(self.above_majority)}"
        )

    def _on_rows(self) -> Iterator[str]:
        classes = self.sight.weighing.asking.task.classes
        if classes:
            fewest = min(classes.values())
            yield f"{counted(len(classes), 'class')} with {fewest:,} to {max(classes.values()):,} rows each"
        if (gain := self._last_doubling()) is not None:
            small, large, delta = gain
            yield f"from {small:,} to {large:,} rows the probe gains {self._interval(delta)}"

    def _on_the_small_run(self) -> Iterator[str]:
        for option in self.options:
            if option.technique not in TECHNIQUES[3:] or not option.is_measured:
                continue
            mine = self.sight.weighing.with_rows(option.technique, option.rows)
            peer = self.sight.weighing.with_rows("probe", option.rows)
            if mine is None or peer is None or mine.evaluation is None or peer.evaluation is None:
                continue
            delta, _ = self.sight.compared(peer.evaluation, mine.evaluation)
            yield f"with {option.rows:,} rows {option.technique} is {self._interval(delta)} beside a probe"

    def _on_estimates(self) -> Iterator[str]:
        guessed = [option for option in self.options if option.estimate is not None]
        if not guessed or (estimate := guessed[0].estimate) is None:
            return
        names = " and ".join(option.technique for option in guessed)
        ends = [number(value, percent=True) for value in (estimate.low, estimate.high, estimate.middle)]
        yield (
            f"{names} {'was' if len(guessed) == 1 else 'were'} not measured; {estimate.source}: here that would be"
            f" {ends[0]} to {ends[1]}, in the middle {ends[2]}"
        )

    def _last_doubling(self) -> tuple[int, int, Interval] | None:
        """Rows before and after, and what the probe gained."""
        runs = by_rows(self.sight.weighing.findings, "probe")
        if len(runs) < 2:
            return None
        before, after = runs[-2:]
        assert before.evaluation is not None and after.evaluation is not None
        return before.rows, after.rows, self.sight.compared(before.evaluation, after.evaluation)[0]

    def _measured_and(self, names: Sequence[str]) -> tuple[str, ...]:
        tried = {finding.technique for finding in self.sight.weighing.findings}
        return tuple(technique for technique in TECHNIQUES if technique in tried or technique in names)

    def _do(self, option: Option) -> str:
        return what(option.technique, embeds=self.sight.weighing.asking.embeds)

    def _shown(self, option: Option) -> str:
        return shown(option, is_share=self.sight.is_share)

    def _points(self, value: float) -> str:
        return points(value, is_share=self.sight.is_share)

    def _interval(self, value: Interval) -> str:
        return interval(value, signed=True, percent=self.sight.is_share)

    @property
    def _has_learned(self) -> bool:
        return self.above_majority is None or self.above_majority.low > 0.0

    @property
    def _is_perfect(self) -> bool:
        option = self.choice.option
        if option is None or option.quality is None or not self.sight.is_share:
            return False
        return option.quality.estimate >= 1.0
