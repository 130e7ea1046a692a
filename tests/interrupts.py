"""Ctrl-C at the right moment: when the main thread is waiting for another one."""

from __future__ import annotations

import os
import signal
import sys
import threading

from tests.processes import eventually


def interrupt_the_waiting_main_thread() -> None:
    """Send SIGINT once the main thread waits on a lock; before that it would hit the code that starts the wait."""
    main = threading.main_thread().ident
    assert main is not None
    eventually(lambda: sys._current_frames()[main].f_code.co_name == "wait")
    os.kill(os.getpid(), signal.SIGINT)
