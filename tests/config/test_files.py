"""Which configuration file is used, and the errors for one that cannot be read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from otel_ext.config import load_config
from otel_ext.config.sources.files import FILE_NAMES, MAX_FILE_BYTES, find_file
from otel_ext.errors import ConfigError
from tests.users import as_unprivileged_user

TEXT = {
    "otel-ext.toml": "sync = 'never'",
    "otel-ext.yaml": "sync: never",
    "otel-ext.yml": "sync: never",
    "pyproject.toml": "[tool.otel-ext]\nsync = 'never'",
}


def test_the_first_name_in_a_folder_is_used(repository: Path) -> None:
    """The names have an order within a folder; a warning names each ignored file."""
    for name, text in TEXT.items():
        (repository / name).write_text(text, "utf-8")
    for index, name in enumerate(FILE_NAMES):
        config = load_config(environ={})
        assert config.file == repository / name
        ignored = [other for other in FILE_NAMES[index + 1 :] if other != "pyproject.toml"]
        assert len(config.warnings) == len(ignored)
        for other, warning in zip(ignored, config.warnings, strict=True):
            assert str(repository / other) in warning
        (repository / name).unlink()


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_parent_up_to_the_repository_is_searched(name: str, repository: Path) -> None:
    """A program started deep inside a repository finds the file at its root."""
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    (repository / name).write_text(TEXT[name], "utf-8")
    assert load_config(environ={}, folder=deep).file == repository / name


def test_the_nearest_folder_wins(repository: Path) -> None:
    """A file nearer to the program wins over one with an earlier name further up."""
    deep = repository / "a"
    deep.mkdir()
    (repository / "otel-ext.toml").write_text("sync = 'always'", "utf-8")
    (deep / "pyproject.toml").write_text(TEXT["pyproject.toml"], "utf-8")
    assert load_config(environ={}, folder=deep).file == deep / "pyproject.toml"


def test_nothing_above_the_repository_is_used(repository: Path) -> None:
    """The search ends at the root of the repository."""
    (repository.parent / "otel-ext.toml").write_text("sync = 'never'", "utf-8")
    assert load_config(environ={}).file is None


def test_nothing_above_the_home_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search ends at the home folder, whose own file is used."""
    home = tmp_path / "home"
    work = home / "work"
    work.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "otel-ext.toml").write_text("sync = 'never'", "utf-8")
    assert load_config(environ={}, folder=work).file is None
    (home / "otel-ext.toml").write_text("sync = 'never'", "utf-8")
    assert load_config(environ={}, folder=work).file == home / "otel-ext.toml"


def test_a_pyproject_without_our_table_is_ignored(repository: Path) -> None:
    """The search goes on above a pyproject.toml without our table, even if it is invalid."""
    deep = repository / "a"
    deep.mkdir()
    (repository / "otel-ext.toml").write_text("sync = 'never'", "utf-8")
    for text in ("[tool.other]\n", "[project]\ndependencies = ['otel-ext']\n", "= broken otel-ext"):
        (deep / "pyproject.toml").write_text(text, "utf-8")
        assert load_config(environ={}, folder=deep).file == repository / "otel-ext.toml"


def test_a_file_of_another_user_in_a_parent_is_ignored(repository: Path) -> None:
    """Another user's file in a shared parent folder has no effect but a warning."""
    deep = repository / "a"
    deep.mkdir()
    file = repository / "otel-ext.toml"
    file.write_text("sync = 'never'", "utf-8")
    found = find_file(deep, owners={os.geteuid() + 1})
    assert found is not None
    assert (found.path, found.entries) == (None, ())
    assert found.warnings == (f"{file} is ignored: it belongs to another user",)
    beside = find_file(repository, owners={os.geteuid() + 1})
    assert beside is not None
    assert beside.path == file


def test_a_named_file_wins_over_the_search(repository: Path) -> None:
    """Only the file that an argument or the variable names is read; the argument wins."""
    (repository / "otel-ext.toml").write_text("sync = 'always'", "utf-8")
    one, two = repository / "one.toml", repository / "two.yaml"
    one.write_text("sync = 'never'", "utf-8")
    two.write_text("sync: interval", "utf-8")
    environ = {"OTEL_EXT_CONFIG": "one.toml"}
    assert load_config(environ=environ).file == one
    assert load_config(environ=environ, file=two).file == two
    assert load_config(environ=environ, file=str(two)).journal.sync == "interval"


def test_the_null_device_means_no_file(repository: Path) -> None:
    """`OTEL_EXT_CONFIG=/dev/null` switches the search off."""
    (repository / "otel-ext.toml").write_text("broken", "utf-8")
    config = load_config(environ={"OTEL_EXT_CONFIG": os.devnull})
    assert (config.file, config.journal.sync) == (None, "interval")


def test_a_missing_explicit_file_is_an_error(repository: Path) -> None:
    """The message has the file, and the argument or variable that named it."""
    environ = {"OTEL_EXT_CONFIG": "gone.toml"}
    with pytest.raises(ConfigError, match="gone.toml does not exist .*variable OTEL_EXT_CONFIG"):
        load_config(environ=environ)
    with pytest.raises(ConfigError, match="does not exist .named by argument file"):
        load_config(environ=environ, file=repository / "also-gone.toml")


def test_an_explicit_pyproject_needs_our_table(repository: Path) -> None:
    """A named pyproject.toml without the table is an error."""
    file = repository / "pyproject.toml"
    for text in ("", "[tool]\n", "tool = 1\n", "# otel-ext\n"):
        file.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=r"has no table \[tool.otel-ext\]"):
            load_config(environ={}, file=file)


