"""The last words of a log, for an error message."""

from __future__ import annotations

from pathlib import Path

from tunekit.backends.local import launch


def test_a_log_tail_is_the_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert launch.log_tail(log) == ""
    log.write_bytes(b"x" * 10_000 + b"\n\none\ntwo\xff\nthree\n")
    assert launch.log_tail(log) == "one | two\N{REPLACEMENT CHARACTER} | three"
