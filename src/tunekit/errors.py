"""Every error that tunekit raises on purpose. It knows what to tell a person; it knows no transport, no backend.

    TunekitError
    ├── InvalidError (ValueError)            a value the caller wrote is wrong
    │   ├── SpecError                        ... in a TuneSpec, a setting or an argument
    │   ├── RefError                         ... in a "<backend>:<id>" string
    │   ├── DataError                        ... in a file, a row, a field
    │   └── ModelError                       ... in a model directory or its files
    ├── UnsupportedError (NotImplementedError)   this backend does not do that
    ├── PreflightError (ValueError)          spec and data do not fit the backend; nothing was sent
    ├── MissingExtraError (ImportError)      an optional dependency is not installed
    ├── NotFoundError (LookupError)          a backend, job, model or run that does not exist
    ├── JobFailedError                       training ended without a model
    ├── JobCancelledError                    training was cancelled
    ├── UnknownOutcomeError                  the backend may or may not have accepted the job
    ├── DeadlineError (TimeoutError)         something took longer than the caller allowed
    ├── BackendError                         the backend refused or broke
    ├── StorageError (OSError)               disk full, read-only, damaged or on the wrong kind of filesystem
    ├── StaleLeaseError                      another process took over; this one must stop writing
    ├── ConflictError                        the same key was used for something else
    └── EvaluationError                      two evaluations cannot be compared, or none could be scored
        └── BudgetError                      an evaluation would cost more than it may

Each class has a stable `code`, which is an anchor in `docs/errors.md`. Errors are picklable and never hold a
transport object, a header or a secret.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

TOO_LONG: Final = "context_length_exceeded"
"""As `details["code"]` of an `InvalidError`, from every backend: the model's context does not hold the prompt."""


class TunekitError(Exception):
    r"""Base of all tunekit errors: what was wrong, and what to do next.

    Args:
        message: What was wrong, naming the value.
        hint: What the caller can do about it.
        backend: Name of the backend involved, if any.
        retryable: Whether the same call may succeed later without a change.
        details: JSON-like facts for programs (ids, rows, limits).

    Examples:
        >>> error = TunekitError("epochs is -1", hint="use 1 or more")
        >>> str(error)
        'epochs is -1\n  hint: use 1 or more'
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        backend: str | None = None,
        retryable: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.backend = backend
        self.retryable = retryable
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ replays positional args only; keyword-only state travels as a dict.
        return _rebuild, (type(self), self.message, self._state())

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)

    @classmethod
    def _from_state(cls, message: str, state: dict[str, Any]) -> Self:
        error = cls.__new__(cls, message)
        Exception.__init__(error, message)
        error.__dict__.update(state)
        return error


def _rebuild(cls: type[TunekitError], message: str, state: dict[str, Any]) -> TunekitError:
    return cls._from_state(message, state)


class InvalidError(TunekitError, ValueError):
    """A value that the caller wrote is wrong."""

    code = "invalid"


class SpecError(InvalidError):
    """A `TuneSpec`, a setting or an argument is wrong."""

    code = "invalid-spec"


class RefError(InvalidError):
    """A string is not of the form `"<backend>:<id>"`."""

    code = "invalid-ref"


class DataError(InvalidError):
    """A file, a row or a field cannot become an example.

    Args:
        message: What was wrong, naming the value.
        path: File concerned.
        line: 1-based line in that file.
        field: Column or JSON path concerned.
        hint: What to do about it.
    """

    code = "invalid-data"

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        field: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.field = field

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.path, self.line, self.field) if part is not None)
        return f"{where}: {super().__str__()}" if where else super().__str__()


class ModelError(InvalidError):
    """A model directory, or a file in it, is not one that can be loaded."""

    code = "invalid-model"


class UnsupportedError(TunekitError, NotImplementedError):
    """This backend does not do what was asked."""

    code = "unsupported"


class PreflightError(TunekitError, ValueError):
    """Spec and data do not fit the backend. Nothing was sent and nothing was spent.

    Args:
        problems: One sentence for each thing that does not fit.
        backend: Name of the backend.
        hint: What would fit.
    """

    code = "preflight"

    def __init__(self, problems: tuple[str, ...], *, backend: str, hint: str = "") -> None:
        super().__init__(
            f"this job does not fit backend {backend!r}: " + "; ".join(problems), hint=hint, backend=backend
        )
        self.problems = tuple(problems)


class MissingExtraError(TunekitError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: The import that failed.
        extra: The tunekit extra that brings it.
    """

    code = "missing-extra"

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package!r} is not installed", hint=f"run: pip install 'tunekit[{extra}]'")
        self.package = package
        self.extra = extra


class NotFoundError(TunekitError, LookupError):
    """A backend, job, model or run that does not exist."""

    code = "not-found"


class JobFailedError(TunekitError):
    """Training ended without a model."""

    code = "job-failed"


class JobCancelledError(TunekitError):
    """Training was cancelled before it produced a model."""

    code = "job-cancelled"


class UnknownOutcomeError(TunekitError):
    """The backend may or may not have accepted the job, and nothing could prove either.

    Never submit again blindly: look the job up with `FineTuneJob.attach(ref).snapshot()`.
    """

    code = "unknown-outcome"


class DeadlineError(TunekitError, TimeoutError):
    """Something took longer than the caller allowed. The work itself goes on."""

    code = "deadline"


class BackendError(TunekitError):
    """The backend refused the call or broke while serving it.

    Args:
        message: What it said.
        ambiguous: Whether the call may have taken effect all the same.
        backend: Name of the backend.
        hint: What to do about it.
        retryable: Whether the same call may succeed later.
        details: Facts for programs.
    """

    code = "backend"

    def __init__(
        self,
        message: str,
        *,
        ambiguous: bool = False,
        backend: str | None = None,
        hint: str = "",
        retryable: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, backend=backend, retryable=retryable, details=details)
        self.ambiguous = ambiguous


class StorageError(TunekitError, OSError):
    """A disk is full, read-only, damaged, or of a kind that cannot hold what was asked."""

    code = "storage"


class StaleLeaseError(TunekitError):
    """Another process took over this record. This one must stop writing."""

    code = "stale-lease"


class ConflictError(TunekitError):
    """The same key was used before for something else."""

    code = "conflict"


class EvaluationError(TunekitError):
    """Two evaluations cannot be compared, or nothing could be scored."""

    code = "evaluation"


class BudgetError(EvaluationError):
    """An evaluation would cost more than it may. What was answered is kept."""

    code = "budget"
