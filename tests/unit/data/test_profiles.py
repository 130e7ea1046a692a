"""Targets' names lead to rules, each with a day and a source; what is not known stays unknown and says so."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tunekit.data.profiles import profile_of
from tunekit.data.profiles.profile import NAMES
from tunekit.data.shapes import catalogue
from tunekit.errors import SpecError
from tunekit.examples import EXAMPLE_KINDS, ROLES


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_says_where_its_rules_are_written(name: str) -> None:
    profile = profile_of(name)
    assert profile.name == profile.target == name
    assert date.fromisoformat(profile.as_of) >= date(2026, 11, 22)
    assert profile.source
    assert profile.kinds and profile.kinds <= EXAMPLE_KINDS.keys()
    assert profile.roles <= set(ROLES)
    assert set(profile.sources) <= set(profile.__struct_fields__), "a source for a rule that does not exist"
    assert [ending.date for ending in profile.endings] == sorted(ending.date for ending in profile.endings)
    for ending in profile.endings:
        date.fromisoformat(ending.date)


@pytest.mark.parametrize("name", NAMES)
def test_rows_can_be_written_in_the_shape_that_a_target_wants(name: str) -> None:
    profile = profile_of(name)
    for kind in profile.kinds:
        assert kind in catalogue.shape(profile.shape_of(kind)).kinds


@pytest.mark.parametrize(
    ("target", "tokenizer", "longest"),
    [
        ("openai", "o200k_base", 65_536),
        ("openai:gpt-4.1-mini-2025-04-14", "o200k_base", 65_536),
        # tiktoken itself says cl100k_base here: its prefix "ft:gpt-4" comes first.
        ("openai:ft:gpt-4.1-mini-2025-04-14:acme::x", "o200k_base", 65_536),
        ("openai:ft:gpt-4o-2024-08-06:acme:suffix:id", "o200k_base", 65_536),
        ("openai:ft:o4-mini-2025-04-16:acme::x", "o200k_base", None),
        ("openai:gpt-4-0613", "cl100k_base", None),
        ("openai:gpt-3.5-turbo-0125", "cl100k_base", 16_385),
        ("openai:babbage-002", "cl100k_base", None),
        ("foundry:gpt-oss-20b", "o200k_harmony", None),
        ("together:Qwen/Qwen3-8B", None, 41_000),
        ("openai:gpt-9", None, None),
    ],
)
def test_a_model_has_its_own_tokenizer_and_longest_row(
    target: str, tokenizer: str | None, longest: int | None
) -> None:
    profile = profile_of(target)
    assert (profile.tokenizer, profile.max_tokens_per_row) == (tokenizer, longest)
    assert profile.target == target


def test_a_model_that_is_not_in_the_table_is_said_to_be_unknown() -> None:
    assert any("not in the table" in note for note in profile_of("openai:gpt-9").notes)
    assert not any("not in the table" in note for note in profile_of("openai:gpt-4.1").notes)


def test_base_models_continue_text_and_chat_models_have_a_template() -> None:
    for target in ("base", "openai:davinci-002", "openai:ft:babbage-002:acme::x"):
        assert profile_of(target).prompt_format == "text"
        assert profile_of(target).kinds == {"completion"}
    assert profile_of("openai").prompt_format == "chat"


def test_only_foundry_wants_a_byte_order_mark() -> None:
    assert [name for name in NAMES if profile_of(name).byte_order_mark] == ["foundry"]


@pytest.mark.parametrize(
    ("files", "prompt_format"),
    [
        ({"tokenizer_config.json": {"chat_template": "{{ messages }}"}}, "chat"),
        ({"tokenizer_config.json": {"eos_token": "</s>"}}, "text"),
        ({"tokenizer_config.json": {}, "chat_template.jinja": {}}, "chat"),
        ({"tokenizer_config.json": []}, "text"),
        ({}, "text"),
    ],
)
def test_the_files_of_a_local_model_say_whether_it_has_a_template(
    tmp_path: Path, files: dict[str, object], prompt_format: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert profile_of(f"local:{tmp_path}").prompt_format == prompt_format


def test_damaged_tokenizer_settings_are_no_template(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_bytes(b"\xff{")
    assert profile_of(f"local:{tmp_path}").prompt_format == "text"


def test_a_hub_id_leaves_the_template_open_and_says_so() -> None:
    profile = profile_of("local:Qwen/Qwen3-0.6B")
    assert profile.prompt_format == "chat"
    assert any("cannot be known" in note for note in profile.notes)


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("opnai", "did you mean 'openai'?"),
        ("Together", "did you mean 'together'?"),
        ("azure-like-thing", "targets are 'openai'"),
        ("gpt-4.1-mini", "that is a model; write 'openai:gpt-4.1-mini'"),
        ("ft:gpt-4.1-mini:acme::x", "that is a model; write 'openai:ft:gpt-4.1-mini"),
        ("", "targets are"),
    ],
)
def test_an_unknown_target_is_an_error_with_a_way_out(target: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        profile_of(target)
    assert caught.value.hint.startswith(hint)
    assert len(str(caught.value)) < 300
