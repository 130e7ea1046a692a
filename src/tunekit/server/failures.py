"""Why a job failed, as its owner reads it. Knows how rows are called here and there; not how jobs fail.

Whoever calls this API knows lines of a file, and parameters of a request. Rows that are called by the id of a file are
called by its name and line, and of hints what speaks of the Python library is left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.records import JobError
from tunekit.server.rows import FileRow, JobRow
from tunekit.server.service import Service
from tunekit.server.telling import BAD_FILE_CODES, told

_log = logging.getLogger(__name__)

_ROW = re.compile(r"(?:\brow )?'(file-[A-Za-z0-9]{1,64}):([0-9]{1,12})'")
_CLAUSE_END = re.compile(r"[,;(]")
_PYTHON = re.compile(r"\w=|\w\(|\btunekit\b")


@dataclass(frozen=True, slots=True)
class Named:
    """A file of a job: which parameter named it, and what it is called."""

    param: str
    filename: str


def named_files(service: Service, row: JobRow) -> dict[str, Named]:
    """The files of a job by their ids; one that is gone has no name but its id."""
    found = {}
    for param in BAD_FILE_CODES:
        file_id = row.request.get(param)
        if isinstance(file_id, str):
            file = service.ledger.find(FileRow, file_id)
            found[file_id] = Named(param, (file.filename if file is not None else "") or file_id)
    return found


def told_of_job(error: JobError, job_id: str, files: Mapping[str, Named]) -> tuple[JobError, str | None]:
    """Why a job failed, as its owner may read it, and the parameter to blame; the rest is logged under the job's id.

    Examples:
        >>> hint = "fill it in, or pass on_error='skip'"
        >>> error = JobError(message="row 'file-1:3': no answer", hint=hint, code="invalid-data")
        >>> said, param = told_of_job(error, "ftjob-1", {"file-1": Named("training_file", "train.jsonl")})
        >>> said.message, said.code, param
        ("line 3 of 'train.jsonl': no answer (fill it in)", 'invalid_training_file', 'training_file')
    """
    if not told(error):
        _log.error("job %s failed: %s (%s)", job_id, error.message, error.hint)
        message = f"The server had an error while it ran the job. Its log says why under {job_id}."
        return error.model_copy(update={"message": message, "hint": "", "code": "server_error"}), None
    error = error.model_copy(update={"hint": _without_python(error.hint)})
    blamed = next((files[name] for name, _ in _ROW.findall(error.message) if name in files), None)
    code, param = error.code, None
    if blamed is not None and code == DataError.code:
        code, param = BAD_FILE_CODES[blamed.param], blamed.param
    message = _ROW.sub(lambda found: _line(found, files), told(error))
    return error.model_copy(update={"message": message, "hint": "", "code": code}), param


def _without_python(hint: str) -> str:
    """The hint, or of one that speaks of the library's arguments the part before them."""
    if not _PYTHON.search(hint):
        return hint
    first = _CLAUSE_END.split(hint)[0].strip()
    return "" if _PYTHON.search(first) else first


def _line(found: re.Match[str], files: Mapping[str, Named]) -> str:
    file = files.get(found[1])
    return f"line {found[2]} of {brief(file.filename)}" if file is not None else found[0]
