"""The registry: lists without importing, loads by name, and says who is to blame."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from tests.processes import run_python
from tunekit import Evaluator, FineTuneJob, Settings, generate
from tunekit.backends import BackendInfo, available, create, register, registry, shared
from tunekit.errors import BackendError, ConflictError, NotFoundError, SpecError
from tunekit.testing import ScriptedBackend, tiny_dataset


@pytest.fixture
def registered() -> Iterator[Callable[[], None]]:
    unregister = register("scripted", ScriptedBackend)
    yield unregister
    unregister()


class Plugin:
    """A package on the path, made of files, as a third party would install it."""

    def __init__(self, directory: Path, name: str, target: str, source: str) -> None:
        module = f"{name}_plugin"
        (directory / f"{module}.py").write_text(source)
        info = directory / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[tunekit.backends]\n{name} = {target}\n")
        self.module = module


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugin]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, target: str = "", source: str = "") -> Plugin:
        return Plugin(tmp_path, name, target or f"{name}_plugin:make", source)

    return make


GOOD = """
from tunekit.testing import ScriptedBackend
def make(*, settings, **options):
    return ScriptedBackend(name="acme", settings=settings, **options)
"""


def test_ours_come_through_the_same_door() -> None:
    info = next(info for info in available() if info.name == "local")
    assert (info.distribution, info.path) == ("tunekit", "tunekit.backends.local:LocalBackend")


def test_plugin_is_listed_without_being_imported_and_loaded_by_name(plugin: Callable[..., Plugin]) -> None:
    module = plugin("acme", source=GOOD).module
    listed = BackendInfo(name="acme", distribution=module, version="1.2", path=f"{module}:make")
    assert listed in available()
    assert module not in sys.modules
    backend = create("acme", page_size=7)
    assert (backend.name, module in sys.modules) == ("acme", True)


def test_listing_imports_no_backend() -> None:
    run_python(
        "import sys\n"
        "from tunekit.backends import available\n"
        "available()\n"
        "assert 'tunekit.backends.local' not in sys.modules"
    )


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(NotFoundError, match="no backend 'nowhere' is installed") as caught:
        create("nowhere")
    assert "local" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import no_such_module", ""),
        ("raise RuntimeError('no driver')", ""),
        ("def make(:", ""),
        ("", "broken_plugin:gone"),
    ],
)
def test_plugin_that_cannot_be_imported_is_named(
    plugin: Callable[..., Plugin], source: str, target: str
) -> None:
    module = plugin("broken", target, source).module
    sys.modules.pop(module, None)
    with pytest.raises(BackendError, match=r"backend 'broken'.*cannot be imported") as caught:
        create("broken")
    assert caught.value.hint == f"reinstall {module}"
    assert caught.value.__cause__ is not None


def test_two_owners_of_one_name_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dist(Distribution):
        def __init__(self, name: str) -> None:
            self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"

        def read_text(self, filename: str) -> str | None:
            return self._text if filename == "METADATA" else None

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    points = []
    for owner in ("one", "two"):
        point = EntryPoint("acme", f"{owner}:make", registry.GROUP)
        vars(point)["dist"] = Dist(owner)
        points.append(point)
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(ConflictError, match="backend 'acme' is claimed by one and two") as caught:
        create("acme")
    assert caught.value.hint == "uninstall one of them"


def test_settings_can_forbid(registered: object) -> None:
    settings = Settings(allowed_backends=("local",))
    with pytest.raises(NotFoundError, match="'scripted' is not allowed") as caught:
        create("scripted", settings=settings)
    assert "local" in caught.value.hint
    with pytest.raises(NotFoundError):
        shared("scripted", settings=settings)


def test_registered_backend_is_found_until_it_is_taken_back(registered: Callable[[], None]) -> None:
    assert any(info.name == "scripted" and info.distribution == "(registered)" for info in available())
    assert create("scripted").name == "scripted"
    kept = shared("scripted")
    registered()
    with pytest.raises(NotFoundError):
        create("scripted")
    with pytest.raises(NotFoundError):
        shared("scripted")
    assert kept.name == "scripted"


@pytest.mark.parametrize("name", ["local", "scripted"])
def test_taken_name_cannot_be_registered(registered: object, name: str) -> None:
    with pytest.raises(ConflictError, match=f"backend '{name}' is already provided"):
        register(name, ScriptedBackend)


def test_shared_is_one_instance_for_each_settings(registered: object) -> None:
    here, there = Settings(home=Path("/here")), Settings(home=Path("/there"))
    assert shared("scripted", settings=here) is shared("scripted", settings=Settings(home=Path("/here")))
    assert shared("scripted", settings=here) is not shared("scripted", settings=there)
    assert create("scripted", settings=here) is not create("scripted", settings=here)


def test_child_of_a_fork_makes_its_own(registered: object) -> None:
    mine = id(shared("scripted"))
    child = os.fork()
    if child == 0:
        os._exit(0 if id(shared("scripted")) != mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- who answers --------------------------------------------------------------------------------------


def test_backend_given_answers_for_its_own_name_only(registered: object) -> None:
    mine = ScriptedBackend()
    assert registry.serving("scripted", mine, None) is mine
    assert registry.serving("scripted", None, None) is shared("scripted")
    assert registry.matching("scripted", None) is None
    with pytest.raises(SpecError, match=r"given is 'scripted', but 'local' was asked for") as caught:
        registry.serving("local", mine, None)
    assert '"scripted:..."' in caught.value.hint


def test_every_face_refuses_a_backend_of_another_name_alike() -> None:
    data, mine = tiny_dataset(), ScriptedBackend(generate=lambda prompt: "")
    faces = (
        lambda: generate("local:x", "hi", backend=mine),
        lambda: Evaluator(data).run("local:x", backend=mine),
        lambda: FineTuneJob.submit(data, "local:x", backend=mine),
        lambda: FineTuneJob.attach("local:x", backend=mine),
    )
    for face in faces:
        with pytest.raises(SpecError, match=r"given is 'scripted', but 'local' was asked for"):
            face()


def test_others_are_all_but_one(registered: object) -> None:
    assert {"local"} <= set(registry.others("scripted"))
    assert "local" not in registry.others("local")
