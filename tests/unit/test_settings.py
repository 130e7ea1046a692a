"""Settings: argument over environment over default, read at construction, wrong values named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_python
from tunekit import Settings, SpecError


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEKIT_HOME")
    settings = Settings()
    assert settings.home == Path.home() / ".tunekit"
    assert (settings.runs, settings.store) == (settings.home / "runs", settings.home / "store.sqlite3")
    assert (settings.submit_timeout_s, settings.allowed_backends) == (300.0, ())


def test_environment_is_read_at_construction_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEKIT_HOME", "/somewhere")
    monkeypatch.setenv("TUNEKIT_SUBMIT_TIMEOUT_S", "12.5")
    monkeypatch.setenv("TUNEKIT_ALLOWED_BACKENDS", "local, openai,,")
    settings = Settings()
    assert (settings.home, settings.submit_timeout_s) == (Path("/somewhere"), 12.5)
    assert settings.allowed_backends == ("local", "openai")
    chosen = Settings(home=Path("/x"), submit_timeout_s=1.0, allowed_backends=())
    assert (chosen.home, chosen.submit_timeout_s, chosen.allowed_backends) == (Path("/x"), 1.0, ())
    monkeypatch.setenv("TUNEKIT_HOME", "/elsewhere")
    assert (settings.home, Settings().home) == (Path("/somewhere"), Path("/elsewhere"))


@pytest.mark.parametrize("value", ["", "  "])
def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TUNEKIT_ALLOWED_BACKENDS", value)
    monkeypatch.setenv("TUNEKIT_SUBMIT_TIMEOUT_S", "")
    assert (Settings().allowed_backends, Settings().submit_timeout_s) == ((), 300.0)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "1e999"])
def test_seconds_that_are_none_name_the_variable_and_the_value(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TUNEKIT_SUBMIT_TIMEOUT_S", value)
    with pytest.raises(SpecError, match=f"TUNEKIT_SUBMIT_TIMEOUT_S='{value}'"):
        Settings()


def test_home_is_absolute_and_knows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEKIT_HOME", "~/tuning")
    assert Settings().home == Path.home() / "tuning"
    monkeypatch.setenv("TUNEKIT_HOME", "relative")
    assert Settings().home == Path.cwd() / "relative"


@pytest.mark.parametrize("home", ["relative", Path("relative"), "./relative"])
def test_home_given_is_absolute_and_a_path(home: Any) -> None:
    # A relative one would reach the training process, whose working directory is the run's.
    assert Settings(home=home).home == Path.cwd() / "relative"
    assert Settings(home=home) == Settings(home=Path.cwd() / "relative")


def test_home_given_may_name_the_user() -> None:
    anything: Any = "~/tuning"
    assert Settings(home=anything).home == Path.home() / "tuning"
    assert Settings(home=Path("~/tuning")).runs == Path.home() / "tuning" / "runs"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("home", value) for value in ("", None, 7, b"bytes", ["a"], "~nobody-of-that-name/x")),
        *(("submit_timeout_s", value) for value in (-1, 0, float("nan"), float("inf"), "soon", None, True)),
        *(("allowed_backends", value) for value in ("local", 3, (1,), [""], b"x")),
    ],
)
def test_wrong_argument_is_named_with_its_value(name: str, value: Any) -> None:
    with pytest.raises(SpecError) as caught:
        Settings(**{name: value})
    assert f"{name}={value!r}" in caught.value.message
    assert caught.value.hint


def test_arguments_take_the_usual_forms() -> None:
    seconds: Any = "2.5"
    names: Any = ["local", "acme"]
    settings = Settings(submit_timeout_s=seconds, allowed_backends=names)
    assert (settings.submit_timeout_s, settings.allowed_backends) == (2.5, ("local", "acme"))
    assert isinstance(hash(settings), int)


def test_user_without_a_home_is_told_what_to_set() -> None:
    out = run_python(
        "import os, pathlib\n"
        "os.environ.pop('TUNEKIT_HOME', None)\n"
        "def none(*_): raise RuntimeError('no home')\n"
        "pathlib.Path.home = classmethod(none)\n"
        "import tunekit\n"
        "try: tunekit.Settings()\n"
        "except tunekit.SpecError as error: print(error.hint)\n"
    )
    assert out == "set TUNEKIT_HOME\n"


def test_settings_are_values() -> None:
    one, two = Settings(home=Path("/x")), Settings(home=Path("/x"))
    assert (one, hash(one), pickle.loads(pickle.dumps(one))) == (two, hash(two), one)
    with pytest.raises(AttributeError):
        one.home = Path("/y")  # type: ignore[misc]


def test_reading_settings_changes_nothing() -> None:
    before = dict(os.environ)
    home = Settings().home
    assert dict(os.environ) == before
    assert list(home.iterdir()) == []
