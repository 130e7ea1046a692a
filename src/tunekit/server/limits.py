"""How much one request, one answer and one tenant may take. Knows numbers; enforces none of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tunekit.errors import SpecError

MiB = 1024 * 1024
GiB = 1024 * MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a caller may ask for. The sizes of files are those of the original.

    Attributes:
        json_bytes: Longest JSON body.
        json_depth: How deep it may be nested.
        file_bytes: Largest file in one request.
        upload_bytes: Largest file in parts.
        part_bytes: Largest part.
        upload_s: Seconds until an upload expires.
        tenant_bytes: What all files of a tenant may take together.
        tenant_jobs: Jobs of a tenant that may wait or run at once.
        answer_tokens: Longest answer that may be asked for.
        default_answer_tokens: Longest answer where the request does not say.
        choices: Most answers to one request, and most prompts of one.
        texts: Most texts to embed in one request.
        python_graders: Whether callers may send `python` graders, whose source runs on this machine, in a limited child
            process. Off unless all callers are trusted.

    Examples:
        >>> Limits(answer_tokens=256).file_bytes
        536870912
    """

    json_bytes: int = 4 * MiB
    json_depth: int = 64
    file_bytes: int = 512 * MiB
    upload_bytes: int = 8 * GiB
    part_bytes: int = 64 * MiB
    upload_s: int = 3600
    tenant_bytes: int = 100 * GiB
    tenant_jobs: int = 100
    answer_tokens: int = 4096
    default_answer_tokens: int = 1024
    choices: int = 16
    texts: int = 2048
    python_graders: bool = False

    def __post_init__(self) -> None:
        """Check what was passed."""
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "python_graders" and (not isinstance(value, int) or value < 1):
                raise SpecError(f"limit {item.name} is {value!r}", hint="use a whole number of 1 or more")
