"""What was asked before is not asked again. Knows when an answer may stand for another; not how one is got or scored.

Answers of a model whose weights are fixed are kept for good. Those of any other are kept until the evaluation that
asked for them has ended: one that was killed goes on where it was, and the next one asks anew. Failures are never
kept. A cache that does not work costs what it would have saved, and is told as a warning.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from tunekit._clock import SystemClock
from tunekit.backends.base import Backend
from tunekit.errors import StorageError, TunekitError
from tunekit.evaluation.running.answer_cache import AnswerCache
from tunekit.evaluation.running.answer_codec import Remembered, Request, decoded, encoded, keys_of
from tunekit.evaluation.running.answer_journal import AnswerJournal, Row, left_behind
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

logger = logging.getLogger(__name__)

T = TypeVar("T")
UNFINISHED_FOR_S = 24 * 3600.0
"""How long an evaluation that was cut off can go on where it was, of a model that may change."""


class Keeping:
    """What is kept in one evaluation, of the model under test and of judges.

    Args:
        cache: Where; None keeps nothing. Answers of evaluations that were cut off wait beside it.
        trusts_names: Whether a model's name is believed to stand for the same weights for ever.
    """

    def __init__(self, cache: AnswerCache | None, *, trusts_names: bool = False) -> None:
        self._cache, self._opened, self._trusts_names = cache, cache, trusts_names
        self._models: dict[tuple[int, ModelRef], KeptModel] = {}
        self._directory = cache.path.parent / "answers" if cache else Path()
        self._journal = AnswerJournal(self._directory)
        self._trouble: list[str] = []
        self._brought_in = False
        # Not the loop's own threads, which a slow disk would take from the host.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tunekit-answers")

    async def of(self, backend: Backend, model: ModelRef) -> KeptModel:
        """What is kept of one model. Raises what its backend says of a model that it does not have."""
        key = (id(backend), model)
        if key not in self._models:
            # Others may ask meanwhile; the first to have it is the one for all.
            version = await backend.version(model.id)
            for_good = version.fixed or self._trusts_names
            kind = "version" if version.fixed else "name" if for_good else "unfinished"
            who = (kind, backend.name, backend.place, version.name)
            lifetime_s = None if for_good else UNFINISHED_FOR_S
            self._models.setdefault(key, KeptModel(self, backend, str(model), who, lifetime_s=lifetime_s))
        return self._models[key]

    @contextmanager
    def for_judges(self) -> Iterator[None]:
        """Judges that are asked in here have their replies kept, too."""
        token = _judging.set(self)
        try:
            yield
        finally:
            _judging.reset(token)

    async def ended(self) -> None:
        """The evaluation has its results: what was kept only until then is not needed any more."""
        passing = [key for model in self._models.values() for key in model.passing]

        def work(cache: AnswerCache) -> None:
            cache.keep(row for row in self._journal.rows() if row.lifetime_s is None)
            self._journal.remove()
            if passing:
                cache.forget(passing)
            if removed := cache.trim():
                logger.info("%d of the oldest answers in %s made room for new ones", removed, cache.path)
            cache.close()  # so that nothing happens to the file after the evaluation has returned

        await self._tried(work)

    def warnings(self) -> tuple[str, ...]:
        """What to know of answers that were not asked for now, or could not be kept."""
        said = [model.warning for model in self._models.values() if model.warning]
        return (*said, *self._trouble)

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, Remembered]:
        """What is known by these keys."""
        return await self._tried(lambda cache: self._read(cache, keys)) or {}

    def write(self, rows: Sequence[Row]) -> None:
        """Write answers down."""
        if self._cache is not None:
            try:
                self._journal.write(rows)
            except StorageError as error:
                self._broken(error)

    def close(self) -> None:
        """Keep nothing more. What was written waits for the next evaluation."""
        self._journal.close()
        if self._opened is not None:
            self._thread.submit(
                self._opened.close
            )  # there, for the last to close a file may wait for the disk
        self._thread.shutdown(wait=False)

    def _read(self, cache: AnswerCache, keys: Sequence[bytes]) -> dict[bytes, Remembered]:
        """What can be read; what cannot is asked again."""
        if not self._brought_in:
            self._brought_in = True
            for journal in left_behind(self._directory):
                with journal:
                    cache.keep(journal.rows())
                    journal.remove()
        found = ((key, decoded(row.body, row.kept_at)) for key, row in cache.find(keys).items())
        return {key: remembered for key, remembered in found if remembered is not None}

    async def _tried(self, work: Callable[[AnswerCache], T]) -> T | None:
        """What the work comes to; None without a cache, or once it has failed."""
        if self._cache is None:
            return None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._cache)
        except OSError as error:  # of tunekit's own, `StorageError` and `DeadlineError` are two
            self._broken(error)
            return None

    def _broken(self, error: OSError) -> None:
        self._cache = None  # what fails once would be waited for at every question
        why = error.message if isinstance(error, TunekitError) else str(error)
        said = f"answers are not kept, so that another evaluation pays for them again: {why}"
        logger.warning("%s", said)
        self._trouble.append(said)


class KeptModel:
    """What is kept of one model's answers.

    Attributes:
        passing: Keys of answers that were found, and are of use only until the evaluation has ended.
    """

    def __init__(
        self, keeping: Keeping, backend: Backend, name: str, who: Sequence[str], *, lifetime_s: float | None
    ) -> None:
        self._keeping, self._name, self._who, self._lifetime_s = keeping, name, tuple(who), lifetime_s
        self._backend = backend  # held, so that no other takes its place in memory
        self._reused, self._oldest = 0, 0.0
        self.passing: list[bytes] = []

    async def known(
        self, requests: Sequence[Request], sampling: Sampling | None
    ) -> tuple[list[bytes], dict[bytes, Remembered]]:
        """By what each of these is kept, and the answers that were given before.

        Args:
            requests: What is asked.
            sampling: How answers are drawn; None where choices are weighed.
        """
        # A hundred thousand hashes take a second, which is not the loop's.
        keys = await asyncio.to_thread(keys_of, self._who, requests, sampling)
        found = await self._keeping.find(keys)
        if found:
            oldest = min(each.kept_at for each in found.values())
            self._oldest = min(self._oldest, oldest) if self._reused else oldest
            self._reused += len(found)
        if self._lifetime_s is not None:
            self.passing.extend(found)
        return keys, found

    def keep(self, keys: Sequence[bytes], answers: Sequence[object], *, asking_s: float) -> None:
        """Keep the answers among these; `asking_s` is what each took of the model's time, in seconds."""
        now = SystemClock().now()
        bodies = (encoded(answer, asking_s=asking_s) for answer in answers)
        rows = [
            Row(key, body, now, self._lifetime_s)
            for key, body in zip(keys, bodies, strict=True)
            if body is not None
        ]
        if rows:
            self._keeping.write(rows)

    @property
    def warning(self) -> str:
        """What to know of answers whose model may have changed since."""
        if self._lifetime_s is None or not self._reused:
            return ""
        hours = (SystemClock().now() - self._oldest) / 3600
        return (
            f"{self._reused} answers of {self._name} are those of an evaluation that was cut off, up to {hours:.1f} h"
            " ago; if other weights answer by this name since, evaluate again: these answers are used once"
        )


def kept_for_judges() -> Keeping | None:
    """Where replies of judges are kept in the evaluation that runs now; None outside of one."""
    return _judging.get()


_judging: ContextVar[Keeping | None] = ContextVar("tunekit_keeping", default=None)
