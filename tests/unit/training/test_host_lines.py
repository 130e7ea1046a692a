"""Lines from a host, over a real pipe, however they are cut into pieces."""

from __future__ import annotations

import os
import threading

from tunekit.training.serving.host_lines import HostLines


def test_lines_come_whole_however_they_were_written() -> None:
    read, write = os.pipe()
    lines = HostLines(read)
    os.write(write, b"one\n\ntwo\nthr")
    assert [lines.next(5.0) for _ in range(3)] == [b"one", b"", b"two"]
    assert lines.interrupts()
    os.write(write, b"ee\n")
    assert lines.next(5.0) == b"three"
    assert not lines.interrupts()
    long = b"x" * (1 << 22) + b"\nafter it\n"
    writer = threading.Thread(target=os.write, args=(write, long))
    writer.start()
    assert (lines.next(5.0), lines.next(5.0)) == (long[: 1 << 22], b"after it")
    writer.join()
    assert lines.next(0.01) == b""
    os.close(write)
    assert lines.next(5.0) == b""
    os.close(read)
