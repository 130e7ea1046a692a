"""Checking and fixing. Knows what users ask; the checks and fixes themselves know what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from tunekit.data import arguments
from tunekit.data.findings import SEVERITIES, Finding, Rows, Severity
from tunekit.data.loading import Found
from tunekit.data.methods.base import Examples
from tunekit.data.wording import brief, counted
from tunekit.errors import SpecError
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.advice.cost import CostEstimate
    from tunekit.data.advice.hints import Hints
    from tunekit.data.checks.base import Check, CheckContext
    from tunekit.data.checks.report import CheckReport
    from tunekit.data.detectors import LanguageOf
    from tunekit.data.fixes.report import FixReport
    from tunekit.data.patterns.sensitive import Finder
    from tunekit.data.tokens import TokenCounter

Targets = str | Sequence[str] | None
Against = Iterable[Example] | Mapping[str, Iterable[Example]] | None


class Means(TypedDict, total=False):
    """Tools that checks and fixes use in place of their own, where they are given.

    Attributes:
        counter: Counts tokens, where the target's own tokenizer is not at hand.
        find_personal_data: Finds more personal data than the built-in patterns, as `tunekit.data.detectors.presidio()`.
        language_of: Tells languages, and not scripts only, as `tunekit.data.detectors.langid()`.
    """

    counter: TokenCounter | None
    find_personal_data: Finder | None
    language_of: LanguageOf | None


class Checking(Examples):
    """What is wrong with the examples, and how to mend it."""

    __slots__ = ()

    def check(
        self,
        target: Targets = None,
        against: Against = None,
        *,
        checks: Sequence[type[Check]] = (),
        at_least: Severity = "info",
        **means: Unpack[Means],
    ) -> CheckReport:
        """Look at every row and say everything that is wrong, or worth knowing, at once.

        One pass at constant memory but for what is found; nothing is changed.

        Args:
            target: Where the data are to train: a profile (`"openai"`, `"foundry"`, `"together"`, ...), a target string
                such as `"openai:gpt-4.1-mini-2025-04-14"`, or several of them. Their rules are checked beside the
                rules of good data.
            against: Examples that must not occur in these: a test set, or several by name.
            checks: Checks of your own that run after the built-in ones.
            at_least: The least severe findings to look for. With `"error"` the slowest checks need not run: whether
                a file may go to training is known in half the time.
            **means: Finer tools than the built-in ones; see `Means`.

        Raises:
            SpecError: A target is not known.
            DataError: A stream's rows cannot be read.

        Examples:
            >>> import tunekit as tk
            >>> rows = [{"prompt": "a", "completion": "yes"}, {"prompt": "a", "completion": "yes"}]
            >>> tk.Dataset.from_records(rows).check()["duplicate-rows"].fix.name
            'drop-duplicates'
        """
        from tunekit.data.checks import catalogue, run
        from tunekit.data.checks.report import CheckReport

        own = arguments.sequence("checks", checks, of="subclasses of Check")
        context = _context(target, against, **means)
        least = arguments.one_of("at_least", at_least, SEVERITIES)
        running = run.able((*catalogue.builtin(), *map(_check_class, own)), least)
        count, summary, findings = run.run(self, running, context)
        found = self._found
        return CheckReport(
            name=found.name or "dataset",
            rows=count,
            findings=run.ordered(
                finding
                for finding in (*_of_reading(found), *findings)
                if run.is_severe(finding.severity, least)
            ),
            targets=tuple(profile.target for profile in context.profiles),
            source=found.notes.facts,
            summary=summary,
        )

    def fix(
        self, *names: str, target: Targets = None, against: Against = None, **means: Unpack[Means]
    ) -> Self:
        """The same rows, mended. Row ids stay, and the original is never touched, so undoing is using the original.

        Without names, every lossless fix that has something to do: those change no meaning and drop nothing that could
        be learned. With names, those and no others; `"lossless"` among them stands for every lossless one. What was
        done is in `fixes`.

        Args:
            *names: Fixes to apply, as `check` proposes them.
            target: As for `check`.
            against: As for `check`.
            **means: As for `check`.

        Raises:
            SpecError: There is no such fix, or a target is not known.

        Examples:
            >>> import tunekit as tk
            >>> rows = [{"prompt": "a", "completion": "yes"}, {"prompt": "a", "completion": "yes"}]
            >>> len(tk.Dataset.from_records(rows).fix("drop-duplicates"))
            1
        """
        return self._fixed(names, _context(target, against, **means))

    def dedupe(self, alike: Literal["exact", "normalised", "near"] = "exact") -> Self:
        """The examples without those that repeat an earlier one, input and answer: a fix under a shorter name.

        Args:
            alike: What counts as a repetition: the same to the letter, the same but for case, white space and
                punctuation, or nearly the same.

        Raises:
            SpecError: `alike` is something else.
        """
        names = {
            "exact": "drop-duplicates",
            "normalised": "drop-normalised-duplicates",
            "near": "drop-near-duplicates",
        }
        return self.fix(names[arguments.one_of("alike", alike, names)])

    def preview_fix(
        self, *names: str, target: Targets = None, against: Against = None, **means: Unpack[Means]
    ) -> FixReport:
        """What `fix` would do, row by row, without doing it. Takes the same arguments."""
        from tunekit.data.fixes.run import FixedRows

        rows = FixedRows(self, names, _context(target, against, **means))
        for _ in rows:
            pass  # the report grows as rows go by
        return rows.report

    def hints(self, target: str | None = None) -> Hints:
        """What kind of task this looks like and why, with a method, hyperparameters and a spec to start from.

        The training part of a split is not told to be split again.

        Args:
            target: As for `check`.

        Raises:
            SpecError: The target is not known.
        """
        from tunekit.data.advice import hints

        return hints.infer(self, _context(target, None), is_train=self._found.is_train)

    def estimate_cost(
        self,
        target: str,
        *,
        epochs: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        usd_per_million_tokens: float | None = None,
        tokens_per_second: float | None = None,
        counter: TokenCounter | None = None,
    ) -> CostEstimate:
        """What training once on these rows would come to: tokens, epochs, steps, money and time.

        Nothing is asked of any service. What has no basis (no published price, no measured speed) is None, with a note.

        Args:
            target: Where to train, as for `check`.
            epochs: Passes over the rows; what the target does unless told.
            batch_size: Rows per step; what the target does unless told.
            usd_per_million_tokens: Your price, where it is not the published one.
            tokens_per_second: Your measured speed.
            counter: Counts tokens, where the target's own tokenizer is not at hand.

        Raises:
            SpecError: The target is not known, or a number is wrong.

        Examples:
            >>> import tunekit as tk
            >>> rows = [{"prompt": "2+2", "completion": "4"}] * 200
            >>> tk.Dataset.from_records(rows).estimate_cost("openai:gpt-4.1-mini-2025-04-14").epochs
            3.0
        """
        from tunekit.data.advice import cost

        return cost.estimate(
            self,
            target,
            epochs=epochs,
            batch_size=batch_size,
            usd_per_million_tokens=usd_per_million_tokens,
            tokens_per_second=tokens_per_second,
            counter=counter,
        )


def _context(target: Targets, against: Against, **means: Unpack[Means]) -> CheckContext:
    from tunekit.data.checks.base import CheckContext
    from tunekit.data.profiles import profile_of

    profiles = tuple(profile_of(name) for name in _target_names(target))
    is_text = any(profile.prompt_format == "text" for profile in profiles)
    return CheckContext(
        profiles=profiles,
        prompt_format="text" if is_text else "chat",
        against=_named(against),
        **_checked(**means),
    )


def _target_names(target: Targets) -> tuple[str, ...]:
    if target is None:
        return ()
    return (target,) if isinstance(target, str) else arguments.sequence("target", target, of="targets")


def _named(against: Against) -> tuple[tuple[str, Iterable[Example]], ...]:
    if against is None:
        return ()
    if not isinstance(against, Mapping):
        return (("the other set", arguments.OnlyExamples("against", against)),)
    named = arguments.mapping("against", against, such_as="{'test': test}")
    return tuple((name, arguments.OnlyExamples(f"against[{name!r}]", rows)) for name, rows in named.items())


def _checked(**means: Unpack[Means]) -> Means:
    from tunekit.data.tokens import checked_counter

    checked_counter(means.get("counter"))
    for name, tool in (
        ("find_personal_data", means.get("find_personal_data")),
        ("language_of", means.get("language_of")),
    ):
        if tool is not None:
            arguments.function(name, tool, of="a text")
    return means


def _check_class(given: Any) -> type[Check]:
    from tunekit.data.checks.base import Check

    if not isinstance(given, type) or not issubclass(given, Check):
        raise SpecError(
            f"checks has {brief(given)}", hint="pass subclasses of Check, and not instances of them"
        )
    return given


def _of_reading(found: Found) -> Iterable[Finding]:
    yield from found.notes.findings
    if found.skipped:
        rows = Rows()
        for skipped in found.skipped:
            rows.add(skipped.id, evidence=skipped.reason)
        yield Finding(
            code="skipped-rows",
            severity="warning",
            message=f"left out {counted(len(rows), 'row')} that could not be used",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
        )
