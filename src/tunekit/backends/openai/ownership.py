"""Which jobs of an account a submission has made, and which it certainly has not. Pure; knows tags, names and ages.

A job that was not seen to be ours may be ours all the same: its tag was dropped, its file is gone or bears another name
here. Only what was seen proves that it is another's, for on the strength of that the submission is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit.backends.openai import datafiles, translate
from tunekit.backends.openai.remote import RemoteFile, RemoteJob

OLDER_BY_S = 3600.0
"""A job that is older than its submission's own file by more than clocks differ is another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What an account shows of one submission.

    Attributes:
        key: Its idempotency key.
        files: All files for training that are listed, by their ids.
        own: Those of them that bear the key in their names.
    """

    key: str
    files: Mapping[str, RemoteFile]
    own: Mapping[str, RemoteFile]

    @classmethod
    def among(cls, files: Sequence[RemoteFile], key: str) -> Submission:
        """The submission with a key, as far as the account's files show it."""
        own = {file.id: file for file in files if datafiles.bears(file.filename, key)}
        return cls(key=key, files={file.id: file for file in files}, own=own)

    def has_made(self, job: RemoteJob) -> bool:
        """Whether a job is tagged with the key, or was trained on a file that bears it."""
        return _tag(job) == self.key or job.training_file in self.own

    def may_have_made(self, job: RemoteJob) -> bool:
        """Whether nothing that is shown of a job proves that it is another's."""
        if tag := _tag(job):
            return tag == self.key
        file = self.files.get(job.training_file)
        return not (self._is_younger_than(job) or (file is not None and self._has_not_uploaded(file)))

    def _is_younger_than(self, job: RemoteJob) -> bool:
        """Whether the job was there well before the file that its submission uploads first."""
        uploaded_at = min((file.created_at for file in self.own.values()), default=0.0)
        return 0 < job.created_at < uploaded_at - OLDER_BY_S

    def _has_not_uploaded(self, file: RemoteFile) -> bool:
        """Whether a file was made for another submission, by its name, or has other contents than ours, by its size."""
        if file.filename.startswith(datafiles.PREFIX):
            return not datafiles.bears(file.filename, self.key)
        return bool(self.own) and all(_differ(file, one) for one in self.own.values())


def _tag(job: RemoteJob) -> str:
    return str(job.metadata.get(translate.RUN_KEY) or "")


def _differ(one: RemoteFile, other: RemoteFile) -> bool:
    return -1 not in (one.size_bytes, other.size_bytes) and one.size_bytes != other.size_bytes
