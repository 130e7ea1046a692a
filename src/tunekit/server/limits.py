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
        patience_s: Seconds that a caller may let us wait for a body, and one more for each KiB that came.
        json_bytes: Longest JSON body.
        json_depth: How deep it may be nested.
        json_values: Most names and values in it: four million bytes may be two million zeros.
        file_bytes: Largest file in one request.
        upload_bytes: Largest file in parts.
        part_bytes: Largest part.
        upload_s: Seconds until an upload expires.
        tenant_uploads: Uploads of a tenant that may be open at once.
        tenant_bytes: What all files of a tenant may take together.
        tenant_jobs: Jobs of a tenant that may wait or run at once.
        backend_jobs: Jobs of all tenants that may be with one backend at once, where each may be a process that waits
            for its device. The others wait here, and tenants take turns.
        answer_tokens: Longest answer that may be asked for.
        default_answer_tokens: Longest answer where the request does not say.
        choices: Most answers to one request, and most prompts of one.
        texts: Most texts to embed in one request.
        batch_questions: Most questions in one batch.
        tenant_batches: Batches of a tenant that may wait or run at once.
        grader_characters: Most characters that a grader may read in one run, counted once for each time it reads them.
        grader_pairs: Most pairs of a character of a text and one of its reference in one run: what measures of
            similarity may take is in proportion, or worse.
        python_graders: Whether callers may send `python` graders, whose source runs on this machine, in a limited child
            process. Off unless all callers are trusted.

    Examples:
        >>> Limits(answer_tokens=256).file_bytes
        536870912
    """

    patience_s: int = 60
    json_bytes: int = 4 * MiB
    json_depth: int = 64
    json_values: int = 32_768
    file_bytes: int = 512 * MiB
    upload_bytes: int = 8 * GiB
    part_bytes: int = 64 * MiB
    upload_s: int = 3600
    tenant_uploads: int = 100
    tenant_bytes: int = 100 * GiB
    tenant_jobs: int = 100
    backend_jobs: int = 4
    answer_tokens: int = 4096
    default_answer_tokens: int = 1024
    choices: int = 16
    texts: int = 2048
    batch_questions: int = 50_000
    tenant_batches: int = 20
    grader_characters: int = 32_768
    grader_pairs: int = 4096 * 4096
    python_graders: bool = False

    def __post_init__(self) -> None:
        """Check what was passed."""
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "python_graders" and (not isinstance(value, int) or value < 1):
                raise SpecError(f"limit {item.name} is {value!r}", hint="use a whole number of 1 or more")
