"""What soak tests share: Prism, which holds calls to OpenAI's description. Knows how it is fetched and started."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.processes import eventually

PACKAGE = "@stoplight/prism-cli@5"
DESCRIPTION = Path(__file__).resolve().parents[3] / "shared" / "openai-spec" / "fine_tuning_api.json"


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[str]]:
    """Starts Prism: `with prism("mock", "--errors") as url`."""
    if not DESCRIPTION.is_file():
        pytest.skip(f"no OpenAI description: {DESCRIPTION} does not exist")
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine")
    home = tmp_path_factory.mktemp("prism")
    fetched = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", PACKAGE], cwd=home, capture_output=True, text=True
    )
    if fetched.returncode:
        pytest.skip(f"{PACKAGE} cannot be installed here: {fetched.stderr[-200:]}")
    program = home / "node_modules" / ".bin" / "prism"

    @contextmanager
    def started(kind: str, *options: str) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [str(program), kind, str(DESCRIPTION), *options, "--port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: _listens(port))
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()

    return started


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
