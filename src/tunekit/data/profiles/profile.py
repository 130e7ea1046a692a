"""One target's rules: what rows, files and writing it wants. Knows how a target's name leads to its rules.

The rules themselves are the TOML files under `rules`, each with the day on which they were looked up. This checks
nothing (`tunekit.data.checks.profile` does) and knows no service's wire.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec

from tunekit.data.profiles.local import prompt_format_of
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import ROLES, Example

NAMES = ("openai", "foundry", "bedrock", "nebius", "together", "fireworks", "mistral", "local", "base")
"""The built-in profiles."""


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A day on which something stops.

    Attributes:
        date: The day, as YYYY-MM-DD.
        says: What stops then.
    """

    date: str
    says: str


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a training service accepts. A rule that is None was not established; nothing is checked against it.

    Attributes:
        name: One of `NAMES`.
        target: The target as it was given, and as findings name it: "openai", "openai:ft:gpt-4.1:acme::x".
        model: Base model of the target string, without "ft:" and what follows it; "" where none was given.
        as_of: Day on which the rules were looked up, as YYYY-MM-DD.
        source: Where they are written.
        sources: Where a particular rule is written, by the name of its attribute, if not there.
        notes: What is assumed or uncertain, for people.
        shape: Record shape in which it wants its rows, a name of `tunekit.data.shapes`.
        shapes: Other record shapes for particular example kinds, by kind.
        row_keys: Meta columns that it takes as keys of a row; all others are left out when a file is written for it.
        kinds: Example kinds that it trains on.
        prompt_format: "text" where its model continues plain text, "chat" where a template applies.
        byte_order_mark: Whether its files must begin with one.
        min_rows: Fewest rows.
        max_rows: Most rows, by example kind.
        max_file_bytes: Largest file.
        max_tokens_per_row: Longest row. A longer one loses its end, which is the answer.
        tokenizer: Name of its tiktoken encoding.
        special_tokens: Texts that make it refuse the file, because they are its control tokens.
        roles: Roles that a message may have.
        roles_never_twice: Roles that may not speak twice in a row.
        first_roles: Roles that may speak first.
        ends_with: "answer" where a chat must end with the assistant, "text" where moreover not with a tool call.
        names: Whether a message may have a name.
        weights: Which weights of assistant turns it takes: any, only 0 or 1, or none at all.
        reasoning: Whether answers may carry their reasoning apart.
        tools: Whether rows may define and call tools.
        max_answers: Most messages on each side of a preference.
        image_forms: How images may be given; none where it takes no images.
        max_images_per_row: Most images of one row.
        max_image_bytes: Largest image.
        reference_key: What RFT rows must hold for the grader.
        endings: What stops, and when; earliest first.

    Examples:
        >>> profile_of("openai:ft:gpt-4.1-mini-2025-04-14:acme::x").tokenizer
        'o200k_base'
        >>> profile_of("foundry").byte_order_mark
        True
    """

    name: str
    target: str = ""
    model: str = ""
    as_of: str
    source: str
    sources: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    shape: str
    shapes: Mapping[str, str] = {}
    row_keys: frozenset[str] = frozenset()
    kinds: frozenset[str]
    prompt_format: Literal["chat", "text"] = "chat"
    byte_order_mark: bool = False
    min_rows: int = 1
    max_rows: Mapping[str, int] = {}
    max_file_bytes: int | None = None
    max_tokens_per_row: int | None = None
    tokenizer: str | None = None
    special_tokens: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset(ROLES)
    roles_never_twice: frozenset[str] = frozenset()
    first_roles: frozenset[str] | None = None
    ends_with: Literal["answer", "text"] | None = None
    names: bool | None = None
    weights: Literal["any", "0-1", "none"] | None = None
    reasoning: bool | None = None
    tools: bool | None = None
    max_answers: int | None = None
    image_forms: frozenset[Literal["url", "data"]] | None = None
    max_images_per_row: int | None = None
    max_image_bytes: int | None = None
    reference_key: str | None = None
    endings: tuple[Ending, ...] = ()

    def shape_of(self, kind: str) -> str:
        """The record shape in which it wants rows of this example kind."""
        return self.shapes.get(kind, self.shape)

    def left_out(self, example: Example) -> tuple[str, ...]:
        """The row's meta columns that are not written for it; our own shape keeps them all."""
        if self.shape == "tunekit":
            return ()
        return tuple(column for column in example.meta if column not in self.row_keys)

    def without_left_out(self, example: Example) -> Example:
        """The row as it is written for it: without the meta columns that it does not take."""
        left_out = self.left_out(example)
        if not left_out:
            return example
        kept = {column: value for column, value in example.meta.items() if column not in left_out}
        row: Example = example.replace(meta=kept)
        return row


def profile_of(target: str) -> Profile:
    """The rules of a target.

    Args:
        target: One of `NAMES`, alone or with ":" and a model, such as `"openai:gpt-4.1-mini-2025-04-14"`. "base" is any
            base model that continues plain text. For `"local:<directory>"` the model's own files say whether it has a
            chat template; for a hub id that cannot be known here, and `notes` says so.

    Raises:
        SpecError: There is no such profile.

    Examples:
        >>> profile_of("openai:davinci-002").prompt_format
        'text'
    """
    target = str(target)
    name, _, model = target.partition(":")
    if name not in NAMES:
        raise SpecError(f"unknown target {brief(target)}", hint=_instead(target))
    rules = dict(_file(name))
    models = rules.pop("models", {})
    model = base_model(model)
    row = _row_of(models, model or "*")
    profile = msgspec.convert({**rules, **models.get(row, {}), "model": model, "target": target}, Profile)
    if name == "local":
        return _local(profile)
    return _with_note(profile, _UNKNOWN_MODEL) if models and not row else profile


_UNKNOWN_MODEL = "this model is not in the table, so its tokenizer and longest row are not known"


def base_model(model: str) -> str:
    """The base of a fine-tuned OpenAI model; any other name as it is.

    Examples:
        >>> base_model("ft:gpt-4.1-mini:acme::x")
        'gpt-4.1-mini'
    """
    return model.split(":")[1] if model.startswith("ft:") else model


def _instead(target: str) -> str:
    near = nearest(target.partition(":")[0], NAMES)
    if not near and _row_of(_file("openai")["models"], base_model(target)):
        return f"that is a model; write {brief('openai:' + target)}"
    return (
        near or f"targets are {listed(NAMES)}, alone or with a model, as in 'openai:gpt-4.1-mini-2025-04-14'"
    )


@cache
def _file(name: str) -> dict[str, Any]:
    file = resources.files("tunekit.data.profiles") / "rules" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _row_of(models: Mapping[str, Any], model: str) -> str:
    """The longest name in the table that the model's name is or begins with: snapshots are called "name-date"."""
    rows = [row for row in models if model == row or model.startswith(f"{row}-")]
    return max(rows, key=len, default="")


def _local(profile: Profile) -> Profile:
    """The local trainer's rules for one model, whose own files say whether it has a chat template."""
    prompt_format, why = prompt_format_of(profile.model)
    return _with_note(msgspec.structs.replace(profile, prompt_format=prompt_format), why)


def _with_note(profile: Profile, note: str) -> Profile:
    return msgspec.structs.replace(profile, notes=(*profile.notes, note))
