"""The table of facts on each page of docs/hosts, written from the host's profile. Knows wording; no host.

`python -m tests.docs.host_pages` writes the tables anew; a test holds the pages to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tunekit.backends.openai import hosts
from tunekit.backends.openai.hosts import Host

PAGES = Path(__file__).resolve().parents[2] / "docs" / "hosts"
_FOUND_BY = {"metadata": "its tag", "file": "the name of its training file"}
_RATES = {
    "multiplier": "an option, `learning_rate_multiplier`",
    "absolute": "`TuneSpec.learning_rate`, as it is",
}


def page_of(name: str) -> Path:
    """Where the page of a host lies."""
    return PAGES / f"{name}.md"


def table(host: Host) -> str:
    """Markdown: what the profile says, and what is known of single models."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in _facts(host) if value)
    parts = [f"| | |\n|---|---|\n{facts}"]
    if host.models:
        rows = "".join(_model(host, family) for family in sorted(host.models))
        parts.append(
            f"| base models | trained with | takes jobs before | answers before |\n|---|---|---|---|\n{rows}"
        )
    parts.append(f"Looked up on {host.as_of}: {host.source}.\n")
    return "\n".join(parts)


def _facts(host: Host) -> Iterator[tuple[str, str]]:
    yield "address", _code([host.base_url or host.base_url_looks_like])
    key = "as a bearer token" if host.key_header == "authorization" else f"in the header `{host.key_header}`"
    yield "key", f"{_code(host.key_variables)}, {key}{'' if host.needs_key else '; or none'}"
    yield "every call needs", _code(host.needs_query)
    yield "trains", ", ".join(method.upper() for method in sorted(host.methods)) or "nothing"
    if host.methods:
        yield from _training(host)
    yield "works, too", _code(sorted(host.verbs))
    yield "before a tuned model answers", host.deploy
    yield "uncertain or worth knowing", "; ".join(host.notes)


def _training(host: Host) -> Iterator[tuple[str, str]]:
    yield "takes no jobs from", host.training_ends
    if "rft" in host.methods:
        yield "graders", _code(sorted(host.graders)) if host.graders is not None else "those of OpenAI"
    yield "fewest examples", f"{host.min_examples}" if host.min_examples > 1 else ""
    yield "largest file", _bytes(host.max_file_bytes) + _in_parts(host)
    yield (
        "suffix (`TuneSpec.name`)",
        f"up to {host.suffix_max_chars} characters" if host.suffix_max_chars else "none",
    )
    yield "seed", "yes" if host.seed else "no"
    yield "learning rate", _RATES[host.learning_rate]
    yield "more options", _code([*host.fields, *host.hyperparameters])
    yield (
        "fields of the spec that others ignore",
        _code([*host.spec_fields, *(f"lora {n}" for n in host.lora_fields)]),
    )
    yield "a lost job is found by", _FOUND_BY[host.finds_by]
    yield "log of events", "yes" if host.lists_events else "no: changes of the state are shown"
    yield "goes on from a tuned model", "yes" if host.warm_start else "no"


def _model(host: Host, family: str) -> str:
    facts = host.models[family]
    methods = (
        "as the host says" if facts.methods is None else ", ".join(m.upper() for m in sorted(facts.methods))
    )
    return f"| `{family}` | {methods or 'nothing more'} | {facts.training_ends} | {facts.answers_end} |\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names if name)


def _bytes(count: int | None) -> str:
    return "not known" if count is None else f"{count / 1e6:,.0f} MB"


def _in_parts(host: Host) -> str:
    return f", in parts {_bytes(host.max_upload_bytes)}" if host.uploads else ""


def with_table(text: str, host: Host) -> str:
    """A page with this host's table between its two comments."""
    begin, end = text.index(f"<!-- host:{host.name}:"), text.index(f"<!-- /host:{host.name} -->")
    head = text[begin:].splitlines()[0]
    return f"{text[:begin]}{head}\n\n{table(host)}\n{text[end:]}"


if __name__ == "__main__":
    for known in map(hosts.host_of, hosts.NAMES):
        page = page_of(known.name)
        page.write_text(with_table(page.read_text(encoding="utf-8"), known), encoding="utf-8")
