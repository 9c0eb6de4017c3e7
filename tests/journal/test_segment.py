"""Segments: whole lines in private files, whatever others do to them."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import JournalError
from otel_ext.journal.files import Target
from otel_ext.journal.write import segment
from otel_ext.journal.write.segment import SegmentWriter
from otel_ext.runtime.counters import COUNTERS
from tests.journal.builders import damage_in, line, lines_in, program, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "b0070000-7-1-00000000"
HEAD = line(0, name="head")


def first_lines() -> Iterator[bytes]:
    """Return the first lines of every further segment."""
    yield HEAD


def writer_in(folder: Path, **settings: object) -> SegmentWriter:
    """Return a writer of segments in `folder`."""
    return SegmentWriter(Target(folder, ID), first_lines=first_lines, **settings)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    """Return the names of the files in `folder`."""
    return sorted(path.name for path in folder.iterdir())


def test_a_segment_is_created_with_the_first_line(tmp_path: Path) -> None:
    """The folder is 0700, the file 0600 and named by its incarnation."""
    folder = tmp_path / "a" / "traces"
    writer = writer_in(folder)
    assert not folder.exists()
    old = os.umask(0)
    try:
        assert writer.write(line(1)) == len(line(1))
    finally:
        os.umask(old)
    assert names(folder) == [".gitignore", f"{ID}.jsonl"]
    assert (folder / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{ID}.jsonl").stat().st_mode) == 0o600
    writer.close()
    writer.close()


def test_rotation_by_size_repeats_the_first_lines(tmp_path: Path) -> None:
    """After a full segment comes the next number, which begins with the first lines."""
    writer = writer_in(tmp_path, max_bytes=1000)
    for number in range(1, 21):
        writer.write(line(number))
        writer.rotate_if_due()
    writer.close()
    assert len(names(tmp_path)) > 3
    first, *others = sorted(tmp_path.iterdir(), key=lambda path: (len(path.name), path.name))
    assert first.read_bytes().startswith(line(1))
    assert all(path.read_bytes().startswith(HEAD) for path in others)
    text = b"".join(path.read_bytes() for path in (first, *others)).replace(HEAD, b"")
    assert text == b"".join(map(line, range(1, 21)))


def test_first_lines_larger_than_a_segment_rotate_no_further(tmp_path: Path) -> None:
    """With more first lines than a segment may have, segments still take other lines."""
    writer = SegmentWriter(
        Target(tmp_path, ID), first_lines=lambda: [line(0)] * 100, max_bytes=1000
    )
    for number in range(1, 11):
        writer.write(line(number))
        writer.rotate_if_due()
    writer.close()
    assert 2 <= len(names(tmp_path)) <= 4


def test_rotation_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that is old enough is followed by a new one, once something is written."""
    now = 100.0
    monkeypatch.setattr(segment, "monotonic", lambda: now)
    writer = writer_in(tmp_path, max_age=60.0)
    writer.write(line(1))
    now += 59.0
    writer.rotate_if_due()
    assert len(names(tmp_path)) == 1
    now += 1.0
    writer.write(line(2))
    writer.rotate_if_due()
    assert len(names(tmp_path)) == 2
    writer.close()


def test_lines_refused_before_a_file_began_do_not_rotate_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only ends refused since then make its open spans wrong."""
    monkeypatch.setattr(segment, "_AFTER_LOSS_SECONDS", 0.0)
    COUNTERS.add("dropped.queue_full")
    writer = writer_in(tmp_path, max_age=3600.0)
    writer.write(line(1))
    writer.rotate_if_due()
    assert len(names(tmp_path)) == 1
    COUNTERS.add("dropped.queue_full")
    writer.rotate_if_due()
    assert len(names(tmp_path)) == 2
    writer.close()


@pytest.mark.parametrize("how", ["unlink", "rename"])
def test_after_a_file_is_removed_or_renamed_comes_another(tmp_path: Path, how: str) -> None:
    """Lines go to a new file within a second after the old one was removed or renamed."""
    writer = writer_in(tmp_path)
    writer.write(line(1))
    path = tmp_path / f"{ID}.jsonl"
    if how == "unlink":
        path.unlink()
    else:
        path.rename(tmp_path / "moved")
        time.sleep(1.05)
    writer.write(line(2))
    writer.close()
    assert (tmp_path / f"{ID}.1.jsonl").read_bytes() == HEAD + line(2)


def test_a_file_that_is_emptied_gets_the_first_lines_again(tmp_path: Path) -> None:
    """After a copytruncate the file begins with the first lines, without a hole."""
    writer = writer_in(tmp_path)
    writer.write(line(1))
    os.truncate(tmp_path / f"{ID}.jsonl", 0)
    writer.write(line(2))
    writer.close()
    assert (tmp_path / f"{ID}.jsonl").read_bytes() == HEAD + line(2)


def test_a_descriptor_of_another_file_is_not_written_to(tmp_path: Path) -> None:
    """After a daemon closed all descriptors, its files with these numbers get no lines."""
    writer = writer_in(tmp_path)
    writer.write(line(1))
    number = writer.descriptor
    foreign = os.open(tmp_path / "foreign", os.O_RDWR | os.O_CREAT)
    os.dup2(foreign, number)
    try:
        writer.write(line(2))
        writer.close()
        assert (tmp_path / "foreign").read_bytes() == b""
        assert (tmp_path / f"{ID}.1.jsonl").read_bytes() == HEAD + line(2)
        os.fstat(number)  # still open
    finally:
        os.close(number)
        os.close(foreign)


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """No line is written through a link with the name of a segment."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine\n")
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / f"{ID}.jsonl").symlink_to(victim)
    writer = writer_in(folder)
    writer.write(line(1))
    writer.close()
    assert victim.read_bytes() == b"mine\n"
    assert (folder / f"{ID}.1.jsonl").read_bytes() == line(1)


