"""From what was measured and estimated to the choice, and how sure it is. Pure: knows numbers; measures nothing.

The choice is made among what was measured: the technique with the least training that is not behind the best one by
more than one standard error of the difference, or by more than the margin (Breiman et al. 1984, section 3.4.3). A
probe need not lead by more than noise: it trains in seconds, and no call is cheaper. What was only estimated never is
the choice; it says how open the question is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.tuning.recommending.results import TECHNIQUES, Confidence, Option

FEW_ITEMS = 100
"""With fewer, differences of several points do not show, and nothing is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        option: The technique; None where nothing was measured.
        confidence: How sure it is.
        rivals: What may be better and was not measured on all rows, likeliest first.
    """

    option: Option | None
    confidence: Confidence
    rivals: tuple[Option, ...] = ()


def choose(
    options: Sequence[Option], *, n_train: int, margin: float, beats_majority: bool, ceiling: float | None
) -> Choice:
    """The technique to use.

    Args:
        options: Each technique; differences are to the best measured one, above 0 where that is better.
        n_train: Rows that a technique is trained on in the end.
        margin: Largest difference that does not matter.
        beats_majority: Whether the best one is shown to be better than always giving the commonest answer; True where
            there are no classes.
        ceiling: The best score that there is; None where there is none.
    """
    measured = [option for option in options if option.is_measured]
    if not measured:
        return Choice(option=None, confidence="open", rivals=_rivals(options, None, n_train))
    chosen = _simplest([option for option in measured if _is_near(option, margin)], margin)
    rivals = _rivals(options, chosen, n_train)
    enough = chosen.quality is not None and chosen.quality.n >= FEW_ITEMS
    if chosen.quality and ceiling is not None and chosen.quality.estimate >= ceiling and beats_majority:
        return Choice(option=chosen, confidence="settled" if enough else "likely", rivals=rivals)
    # What every weight adds to a measured adapter is a small question: it leaves the choice likely, and not open.
    apart = "full" if any(option.technique == "adapter" for option in measured) else ""
    asked = [rival for rival in rivals if rival.technique != apart]
    if not beats_majority or any(_is_open(rival, chosen, margin) for rival in asked):
        return Choice(option=chosen, confidence="open", rivals=rivals)
    is_told = not chosen.behind_se or (chosen.behind is not None and chosen.behind.high <= margin)
    settled = enough and is_told and all(_is_out(rival, chosen, margin) for rival in rivals)
    return Choice(option=chosen, confidence="settled" if settled else "likely", rivals=rivals)


def noise(option: Option, margin: float) -> float:
    """A difference that small is none: a standard error of this technique's score, or the margin."""
    return max(margin, _standard_error(option))


def _simplest(near: Sequence[Option], margin: float) -> Option:
    """Of what is as good as the best, the one with the least training; or the probe, where that leads the simpler."""
    first = min(near, key=lambda option: TECHNIQUES.index(option.technique))
    simpler = [option for option in near if option.technique in TECHNIQUES[:2]]
    probe = next((option for option in near if option.technique == "probe"), None)
    if probe is None or any(_behind(option) <= _behind(probe) + margin for option in simpler):
        return first
    return probe


def _behind(option: Option) -> float:
    return option.behind.estimate if option.behind else 0.0


def _is_near(option: Option, margin: float) -> bool:
    return _behind(option) <= max(margin, option.behind_se or 0.0)


def _rivals(options: Sequence[Option], chosen: Option | None, n_train: int) -> tuple[Option, ...]:
    """What takes more training than the choice, and was not measured with all rows."""
    place = TECHNIQUES.index(chosen.technique) if chosen else -1
    return tuple(
        option
        for option in options
        if option is not chosen
        and option.basis != "not possible"
        and (TECHNIQUES.index(option.technique) > place or not option.is_measured)
        and not (option.is_measured and option.rows >= n_train)
    )


def _is_open(rival: Option, chosen: Option, margin: float) -> bool:
    """Whether a rival may well be better."""
    if rival.is_measured:  # with fewer rows than it would have
        return rival.behind is not None and rival.behind.low <= 0.0
    if rival.estimate is None or chosen.quality is None:
        return True
    return rival.estimate.middle - chosen.quality.estimate > noise(chosen, margin)


def _is_out(rival: Option, chosen: Option, margin: float) -> bool:
    """Whether a rival cannot be better by more than noise."""
    if rival.estimate is None or chosen.quality is None:
        return False
    return rival.estimate.high - chosen.quality.estimate <= noise(chosen, margin)


def _standard_error(option: Option) -> float:
    if option.quality is None:
        return 0.0
    # Half of a 95 % interval is 1.96 standard errors.
    return (option.quality.high - option.quality.low) / (2 * 1.96)
