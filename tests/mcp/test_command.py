"""How `otel-ext mcp` is called, and what it says of servers that do not answer as one."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import UsageError
from otel_ext.mcp.sources.client import ServerClient, checked_address
from otel_ext.mcp.sources.served import ServerSource
from tests.cli.written import DEAD, span, write
from tests.commands import call
from tests.mcp.asking import talk
from tests.programs import OTEL_EXT, environment, execute, free_port
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.mcp.asking import Agent

TOKEN = "0123456789abcdef"  # noqa: S105 - for a server of these tests


def test_without_the_extra_the_command_to_install_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names the package; exit code 2."""
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    monkeypatch.delitem(sys.modules, "otel_ext.mcp.serving", raising=False)
    done = call("mcp", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == "otel-ext: mcp is not installed. Run: pip install 'otel-ext[mcp]'\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["traces", "--server", "http://127.0.0.1:1"], "--server cannot be combined with traces"),
        (["--server", "127.0.0.1:8318"], "127.0.0.1:8318 is not the address of a server"),
        (["--server", "file:///etc/passwd"], "is not the address of a server"),
        (["--server", "http://127.0.0.1:x"], "is not the address of a server"),
        (["--server", "http://a b"], "is not the address of a server"),
        (["--server", "http://me:secret@127.0.0.1"], "has a user or a password"),
        (["--server", "http://127.0.0.1/api"], "an address ends after the port"),
        (["file.txt"], "file.txt: a file, not a folder. Name its folder: otel-ext mcp ."),
        ([""], "the name of a file or folder is empty"),
    ],
)
def test_wrong_use_is_one_line_with_a_hint(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and no secret of an address is shown."""
    (tmp_path / "file.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    done = call("mcp", *words)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert expected in done.err
    assert "secret" not in done.err


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    """When the agent closes the standard input, the command ends with exit code 0."""
    done = execute([OTEL_EXT, "mcp"], cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_it_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C ends it at once, although it waits for input."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with subprocess.Popen(
        [OTEL_EXT, "mcp"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(ping).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


def test_what_is_no_message_is_answered_or_ignored(tmp_path: Path) -> None:
    """Damaged input does not end the command before its input ends."""
    text = 'not json\n{"jsonrpc":"2.0"}\n[]\n{"jsonrpc":"2.0","id":1,"method":"no/such"}\n'
    done = execute([OTEL_EXT, "mcp"], cwd=tmp_path, stdin=text)
    assert done.code == 0
    assert "Traceback" not in done.err


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_the_setting_names_the_folder(mode: str, tmp_path: Path) -> None:
    """Without a folder it reads the setting `output`; older clients and new ones can ask."""
    write(tmp_path / "elsewhere", DEAD, span("pay", phase="end"))

    async def conversation(agent: Agent) -> None:
        assert (await agent.ask("find_traces")).items[0]["name"] == "pay"

    talk([], tmp_path, conversation, mode, OTEL_EXT_OUTPUT="elsewhere")


def test_a_server_with_a_token(tmp_path: Path) -> None:
    """The token comes from the environment; without it the answer names the variable."""
    write(tmp_path / "traces", DEAD, span("pay", phase="end"))
    port = free_port()
    command = [OTEL_EXT, "serve", "traces", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
    command += ["--otlp-http-port", "0", "--otlp-grpc-port", "0"]
    variables = {"OTEL_EXT_SERVE_TOKEN": TOKEN}

    async def with_token(agent: Agent) -> None:
        while not (await agent.ask("find_traces")).items:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)

    async def without(agent: Agent) -> None:
        said = await agent.try_to_ask("find_traces")
        assert said.failed
        assert "Set its token in the environment variable OTEL_EXT_SERVE_TOKEN" in said.text

    with serving(command, port, tmp_path, variables) as address:
        talk(["--server", address], tmp_path, with_token, **variables)
        talk(["--server", address], tmp_path, without)
        talk(["--server", address], tmp_path, without, OTEL_EXT_SERVE_TOKEN="f" * 16)


def test_a_server_that_is_not_there() -> None:
    """The address and the reason are named, with what to check."""
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UsageError, match="does not answer: .*refused.* Check that otel-ext serve"):
        ServerSource(ServerClient(address)).running()


class _Odd(BaseHTTPRequestHandler):
    """Answers what no server of otel-ext does."""

    def do_GET(self) -> None:
        """Answer by the path."""
        self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        body, status = {
            "running": (b"<html>", 200),
            "traces": (b'{"traces": [7, {"trace_id": 7, "start_ns": []}]}', 200),
            "errors": (b"", 302),
            "logs": (b'{"error": {"message": "full\\u001b", "hint": 7}}', 503),
        }.get(self.path.removeprefix("/api/v1/").partition("?")[0], (b'{"spans": 7}', 200))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Print nothing."""


@pytest.fixture
def odd() -> Generator[tuple[str, list[str]]]:
    """Return the address of an odd server, and the tokens that it got."""
    seen: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        server.seen = seen  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_a_server_of_something_else(odd: tuple[str, list[str]]) -> None:
    """Whatever it answers becomes an error in words; it is not followed elsewhere."""
    address, seen = odd
    source = ServerSource(ServerClient(checked_address(f"{address}/"), TOKEN))
    with pytest.raises(UsageError, match="is not a server of otel-ext"):
        source.running()
    with pytest.raises(UsageError, match="is not a server of otel-ext"):
        source.errors(1)  # a redirect
    with pytest.raises(UsageError, match=r"full\\x1b. 7"):
        source.logs("a" * 32, "")
    with pytest.raises(UsageError, match="cannot be understood"):
        source.trace("a" * 32)
    assert seen == [f"Bearer {TOKEN}"] * 4
