"""Public data that nobody of this project wrote: every file loads, docs/real-data.md says what was made of it.

The facts are those that each folder's LICENSE.txt states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import tunekit as tk
from tests.docs import findings_page
from tests.real import real_files, real_table
from tests.real.real_files import FILES, RealFile
from tests.real.real_table import Look
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, LabelledExample

pytestmark = pytest.mark.real

Looks = Callable[[str], Look]
Load = Callable[[str], tk.Dataset]
Check = Callable[[str], tk.CheckReport]
READ = [file for file in FILES if file.rows]


@pytest.fixture(scope="module")
def look(shared_data: Path) -> Looks:
    """What a file came to; each is loaded and checked once."""
    known: dict[str, Look] = {}

    def of(name: str) -> Look:
        if name not in known:
            [file] = [file for file in FILES if file.name == name]
            known[name] = Look.at(file, shared_data)
        return known[name]

    return of


@pytest.fixture(scope="module")
def load(look: Looks) -> Load:
    """The data of a file."""

    def of(name: str) -> tk.Dataset:
        data = look(name).data
        assert data is not None, look(name).refusal
        return data

    return of


@pytest.fixture(scope="module")
def check(look: Looks) -> Check:
    """The report on a file."""

    def of(name: str) -> tk.CheckReport:
        report = look(name).report
        assert report is not None, look(name).refusal
        return report

    return of


def inputs(data: tk.Dataset) -> set[str]:
    return {row.text if isinstance(row, LabelledExample) else row.prompt for row in pairs(data)}


def pairs(data: tk.Dataset) -> list[CompletionExample | LabelledExample]:
    return [row for row in data if isinstance(row, (CompletionExample, LabelledExample))]


# --- every file -----------------------------------------------------------------------------------------


def test_no_file_is_forgotten(shared_data: Path) -> None:
    known = {path for file in FILES for path in (file.path, file.answers) if path}
    assert known == real_files.folder_files(shared_data)


@pytest.mark.parametrize("file", READ, ids=lambda file: file.name)
def test_every_row_is_read_and_comes_back_from_a_file(file: RealFile, load: Load, tmp_path: Path) -> None:
    data = load(file.name)
    assert (len(data), set(data.kinds), len(data.skipped)) == (file.rows, {file.kind}, 0)
    assert len({row.id for row in data}) == file.rows
    data.write_jsonl(tmp_path / "copy.jsonl")
    copy = tk.Dataset.load(tmp_path / "copy.jsonl")
    assert copy == data
    assert [(row.id, row.meta) for row in copy] == [(row.id, row.meta) for row in data]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_docs_say_what_is_recognised_and_found(file: RealFile, look: Looks) -> None:
    shown = set(real_table.shown())
    missing = [row for row in real_table.rows(file, look(file.name)) if row not in shown]
    assert missing == [], "run `python -m tests.real.real_table` and look at what changed"


def test_the_docs_show_no_other_files() -> None:
    assert len(real_table.shown()) == 2 * len(READ) + (len(FILES) - len(READ))


def test_the_page_of_findings_has_the_right_severities_and_fixes(check: Check) -> None:
    entries = {entry.name: entry for entry in findings_page.findings()}
    seen = [found for file in READ for found in check(file.name)]
    assert len({found.code for found in seen}) > 40
    for found in seen:
        entry = entries[found.code]
        assert found.severity in entry.first, found.code
        assert found.fix is None or found.fix.name in {name for name, _ in entry.links}, found.code


@pytest.mark.parametrize(
    "file", [file for file in READ if "input" in file.options], ids=lambda file: file.name
)
def test_what_must_be_said_is_asked_for_with_a_proposal(file: RealFile, shared_data: Path) -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(shared_data / file.path, sheet=file.options.get("sheet"))
    assert caught.value.message.startswith("which column is the input and which the target is not clear")
    assert "input=" in caught.value.hint
    assert caught.value.path == str(shared_data / file.path)


# --- what is no training data -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "message", "hint"),
    [
        (
            "lfs_pointer/databricks-dolly-15k.jsonl",
            "this is a git-lfs pointer, not the data it stands for",
            "git lfs",
        ),
        ("flores_v1/wikipedia_en_ne_si_test_sets.tgz", "this is a tar archive", "unpack it"),
        ("llama_factory_demos/dataset_info.json", "unknown shape with the keys 'identity'", "rows are"),
    ],
)
def test_what_is_no_data_is_named(shared_data: Path, file: str, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(shared_data / file)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert caught.value.path == str(shared_data / file)


def test_a_vocabulary_in_utf_16_is_decoded(shared_data: Path) -> None:
    path = shared_data / "utf16_json/enwik8-vocab.json"
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path)
    assert caught.value.message.startswith("unknown shape with the keys '0', '1', '2'")
    assert caught.value.message.endswith("and 6044 more")
    text = tk.Dataset.load(path, format="txt", unit="document")
    assert text.source["encoding"] == "utf-16"
    [row] = pairs(text)
    assert isinstance(row, CompletionExample) and row.completion.startswith('{"0": "\\t"')


def test_a_column_that_is_not_there_is_named(shared_data: Path) -> None:
    path = shared_data / "sms_spam_tsv/sms.tsv"
    with pytest.raises(DataError, match="no column 'text'; the columns are 'column 1', 'column 2'"):
        tk.Dataset.load(path, input="text", target="column 1")


# --- tables -------------------------------------------------------------------------------------------------


def test_quotes_that_never_close_swallow_no_rows(load: Load, check: Check) -> None:
    data = load("sms_spam_tsv/sms.tsv")
    assert data.targets() == Counter(ham=4_827, spam=747)
    assert "guessed-quoting" in check("sms_spam_tsv/sms.tsv")
    assert max(len(row.text) for row in pairs(data) if isinstance(row, LabelledExample)) < 1_000


def test_spam_in_another_encoding(load: Load, check: Check) -> None:
    data, report = load("sms_spam/spam.csv"), check("sms_spam/spam.csv")
    assert data.targets() == Counter(ham=4_825, spam=747)
    assert sum(bool(row.meta) for row in data) == 50  # text that spilled into columns without a name
    lines = {int(row.rpartition(":")[2]) for row in report["assumed-cp1252"].rows}
    assert len(lines - {21}) == 482  # those of line 21 happen to be UTF-8 as well
    assert len(report["duplicate-rows"].rows) == 403
    assert report["class-imbalance"].facts["share"] == 0.8659
    assert report["personal-data"].facts["kinds"].keys() == {"phone", "email"}
    train, test = data.split(test=0.2, seed=1)
    assert not inputs(train) & inputs(test)
    assert abs(len(test) - 1_114) <= 1


def test_intents_with_line_breaks_and_odd_spaces(load: Load) -> None:
    data = load("banking77/train.csv")
    counts = data.targets()
    assert (len(counts), min(counts.values()), max(counts.values())) == (77, 35, 187)
    first = data[0]
    assert isinstance(first, LabelledExample)
    assert (first.text, first.label) == ("I am still waiting on my card?", "card_arrival")
    assert any("\n" in text for text in inputs(data))
    assert any("\xa0" in text for text in inputs(data))


def test_ids_count_the_lines_of_an_editor(shared_data: Path, load: Load) -> None:
    lines = (shared_data / "banking77/train.csv").read_text(encoding="utf-8").splitlines()
    data = load("banking77/train.csv")
    for row in (data[5_000], data[-1]):
        assert isinstance(row, LabelledExample)
        line = lines[int(row.id.rpartition(":")[2]) - 1]
        assert line.lstrip('"')[:20] == row.text.replace('"', '""').split("\n")[0][:20]


def test_a_split_has_every_class_on_both_sides_and_no_leak(load: Load) -> None:
    data = load("banking77/train.csv")
    train, test = data.split(test=0.2, seed=7)
    assert (len(train), len(test)) == (8_002, 2_001)
    assert not inputs(train) & inputs(test)
    for label, count in data.targets().items():
        assert abs(test.targets()[label] - count * 2_001 / 10_003) <= 1


def test_names_of_columns_that_end_with_no_break_spaces(load: Load, check: Check) -> None:
    assert "Closing Date" in load("azure_function_call/failed_banks.csv")[0].meta
    cleaned = check("azure_function_call/failed_banks.csv")["cleaned-column-names"]
    assert "Closing Date\xa0" in cleaned.facts["columns"]


def test_two_header_rows_and_columns_without_names(check: Check) -> None:
    report = check("fivethirtyeight_xlsx/StarWars.csv")
    assert report["two-header-rows"].rows == ("StarWars.csv:2",)
    assert report["assumed-cp1252"].rows == ("StarWars.csv:1",)


def test_a_first_row_of_data_is_no_header(load: Load) -> None:
    data = load("bom_faq_csv/Amazon_SageMaker_FAQs.csv")
    first = data[0]
    assert isinstance(first, CompletionExample)
    assert first.prompt == "What is Amazon SageMaker?"  # and no byte order mark before it


def test_sheets_dates_and_whole_numbers_as_people_see_them(load: Load) -> None:
    order = load("azure_function_call/SalesOrder_43659.xlsx")[0]
    assert order.meta["Order Date"] == "2017-07-02 00:00:00"  # its format shows the time, too
    assert order.meta["Order Quantity"] == "1"
    ratings = load("fivethirtyeight_xlsx/pollster-stats-full.xlsx")
    assert ratings.source["header"] == 2
    assert ratings[0].id == "pollster-stats-full.xlsx:3"
    assert ratings[0].meta["# of Polls"] == "71"


def test_balanced_classes_of_a_workbook(load: Load) -> None:
    assert load("ajgt_xlsx/AJGT.xlsx").targets() == Counter(Positive=900, Negative=900)


def test_judged_sentences_with_named_labels(load: Load) -> None:
    assert load("cola/in_domain_train.tsv").targets() == Counter(acceptable=6_023, unacceptable=2_528)


def test_labels_that_nobody_gave(load: Load) -> None:
    assert load("openai_cookbook/snli_1.0_train_2k.csv").targets()["-"] == 3


# --- JSON -----------------------------------------------------------------------------------------------------


def test_lists_of_text_and_label_in_splits(shared_data: Path, load: Load, check: Check) -> None:
    full = load("clinc150/data_full.json")
    assert len(full.targets()) == 151  # with "oos", which is none of the others
    parts = check("clinc150/data_full.json")["several-parts"].facts["parts"]
    assert sum(parts.values()) == 23_700
    train, test = (
        tk.Dataset.load(shared_data / "clinc150/data_full.json", part=part) for part in ("train", "test")
    )
    assert (len(train), len(test)) == (15_000, 4_500)
    leaked = train.check(against={"test": test})["leaked-questions"].facts["sets"]["test"]
    assert leaked["to_the_letter"] == 2


def test_imbalanced_classes(shared_data: Path) -> None:
    train = tk.Dataset.load(shared_data / "clinc150/data_imbalanced.json", part="train")
    assert set(train.targets().values()) == {25, 50, 75, 100}


def test_two_sets_of_keys_in_one_file(load: Load) -> None:
    data = load("gpteacher_alpaca/toolformer-similarity-0.6-dataset.json")
    assert [row.id for row in data if "example_input" in row.meta] != []


def test_one_of_each_format(check: Check) -> None:
    copies = {
        "alpaca_en_demo.json": 14,
        "alpaca_zh_demo.json": 8,
        "glaive_toolcall_en_demo.json": 35,
    }
    for file, count in copies.items():
        assert len(check(f"llama_factory_demos/{file}")["duplicate-rows"].rows) == count
    lost = check("llama_factory_demos/c4_demo.jsonl")["replacement-characters"]
    assert len(lost.rows) == 4
    assert len(check("llama_factory_demos/identity.json")["placeholder-answers"].rows) == 85
    schema = check("llama_factory_demos/reason_tool_use_demo_50.jsonl")["tool-schema"]
    assert any("'dict', not 'object'" in place.evidence for place in schema.places)


def test_calls_of_tools_without_content(load: Load) -> None:
    for row in load("openai_cookbook/drone_training.jsonl"):
        assert isinstance(row, ChatExample) and row.tools
        assert row.messages[-1].content is None
        assert len(row.messages[-1].tool_calls) == 1
        assert row.meta == {"parallel_tool_calls": False}


def test_a_row_without_a_user_and_an_answer_that_never_ends(check: Check) -> None:
    report = check("openai_cookbook/toy_chat_fine_tuning.jsonl")
    assert report["no-user-turn"].rows == ("toy_chat_fine_tuning.jsonl:4",)
    assert report["repetitive-answers"].rows == ("toy_chat_fine_tuning.jsonl:5",)


def test_calls_of_functions_in_the_former_spelling(load: Load) -> None:
    data = load("azure_function_call/stock-train-hallucination.jsonl")
    assert (
        sum(bool(turn.tool_calls) for row in data if isinstance(row, ChatExample) for turn in row.messages)
        > 0
    )


def test_marks_and_spaces_of_base_models_are_kept(load: Load) -> None:
    for row in pairs(load("nerre_prompt_completion/train.jsonl")):
        assert isinstance(row, CompletionExample)
        assert row.prompt.endswith("\n\n###\n\n")
        assert row.completion.startswith(" ") and row.completion.endswith("\n\nEND\n\n")


def test_code_keeps_its_leading_spaces(load: Load) -> None:
    rows = pairs(load("human_eval/HumanEval.jsonl.gz"))
    assert (
        sum(isinstance(row, CompletionExample) and row.completion.startswith("    ") for row in rows) == 162
    )


# --- rows in common -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test", "rows", "theirs", "to_the_letter"),
    [
        ("banking77/train.csv", "banking77/test.csv", 11, 11, 6),
        ("mlx_lora/wwdc25_train.jsonl", "mlx_lora/wwdc25_valid.jsonl", 162, 48, 48),
    ],
)
def test_leaks_are_found(
    load: Load, train: str, test: str, rows: int, theirs: int, to_the_letter: int
) -> None:
    finding = load(train).check(against={"test": load(test)})["leaked-questions"]
    facts = finding.facts["sets"]["test"]
    assert (len(finding.rows), facts["their_rows"], facts["to_the_letter"]) == (rows, theirs, to_the_letter)


def test_few_prompts_in_many_rows(load: Load, check: Check) -> None:
    data, report = load("mlx_lora/wwdc25_train.jsonl"), check("mlx_lora/wwdc25_train.jsonl")
    assert len(inputs(data)) == report["different-answers"].facts["distinct_inputs"] == 271
    assert len(report["duplicate-rows"].rows) == 437
    train, test = data.split(test=0.1, seed=3)
    assert not inputs(train) & inputs(test)
    assert 150 <= len(test) <= 180


def test_questions_with_several_answers(load: Load, check: Check) -> None:
    assert check("korean_chatbot/ChatbotData.csv")["different-answers"].facts["inputs"] == 85
    rows = pairs(load("korean_chatbot/ChatbotData.csv"))
    assert len({row.completion for row in rows if isinstance(row, CompletionExample)}) == 7_779
