"""Public data that nobody of this project wrote: every row is read, and counts are those of each LICENSE.txt."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample

pytestmark = pytest.mark.real


def pairs(data: tk.Dataset) -> list[tuple[str, str]]:
    return [(row.prompt, row.completion) for row in data if isinstance(row, CompletionExample)]


def inputs(data: tk.Dataset) -> set[str]:
    return {prompt or completion for prompt, completion in pairs(data)}


def repeats(data: tk.Dataset) -> int:
    return len(data) - len(set(pairs(data)))


BANKING: dict[str, Any] = {"input": "text", "target": "category"}
SMS: dict[str, Any] = {"input": "v2", "target": "v1", "encoding": "cp1252"}
GSM = {"input": "question", "target": "answer"}
SNLI = {"input": "sentence1", "target": "gold_label"}


@pytest.mark.parametrize(
    ("file", "options", "rows"),
    [
        ("banking77/train.csv", BANKING, 10_003),
        ("banking77/test.csv", BANKING, 3_080),
        ("sms_spam/spam.csv", SMS, 5_572),
        ("gsm8k/train.jsonl", GSM, 7_473),
        ("gsm8k/test.jsonl", GSM, 1_319),
        ("mlx_lora/train.jsonl", {}, 1_000),
        ("mlx_lora/valid.jsonl", {}, 100),
        ("mlx_lora/test.jsonl", {}, 100),
        ("mlx_lora/wwdc25_train.jsonl", {}, 1_800),
        ("mlx_lora/wwdc25_valid.jsonl", {}, 144),
        ("nerre_prompt_completion/train.jsonl", {}, 549),
        ("nerre_prompt_completion/val.jsonl", {}, 62),
        ("openai_cookbook/toy_chat_fine_tuning.jsonl", {}, 5),
        ("openai_cookbook/drone_training.jsonl", {}, 103),
        ("openai_cookbook/dbpedia_samples.jsonl", {"input": "text", "target": "category"}, 200),
        ("openai_cookbook/AG_news_samples.csv", {"input": "description", "target": "label"}, 2_000),
        ("openai_cookbook/snli_1.0_train_2k.csv", SNLI, 2_000),
        ("openai_cookbook/fine_food_reviews_1k.csv", {"input": "Text", "target": "Score"}, 1_000),
        ("korean_chatbot/ChatbotData.csv", {"input": "Q", "target": "A"}, 11_823),
    ],
)
def test_every_row_is_read(
    shared_data: Path, tmp_path: Path, file: str, options: dict[str, Any], rows: int
) -> None:
    path = shared_data / file
    data = tk.Dataset.load(path, **options)
    assert len(data) == rows
    assert data.skipped == ()
    assert len({row.id for row in data}) == rows
    copy = tmp_path / "copy.jsonl"
    data.write_jsonl(copy)
    assert tk.Dataset.load(copy).fingerprint() == data.fingerprint()


def test_banking77_rows_and_classes(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "banking77/train.csv", **BANKING)
    counts = data.targets()
    assert len(counts) == 77
    assert (min(counts.values()), max(counts.values())) == (35, 187)
    assert pairs(data)[0] == ("I am still waiting on my card?", "card_arrival")
    # Line breaks and non-breaking spaces inside cells are content.
    assert any("\n" in prompt for prompt, _ in pairs(data))
    assert any("\xa0" in prompt for prompt, _ in pairs(data))
    test = tk.Dataset.load(shared_data / "banking77/test.csv", **BANKING)
    known = {prompt.strip() for prompt, _ in pairs(data)}
    assert sum(prompt.strip() in known for prompt, _ in pairs(test)) == 6  # but for spaces around them


def test_banking77_line_numbers_are_those_of_an_editor(shared_data: Path) -> None:
    path = shared_data / "banking77/train.csv"
    lines = path.read_text(encoding="utf-8").splitlines()  # universal newlines, as the ids count
    data = tk.Dataset.load(path, **BANKING)
    for row in (data[5_000], data[-1]):
        assert isinstance(row, CompletionExample)
        line = lines[int(row.id.rpartition(":")[2]) - 1]
        assert line.lstrip('"')[:20] == row.prompt.replace('"', '""').split("\n")[0][:20]


def test_banking77_splits_without_leaks_and_with_every_class(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "banking77/train.csv", **BANKING)
    train, test = data.split(test=0.2, seed=7)
    assert (len(train), len(test)) == (8_002, 2_001)
    assert not inputs(train) & inputs(test)
    for label, count in data.targets().items():
        assert abs(test.targets()[label] - count * 2_001 / 10_003) <= 1


def test_sms_spam_keeps_every_row_and_says_which_byte_is_not_utf8(shared_data: Path) -> None:
    path = shared_data / "sms_spam/spam.csv"
    data = tk.Dataset.load(path, **SMS)
    assert data.targets() == Counter(ham=4_825, spam=747)
    assert repeats(data) == 403
    assert (
        sum(bool(row.meta) for row in data) == 50
    )  # text that spilled into the three columns without a name
    train, test = data.split(test=0.2, seed=1)
    assert not inputs(train) & inputs(test)
    assert abs(len(test) - 1_114) <= 1
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path, input="v2", target="v1")
    assert str(caught.value) == (
        f"{path}:7: byte 0xe5 at position 142 of the line is not UTF-8\n"
        '  hint: pass encoding=, for example "cp1252" for a file from Excel or Windows'
    )


def test_duplicated_prompts_do_not_leak(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "mlx_lora/wwdc25_train.jsonl")
    valid = tk.Dataset.load(shared_data / "mlx_lora/wwdc25_valid.jsonl")
    assert len(inputs(data)) == 271
    assert repeats(data) == 437
    assert sum(prompt in inputs(data) for prompt, _ in pairs(valid)) == 48  # as its authors split it
    train, test = data.split(test=0.1, seed=3)
    assert not inputs(train) & inputs(test)
    assert 150 <= len(test) <= 180


def test_whitespace_and_markers_of_old_prompts_are_kept(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "nerre_prompt_completion/train.jsonl")
    assert all(prompt.endswith("\n\n###\n\n") for prompt, _ in pairs(data))
    assert all(
        completion.startswith(" ") and completion.endswith("\n\nEND\n\n") for _, completion in pairs(data)
    )


def test_tool_calls_without_content(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "openai_cookbook/drone_training.jsonl")
    for row in data:
        assert isinstance(row, ChatExample)
        assert row.messages[-1].content is None
        assert len(row.messages[-1].tool_calls) == 1
        assert row.tools
        assert row.meta == {"parallel_tool_calls": False}


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        (
            "lfs_pointer/databricks-dolly-15k.jsonl",
            {},
            "this is a git-lfs pointer, not the data it stands for",
        ),
        ("ajgt_xlsx/AJGT.xlsx", {}, "this is an Excel workbook, which is not read yet"),
        ("human_eval/HumanEval.jsonl.gz", {}, "this is gzip-compressed, which is not read yet"),
        ("utf16_json/enwik8-vocab.json", {}, "this is UTF-16 text"),
        ("gpteacher_alpaca/gsm_8k_train.json", {}, "this is a JSON array, which is not read yet"),
        (
            "sms_spam_tsv/sms.tsv",
            {"target": "text"},
            "no column 'text'; the columns are 'ham', 'Go until jurong",
        ),
        (
            "azure_function_call/stock-train-hallucination.jsonl",
            {},
            "chat rows with 'functions' are not read yet",
        ),
        ("llama_factory_demos/v1_sft_demo.jsonl", {}, "a message has the unknown key 'loss_weight'"),
        ("openai_cookbook/scifact_claims.jsonl", {}, "unknown shape with the keys 'id', 'claim', 'evidence'"),
        ("openai_cookbook/25000_spend_dataset_current.csv", {"target": "Supplier"}, "byte 0xa3 at position"),
        ("flores_v1/wikipedia_en_ne_si_test_sets.tgz", {}, "this is gzip-compressed, which is not read yet"),
    ],
)
def test_what_is_not_read_yet_is_named(
    shared_data: Path, file: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(shared_data / file, **options)
    assert caught.value.message.startswith(message)
    assert caught.value.path == str(shared_data / file)
