"""One target's rules: what rows, files and writing it wants. Knows how a target's name leads to its rules.

The rules themselves are the TOML files beside this module, each with the day on which they were looked up. It checks
nothing (`tunekit.data.checks.profile` does) and knows no service's wire.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import ROLES

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
    """What a training service accepts. A rule that is None was not established, and is not checked.

    Attributes:
        name: What `Dataset.check(target=...)` calls it.
        model: Base model of the target string, without "ft:" and what follows it; "" where none was given.
        as_of: Day on which the rules were looked up, as YYYY-MM-DD.
        source: Where they are written.
        sources: Where a particular rule is written, by the name of its attribute.
        notes: What is assumed, uncertain or not established; for people.
        shape: Record shape in which it wants its rows, a name of `tunekit.data.shapes`.
        shapes: Other record shapes for particular example kinds, by kind.
        kinds: Example kinds that it trains on.
        prompt_format: "text" where its model continues plain text, "chat" where a template applies.
        byte_order_mark: Whether its files must begin with one.
        min_rows: Fewest rows.
        max_rows: Most rows.
        max_file_bytes: Largest file.
        max_tokens_per_row: Longest row; a longer one is cut at its end, which is the answer.
        tokenizer: Name of its tiktoken encoding.
        roles: Roles that a message may have.
        message_names: Whether a message may have a name.
        repeated_roles: Roles that may speak twice in a row.
        ends_with_answer: Whether the last message of a chat must be the assistant's.
        weights: Which weights of assistant turns it takes: "any", only 0 or 1 ("0-1"), or "none".
        tools: Whether rows may define and call tools.
        images: Whether messages may hold images.
        max_images_per_row: Most images of one row.
        max_image_bytes: Largest image.
        wants_reference: Whether RFT rows need an answer for the grader beside the messages.
        endings: What stops, and when; earliest first.

    Examples:
        >>> profile_of("openai:ft:gpt-4.1-mini-2025-04-14:acme::x").tokenizer
        'o200k_base'
        >>> profile_of("foundry").byte_order_mark
        True
    """

    name: str
    as_of: str
    source: str
    shape: str
    kinds: frozenset[str]
    model: str = ""
    sources: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    shapes: Mapping[str, str] = {}
    prompt_format: Literal["chat", "text"] = "chat"
    byte_order_mark: bool = False
    min_rows: int = 1
    max_rows: int | None = None
    max_file_bytes: int | None = None
    max_tokens_per_row: int | None = None
    tokenizer: str | None = None
    roles: frozenset[str] = frozenset(ROLES)
    message_names: bool | None = None
    repeated_roles: frozenset[str] | None = None
    ends_with_answer: bool | None = None
    weights: Literal["any", "0-1", "none"] | None = None
    tools: bool | None = None
    images: bool | None = None
    max_images_per_row: int | None = None
    max_image_bytes: int | None = None
    wants_reference: bool | None = None
    endings: tuple[Ending, ...] = ()

    def shape_of(self, kind: str) -> str:
        """The record shape in which it wants rows of this example kind."""
        return self.shapes.get(kind, self.shape)


def profile_of(target: str) -> Profile:
    """The rules of a target: a profile's name, or a target string such as `"openai:gpt-4.1-mini-2025-04-14"`.

    Args:
        target: One of `NAMES`, alone or with ":" and a model. "base" is any base model that continues plain text.

    Raises:
        SpecError: There is no such profile.

    Examples:
        >>> profile_of("openai:davinci-002").prompt_format
        'text'
    """
    name, _, model = str(target).partition(":")
    if name not in NAMES:
        raise SpecError(f"unknown target {brief(target)}", hint=_instead(str(target)))
    rules = dict(_file(name))
    models = rules.pop("models", {})
    model = base_model(model)
    row = _row_of(models, model)
    profile = msgspec.convert({**rules, **models.get(row, {}), "model": model}, Profile)
    if models and model and not row:
        return _with_note(profile, f"model {brief(model)} is not in the table: its own limits are not known")
    return profile


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
    file = resources.files("tunekit.data.profiles").joinpath("files", f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _row_of(models: Mapping[str, Any], model: str) -> str:
    """The longest name in the table that the model's name is, or begins with: snapshots are called "name-date"."""
    rows = [row for row in models if model == row or model.startswith(f"{row}-")]
    return max(rows, key=len, default="")


def _with_note(profile: Profile, note: str) -> Profile:
    return msgspec.structs.replace(profile, notes=(*profile.notes, note))