def test_an_unknown_suffix_is_an_error(repository: Path) -> None:
    """A file that is neither TOML nor YAML by its name is refused."""
    (repository / "settings.ini").write_text("", "utf-8")
    with pytest.raises(ConfigError, match="unknown suffix.*Use .toml, .yaml or .yml"):
        load_config(environ={}, file="settings.ini")


@pytest.mark.parametrize("name", ["otel-ext.toml", "otel-ext.yaml"])
def test_a_folder_with_the_name(name: str, repository: Path) -> None:
    """The error for a folder with the file's name says that it is a folder."""
    (repository / name).mkdir()
    with pytest.raises(ConfigError, match=f"{name} is a folder, not a file"):
        load_config(environ={})


def test_a_folder_as_pyproject_is_ignored(repository: Path) -> None:
    """A pyproject.toml that cannot be read is ignored: it may not be about us."""
    (repository / "pyproject.toml").mkdir()
    assert load_config(environ={}).file is None


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/random"])
def test_a_device_with_the_name(device: str, repository: Path) -> None:
    """A device is never read, whether named or found through a link; the error says so."""
    with pytest.raises(ConfigError, match="is a device, not a file"):
        load_config(environ={}, file=device)
    (repository / "otel-ext.yaml").symlink_to(device)
    with pytest.raises(ConfigError, match="is a device, not a file"):
        load_config(environ={})


def test_a_pipe_with_the_name(repository: Path) -> None:
    """A pipe without a writer does not make the program wait."""
    os.mkfifo(repository / "otel-ext.toml")
    with pytest.raises(ConfigError, match="is a pipe or socket, not a file"):
        load_config(environ={})


def test_a_socket_with_the_name(repository: Path) -> None:
    """The error for a socket says what it is."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("otel-ext.toml")
        with pytest.raises(ConfigError, match="is a pipe or socket, not a file"):
            load_config(environ={})
    assert (repository / "otel-ext.toml").exists()


def test_a_link_to_itself(repository: Path) -> None:
    """The error for a file that cannot be opened has the system's reason."""
    (repository / "otel-ext.toml").symlink_to("otel-ext.toml")
    with pytest.raises(ConfigError, match="otel-ext.toml cannot be read: Too many levels"):
        load_config(environ={})


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A file without read permission is an error, not ignored."""
    file = tmp_path / "otel-ext.toml"
    file.write_text("sync = 'never'", "utf-8")
    file.chmod(0)
    with as_unprivileged_user(), pytest.raises(ConfigError, match="cannot be read: Permission"):
        load_config(environ={}, file=file)


def test_an_unreadable_folder_is_not_an_error(repository: Path) -> None:
    """A folder without permission counts as one without a file."""
    hidden = repository / "hidden"
    (hidden / "inner").mkdir(parents=True)
    hidden.chmod(0)
    try:
        with as_unprivileged_user():
            assert load_config(environ={}, folder=hidden / "inner").file is None
    finally:
        hidden.chmod(0o700)


def test_a_deleted_working_directory_is_not_an_error(repository: Path) -> None:
    """A program whose working directory was deleted still gets its configuration."""
    gone = repository / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert load_config(environ={"OTEL_EXT_SYNC": "never"}).journal.sync == "never"


@pytest.mark.parametrize("name", ["x" * 5000 + ".toml", "nul\0byte.toml"])
def test_a_name_no_file_can_have(name: str) -> None:
    """A name that the system refuses is an error with a message."""
    with pytest.raises(ConfigError, match="cannot be read|not a path"):
        load_config(environ={}, file=name)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_ten_megabytes(name: str, repository: Path) -> None:
    """A huge file is refused by its size, before it is parsed."""
    (repository / name).write_bytes(TEXT[name].encode() + b"\n" + b"#" * (10 * MAX_FILE_BYTES))
    with pytest.raises(
        ConfigError, match="too large for a configuration .*Use a file of at most 1 MiB"
    ):
        load_config(environ={}, file=name)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_bytes_that_are_not_text(name: str, repository: Path) -> None:
    """The error for a file that is not UTF-8 has line and column of the first wrong byte."""
    (repository / name).write_bytes(b"[tool.otel-ext]\n# \xc3\xa9 \xff")
    with pytest.raises(ConfigError, match=f"{name}:2:6: byte 0xff is not UTF-8 text"):
        load_config(environ={}, file=name)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_byte_order_mark_is_ignored(name: str, repository: Path) -> None:
    """A file with the mark, as some editors save it, is read like any other."""
    (repository / name).write_text(TEXT[name], "utf-8-sig")
    assert load_config(environ={}).journal.sync == "never"


def test_an_output_folder_is_relative_to_its_file(repository: Path) -> None:
    """A relative folder in a file is relative to the file; elsewhere to the working directory."""
    deep = repository / "a"
    deep.mkdir()
    (repository / "otel-ext.toml").write_text("output = 'records'", "utf-8")
    assert load_config(environ={}, folder=deep).output.folder == repository / "records"
    from_environment = load_config(environ={"OTEL_EXT_OUTPUT": "records"}, folder=deep)
    assert from_environment.output.folder == Path("records")
    (repository / "otel-ext.toml").write_text("output = '/var/records'", "utf-8")
    assert load_config(environ={}, folder=deep).output.folder == Path("/var/records")
