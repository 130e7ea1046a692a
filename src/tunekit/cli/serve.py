"""`tunekit serve`: OpenAI's fine-tuning API on this machine. Knows addresses, keys and uvicorn; not what is served.

Without keys it listens on the loopback only, where every caller is the same tenant.
"""

from __future__ import annotations

import argparse
import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunekit.server import Keys

KEYS = "keys.json"


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
        config = uvicorn.Config(app, log_level="warning", server_header=False, ws="none")
        uvicorn.Server(config).run(sockets=[listening])


def _app(arguments: argparse.Namespace, keys: Keys, settings: Any) -> Any:
    from tunekit.refs import Target
    from tunekit.server import Limits, create_app

    limits = Limits(python_graders=arguments.python_graders)
    app = create_app(dict(map(_model, arguments.models)), keys=keys, limits=limits, settings=settings)
    for served in app.state.service.served.values():
        app.state.service.backend(Target(served.target).backend)  # one that is not installed is said now
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


def _model(text: str) -> tuple[str, str]:
    """Name and target of `NAME=TARGET`."""
    from tunekit.errors import SpecError

    name, equals, target = text.partition("=")
    if not equals or not name:
        raise SpecError(f"{text[:120]!r} is not NAME=TARGET", hint="for example tiny=local:Qwen/Qwen3-0.6B")
    return name, target


def _keys(arguments: argparse.Namespace, path: Path) -> Keys:
    """The keys of the file; without one, everybody who can reach the loopback."""
    from tunekit.errors import SpecError
    from tunekit.server import Keys, read_keys

    if arguments.keys is not None or path.exists():
        return read_keys(path)
    if not _is_loopback(arguments.host):
        raise SpecError(
            f"{arguments.host!r} can be reached from other machines, and there are no API keys",
            hint="make one with: tunekit serve --add-key TENANT",
        )
    return Keys.nobody_asks()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
