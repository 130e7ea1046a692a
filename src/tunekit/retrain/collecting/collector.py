"""`Collector`: what product code calls where the model answers, and what makes training data of it. Knows all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunekit._clock import Clock, SystemClock
from tunekit._settings import Settings
from tunekit.data.arguments import finite, text, whole
from tunekit.data.dataset import Dataset
from tunekit.data.patterns.sensitive import Finder
from tunekit.errors import SpecError, StorageError, TunekitError
from tunekit.inference import Turns
from tunekit.retrain.collecting import datasets
from tunekit.retrain.collecting.files import AppendFiles
from tunekit.retrain.collecting.joining import Answered, Counts, Window, counted, joined, turns
from tunekit.retrain.collecting.pseudonyms import has_key, key_of, pseudonym
from tunekit.retrain.collecting.records import Feedback, Row, Thumb, Turn, line, new_id
from tunekit.retrain.collecting.sweeping import Swept, swept
from tunekit.retrain.collecting.taking import Answer, Taking, is_sampled
from tunekit.retrain.registry.records import checked_name

_log = logging.getLogger(__name__)
_TELL_EVERY_S = 60.0
_DAY_S = 86_400.0


class Collector:
    """Keeps what a product's model was asked and answered, and what became of it; next week's training data.

    What `record` and `feedback` have returned for is with the operating system: it outlives a SIGKILL of the process.
    Secrets and personal data are masked before that, with the detectors of `Dataset.check`. May be used from several
    threads, from coroutines, and by any number of processes at once.

    Neither call raises unless `strict`: a full disk must not take the product down. What could not be kept is counted
    in `lost`, logged once a minute at most, and told to `on_lost`.

    Args:
        name: What is collected, such as `"support-bot"`; also a directory's name.
        directory: Where it is kept; None takes `collected/<name>` in the home directory.
        settings: Knobs of the host, for that directory; None reads the environment.
        sample: Share of the turns that are kept, from 0 to 1. Feedback on others is not kept either.
        redact: False writes everything as it is: for data that you may keep so.
        find_personal_data: Finds more than our patterns do, such as `tunekit.data.detectors.presidio()`. It runs in
            the call, and takes the time that it takes.
        max_chars: Longest turn, all its texts together: masking takes about 0.03 ms for 1,000 characters.
        max_bytes: Size of a file from which on the next is begun.
        survives_power_loss: Whether each call waits for the disk, which takes milliseconds. Without it the last seconds
            may be gone after a power cut.
        strict: Raise what could not be kept. For tests and scripts.
        on_lost: Called with the error of each turn or feedback that was not kept.

    Attributes:
        name: As given.
        directory: Where the files are.
        lost: How many calls could not keep what they were given, since this object was made.

    Raises:
        SpecError: An argument is wrong.
        RefError: The name is none.

    Examples:
        >>> import tempfile
        >>> collector = Collector("support-bot", directory=tempfile.mkdtemp())
        >>> turn = collector.record("Where is my parcel? I am ann@acme.org", "We do not know.", user="u-17")
        >>> collector.feedback(turn, thumb="down", correction="On its way: you have mail at ann@acme.org.")
        True
        >>> row = collector.sft()[0]
        >>> row.prompt, row.completion
        ('Where is my parcel? I am [EMAIL_1]', 'On its way: you have mail at [EMAIL_1].')
        >>> collector.forget("u-17").turns
        1
    """

    def __init__(
        self,
        name: str,
        *,
        directory: str | Path | None = None,
        settings: Settings | None = None,
        sample: float = 1.0,
        redact: bool = True,
        find_personal_data: Finder | None = None,
        max_chars: int = 100_000,
        max_bytes: int = 64 << 20,
        survives_power_loss: bool = False,
        strict: bool = False,
        on_lost: Callable[[Exception], None] | None = None,
    ) -> None:
        self.name = checked_name(name, "what is collected")
        whole("max_chars", max_chars, least=1)
        whole("max_bytes", max_bytes, least=1)
        if not 0.0 <= finite("sample", sample) <= 1.0:
            raise SpecError(f"sample={sample!r} is no share", hint="give a number from 0 to 1")
        self.directory = (settings or Settings()).collected / name if directory is None else Path(directory)
        self.lost = 0
        self._sample = sample
        self._taking = Taking(redact=redact, find_personal_data=find_personal_data, max_chars=max_chars)
        self._strict, self._on_lost = strict, on_lost
        self._clock: Clock = SystemClock()
        self._files = AppendFiles(
            self.directory, max_bytes=max_bytes, survives_power_loss=survives_power_loss
        )
        self._key = b""
        self._told_at, self._told = -_TELL_EVERY_S, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- where the product answers ------------------------------------------------------------------------

    def record(
        self,
        prompt: str | Turns,
        answer: Answer,
        *,
        model: str = "",
        user: str | None = None,
        tools: Iterable[Mapping[str, Any]] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Keep a question and the model's answer.

        Args:
            prompt: As for `tunekit.generate`.
            answer: What it said.
            model: What answered: a `ModelRef`, or `"support-bot@7"`. It is not masked.
            user: Who asked, for `forget`. Only a pseudonym is kept.
            tools: Tools that the model might have called, in OpenAI's shape. They are not masked.
            meta: What else is known, as JSON can hold it. `model`, `user` and `recorded_at` are taken.

        Returns:
            The turn's id, for `feedback`; None where it was not kept: not sampled, or lost.
        """
        turn = new_id()
        if not is_sampled(turn, self._sample):
            return None

        def made() -> Turn:
            name, now = self._pseudonym(user), self._clock.now()
            return self._taking.turn(
                turn, prompt, answer, model=model, user=name, tools=tools, meta=meta, at=now
            )

        return turn if self._kept(made) else None

    def feedback(
        self,
        turn: str | None,
        *,
        thumb: Thumb | None = None,
        correction: Answer | None = None,
        outcome: Mapping[str, Any] | None = None,
        comment: str | None = None,
    ) -> bool:
        """Keep what became known of a turn, at any time and in any process. Of each of the four, the last word counts.

        Args:
            turn: What `record` returned; None does nothing.
            thumb: `"up"` or `"down"`.
            correction: What should have been answered.
            outcome: What came of it, such as `{"refund": 12, "solved": True}`: what graders compare answers with.
            comment: What somebody wrote.

        Returns:
            Whether it was kept.
        """
        if turn is None:
            return False

        def made() -> Feedback:
            return self._taking.feedback(
                turn,
                thumb=thumb,
                correction=correction,
                outcome=outcome,
                comment=comment,
                at=self._clock.now(),
            )

        return self._kept(made)

    def close(self) -> None:
        """Seal this process's file. The next `record` begins another."""
        self._files.close()

    # --- what was learned --------------------------------------------------------------------------------

    def sft(
        self,
        *,
        thumbs_up: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
    ) -> Dataset:
        """Questions with what should have been answered.

        Args:
            thumbs_up: Also answers that somebody liked and nobody corrected.
            since: Only turns of which something became known then or later.
            until: Without what became known then or later.
            model: Only what this model answered.

        Raises:
            SpecError: A time is none, or has no time zone.
            StorageError: The files cannot be read, or a newer tunekit wrote them.
        """
        answered = self._answered(since, until, model)
        return Dataset(datasets.corrected(self.name, answered, thumbs_up=thumbs_up))

    def preferences(
        self, *, since: datetime | None = None, until: datetime | None = None, model: str | None = None
    ) -> Dataset:
        """Pairs for DPO: a correction and the answer; of answers to one question, a liked and a disliked one.

        Takes and raises what `sft` does.
        """
        return Dataset(datasets.preferred(self.name, self._answered(since, until, model)))

    def unpaired(
        self, *, since: datetime | None = None, until: datetime | None = None, model: str | None = None
    ) -> Dataset:
        """Answers with a thumb, for KTO. Takes and raises what `sft` does."""
        return Dataset(datasets.judged(self.name, self._answered(since, until, model)))

    def references(
        self, *, since: datetime | None = None, until: datetime | None = None, model: str | None = None
    ) -> Dataset:
        """Questions with their outcomes as references, for RFT and its graders. Takes and raises what `sft` does."""
        return Dataset(datasets.referenced(self.name, self._answered(since, until, model)))

    def counts(self) -> Counts:
        """What there is, by reading all of it.

        Raises:
            StorageError: The files cannot be read, or a newer tunekit wrote them.
        """
        return counted(self.directory)

    # --- what must go ------------------------------------------------------------------------------------

    def forget(self, user: str) -> Swept:
        """Take all turns of a user, and the feedback on them, out of the files. Other processes go on meanwhile.

        What was recorded before the call is gone when it returns, but for files that a process does not give up, which
        `busy` counts; free blocks of the disk are not overwritten. Datasets made before, and models, know it still.

        Raises:
            SpecError: The user is none.
            DeadlineError: Another process takes rows out at this moment.
            StorageError: The disk said no: call it again, what is gone is gone. Or the key of the users is gone.
        """
        text("user", user, such_as="u-17")
        if not has_key(self.directory) and any(turn.user for turn in turns(self.directory)):
            raise StorageError(
                f"the key by which users are found is gone from {str(self.directory)!r}, so nobody can be forgotten",
                hint="restore users.key from a backup, or remove everything with sweep(keep_days=0)",
            )
        name = pseudonym(key_of(self.directory), user)
        return swept(self.directory, lambda turn: turn.user == name, now=self._clock.now())

    def sweep(self, *, keep_days: float) -> Swept:
        """Take out turns that are older, with the feedback on them, and feedback whose turn is gone. Call it daily.

        Args:
            keep_days: How old a turn may be.

        Raises:
            SpecError: That is no number of days.
            DeadlineError: Another process takes rows out at this moment.
            StorageError: The disk said no. Call it again: what is gone is gone.
        """
        if finite("keep_days", keep_days) < 0:
            raise SpecError(f"keep_days={keep_days!r} is less than none", hint="give 0 or more")
        now = self._clock.now()
        return swept(self.directory, lambda turn: turn.at < now - keep_days * _DAY_S, now=now)

    # --- inside ------------------------------------------------------------------------------------------

    def _pseudonym(self, user: str | None) -> str:
        if user is None:
            return ""
        self._key = self._key or key_of(self.directory)
        return pseudonym(self._key, str(user))

    def _kept(self, made: Callable[[], Row]) -> bool:
        try:
            self._files.write(line(made()))
        except Exception as error:  # whatever it is, the product has an answer to give
            if self._strict:
                raise
            self._lose(error)
            return False
        return True

    def _lose(self, error: Exception) -> None:
        self.lost += 1
        now = self._clock.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            # Messages of foreign exceptions may hold what was said.
            why = str(error) if isinstance(error, TunekitError) else type(error).__name__
            _log.warning(
                "%s: %d not kept since the last such line: %s", self.name, self.lost - self._told, why
            )
            self._told_at, self._told = now, self.lost
        if self._on_lost is not None:
            try:
                self._on_lost(error)
            except Exception:
                _log.exception("%s: on_lost raised", self.name)

    def _answered(
        self, since: datetime | None, until: datetime | None, model: str | None
    ) -> Sequence[Answered]:
        window = Window(since=_seconds("since", since), until=_seconds("until", until), model=model)
        found = joined(self.directory, window)
        if found.spoilt:
            _log.warning(
                "%s: %d lines cannot be read, the first is %s", self.name, len(found.spoilt), found.spoilt[0]
            )
        return found.answered


def _seconds(name: str, moment: Any) -> float | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise SpecError(
            f"{name}={moment!r} is no moment with a time zone",
            hint=f"for example {name}=datetime(2026, 11, 1, tzinfo=UTC)",
        )
    return moment.astimezone(UTC).timestamp()
