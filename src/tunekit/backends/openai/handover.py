"""The data of a submission on their way to the host. Knows that a large upload takes longer than anybody waits.

Core gives up a submission after `submit_timeout_s` and tries again. An upload goes on meanwhile, and the next attempt
joins it; so a file of gigabytes arrives, however short that time is.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from tunekit.backends.base import SubmitRequest
from tunekit.backends.openai import datafiles, translate
from tunekit.backends.openai.files import Files
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.ownership import Submission
from tunekit.backends.openai.remote import RemoteJob
from tunekit.data.wording import listed
from tunekit.errors import BackendError, DeadlineError, NotFoundError

_Task = asyncio.Task[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Brings data to a host.

    Attributes:
        host: Whose files.
        files: Where they go.
        backend: Name of the backend, for messages.
    """

    host: Host
    files: Files
    backend: str
    _going: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Task]] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    async def ids(self, request: SubmitRequest) -> tuple[str, str]:
        """Ids of the files with the training and the validation data; "" for none.

        Cancelling it leaves the upload under way, for the next call with the same key.

        Raises:
            BackendError: They could not be uploaded; never ambiguous, for there is no job yet.
            DataError: A row cannot be written in the host's shape.
            PreflightError: A file is larger than the host takes.
        """
        going = self._going.setdefault(asyncio.get_running_loop(), {})
        key = request.idempotency_key
        if key not in going:
            going[key] = task = asyncio.create_task(self._uploaded(request))
            task.add_done_callback(lambda done: self._forget(going, key, done))
        return await asyncio.shield(going[key])

    async def jobs_with(self, key: str, jobs: Sequence[RemoteJob]) -> list[RemoteJob]:
        """Of jobs, those whose training file bears the key in its name, or that are tagged with it all the same.

        Raises:
            BackendError: There are none, and nothing proves of some job that it is another's.
        """
        # Only now, behind the jobs: the file of a job is there before the job is.
        submission = Submission.among(await self.files.listed(), key)
        if found := [job for job in jobs if submission.has_made(job)]:
            return found
        if unclear := [job for job in jobs if submission.may_have_made(job)]:
            raise self._unclear(unclear)
        return []

    def _unclear(self, jobs: Sequence[RemoteJob]) -> BackendError:
        return BackendError(
            f"{self.host.title} lists {listed([job.id for job in jobs])}, and neither a tag nor a file shows whose"
            f" {'it is' if len(jobs) == 1 else 'they are'}",
            hint="look there whether one of them is this submission's before you send it again",
            backend=self.backend,
            retryable=True,
        )

    async def unneeded(self, job: RemoteJob, jobs: Sequence[RemoteJob]) -> list[str]:
        """Of a job's data files, those that we uploaded and that none of these jobs needs that still goes on."""
        needed = {
            file_id
            for other in jobs
            if not translate.state_of(other).is_terminal
            for file_id in (other.training_file, other.validation_file)
        }
        found = []
        for file_id in sorted({job.training_file, job.validation_file} - needed - {""}):
            with suppress(NotFoundError):
                if (await self.files.of(file_id)).filename.startswith(datafiles.PREFIX):
                    found.append(file_id)
        return found

    async def aclose(self) -> None:
        """End the uploads of this event loop that nobody waits for any more."""
        tasks = list(self._going.get(asyncio.get_running_loop(), {}).values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, going: dict[str, _Task], key: str, done: _Task) -> None:
        del going[key]
        if not done.cancelled():
            done.exception()  # whoever still waits gets it; else nobody asked for it

    async def _uploaded(self, request: SubmitRequest) -> tuple[str, str]:
        with tempfile.TemporaryDirectory(prefix="tunekit-") as directory:
            written = await asyncio.to_thread(self._written, request, Path(directory))
            try:
                ids = [await self.files.ensure(file) for file in written]
            except (BackendError, DeadlineError) as error:
                raise BackendError(
                    f"the data could not be uploaded, so no job was made: {error.message}",
                    hint=error.hint,
                    backend=self.backend,
                    retryable=error.retryable,
                    details=error.details,
                ) from error
        return ids[0], ids[1] if len(ids) > 1 else ""

    def _written(self, request: SubmitRequest, directory: Path) -> list[datafiles.DataFile]:
        tag = datafiles.tag_of(request.idempotency_key) if self.host.finds_by == "file" else ""
        data = [
            (request.train, tag),
            *(((request.validation, ""),) if request.validation is not None else ()),
        ]
        model = translate.base_of(request)
        return [
            datafiles.written(rows, directory, self.host, model=model, backend=self.backend, tag=its_tag)
            for rows, its_tag in data
        ]
