"""Token lengths and rows that a target would cut, control tokens inside texts, and the fix for the former."""

from __future__ import annotations

from functools import partial

import pytest

from tests.unit.data.checks.looking import assistant, chat, look, user
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.special_tokens import SpecialTokens
from tunekit.data.checks.tokens import TokenLengths
from tunekit.data.fixes.run import run
from tunekit.data.profiles import profile_of
from tunekit.data.tokens import TextCounter, special_tokens
from tunekit.data.tokens.statistics import TokenStatistics
from tunekit.examples import CompletionExample

BYTES = TextCounter(name="bytes", tokens_of=lambda text: len(text.encode()), says="one for each byte")
LONG = chat(user("a" * 41_000), assistant("b"), id="a.jsonl:17")
SHORT = chat(user("hello"), assistant("b"), id="a.jsonl:3")


def test_lengths_are_told_without_any_target() -> None:
    finding = look([SHORT, LONG], TokenLengths, counter=BYTES)["token-lengths"]
    assert finding.severity == "info"
    assert finding.facts["total"] == 41_001 + 9 + 6 + 9
    assert finding.facts["row"]["max"] == 41_010
    assert finding.facts["answer"]["max"] == 1
    assert "counted by bytes" in finding.message


def test_a_row_that_a_target_would_cut_is_its_error_alone() -> None:
    report = look([SHORT, LONG], TokenLengths, targets=("together:Qwen/Qwen3-8B", "openai"), counter=BYTES)
    finding = report["target-row-tokens"]
    assert (finding.severity, finding.target) == ("error", "together:Qwen/Qwen3-8B")
    assert finding.rows == ("a.jsonl:17",)
    assert finding.places[0].evidence == "41,010 tokens"
    assert "the answer would be cut" in finding.message
    assert report.passes("openai") and not report.passes("together:Qwen/Qwen3-8B")


def test_by_estimate_it_is_only_probable() -> None:
    guess = TextCounter(name="guess", tokens_of=lambda text: len(text) // 4, is_estimate=True)
    rows = [chat(user("a" * 400_000), assistant("b"))]
    finding = look(rows, TokenLengths, targets=("openai",), counter=guess)["target-row-tokens"]
    assert finding.severity == "warning"
    assert "probably" in finding.message


def test_every_row_is_held_against_the_limit_even_where_lengths_are_sampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = partial(TokenStatistics, max_rows=1)
    monkeypatch.setattr("tunekit.data.checks.tokens.TokenStatistics", few)
    rows = [*[SHORT] * 50, LONG, *[SHORT] * 50]
    report = look(rows, TokenLengths, targets=("together:Qwen/Qwen3-8B",), counter=BYTES)
    assert report["token-lengths"].facts["rows_counted"] == 1
    assert report["target-row-tokens"].rows == ("a.jsonl:17",)


def test_targets_with_one_tokenizer_are_counted_together() -> None:
    report = look([SHORT], TokenLengths, targets=("openai", "foundry", "together"))
    told = [finding for finding in report if finding.code == "token-lengths"]
    assert [finding.facts["targets"] for finding in told] == [["openai", "foundry"], ["together"]]


def test_rows_that_would_be_cut_can_be_left_out() -> None:
    context = CheckContext(profiles=(profile_of("together:Qwen/Qwen3-8B"),), counter=BYTES)
    kept, _ = run([SHORT, LONG], ["drop-over-context"], context)
    assert kept == (SHORT,)
    assert "target-row-tokens" not in look(
        kept, TokenLengths, targets=("together:Qwen/Qwen3-8B",), counter=BYTES
    )


def test_without_rows_there_is_nothing_to_tell() -> None:
    assert not len(look([], TokenLengths, targets=("openai",)))


# --- control tokens -------------------------------------------------------------------------------


def test_control_tokens_are_named_with_their_families() -> None:
    rows = [
        CompletionExample(id="a:1", prompt="[INST] hi [/INST]", completion="ok"),
        CompletionExample(id="a:2", prompt="hi", completion="bye<|im_end|>\n<|im_start|>user"),
        CompletionExample(id="a:3", prompt="a < b and c[0]", completion="<p>nothing here</p>"),
    ]
    finding = look(rows, SpecialTokens)["special-tokens"]
    assert finding.rows == ("a:1", "a:2")
    assert finding.facts["tokens"] == {"<|im_end|>": 1, "<|im_start|>": 1, "[/INST]": 1, "[INST]": 1}
    assert finding.facts["families"] == ["ChatML", "Llama 2 and Mistral"]
    assert [str(place) for place in finding.places] == [
        "a:1:prompt",
        "a:1:prompt",
        "a:2:completion",
        "a:2:completion",
    ]


def test_openai_fails_the_job_for_its_own() -> None:
    rows = [CompletionExample(id="a:1", prompt="complete <|fim_suffix|>", completion="ok")]
    report = look(rows, SpecialTokens, targets=("openai", "together"))
    finding = report["target-special-tokens"]
    assert (finding.severity, finding.target, finding.rows) == ("error", "openai", ("a:1",))
    assert report.passes("together")
    other = [CompletionExample(id="a:1", prompt="<|eot_id|>", completion="ok")]
    assert look(other, SpecialTokens, targets=("openai",)).ok


@pytest.mark.parametrize("family", special_tokens.FAMILIES)
def test_every_token_is_found_whole(family: str) -> None:
    for token in special_tokens.FAMILIES[family]:
        assert [match[0] for match in special_tokens.find(f"so{token}to say")] == [token]
        assert special_tokens.family_of(token) == family


def test_texts_full_of_beginnings_are_searched_in_no_time() -> None:
    text = "<|im_" * 400_000 + "[" * 400_000
    assert list(special_tokens.find(text)) == []
