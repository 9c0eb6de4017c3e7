"""`otel-ext serve`: its greeting, and what it says of a wrong use."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from otel_ext.cli.commands.serve import TOKEN_VARIABLE
from tests.commands import call
from tests.programs import free_port
from tests.server.http.running import command_started
from tests.users import as_unprivileged_user, let_others_enter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORTS = ("--otlp-http-port", "0", "--otlp-grpc-port", "0")


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "message", "way_out"),
    [
        (["--port", "0"], "--port 0: nothing would be shown", "Give a port"),
        (["--port", "99999"], "'99999' is not a port", "use 1 to 65535"),
        (["--port", "http"], "'http' is not a port", "use 1 to 65535"),
        (["--keep-days", "0"], "'0' is not a whole number", "use 1 or more"),
        (["file"], "file: a file, not a folder", "otel-ext serve ."),
        (["file/below"], "cannot be created: Not a directory", "Name a folder"),
        ([""], "the name of the folder is empty", "Name a folder"),
        (["--root", "nowhere"], "--root nowhere: no such folder", "Name a folder of sources"),
        (["--host", "::"], "without a token", f"Set {TOKEN_VARIABLE}"),
        (["--host", "example.org"], "without a token", f"Set {TOKEN_VARIABLE}"),
        (["one", "two"], "unexpected argument 'two'", "--help"),
    ],
)
def test_a_wrong_use(tmp_path: Path, words: list[str], message: str, way_out: str) -> None:
    """One line says what is wrong and what to do; exit code 2."""
    (tmp_path / "file").touch()
    done = call("serve", *words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert way_out in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--port", "--otlp-http-port", "--otlp-grpc-port"])
def test_a_port_in_use(tmp_path: Path, taken: int, option: str) -> None:
    """The message names the port and its option, whichever it is; nothing stays open."""
    ports = {"--port": free_port(), "--otlp-http-port": 0, "--otlp-grpc-port": 0, option: taken}
    words = [word for name, port in ports.items() for word in (name, str(port))]
    done = call("serve", *words, cwd=tmp_path)
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{taken}" in done.err
    assert f"{option} PORT" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("x" * 70, "no such name"),
        ("a b", "not known"),
    ],
)
def test_a_host_that_is_not_this_machine(tmp_path: Path, host: str, reason: str) -> None:
    """The message names it, and the option."""
    words = ("--host", host, "--port", str(free_port()), *PORTS)
    done = call("serve", *words, cwd=tmp_path, **{TOKEN_VARIABLE: "a" * 32})
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"cannot listen on {host}" in done.err
    assert "--host" in done.err
    assert reason in done.err or "Temporary failure in name resolution" in done.err


@pytest.mark.parametrize("token", ["kurz", "with spaces and more than 16"])
def test_a_token_that_cannot_be_one(tmp_path: Path, token: str) -> None:
    """It is refused, and not shown."""
    words = ("--port", str(free_port()), *PORTS)
    done = call("serve", *words, cwd=tmp_path, **{TOKEN_VARIABLE: token})
    assert done.code == 2
    assert "shorter than 16 characters" in done.err
    assert token not in done.err


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs what is missing."""
    for name in [one for one in sys.modules if one.startswith("otel_ext.server.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = call("serve", *PORTS, "--port", str(free_port()), cwd=tmp_path)
    assert done.code == 2
    assert "uvicorn is not installed. Run: pip install 'otel-ext[server]'" in done.err


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """The store could not be made in it: exit code 2."""
    folder = tmp_path / "records"
    folder.mkdir(mode=0o755)
    let_others_enter(folder)
    words = ("serve", str(folder), "--port", str(free_port()), *PORTS)
    with as_unprivileged_user():
        done = call(*words)
    assert done.code == 2
    assert f"{folder}: Permission denied" in done.err


def test_the_greeting_and_the_end(tmp_path: Path) -> None:
    """It says where it listens, makes the folder, and ends with 0 after SIGTERM."""
    ports = (free_port(), free_port(), free_port())
    with command_started(tmp_path / "new", ports) as (running, process):
        assert running.client.get("/").status_code == 200
        process.terminate()
        assert process.wait(30) == 0
    text = (tmp_path / "serve.txt").read_text()
    assert text == (
        f"viewer     http://127.0.0.1:{ports[0]}\n"
        f"records    {tmp_path / 'new'}\n"
        f"OTLP/HTTP  http://127.0.0.1:{ports[1]}\n"
        f"OTLP/gRPC  127.0.0.1:{ports[2]}\n"
        "Ctrl-C ends it.\n"
        "stopping: storing what is left\n"
    )
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_a_link_opens_the_page_once(tmp_path: Path) -> None:
    """With a token the link that is printed signs one browser in, and no other."""
    ports = (free_port(), 0, 0)
    secret = {TOKEN_VARIABLE: "the-token-of-this-test"}
    with command_started(tmp_path / "records", ports, **secret) as (running, _):
        text = (tmp_path / "serve.txt").read_text()
        assert "the-token-of-this-test" not in text
        assert "The link works once" in text
        link = re.search(r"http://\S+token=\S+", text)
        assert link is not None
        assert running.client.get("/api/v1/info").status_code == 401
        running.client.get(link[0], follow_redirects=True)
        assert running.client.get("/api/v1/info").status_code == 200
        with httpx.Client(base_url=running.ui) as other:
            other.get(link[0], follow_redirects=True)
            assert other.get("/api/v1/info").status_code == 401
