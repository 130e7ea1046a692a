"""Public text files, read by content alone: format, rows, what was decided, and what was worth saying."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tunekit.data.readers import catalogue, compressed, files
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.recognise import recognise
from tunekit.errors import DataError

pytestmark = pytest.mark.real


def read(path: Path, **options: Any) -> tuple[str, list[Any], Notes]:
    """Format, values, and what was noticed; a name that says nothing must do."""
    notes = Notes(name=path.name)
    asked = ReadOptions(**options)
    with files.opened(str(path)) as packed:
        file = compressed.opened(packed, notes)
        format = recognise(file.peek(1), f"x{path.suffix if path.suffix in ('.txt', '.json') else ''}", asked)
        values = [value for _, value in catalogue.reader(format)(file, asked, notes)]
    assert not any(isinstance(value, DataError) for value in values)
    return format, values, notes


@pytest.mark.parametrize(
    ("file", "format", "rows", "facts", "codes"),
    [
        ("azure_function_call/failed_banks.csv", "csv", 568, {}, ["cleaned-column-names"]),
        ("banking77/train.csv", "csv", 10_003, {}, []),
        ("banking77/test.csv", "csv", 3_080, {}, []),
        ("bom_faq_csv/Amazon_SageMaker_FAQs.csv", "csv", 154, {"header": False}, ["assumed-no-header"]),
        ("cola/in_domain_train.tsv", "tsv", 8_551, {"header": False}, ["assumed-no-header"]),
        ("cola/in_domain_dev.tsv", "tsv", 527, {"header": False}, ["assumed-no-header"]),
        ("cola/out_of_domain_dev.tsv", "tsv", 516, {"header": False}, ["assumed-no-header"]),
        (
            "fivethirtyeight_xlsx/StarWars.csv",
            "csv",
            1_187,
            {"encoding": "cp1252"},
            ["two-header-rows", "unnamed-columns", "assumed-cp1252"],
        ),
        ("korean_chatbot/ChatbotData.csv", "csv", 11_823, {}, []),
        (
            "openai_cookbook/25000_spend_dataset_current.csv",
            "csv",
            359,
            {"encoding": "cp1252"},
            ["assumed-cp1252"],
        ),
        ("openai_cookbook/AG_news_samples.csv", "csv", 2_000, {}, []),
        ("openai_cookbook/fine_food_reviews_1k.csv", "csv", 1_000, {}, ["unnamed-columns"]),
        ("openai_cookbook/helpcenter_articles.csv", "csv", 4, {}, []),
        ("openai_cookbook/labelled_transactions.csv", "csv", 101, {}, []),
        ("openai_cookbook/snli_1.0_train_2k.csv", "csv", 2_000, {}, ["unnamed-columns"]),
        ("sms_spam/spam.csv", "csv", 5_572, {"encoding": "cp1252"}, ["unnamed-columns", "assumed-cp1252"]),
        ("sms_spam_tsv/sms.tsv", "tsv", 5_574, {"quoting": False}, ["guessed-quoting", "assumed-no-header"]),
        ("human_eval/HumanEval.jsonl.gz", "jsonl", 164, {"compression": "gzip"}, []),
        ("gsm8k/train.jsonl", "jsonl", 7_473, {}, []),
        ("llama_factory_demos/c4_demo.jsonl", "jsonl", 300, {}, []),
        ("llama_factory_demos/wiki_demo.txt", "txt", 30, {"unit": "line"}, []),
        ("nerre_prompt_completion/train.jsonl", "jsonl", 549, {}, []),
        ("openai_cookbook/drone_training.jsonl", "jsonl", 103, {}, []),
        ("self_instruct_seed/seed_tasks.jsonl", "jsonl", 175, {}, []),
    ],
)
def test_files_by_content_alone(
    shared_data: Path, file: str, format: str, rows: int, facts: dict[str, Any], codes: list[str]
) -> None:
    found, values, notes = read(shared_data / file)
    assert (found, len(values)) == (format, rows)
    assert facts.items() <= notes.facts.items()
    assert [finding.code for finding in notes.findings] == codes


def test_sms_spam_has_its_482_lines_of_another_encoding(shared_data: Path) -> None:
    path = shared_data / "sms_spam/spam.csv"
    bad = [number for number, line in enumerate(path.read_bytes().splitlines(), 1) if not is_utf8(line)]
    assert len(bad) == 482
    _, values, notes = read(path)
    assert values == read(path, encoding="cp1252")[1]
    finding = notes.findings[-1]
    # One more: a line that is valid UTF-8 by chance, in which a pound sign became one of its letters.
    extra = set(finding.rows) - {f"spam.csv:{number}" for number in bad}
    assert {row for row in extra if notes.row(21) != row} <= {f"spam.csv:{number - 1}" for number in bad}
    assert finding.facts["rows"] == 483


def is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_sms_spam_and_its_tsv_are_the_same_texts(shared_data: Path) -> None:
    _, values, _ = read(shared_data / "sms_spam_tsv/sms.tsv")
    assert [value["column 1"] for value in values].count("spam") == 747
    assert sum(value["column 2"].startswith('"') for value in values) > 50


def test_a_file_of_utf16_is_read_as_text(shared_data: Path) -> None:
    content = (shared_data / "utf16_json/enwik8-vocab.json").read_bytes()
    assert recognise(content[: 64 << 10], "x.json", ReadOptions()) == "json"
    notes = Notes()
    ((number, value),) = catalogue.reader("jsonl")(io.BytesIO(content), ReadOptions(), notes)
    assert number == 1
    assert value["0"] == "\t"
    assert notes.facts["encoding"] == "utf-16"


def test_what_is_no_data(shared_data: Path) -> None:
    with pytest.raises(DataError, match="a git-lfs pointer, not the data it stands for"):
        read(shared_data / "lfs_pointer/databricks-dolly-15k.jsonl")
    with pytest.raises(DataError, match="a tar archive"):
        read(shared_data / "flores_v1/wikipedia_en_ne_si_test_sets.tgz")
