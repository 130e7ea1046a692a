"""The hosts that speak OpenAI's dialect, as data. Knows where each differs; sends nothing and knows no job.

What stands in `profiles/*.json` are product facts with the day on which they were looked up; they change without a
release of ours, so none of them is a constant in code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from tunekit.backends.capabilities import Capabilities
from tunekit.data.profiles.profile import base_model
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError

NAMES = ("openai", "foundry", "bedrock", "nebius", "crusoe", "litellm", "portkey", "vllm", "generic")
"""Hosts with a profile; "generic" is any other."""

_DATED = re.compile(r"-20\d\d-\d\d-\d\d\Z")


class _Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Field(_Facts, frozen=True, kw_only=True):
    """A field of the create call that only this host has; given as an option of the spec.

    Attributes:
        values: What it may be; empty for anything.
        required: What goes wrong without it; "" where nothing does.
    """

    values: tuple[str, ...] = ()
    required: str = ""


class ModelFacts(_Facts, frozen=True, kw_only=True):
    """What is known of one family of base models.

    Attributes:
        methods: What it can be trained with; None as the host says.
        training_ends: First day, as YYYY-MM-DD, on which it can no longer be trained; "" where none is announced.
        answers_end: First day on which neither it nor what was made of it answers.
    """

    methods: frozenset[str] | None = None
    training_ends: str = ""
    answers_end: str = ""


class Host(_Facts, frozen=True, kw_only=True):
    """One host of the dialect.

    Attributes:
        name: One of `NAMES`.
        title: What people call it.
        as_of: Day on which the facts were looked up, as YYYY-MM-DD.
        source: Where they are written.
        base_url: Where it is; "" where every account has an address of its own.
        base_url_looks_like: Such an address, for the error that asks for it.
        domains: Names of machines that are certainly this host.
        key_header: Header of the API key; "authorization" takes it as a bearer token.
        key_variables: Environment variables that hold the key, first come first served.
        needs_key: Whether a call off this machine needs one.
        needs_query: Query parameters that every call needs.
        data_rules: Whose rules of `tunekit.data.profiles` its files follow.
        methods: What it trains: "sft", "dpo", "rft".
        graders: Types of graders that it takes; None for those of OpenAI.
        rft_needs_validation: Whether reinforcement fine-tuning asks for validation data.
        training_ends: First day on which it takes no more jobs.
        models: Families of base models, by the name that their snapshots begin with.
        min_examples: Fewest training examples.
        max_file_bytes: Largest file in one call; None where not known.
        uploads: Whether it takes files in parts.
        max_upload_bytes: Largest file in parts.
        suffix_max_chars: Longest suffix; 0 where it takes none.
        metadata: Whether a job can be tagged.
        finds_by: How a job is found again: by its tag, or by the name of its training file.
        seed: Whether a job takes one.
        hyperparameters_in: Where they stand in the create call: in "method", or at the "top" as in OpenAI's old way.
        hyperparameters: Names it takes beyond OpenAI's, each an option of the spec, with the methods that have it.
        learning_rate: Whether its `learning_rate_multiplier` is one, or an absolute rate.
        spec_fields: Fields of the spec that it takes as hyperparameters, with their names there.
        lora_fields: Likewise for a LoRA adapter.
        fields: Fields of the create call that only it has.
        warm_start: Whether a tuned model can be trained further.
        lists_events: Whether it has a log of events.
        lists_newest_first: Whether that log certainly begins with the newest; where it may not, all of it is read.
        verbs: Optional methods of `Backend` that work there.
        max_tokens_field: What it calls the longest answer of a chat.
        text_models: Families of models that have no chat, but go on with a plain text.
        dates_models: Whether dated names of bases and those of tuned models stand for the same weights for ever.
        deploy: What must be done before a tuned model answers; "" for nothing.
        notes: What is uncertain, for people.
    """

    name: str
    title: str
    as_of: str
    source: str
    base_url: str = ""
    base_url_looks_like: str = ""
    domains: tuple[str, ...] = ()
    key_header: str = "authorization"
    key_variables: tuple[str, ...] = ()
    needs_key: bool = True
    needs_query: tuple[str, ...] = ()
    data_rules: str = "openai"
    methods: frozenset[str]
    graders: frozenset[str] | None = None
    rft_needs_validation: bool = False
    training_ends: str = ""
    models: Mapping[str, ModelFacts] = {}
    min_examples: int = 1
    max_file_bytes: int | None = None
    uploads: bool = False
    max_upload_bytes: int | None = None
    suffix_max_chars: int = 64
    metadata: bool = True
    finds_by: Literal["metadata", "file"] = "file"
    seed: bool = True
    hyperparameters_in: Literal["method", "top"] = "method"
    hyperparameters: Mapping[str, frozenset[str]] = {}
    learning_rate: Literal["multiplier", "absolute"] = "multiplier"
    spec_fields: Mapping[str, str] = {}
    lora_fields: Mapping[str, str] = {}
    fields: Mapping[str, Field] = {}
    warm_start: bool = False
    lists_events: bool = True
    lists_newest_first: bool = False
    verbs: frozenset[str]
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    text_models: tuple[str, ...] = ()
    dates_models: bool = False
    deploy: str = ""
    notes: tuple[str, ...] = ()

    @property
    def dated(self) -> str:
        """Who says all this, and when it was looked up."""
        return f"{self.title} as of {self.as_of}: {self.source}"

    def model(self, name: str) -> ModelFacts:
        """What is known of a base model, or of one that was tuned from it.

        Examples:
            >>> host_of("openai").model("ft:gpt-4.1-mini-2025-04-14:acme::x").answers_end
            '2027-01-14'
            >>> host_of("openai").model("gpt-9").answers_end
            ''
        """
        rows = [row for row in self.models if _is_of(name, row)]
        return self.models[max(rows, key=len)] if rows else ModelFacts()

    def goes_on_with_text(self, name: str) -> bool:
        """Whether a model has no chat.

        Examples:
            >>> host_of("openai").goes_on_with_text("ft:davinci-002:acme::x")
            True
        """
        return any(_is_of(name, family) for family in self.text_models)

    def is_snapshot(self, name: str) -> bool:
        """Whether a model's name stands for the same weights for ever: a dated one, and that of a tuned model.

        Examples:
            >>> openai = host_of("openai")
            >>> [openai.is_snapshot(name) for name in ("gpt-4o-2024-08-06", "ft:gpt-4o-2024-08-06:acme::x", "gpt-4o")]
            [True, True, False]
        """
        return self.dates_models and bool(_DATED.search(name) or name.startswith("ft:"))

    def capabilities(self) -> Capabilities:
        """What the backend claims when it is used with this host."""
        from datetime import date

        return Capabilities(
            methods=self.methods,
            chooses_adapter=not self.lora_fields,
            verbs=self.verbs,
            min_examples=self.min_examples,
            options=frozenset({*options_of(self), *self.fields, *self.hyperparameters}),
            spec_fields=frozenset({"warm_start"}) if self.warm_start else frozenset(),
            sunset=date.fromisoformat(self.training_ends) if self.training_ends else None,
            source=self.dated,
        )


def _is_of(name: str, family: str) -> bool:
    """Whether a model, or what it was tuned from, belongs to a family."""
    base = base_model(name)
    return base == family or base.startswith(f"{family}-")


_OPTIONS: Mapping[str, frozenset[str]] = {
    "learning_rate_multiplier": frozenset({"sft", "dpo", "rft"}),
    "reasoning_effort": frozenset({"rft"}),
    "compute_multiplier": frozenset({"rft"}),
    "eval_interval": frozenset({"rft"}),
    "eval_samples": frozenset({"rft"}),
    "response_format": frozenset({"rft"}),
}


def options_of(host: Host, method: str | None = None) -> frozenset[str]:
    """Options that OpenAI's dialect has for a method of this host, or for any of its methods."""
    methods = host.methods if method is None else {method}
    found = {name for name, takers in _OPTIONS.items() if takers & methods}
    if host.learning_rate == "absolute":
        found.discard("learning_rate_multiplier")  # `spec.learning_rate` says it
    return frozenset(found | {"integrations"} | ({"metadata"} if host.metadata else set()))


