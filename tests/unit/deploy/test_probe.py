import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.dev import tls
from passport_shared.service import probe
from tests.unit.deploy.test_secrets_folder import NOW


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = self.server.ready  # type: ignore[attr-defined]
        allowed = self.path != "/metrics" or self.headers.get("authorization") == "Bearer a-token"
        self.send_response(200 if ready and allowed else 503)
        self.end_headers()
        self.wfile.write(f"asked for {self.path}".encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(name="server")
def fixture_server(tmp_path: Path) -> object:
    import ssl

    files = tls.ensure(tmp_path, now=NOW)
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.ready = True  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_ready_or_not(server: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"PASSPORT_ISSUER_BIND": f"0.0.0.0:{server.server_port}"}
    assert probe.main([], environment) == 0
    assert capsys.readouterr().out == "asked for /health/ready"
    server.ready = False  # type: ignore[attr-defined]
    assert probe.main([], environment) == 1


def test_metrics_with_the_deployments_token(server: HTTPServer, tmp_path: Path) -> None:
    environment = {"PASSPORT_ISSUER_BIND": f"0.0.0.0:{server.server_port}"}
    assert probe.main(["/metrics"], environment) == 1
    (tmp_path / "token").write_text("a-token\n")
    environment["PASSPORT_ISSUER_METRICS_TOKEN_FILE"] = str(tmp_path / "token")
    assert probe.main(["/metrics"], environment) == 0


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert probe.main([], {"PASSPORT_ISSUER_BIND": f"127.0.0.1:{port}"}) == 1
    assert "no answer" in capsys.readouterr().err


def test_the_port_of_an_image_where_nothing_is_said() -> None:
    assert probe.port({"PASSPORT_ISSUER_BIND": "fd://3x", "PATH": ":1"}) == 8443


def test_it_loads_nothing_of_the_service() -> None:
    script = (
        "import sys, passport_shared.service.probe;"
        "print(*{name.split('.')[0] for name in sys.modules}"
        " & {'fastapi', 'sqlalchemy', 'pydantic', 'cryptography', 'starlette'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
