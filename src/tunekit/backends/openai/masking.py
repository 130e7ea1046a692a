"""Takes the key out of what a host sends back, before anybody reads it. Knows pieces of a body; not what they mean.

A host may show the key in any field, header or page. So it is taken out where bytes come in, once for all: what is
made of them (messages, details, events, rows of the store, variables in a traceback) has never held it.
"""

from __future__ import annotations

from tunekit.backends.openai.secret import Secret


class Mask:
    """Masks a body that comes in pieces, which may end anywhere, in the middle of the key too.

    What may be the beginning of the key is held back until more comes. A key has no line break, so that whole lines,
    such as those of server-sent events, lose no time by that.

    Args:
        secret: The key that was sent; None masks nothing.

    Examples:
        >>> mask = Mask(Secret("sk-very-secret-1"))
        >>> mask.feed(b"data: sk-very-sec"), mask.feed(b"ret-1 is wrong"), mask.end()
        (b'data: ', b'[key] is wrong', b'')
    """

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret if secret is not None and secret.longest_form else None
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be given on; it may be nothing."""
        if self._secret is None:
            return piece
        text = self._secret.masked_bytes(self._held + piece)
        known = _known(text, self._secret)
        self._held = text[known:]
        return text[:known]

    def end(self) -> bytes:
        """What was held back, once no more comes."""
        held, self._held = self._held, b""
        return held


def _known(text: bytes, secret: Secret) -> int:
    """How many of these bytes are no beginning of the key, whatever comes."""
    start = max(text.rfind(b"\n") + 1, len(text) - secret.longest_form + 1)
    escape = text.find(b"\\", start)  # of which this does not say what it stands for
    end = len(text) if escape < 0 else escape
    return end - secret.begun(text[start:end])