def test_a_named_file_that_is_a_link_is_refused_with_a_hint(tmp_path: Path) -> None:
    """The error contains the file and that it is a link."""
    (tmp_path / "trace.jsonl").symlink_to(tmp_path / "victim")
    writer = SegmentWriter(Target(tmp_path, ID, "trace.jsonl"))
    with pytest.raises(JournalError, match=r"trace\.jsonl.*it is a link.*Name a file"):
        writer.write(line(1))
    assert not (tmp_path / "victim").exists()


def test_several_writers_share_a_named_file(tmp_path: Path) -> None:
    """Lines of several processes are whole in one file."""
    text = """
        import os, sys
        from pathlib import Path
        from otel_ext.journal.files import Target
        from otel_ext.journal.write.segment import SegmentWriter
        from tests.journal.builders import line
        children = []
        for n in range(4):
            pid = os.fork()
            if pid == 0:
                writer = SegmentWriter(Target(Path(sys.argv[1]), "x", "trace.jsonl"))
                for number in range(2000):
                    one = line(number, f"p{n}", name="y" * (number * 7 % 3000))
                    assert writer.write(one) == len(one)
                os._exit(0)
            children.append(pid)
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    """
    run(text, tmp_path)
    path = tmp_path / "trace.jsonl"
    assert not damage_in(path)
    assert len(lines_in(path)) == 8000


def test_a_torn_end_is_closed_before_the_next_line(tmp_path: Path) -> None:
    """If the file ends with half a line, the next record begins on a new line."""
    path = tmp_path / "trace.jsonl"
    path.write_bytes(line(1) + line(2)[:30])
    writer = SegmentWriter(Target(tmp_path, ID, "trace.jsonl"))
    writer.write(line(3))
    writer.close()
    assert path.read_bytes() == line(1) + line(2)[:30] + b"\n" + line(3)


LIMITED = """
    import os, resource, sys
    from pathlib import Path
    from otel_ext.journal.files import Target
    from otel_ext.journal.write.segment import SegmentWriter
    from tests.journal.builders import line
    named = sys.argv[2]
    writer = SegmentWriter(Target(Path(sys.argv[1]), "b0070000-7-1-00000000", named))
    writer.write(line(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(line(1)) + 100, resource.RLIM_INFINITY))
    waiting = b"".join(map(line, range(2, 12)))
    kept = writer.write(waiting)
    assert kept == 0, kept
    if sys.argv[3] == "twice":
        try:
            writer.write(waiting)
        except OSError as error:
            assert error.errno == 27, error
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    while waiting:
        waiting = waiting[writer.write(waiting):]
    writer.close()
"""


def test_a_line_cut_short_is_written_whole_later(tmp_path: Path) -> None:
    """After a short write (RLIMIT_FSIZE) no half line stays in an unshared file."""
    run(LIMITED, tmp_path, "", "once")
    assert (tmp_path / f"{ID}.jsonl").read_bytes() == b"".join(map(line, range(1, 12)))


def test_another_line_may_follow_one_that_was_cut_short(tmp_path: Path) -> None:
    """The next line need not be the one without room, since chunks alternate."""
    text = LIMITED.replace("while waiting:", "waiting = line(77) + waiting\n    while waiting:")
    run(text, tmp_path, "", "once")
    expected = line(1) + line(77) + b"".join(map(line, range(2, 12)))
    assert (tmp_path / f"{ID}.jsonl").read_bytes() == expected


def test_after_a_file_that_may_not_grow_comes_another(tmp_path: Path) -> None:
    """At a limit on file size the line goes to the next file, and no half of it stays."""
    run(LIMITED, tmp_path, "", "twice")
    assert (tmp_path / f"{ID}.jsonl").read_bytes() == line(1)
    assert (tmp_path / f"{ID}.1.jsonl").read_bytes() == b"".join(map(line, range(2, 12)))


def test_a_line_cut_short_in_a_shared_file_is_written_again(tmp_path: Path) -> None:
    """In a shared file the broken line is ended and the record follows whole."""
    run(LIMITED, tmp_path, "trace.jsonl", "once")
    text = (tmp_path / "trace.jsonl").read_bytes()
    assert text == line(1) + line(2)[:100] + b"\n" + b"".join(map(line, range(2, 12)))


@pytest.mark.needs("strace")
def test_a_failed_fsync_leaves_the_file_for_a_new_one(tmp_path: Path) -> None:
    """After EIO from the disk the same file is not used again."""
    text = """
        import sys
        from pathlib import Path
        from otel_ext.journal.files import Target
        from otel_ext.journal.write.segment import SegmentWriter
        from tests.journal.builders import line
        writer = SegmentWriter(Target(Path(sys.argv[1]), "b0070000-7-1-00000000"), sync="always",
                               first_lines=lambda: [line(0, name="head")])
        for number in range(1, 4):
            assert writer.write(line(number)) == len(line(number))
        writer.close()
    """
    inject = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=2"]
    done = subprocess.run(
        [*inject, *program(text, tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "could not be synced" in done.stderr
    assert (tmp_path / f"{ID}.jsonl").read_bytes() == line(1) + line(2)
    assert (tmp_path / f"{ID}.1.jsonl").read_bytes() == HEAD + line(3)


def test_a_folder_of_the_users_own_gets_no_file_of_ours(tmp_path: Path) -> None:
    """Only a folder that was created for records gets a .gitignore."""
    folder = tmp_path / "traces"
    folder.mkdir()
    assert writer_in(folder).write(line(1)) == len(line(1))
    assert names(folder) == [f"{ID}.jsonl"]
