"""A project as `django-admin startproject` makes it runs under `otel-ext run`, and is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import (
    EVERYTHING,
    SCRIPTS,
    free_port,
    python,
    record,
    recorded,
    spans_in,
    succeed,
)
from tests.serving import answers, serving

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS_IN_THE_PROGRAM = """\
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("here"))]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=True, SECRET_KEY="x", MIDDLEWARE=()
)
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a bare project, whose settings no environment variable names."""
    succeed([str(SCRIPTS / "django-admin"), "startproject", "mysite", "."], tmp_path)
    return tmp_path


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", ["runserver", "gunicorn", "uvicorn", "settings.configure"])
def test_a_bare_project(project: Path, server: str) -> None:
    """It answers with 200, and the request is recorded."""
    port = free_port()
    (project / "alone.py").write_text(SETTINGS_IN_THE_PROGRAM)
    commands = {
        "runserver": [*python("manage.py"), "runserver", "--noreload", str(port)],
        "gunicorn": [str(SCRIPTS / "gunicorn"), "-b", f"127.0.0.1:{port}", "mysite.wsgi"],
        "uvicorn": [str(SCRIPTS / "uvicorn"), "--port", str(port), "mysite.asgi:application"],
        "settings.configure": [*python("alone.py"), "runserver", "--noreload", str(port)],
    }
    command = recorded(project / "traces", *commands[server])
    with serving(command, port, project, EVERYTHING) as url:
        answers(f"{url}/")
    output = (project / "output.txt").read_text()
    assert "Error" not in output
    assert len({r.span_id for r in spans_in(project / "traces") if r.name.startswith("GET")}) == 1


def test_a_command_without_requests(project: Path) -> None:
    """A management command serves nothing: the instrumentation for requests is not imported."""
    code = (
        "import sys; sys.argv = ['manage.py', 'check']; import manage; manage.main();"
        "print('opentelemetry.instrumentation.django' in sys.modules)"
    )
    done = record(project, "-c", code, **EVERYTHING, PYTHONPATH=str(project))
    assert done.out.splitlines()[-1] == "False", done.err
