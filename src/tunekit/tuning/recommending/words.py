"""A recommendation in words: the table, the verdict, the reasons. Knows numbers; not how they were found."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.data.wording import counted
from tunekit.evaluation.report import interval
from tunekit.evaluation.report.numbers import number
from tunekit.tuning.recommending.results import TECHNIQUES, Option, Recommendation
from tunekit.tuning.tables import aligned, usd

WHAT = {
    "zero-shot": "ask the model as it is",
    "few-shot": "ask the model as it is, with examples in the prompt",
    "zero-shot, embedded": "take the class whose name is nearest by the model's embeddings",
    "few-shot, embedded": "take the class whose examples are nearest by the model's embeddings",
    "probe": "train a probe",
    "adapter": "train an adapter",
    "full": "train every weight",
}


def render(found: Recommendation) -> str:
    """Verdict first, then each technique, the reasons, and what to do next."""
    lines = [f"{found.method}: {found.verdict}", "", *aligned(list(_rows(found))), ""]
    lines += [f"- {reason}" for reason in found.reasons]
    if found.next_steps:
        lines += ["next:", *(f"- {step}" for step in found.next_steps)]
    return "\n".join([*lines, *(f"warning: {text}" for text in found.warnings)])


def what(technique: str, *, embeds: bool) -> str:
    """What a technique has one do."""
    return WHAT.get(f"{technique}, embedded", WHAT[technique]) if embeds else WHAT[technique]


def shown(option: Option, *, is_share: bool) -> str:
    """Its quality: as measured with the interval, or as estimated and called so."""
    if option.quality is not None:
        return interval(option.quality, percent=is_share)
    if option.estimate is not None:
        return f"about {number(option.estimate.low, percent=True)} to {number(option.estimate.high, percent=True)}"
    return "-"


def points(value: float, *, is_share: bool) -> str:
    """A difference of shares in points; of anything else as it is."""
    return f"{100 * value:.1f} points" if is_share else f"{value:.4g}"


def _rows(found: Recommendation) -> Iterator[tuple[str, ...]]:
    yield ("", found.metric, "1,000 calls", "training", "how it is known")
    for technique in TECHNIQUES:
        option = found[technique]
        name = f"{technique} *" if technique == found.method else technique
        how = option.basis if not option.why else f"{option.basis}: {option.why}"
        yield (name, shown(option, is_share=found.is_share), _calls(option), _training(option), how)
    if found.majority is not None:
        always = number(found.majority, percent=found.is_share)
        yield ("majority", always, "-", "-", "measured: always the commonest class")


def _calls(option: Option) -> str:
    seconds = option.seconds_per_1000_calls
    parts = [usd(option.usd_per_1000_calls)] if option.usd_per_1000_calls is not None else []
    parts += [duration(seconds)] if seconds is not None else []
    return ", ".join(parts) or "-"


def _training(option: Option) -> str:
    if option.technique in TECHNIQUES[:2]:
        return "none"
    about = "about " if option.is_training_estimated else ""
    parts = [usd(option.training_usd)] if option.training_usd is not None else []
    parts += [duration(option.training_seconds)] if option.training_seconds is not None else []
    return f"{about}{', '.join(parts)}" if parts else "not known"


def duration(seconds: float) -> str:
    """A time for a person.

    Examples:
        >>> duration(0.25), duration(75), duration(7200)
        ('0.2 s', '75 s', '2 hours')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return counted(round(seconds / size), name)
    return f"{seconds:.0f} s"
