"""Errors: typed, with a hint, and whole on the other side of a pickle."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest

from tunekit import errors
from tunekit.errors import (
    BackendError,
    DataError,
    DeadlineError,
    MissingExtraError,
    NotFoundError,
    PreflightError,
    StorageError,
    TunekitError,
    UnsupportedError,
)

SPECIAL: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "DataError": (("no value",), {"path": "tickets.csv", "line": 12, "field": "text", "hint": "fill it"}),
    "PreflightError": ((("too few examples", "no such method"),), {"backend": "acme", "hint": "add some"}),
    "MissingExtraError": (("torch",), {"extra": "local"}),
    "BackendError": (
        ("refused",),
        {"ambiguous": True, "backend": "acme", "retryable": True, "details": {"n": 1}},
    ),
}
INVALID = {"SpecError", "RefError", "ModelError", "InvalidError"}
CLASSES = sorted(
    (item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, TunekitError)),
    key=lambda item: item.__name__,
)


def example(cls: type[TunekitError]) -> TunekitError:
    arguments, options = SPECIAL.get(
        cls.__name__,
        (("what was wrong",), {"hint": "do this", "backend": "acme", "details": {"rows": [1, 2]}}),
    )
    return cls(*arguments, **options)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_keeps_everything(cls: type[TunekitError], protocol: int) -> None:
    error = example(cls)
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert (type(twin), str(twin), twin.args, vars(twin)) == (cls, str(error), error.args, vars(error))


@pytest.mark.parametrize("cls", CLASSES)
def test_copy_keeps_everything(cls: type[TunekitError]) -> None:
    error = example(cls)
    twin = copy.deepcopy(error)
    assert (type(twin), vars(twin)) == (cls, vars(error))


def test_notes_survive_too() -> None:
    error = example(BackendError)
    error.add_note("the job was accepted as 'job-1'")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["the job was accepted as 'job-1'"]


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.InvalidError, ValueError),
        (PreflightError, ValueError),
        (UnsupportedError, NotImplementedError),
        (MissingExtraError, ImportError),
        (NotFoundError, LookupError),
        (DeadlineError, TimeoutError),
        (StorageError, OSError),
        *((getattr(errors, name), ValueError) for name in sorted(INVALID)),
    ],
)
def test_code_that_catches_the_builtin_catches_ours(
    cls: type[TunekitError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise example(cls)


def test_message_then_hint() -> None:
    assert str(TunekitError("epochs is -1", hint="use 1 or more")) == "epochs is -1\n  hint: use 1 or more"
    assert str(TunekitError("epochs is -1")) == "epochs is -1"


def test_traceback_ends_with_the_hint() -> None:
    # What a person sees; some builtin bases (OSError, ImportError) format themselves differently.
    for cls in CLASSES:
        error = example(cls)
        text = "".join(traceback.format_exception_only(error))
        assert error.message in text
        assert error.hint in text


def test_data_error_says_where() -> None:
    assert str(example(DataError)) == "tickets.csv:12:text: no value\n  hint: fill it"
    assert str(DataError("no value")) == "no value"


def test_preflight_error_lists_every_problem() -> None:
    error = example(PreflightError)
    assert isinstance(error, PreflightError)
    assert error.problems == ("too few examples", "no such method")
    assert "'acme': too few examples; no such method" in error.message


def test_missing_extra_names_the_command() -> None:
    error = MissingExtraError("torch", extra="local")
    assert error.hint == "run: pip install 'tunekit[local]'"
    assert "'torch'" in error.message


def test_defaults_promise_nothing() -> None:
    error = BackendError("no")
    assert (error.ambiguous, error.retryable, error.backend, error.details, error.hint) == (
        False,
        False,
        None,
        {},
        "",
    )


def test_details_are_a_copy() -> None:
    facts = {"rows": 1}
    error = TunekitError("x", details=facts)
    facts["rows"] = 2
    assert error.details == {"rows": 1}
