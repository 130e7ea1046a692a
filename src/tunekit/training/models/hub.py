"""Whether the model hub can be reached. Knows sockets; downloads nothing.

Without a network, the hub's client retries every file for half a minute, even for files that it has in its cache. One
look at the start decides instead: a hub that cannot be reached is not asked, and cached models load at once.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from urllib.parse import urlsplit

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@cache
def is_reachable(*, timeout_s: float = 5.0) -> bool:
    """Whether somebody answers at the hub's address; behind a proxy that is not ours to find out. Looked at once."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=timeout_s).close()
    except OSError:
        return False
    return True
