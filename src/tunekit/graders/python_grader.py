"""`python`: somebody's `grade(sample, item)`, run in a child process. Knows what the source must look like.

It is not run here: `sandbox` runs it. Whoever wrote the spec wrote it, so its limits are there against accidents, and
are no wall against an attacker.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.graders.base import Grade, Grader
from tunekit.graders.fields import Fields
from tunekit.graders.sample import Sample
from tunekit.graders.sandbox import Limits, Sandbox

MAX_SOURCE_BYTES = 256_000
"""As in OpenAI's guide on graders."""


@dataclass(frozen=True, kw_only=True)
class PythonGrader(Grader):
    """Runs a function of the host's.

    Attributes:
        sandbox: Runs it.
    """

    sandbox: Sandbox

    @classmethod
    def read(cls, fields: Fields, name: str, limits: Limits) -> PythonGrader:
        """From its JSON. `image_tag` names OpenAI's container and says nothing here."""
        source = fields.made("source", _source) or ""
        fields.text("image_tag", "")
        threshold = fields.number("pass_threshold")
        return cls(name=name, sandbox=Sandbox(source, limits), pass_threshold=threshold)

    def close(self) -> None:
        """See `Grader.close`."""
        self.sandbox.close()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        return Grade.of(self.sandbox.call(sample.namespace, item))


def _source(text: str) -> str:
    """The source, if it is one. Reading it runs nothing of it."""
    if len(text.encode("utf-8", "surrogatepass")) >= MAX_SOURCE_BYTES:
        raise ValueError(f"it has {MAX_SOURCE_BYTES:,} bytes or more")
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise ValueError(
            f"it is no Python{where}: {getattr(error, 'msg', None) or type(error).__name__}"
        ) from None
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "grade"]
    if not functions:
        raise ValueError("it defines no function grade(sample, item)")
    arguments = functions[-1].args
    if len(arguments.posonlyargs + arguments.args) != 2 or any(
        default is None for default in arguments.kw_defaults
    ):
        raise ValueError("grade must take exactly two arguments: sample, item")
    return text
