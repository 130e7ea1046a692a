"""Certificates are always checked, before anything is sent; whoever has their own names them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.unit.backends.openai.calls import CANARY, once, read
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.http import HttpTransport
from tunekit.errors import BackendError, SpecError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


class Served(HTTPServer):
    seen: list[str]

    def handle_error(self, *_: object) -> None:
        """Handshakes that fail are what is tested."""


class Answer(BaseHTTPRequestHandler):
    server: Served

    def do_POST(self) -> None:
        self.server.seen.append(self.headers["authorization"])
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key, cert = path.with_name("key.pem"), path.with_name("cert.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command.split(), *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    path.write_bytes(key.read_bytes() + cert.read_bytes())
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Served]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Served(("127.0.0.1", 0), Answer) as one:
        one.seen = []
        one.socket = context.wrap_socket(one.socket, server_side=True)
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


async def test_a_certificate_that_is_named_is_trusted(server: Served, certificate: Path) -> None:
    endpoint = Endpoint(f"https://localhost:{server.server_port}", key=CANARY)
    one = HttpTransport(endpoint, ca_file=str(certificate.with_name("cert.pem")))
    assert (await one.send(once())).json() == {}
    await one.aclose()
    assert server.seen == [f"Bearer {CANARY}"]


@pytest.mark.parametrize(("host", "named"), [("localhost", False), ("127.0.0.1", True)])
async def test_no_other_is_and_nothing_is_sent(
    server: Served, certificate: Path, host: str, named: bool
) -> None:
    ca_file = str(certificate.with_name("cert.pem")) if named else None
    one = HttpTransport(Endpoint(f"https://{host}:{server.server_port}", key=CANARY), ca_file=ca_file)
    with pytest.raises(BackendError, match="certificate verify failed") as caught:
        await one.send(read())  # not made again until the deadline either
    await one.aclose()
    assert not caught.value.ambiguous
    assert not server.seen


def test_certificates_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(SpecError, match="ca_file"):
            HttpTransport(Endpoint("https://localhost", key=CANARY), ca_file=str(path))
