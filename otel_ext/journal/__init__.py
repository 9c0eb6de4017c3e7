"""The journal: keeps records in files so that neither a kill nor a full disk loses them.

One *incarnation* of a process (from its start, or its fork, to its death) writes a
journal to a folder: a ring buffer, `.blackbox/ID.ring`, and segments, `ID.jsonl`,
`ID.1.jsonl` and so on. Its id holds boot, pid, start time and a random part, and is never
used again. These are the invariants that the modules rely on; docs/durability.md has the
promises that follow from them, and their tests.

A ring buffer (write/ring_buffer.py, ring_layout.py)
  - has all its disk blocks from its creation, and its pages belong to the kernel: a line that
    `append` accepted survives SIGKILL.
  - claims room and stores the line in one step of the interpreter, without a system call, and
    without a lock if Python has the GIL. Other threads, signal handlers and finalizers find
    whole lines only. A kill during the copy leaves a torn line, which was not accepted yet.
  - never overwrites a line that is not in the file yet. A line without room is refused and
    counted under `dropped.`.
  - fills each chunk from its beginning with lines; the first NUL byte ends them. So it can be
    read even if the header is damaged.

A segment (write/segment.py)
  - is appended to by whole lines. Half a line is cut off again or, where other writers append
    to the same file, ended with a newline, and readers skip it.
  - starts, if it is not the first, with `process.start` and a start record of each open span:
    the newest segment and the ring buffer show what is open without the older segments.
  - is complete when its last line is a `process.end` without open spans.

Who writes what
  - Any thread may append lines. One thread at a time drains, syncs, rotates and stamps: the
    worker, or the thread that flushes or closes. With `durability=write` callers also write
    lines to the open file.
  - Another process may change one word of a ring buffer, the request for the location of open
    spans. A forked child never changes what belongs to its parent.
  - Recovery writes for an incarnation only while it holds its lock, and only if it is dead, or
    runs where that cannot be checked and has been silent for too long.

Order of the hand-over
  1. The line is in the ring buffer before `append` returns.
  2. The worker writes it to the segment, then moves the drained offset in the header.
  3. A chunk is sealed, drained, set to zero and only then filled again.
  4. At the end the file is synced and closed, then the ring buffer is removed.
  So a line may be in both, never in neither. Readers take ring buffers first, then segments,
  and count lines of the same process and sequence number once. What was written but not yet
  synced is lost if the machine loses power, not if the process dies.

What recovery may assume
  - What a dead incarnation accepted is in its ring buffers and files, except what waited in
    memory (`durability=queued`, or after a failed write).
  - Under the lock no other recovery changes them, and doing it again changes nothing.
  - Not that a file ends with a newline, that a header is intact, or that the newest record has
    the latest time. It removes a ring buffer after its lines are synced to a file.

`write/` takes lines and writes them; `read/` scans files and ring buffers and never changes
them; `recovery/` ends the spans of dead processes and deletes old segments. The modules beside
them hold what these share: names of files, layout, liveness.

All readers, recovery and commands alike, find lines by read/scanner.py, what was added to a
file by read/follow.py, ring buffers by read/rings.py, which spans are open by
read/open_spans.py, and what is known of a process by read/facts.py. Two readers stand on
these: read/file_reader.py, fast and again and again, for `ps` and `top`, and
read/incarnations.py, which checks each line of all segments, for recovery.
"""

from __future__ import annotations
