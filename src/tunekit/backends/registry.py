"""Which backends are installed, and how to get one. Knows entry points; imports a backend only when it is asked for.

Our own backends come through the same door as everybody's: the entry-point group `tunekit.backends`. Listing imports
nothing, because an entry point runs code with full rights when it is loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from tunekit._settings import Settings
from tunekit.errors import BackendError, ConflictError, NotFoundError, SpecError

if TYPE_CHECKING:
    from tunekit.backends.base import Backend

GROUP = "tunekit.backends"

_lock = threading.Lock()
_factories: dict[str, Callable[..., Backend]] = {}
_shared: dict[tuple[int, str, Settings], Backend] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """An installed backend, not yet imported.

    Attributes:
        name: The part before the colon in a target.
        distribution: The package that brings it, or "(registered)" for one added with `register`.
        version: That package's version.
        path: Where its class is.
    """

    name: str
    distribution: str
    version: str
    path: str


def available() -> tuple[BackendInfo, ...]:
    """What is installed, by name, without importing any of it.

    Examples:
        >>> "local" in {info.name for info in available()}
        True
    """
    found = [_info(point) for point in entry_points(group=GROUP)]
    registered = [
        BackendInfo(name=name, distribution="(registered)", version="", path=repr(factory))
        for name, factory in _factories.items()
    ]
    return tuple(sorted([*found, *registered], key=lambda info: (info.name, info.distribution)))


def register(name: str, factory: Callable[..., Backend]) -> Callable[[], None]:
    """Add a backend of this process only, for tests and for backends that are not packaged.

    Args:
        name: The part before the colon in a target.
        factory: The class, or a function that returns an instance.

    Returns:
        A function that takes the registration back.

    Raises:
        ConflictError: The name is taken.
    """
    with _lock:
        holders = [info for info in available() if info.name == name]
        if holders:
            raise ConflictError(
                f"backend {name!r} is already provided by {holders[0].distribution!r}",
                hint="choose another name",
            )
        _factories[name] = factory

    def unregister() -> None:
        with _lock:
            _factories.pop(name, None)
            for key in [key for key in _shared if key[1] == name]:
                del _shared[key]

    return unregister


def create(name: str, *, settings: Settings | None = None, **options: Any) -> Backend:
    """Load a backend by name and construct it.

    Args:
        name: The part before the colon in a target.
        settings: Knobs of the host; None reads the environment.
        options: Passed to the backend's constructor.

    Raises:
        NotFoundError: No such backend is installed, or the settings do not allow it.
        ConflictError: Two installed packages claim the name.
        BackendError: Its import failed.
    """
    settings = settings or Settings()
    if settings.allowed_backends and name not in settings.allowed_backends:
        raise NotFoundError(
            f"backend {name!r} is not allowed by these settings",
            hint=f"allowed are {', '.join(settings.allowed_backends)}",
        )
    factory = _factories.get(name) or _load(name)
    return factory(settings=settings, **options)


def shared(name: str, *, settings: Settings | None = None) -> Backend:
    """The instance that this process uses for a name, so that a loaded model is loaded once.

    Keyed by process id and settings; a fork gets its own. Raises what `create` raises.
    """
    settings = settings or Settings()
    key = (os.getpid(), name, settings)
    backend = _shared.get(key)
    if backend is None:
        backend = _shared.setdefault(key, create(name, settings=settings))
    return backend


def matching(name: str, given: Backend | None) -> Backend | None:
    """A backend that a caller gave, if it goes by the name that was asked for.

    Raises:
        SpecError: It goes by another name.
    """
    if given is not None and given.name != name:
        raise SpecError(
            f"the backend given is {given.name!r}, but {name!r} was asked for",
            hint=f'write "{given.name}:...", or pass a backend named {name!r}, or leave out backend=',
        )
    return given


def serving(name: str, given: Backend | None, settings: Settings | None) -> Backend:
    """The backend that answers for a name: the one given, or the one that is installed.

    Raises:
        SpecError: The one given goes by another name.
        TunekitError: What `create` raises.
    """
    return matching(name, given) or shared(name, settings=settings)


def others(name: str) -> tuple[str, ...]:
    """Names of the other installed backends. What they can do, only importing them would tell."""
    return tuple(sorted({info.name for info in available()} - {name}))


def _load(name: str) -> Callable[..., Backend]:
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        names = ", ".join(info.name for info in available()) or "none"
        raise NotFoundError(
            f"no backend {name!r} is installed",
            hint=f"installed are: {names}; plugins are packages, install theirs",
        )
    if len({point.value for point in points}) > 1:
        owners = " and ".join(sorted(_info(point).distribution for point in points))
        raise ConflictError(f"backend {name!r} is claimed by {owners}", hint="uninstall one of them")
    try:
        factory: Callable[..., Backend] = points[0].load()
    except Exception as error:  # importing somebody's code can raise anything
        raise BackendError(
            f"backend {name!r} ({points[0].value}) cannot be imported: {error}",
            backend=name,
            hint=f"reinstall {_info(points[0]).distribution}",
        ) from error
    return factory


def _info(point: EntryPoint) -> BackendInfo:
    return BackendInfo(
        name=point.name,
        distribution=point.dist.name if point.dist else "unknown",
        version=point.dist.version if point.dist else "",
        path=point.value,
    )
