"""Lines from the host on stdin. Knows how to wait for one and when the host is gone; not what a line asks for."""

from __future__ import annotations

import os
import select
import time

_LOOK_FOR_HOST_S = 5.0


class HostLines:
    """What the process that started this one writes.

    A host that is killed closes its end, but a fork of it may hold a copy of the pipe: so its process id is watched.

    Args:
        stream: File descriptor; it is read without a buffer that `select` could not see.
    """

    def __init__(self, stream: int = 0) -> None:
        self._stream = stream
        self._host_pid = os.getppid()
        self._read = bytearray()

    def next(self, timeout_s: float) -> bytes:
        """The next line, or nothing if the host is gone or has asked for nothing for so long."""
        deadline, end = time.monotonic() + timeout_s, self._read.find(b"\n")
        while end < 0:
            piece = os.read(self._stream, 1 << 16) if self._is_readable(deadline) else b""
            if not piece:
                return b""
            known = len(self._read)
            self._read += piece
            end = self._read.find(b"\n", known)  # not all of it again for each piece of a long line
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def interrupts(self) -> bool:
        """Whether the host has said more, or is gone."""
        return os.getppid() != self._host_pid or bool(self._read) or _is_readable(self._stream, 0.0)

    def _is_readable(self, deadline: float) -> bool:
        while (left_s := deadline - time.monotonic()) > 0 and os.getppid() == self._host_pid:
            if _is_readable(self._stream, min(left_s, _LOOK_FOR_HOST_S)):
                return True
        return False


def _is_readable(stream: int, wait_s: float) -> bool:
    return bool(select.select([stream], [], [], wait_s)[0])