@cache
def host_of(name: str) -> Host:
    """The facts about a host.

    Raises:
        SpecError: There is no such profile.

    Examples:
        >>> host_of("foundry").key_header
        'api-key'
    """
    if name not in NAMES:
        raise SpecError(
            f"host is {brief(name)}",
            hint=nearest(name, NAMES)
            or f"hosts are {listed(NAMES)}; for any other, give base_url and host='generic'",
        )
    file = resources.files("tunekit.backends.openai") / "profiles" / f"{name}.json"
    return read_host(file.read_bytes())


def read_host(text: bytes) -> Host:
    """A host's facts from JSON.

    Raises:
        SpecError: A field is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.json.decode(text, type=Host)
    except msgspec.ValidationError as error:
        raise SpecError(f"not a host profile: {error}", hint="compare with tunekit's own profiles") from None


def serving(name: str, base_url: str) -> Host:
    """The facts to go by at an address. OpenAI's own dates and limits say nothing of another machine in its place.

    Examples:
        >>> serving("openai", "http://localhost:8000/v1").name
        'generic'
        >>> serving("openai", "https://eu.api.openai.com/v1").name
        'openai'
    """
    host = host_of(name)
    if name != "openai" or not base_url or _is_at(base_url, host.domains):
        return host
    return msgspec.structs.replace(host_of("generic"), key_variables=host.key_variables)


def address(host: Host, base_url: str) -> str:
    """The base URL to use, without a slash at its end.

    Raises:
        SpecError: It is missing, or none.
    """
    found = (base_url or host.base_url).rstrip("/")
    if not found:
        like = f", such as {host.base_url_looks_like}" if host.base_url_looks_like else ""
        raise SpecError(
            f"no base_url for host {host.name!r}", hint=f"pass base_url=, the address of yours{like}"
        )
    parts: Any = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecError(f"base_url is {brief(found)}", hint="write it whole: https://api.openai.com/v1")
    if "@" in parts.netloc:  # shown in messages, and stored with every run
        raise SpecError("base_url names a user or a password", hint="send it in headers=, or as api_key=")
    return found


def _is_at(base_url: str, domains: tuple[str, ...]) -> bool:
    hostname = urlsplit(base_url).hostname or ""
    return any(hostname == domain or hostname.endswith(f".{domain}") for domain in domains)
