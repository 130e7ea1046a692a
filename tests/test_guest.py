"""tunekit is a guest: what importing it and touching every public name leaves behind in the host, which is nothing."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, logging, os, random, signal, sys, threading, warnings

def host():
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "random": repr(random.getstate()),
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "root handlers": [repr(handler) for handler in logging.getLogger().handlers],
        "root level": logging.getLogger().level,
        "excepthook": repr(sys.excepthook),
        "warning filters": repr(warnings.filters),
        "threads": [thread.name for thread in threading.enumerate()],
        "recursion limit": sys.getrecursionlimit(),
    }

before = host()
import tunekit
for name in tunekit.__all__:
    getattr(tunekit, name)
after = host()
logging.getLogger("tunekit.somewhere").warning("a host without logging configuration sees no stray line")
print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
"""


def test_import_leaves_the_host_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}
    assert done.stderr == ""
