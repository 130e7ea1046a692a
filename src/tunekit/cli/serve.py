"""`tunekit serve`: OpenAI's fine-tuning API on this machine. Knows addresses, keys, uvicorn and the log.

Without keys it listens on the loopback only, where every caller is the same tenant.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit._loopback import is_loopback
from tunekit.cli._shown import shown

if TYPE_CHECKING:
    from tunekit.server import Keys

KEYS = "keys.json"
_GRACE_S = 10
"""How long requests that are under way when the server is told to end may take; jobs need none of it."""


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("serve", help="serve OpenAI's fine-tuning API in front of any backend")
    parser.add_argument(
        "models",
        nargs="*",
        metavar="NAME=TARGET",
        help="a base model: the name that callers use, and where it lives (gpt-4.1-mini=local:Qwen/Qwen3-0.6B)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--keys",
        type=Path,
        help="file with the hashes of API keys (default: server/keys.json in TUNEKIT_HOME)",
    )
    parser.add_argument(
        "--add-key",
        metavar="TENANT",
        help="make an API key for a tenant, print it once, and keep only its hash; serves nothing",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much of its own work the log on stderr tells (default: %(default)s)",
    )
    parser.add_argument(
        "--backend-jobs",
        type=int,
        metavar="N",
        help="jobs that are at one backend at once; a host with queues of its own takes more (default: 4)",
    )
    parser.add_argument(
        "--python-graders",
        action="store_true",
        help="run python graders that callers send; trust all callers",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print; serving ends with Ctrl-C or SIGTERM."""
    from tunekit._settings import Settings
    from tunekit.errors import MissingExtraError
    from tunekit.server import add_key

    settings = Settings()
    keys = arguments.keys or settings.home / "server" / KEYS
    if arguments.add_key is not None:
        yield add_key(keys, arguments.add_key)
        return
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", extra="server") from error
    app = _app(arguments, _keys(arguments, keys), settings)
    with _listening(arguments.host, arguments.port) as listening:
        yield f"serving http://{_shown(arguments.host)}:{listening.getsockname()[1]}/v1"
        _begin_log(arguments.log_level)
        config = uvicorn.Config(
            app, log_config=None, server_header=False, ws="none", timeout_graceful_shutdown=_GRACE_S
        )
        uvicorn.Server(config).run(sockets=[listening])


def _begin_log(level: str) -> None:
    """Write the log of this process to stderr: its own at `level`, that of the libraries below it from warnings on."""
    import logging

    class Lines(logging.Formatter):
        """One record, and no terminal's control characters in it: messages quote what strangers have sent."""

        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # This is no library: the command is its own host.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])  # noqa: TID251
    logging.getLogger("tunekit").setLevel(level.upper())


def _app(arguments: argparse.Namespace, keys: Keys, settings: Any) -> Any:
    from tunekit.refs import Target
    from tunekit.server import Limits, create_app

    limits = Limits(python_graders=arguments.python_graders)
    if arguments.backend_jobs is not None:
        limits = replace(limits, backend_jobs=arguments.backend_jobs)
    app = create_app(_models(arguments.models), keys=keys, limits=limits, settings=settings)
    for served in app.state.service.served.values():
        target = Target(served.target)
        # A backend that is not installed, or a model that is not there, is said now and not to the first caller.
        asyncio.run(app.state.service.backend(target.backend).identify(target.id))
    return app


def _listening(host: str, port: int) -> socket.socket:
    from tunekit.errors import SpecError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio sends small answers at once (TCP_NODELAY) only where it sees that this is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise SpecError(
            f"cannot listen on {host}, port {port}: {error}", hint="take another --host or --port"
        ) from None
    return listening


def _models(texts: Iterable[str]) -> dict[str, str]:
    from tunekit.errors import SpecError

    models: dict[str, str] = {}
    for name, target in map(_model, texts):
        if models.setdefault(name, target) != target:
            raise SpecError(
                f"{name[:120]!r} is said to be both {models[name]!r} and {target!r}",
                hint="give each base model a name of its own",
            )
    return models


def _model(text: str) -> tuple[str, str]:
    """Name and target of `NAME=TARGET`."""
    from tunekit.errors import SpecError

    name, equals, target = text.partition("=")
    if not equals or not name:
        raise SpecError(f"{text[:120]!r} is not NAME=TARGET", hint="for example tiny=local:Qwen/Qwen3-0.6B")
    return name, target


def _keys(arguments: argparse.Namespace, path: Path) -> Keys:
    """The keys of the file; until there is one, everybody who can reach the loopback."""
    from tunekit.errors import SpecError
    from tunekit.server import read_keys

    if arguments.keys is not None or path.exists():
        return read_keys(path)
    if not is_loopback(arguments.host):
        raise SpecError(
            f"{arguments.host!r} can be reached from other machines, and there are no API keys",
            hint="make one with: tunekit serve --add-key TENANT",
        )
    return read_keys(path, meanwhile="local")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
