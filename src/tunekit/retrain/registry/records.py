"""A version of a model, and a move of an alias, as they are stored. Knows fields; not where they are kept."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from tunekit._canonical import fingerprint
from tunekit.data.wording import brief
from tunekit.errors import RefError
from tunekit.evaluation.records import Record
from tunekit.refs import ModelRef

NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_NAME = re.compile(NAME + r"\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")

Name: TypeAlias = Annotated[str, Field(pattern=f"^{NAME}$")]
"""Small letters, digits, dots, dashes and underscores: `support-bot`, `champion`."""


class ModelVersion(Record):
    """One model that may answer for a product, and all that it takes to know where it came from. Never changed.

    Attributes:
        name: What the models of one product are called together.
        number: 1, 2, 3 in the order in which they were registered.
        model: What `generate` takes.
        digest: Of the artifact's content, such as what `Backend.version` says; "" where nobody knows.
        data: Fingerprints of what it was made and measured with, by role: "train", "validation", "test", "replay".
        recipe: The `TuneSpec` as JSON.
        seed: Of the training; None where there was none.
        base: The base model.
        base_ends: First day on which the base, and with it this model, answers no more; None where none is announced.
        template_hash: Of how prompts are put to it.
        code_version: Of the host's code, such as a commit.
        libraries: Versions of what made it, by package.
        evaluation: Where its evaluation is: an id or a path of the host's.
        parent: Number of the version that it was warm-started from, or that it was to replace.
        job: The job that made it.
        note: In words.
        facts: Whatever else the host wants to know later.
        created_at: Unix seconds.

    Examples:
        >>> version = ModelVersion(name="support-bot", number=3, model="local:run-9f2c", created_at=0.0)
        >>> version.ref, version.days_left(date(2026, 11, 23))
        ('support-bot@3', None)
    """

    schema_version: Literal[1] = 1
    name: Name
    number: Annotated[int, Field(ge=1)]
    model: ModelRef
    digest: str = ""
    data: dict[str, str] = Field(default_factory=dict)
    recipe: dict[str, JsonValue] = Field(default_factory=dict)
    seed: int | None = None
    base: str = ""
    base_ends: date | None = None
    template_hash: str = ""
    code_version: str = ""
    libraries: dict[str, str] = Field(default_factory=dict)
    evaluation: str = ""
    parent: int | None = None
    job: str = ""
    note: str = ""
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    created_at: float

    @property
    def ref(self) -> str:
        """What `Registry.resolve` takes for exactly this version."""
        return f"{self.name}@{self.number}"

    @property
    def fingerprint(self) -> str:
        """Hash of all but its number and its time: equal for what is the same model, registered again."""
        return fingerprint(self.model_dump(mode="json", exclude={"number", "created_at", "schema_version"}))

    def days_left(self, today: date) -> int | None:
        """Days on which it will still answer; None where no end is announced."""
        return None if self.base_ends is None else (self.base_ends - today).days


class Move(Record):
    """One move of an alias. Moves are added and never changed: they are its history.

    Attributes:
        name: Of the models.
        alias: What was moved, such as "champion".
        sequence: 1, 2, 3 for each alias by itself, without a gap.
        action: "promote" puts a version in front, "rollback" takes the one in front away.
        before: The version that the alias named before; None for none.
        after: The version that it names from then on.
        reason: Why, in words.
        by: Who did it.
        key: Of the request; the same one is done once. "" for none.
        at: Unix seconds.
    """

    schema_version: Literal[1] = 1
    name: Name
    alias: Name
    sequence: Annotated[int, Field(ge=1)]
    action: Literal["promote", "rollback"]
    before: int | None = None
    after: Annotated[int, Field(ge=1)]
    reason: str = ""
    by: str = ""
    key: str = ""
    at: float


def checked_name(value: object, what: str) -> str:
    """A name of models or of an alias.

    Raises:
        RefError: It is none.
    """
    if not isinstance(value, str) or not _NAME.match(value):
        raise RefError(
            f"{what} {brief(value)} is no name",
            hint="use small letters, digits, dots, dashes and underscores, such as support-bot",
        )
    return value


def parsed(said: object) -> tuple[str, str | int]:
    """The name and the alias or number in `"support-bot@champion"`.

    Raises:
        RefError: It is no such text.

    Examples:
        >>> parsed("support-bot@champion"), parsed("support-bot@3")
        (('support-bot', 'champion'), ('support-bot', 3))
    """
    name, mark, which = said.partition("@") if isinstance(said, str) else ("", "", "")
    if not mark:
        raise RefError(
            f"{brief(said)} names no version of a model",
            hint='write "support-bot@champion" or "support-bot@3"',
        )
    checked_name(name, "the model")
    return name, int(which) if _NUMBER.match(which) else checked_name(which, "the alias")
