"""The record shapes of real files: recognised by what they hold, whole, and written back as they were.

Where a table's columns are not clear the proposal that the error makes is what a person would pass.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.data.shapes.catalogue import shape
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, LabelledExample, PreferenceExample, UnpairedExample

pytestmark = pytest.mark.real

RECOGNISED = [
    ("azure_function_call/stock-train-hallucination.jsonl", "openai-functions", "chat", 96),
    ("azure_function_call/stock-train-token-reduction.jsonl", "openai-functions", "chat", 100),
    ("gpteacher_alpaca/gsm_8k_train.json", "alpaca", "completion", 7_473),
    ("gpteacher_alpaca/roleplay-simple-deduped-roleplay-dataset.json", "alpaca", "completion", 3_146),
    ("gpteacher_alpaca/toolformer-similarity-0.6-dataset.json", "alpaca", "completion", 2_396),
    ("llama_factory_demos/alpaca_en_demo.json", "alpaca", "completion", 999),
    ("llama_factory_demos/alpaca_zh_demo.json", "alpaca", "completion", 1_000),
    ("llama_factory_demos/identity.json", "alpaca", "completion", 91),
    ("llama_factory_demos/c4_demo.jsonl", "text", "completion", 300),
    ("llama_factory_demos/dpo_en_demo.json", "sharegpt-preference", "preference", 299),
    ("llama_factory_demos/kto_en_demo.json", "unpaired-messages", "unpaired", 300),
    ("llama_factory_demos/v1_dpo_demo.jsonl", "chosen-messages", "preference", 10),
    ("llama_factory_demos/v1_sft_demo.jsonl", "typed-parts", "chat", 500),
    ("llama_factory_demos/mllm_demo.json", "openai", "chat", 6),
    ("mlx_lora/train.jsonl", "text", "completion", 1_000),
    ("mlx_lora/valid.jsonl", "text", "completion", 100),
    ("mlx_lora/test.jsonl", "text", "completion", 100),
    ("mlx_lora/wwdc25_train.jsonl", "prompt-completion", "completion", 1_800),
    ("mlx_lora/wwdc25_valid.jsonl", "prompt-completion", "completion", 144),
    ("nerre_prompt_completion/train.jsonl", "prompt-completion", "completion", 549),
    ("nerre_prompt_completion/val.jsonl", "prompt-completion", "completion", 62),
    ("openai_cookbook/toy_chat_fine_tuning.jsonl", "openai", "chat", 5),
    ("self_instruct_seed/seed_tasks.jsonl", "instances", "completion", 175),
    ("self_instruct_seed/user_oriented_instructions.jsonl", "instances", "completion", 252),
]


def records(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return (
        list(json.loads(text))
        if path.suffix == ".json"
        else [json.loads(line) for line in text.split("\n") if line]
    )


@pytest.mark.parametrize(("file", "name", "kind", "count"), RECOGNISED, ids=[row[0] for row in RECOGNISED])
def test_records_are_recognised_and_written_back_as_they_were(
    shared_data: Path, file: str, name: str, kind: str, count: int
) -> None:
    data = tk.Dataset.load(shared_data / file)
    assert (len(data), list(data.kinds), data.source["shape"]) == (count, [kind], name)
    assert [shape(name).write(row) for row in data] == records(shared_data / file)


@pytest.mark.parametrize(
    ("file", "name", "count"),
    [
        ("llama_factory_demos/glaive_toolcall_en_demo.json", "sharegpt", 300),
        ("llama_factory_demos/reason_tool_use_demo_50.jsonl", "typed-parts", 50),
        ("openai_cookbook/drone_training.jsonl", "openai", 103),
    ],
)
def test_calls_of_tools_come_back_in_the_usual_spelling(
    shared_data: Path, file: str, name: str, count: int
) -> None:
    data = tk.Dataset.load(shared_data / file)
    assert (len(data), list(data.kinds), data.source["shape"]) == (count, ["chat"], name)
    again = tk.Dataset.from_records(data.to_records(name), shape=name)
    assert again == data


# --- columns ------------------------------------------------------------------------------------------

GUESSED = [
    ("ajgt_xlsx/AJGT.xlsx", "Feed", "Sentiment", "labelled", 1_800),
    ("banking77/train.csv", "text", "category", "labelled", 10_003),
    ("banking77/test.csv", "text", "category", "labelled", 3_080),
    ("bom_faq_csv/Amazon_SageMaker_FAQs.csv", "column 1", "column 2", "completion", 154),
    ("gsm8k/train.jsonl", "question", "answer", "completion", 7_473),
    ("gsm8k/test.jsonl", "question", "answer", "completion", 1_319),
    ("human_eval/HumanEval.jsonl.gz", "prompt", "canonical_solution", "completion", 164),
    ("korean_chatbot/ChatbotData.csv", "Q", "A", "completion", 11_823),
    ("openai_cookbook/dbpedia_samples.jsonl", "text", "category", "labelled", 200),
    ("sms_spam/spam.csv", "v2", "v1", "labelled", 5_572),
    ("sms_spam_tsv/sms.tsv", "column 2", "column 1", "labelled", 5_574),
]


@pytest.mark.parametrize(
    ("file", "input", "target", "kind", "count"), GUESSED, ids=[row[0] for row in GUESSED]
)
def test_columns_are_guessed_and_the_guess_is_what_a_person_would_pass(
    shared_data: Path, file: str, input: str, target: str, kind: Any, count: int
) -> None:
    guessed = tk.Dataset.load(shared_data / file)
    assert (len(guessed), list(guessed.kinds), guessed.source["shape"]) == (count, [kind], "columns")
    assert guessed == tk.Dataset.load(shared_data / file, input=input, target=target, kind=kind)


UNCLEAR = [
    (
        "cola/in_domain_train.tsv",
        "'column 1' (label), 'column 2' (label), 'column 3' (label), 'column 4' (text)",
        "perhaps input='column 4', target='column 1' or 'column 2' or 'column 3'",
    ),
    (
        "openai_cookbook/AG_news_samples.csv",
        "'title' (text), 'description' (text), 'label_int' (label), 'label' (label)",
        "perhaps input='{title}\\n{description}', target='label'",
    ),
    (
        "openai_cookbook/snli_1.0_train_2k.csv",
        "'annotator_labels' (label), 'captionID' (id), 'gold_label' (label), 'pairID' (id), 'sentence1' (text)",
        "perhaps input='{sentence1}\\n{sentence2}', target='gold_label'",
    ),
    (
        "openai_cookbook/fine_food_reviews_1k.csv",
        "'Score' (label), 'Summary' (text), 'Text' (text)",
        "perhaps input='{Summary}\\n{Text}', target='Score'",
    ),
    (
        "openai_cookbook/labelled_transactions.csv",
        "'Classification' (label)",
        "perhaps input='Supplier', target='Clas",
    ),
    (
        "openai_cookbook/25000_spend_dataset_current.csv",
        "'Date' (date), 'Supplier' (short text)",
        "perhaps input=",
    ),
    (
        "openai_cookbook/helpcenter_articles.csv",
        "'policy' (text), 'content' (text)",
        "perhaps input='policy', target=",
    ),
    (
        "openai_cookbook/scifact_claims.jsonl",
        "'claim' (text), 'evidence' (nested)",
        "perhaps target='claim' for raw",
    ),
    (
        "nerre_prompt_completion/doping_train.json",
        "'doi' (id), 'text' (text), 'title' (text)",
        "perhaps input='text'",
    ),
    ("azure_function_call/failed_banks.csv", "'Closing Date", "perhaps input="),
    (
        "azure_function_call/SalesOrder_43659.xlsx",
        "'Product Name' (text), 'Product SKU' (id)",
        "perhaps input=",
    ),
    ("fivethirtyeight_xlsx/pollster-stats-full.xlsx", "'Pollster' (text)", "perhaps input='Pollster'"),
    ("fivethirtyeight_xlsx/StarWars.csv", "'RespondentID' (id)", "p"),
]


@pytest.mark.parametrize(("file", "columns", "hint"), UNCLEAR, ids=[row[0] for row in UNCLEAR])
def test_unclear_columns_are_listed_with_a_proposal(
    shared_data: Path, file: str, columns: str, hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(shared_data / file)
    assert caught.value.message.startswith(
        "which column is the input and which the target is not clear; the columns"
    )
    assert columns in caught.value.message
    assert caught.value.hint.startswith(hint)


def test_two_inputs_and_one_label_read_as_proposed(shared_data: Path) -> None:
    path = shared_data / "openai_cookbook/snli_1.0_train_2k.csv"
    data = tk.Dataset.load(path, input="{sentence1}\n{sentence2}", target="gold_label", kind="labelled")
    assert set(data.targets()) == {"neutral", "contradiction", "entailment", "-"}
    assert data.targets()["-"] == 3
    first = data[0]
    assert isinstance(first, LabelledExample)
    assert first.text.startswith(
        "A person on a horse jumps over a broken down airplane.\nA person is training"
    )
    news = tk.Dataset.load(
        shared_data / "openai_cookbook/AG_news_samples.csv", input="{title}\n{description}", target="label"
    )
    assert len(news) == 2_000
    assert set(news.targets()) == {"World", "Sports", "Business", "Sci/Tech"}


def test_columns_without_names_read_as_a_person_would_say(shared_data: Path) -> None:
    judged = tk.Dataset.load(
        shared_data / "cola/in_domain_train.tsv",
        input="column 4",
        target="column 2",
        label_names=["unacceptable", "acceptable"],
    )
    assert len(judged) == 8_551
    assert judged.targets() == Counter(acceptable=6_023, unacceptable=2_528)


def test_lists_of_text_and_label(shared_data: Path) -> None:
    full = tk.Dataset.load(shared_data / "clinc150/data_full.json")
    assert (len(full), list(full.kinds)) == (23_700, ["labelled"])
    assert len(full.targets()) == 151  # with "oos", which is none of the others


# --- what the rows say --------------------------------------------------------------------------------


def test_preferences_have_a_prompt_and_two_different_answers(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "llama_factory_demos/dpo_en_demo.json")
    for row in data:
        assert isinstance(row, PreferenceExample)
        assert row.messages[-1].role == "user"
        assert isinstance(row.chosen, str) and isinstance(row.rejected, str) and row.chosen != row.rejected
    assert sum(row.messages[0].role == "system" for row in data if isinstance(row, PreferenceExample)) == 80
    apart = tk.Dataset.load(shared_data / "llama_factory_demos/v1_dpo_demo.jsonl")
    roles = {tuple(turn.role for turn in row.messages) for row in apart if isinstance(row, PreferenceExample)}
    assert roles == {("system", "user")}


def test_verdicts_are_half_and_half(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "llama_factory_demos/kto_en_demo.json")
    assert Counter(row.desirable for row in data if isinstance(row, UnpairedExample)) == {
        True: 150,
        False: 150,
    }


def test_instructions_with_inputs(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "gpteacher_alpaca/toolformer-similarity-0.6-dataset.json")
    assert sum("input" in row.meta for row in data) == 437
    [odd] = [row for row in data if "example_input" in row.meta]
    assert isinstance(odd, CompletionExample) and odd.meta["example_input"].startswith("The quick brown fox")
    seeds = tk.Dataset.load(shared_data / "self_instruct_seed/seed_tasks.jsonl")
    assert Counter(row.meta["is_classification"] for row in seeds) == {False: 149, True: 26}
