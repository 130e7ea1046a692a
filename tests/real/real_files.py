"""Every public file of ../shared/data, with what a person would pass to load it and what its LICENSE.txt says of it.

Knows no answers beside the number of rows and the kind; what else is recognised and found stands in docs/real-data.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tunekit as tk

_FLORES = "flores_v1/wikipedia_en_ne_si_test_sets/wikipedia.dev"
_SEEN = "Have you seen any of the 6 films in the Star Wars franchise?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFile:
    """One file, or a sheet of it.

    Attributes:
        path: Below the folder of real data.
        rows: Examples that it gives; 0 where it is refused.
        kind: Their kind; "" where it is refused.
        options: What a person would pass; nothing where the content is enough.
        answers: The file of which line n answers line n of this one.
    """

    path: str
    rows: int = 0
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    answers: str = ""

    @property
    def name(self) -> str:
        """What tests and tables call it."""
        sheet = self.options.get("sheet")
        return f"{self.path} ({sheet})" if sheet else self.path

    def load(self, folder: Path) -> tk.Dataset:
        """Load it as a person would."""
        if self.answers:
            return tk.Dataset.from_parallel(folder / self.path, folder / self.answers, **self.options)
        return tk.Dataset.load(folder / self.path, **self.options)


_BY_CONTENT: Mapping[str, tuple[int, str]] = {
    "ajgt_xlsx/AJGT.xlsx": (1_800, "labelled"),
    "azure_function_call/stock-train-hallucination.jsonl": (96, "chat"),
    "azure_function_call/stock-train-token-reduction.jsonl": (100, "chat"),
    "banking77/train.csv": (10_003, "labelled"),
    "banking77/test.csv": (3_080, "labelled"),
    "bom_faq_csv/Amazon_SageMaker_FAQs.csv": (154, "completion"),
    "clinc150/data_full.json": (23_700, "labelled"),
    "clinc150/data_imbalanced.json": (19_225, "labelled"),
    "gpteacher_alpaca/roleplay-simple-deduped-roleplay-dataset.json": (3_146, "completion"),
    "gpteacher_alpaca/toolformer-similarity-0.6-dataset.json": (2_396, "completion"),
    "gpteacher_alpaca/gsm_8k_train.json": (7_473, "completion"),
    "gsm8k/train.jsonl": (7_473, "completion"),
    "gsm8k/test.jsonl": (1_319, "completion"),
    "human_eval/HumanEval.jsonl.gz": (164, "completion"),
    "korean_chatbot/ChatbotData.csv": (11_823, "completion"),
    "llama_factory_demos/alpaca_en_demo.json": (999, "completion"),
    "llama_factory_demos/alpaca_zh_demo.json": (1_000, "completion"),
    "llama_factory_demos/c4_demo.jsonl": (300, "completion"),
    "llama_factory_demos/dpo_en_demo.json": (299, "preference"),
    "llama_factory_demos/glaive_toolcall_en_demo.json": (300, "chat"),
    "llama_factory_demos/identity.json": (91, "completion"),
    "llama_factory_demos/kto_en_demo.json": (300, "unpaired"),
    "llama_factory_demos/mllm_demo.json": (6, "chat"),
    "llama_factory_demos/reason_tool_use_demo_50.jsonl": (50, "chat"),
    "llama_factory_demos/v1_dpo_demo.jsonl": (10, "preference"),
    "llama_factory_demos/v1_sft_demo.jsonl": (500, "chat"),
    "llama_factory_demos/wiki_demo.txt": (30, "completion"),
    "mlx_lora/train.jsonl": (1_000, "completion"),
    "mlx_lora/valid.jsonl": (100, "completion"),
    "mlx_lora/test.jsonl": (100, "completion"),
    "mlx_lora/wwdc25_train.jsonl": (1_800, "completion"),
    "mlx_lora/wwdc25_valid.jsonl": (144, "completion"),
    "nerre_prompt_completion/train.jsonl": (549, "completion"),
    "nerre_prompt_completion/val.jsonl": (62, "completion"),
    "openai_cookbook/dbpedia_samples.jsonl": (200, "labelled"),
    "openai_cookbook/drone_training.jsonl": (103, "chat"),
    "openai_cookbook/toy_chat_fine_tuning.jsonl": (5, "chat"),
    "self_instruct_seed/seed_tasks.jsonl": (175, "completion"),
    "self_instruct_seed/user_oriented_instructions.jsonl": (252, "completion"),
    "sms_spam/spam.csv": (5_572, "labelled"),
    "sms_spam_tsv/sms.tsv": (5_574, "labelled"),
}
_JUDGED: Mapping[str, Any] = {
    "input": "column 4",
    "target": "column 2",
    "kind": "labelled",
    "label_names": ["unacceptable", "acceptable"],
}
_AS_TOLD = (
    RealFile(
        path="azure_function_call/SalesOrder_43659.xlsx",
        rows=12,
        kind="labelled",
        options={"input": "Product Name", "target": "Product Category", "kind": "labelled"},
    ),
    RealFile(
        path="azure_function_call/failed_banks.csv",
        rows=568,
        kind="labelled",
        options={"input": "{Bank Name}, {City}", "target": "State", "kind": "labelled"},
    ),
    RealFile(path="cola/in_domain_train.tsv", rows=8_551, kind="labelled", options=_JUDGED),
    RealFile(path="cola/in_domain_dev.tsv", rows=527, kind="labelled", options=_JUDGED),
    RealFile(path="cola/out_of_domain_dev.tsv", rows=516, kind="labelled", options=_JUDGED),
    # The first of these rows is a second header, which LICENSE.txt counts as well.
    RealFile(
        path="fivethirtyeight_xlsx/StarWars.csv",
        rows=1_187,
        kind="labelled",
        options={"input": "{Age}, {Education}", "target": _SEEN, "kind": "labelled"},
    ),
    # 373 and 55 rows of cells, of which one names the columns and 34 are blank.
    RealFile(
        path="fivethirtyeight_xlsx/pollster-stats-full.xlsx",
        rows=372,
        kind="labelled",
        options={"input": "Pollster", "target": "538 Grade", "kind": "labelled"},
    ),
    RealFile(
        path="fivethirtyeight_xlsx/pollster-stats-full.xlsx",
        rows=21,
        kind="completion",
        options={"input": "Column Name", "target": "Description", "sheet": "Description of Columns"},
    ),
    RealFile(path=f"{_FLORES}.ne-en.ne", rows=2_559, kind="completion", answers=f"{_FLORES}.ne-en.en"),
    RealFile(path=f"{_FLORES}.si-en.si", rows=2_898, kind="completion", answers=f"{_FLORES}.si-en.en"),
    RealFile(path=f"{_FLORES}.ne-en.doc_id", rows=2_559, kind="completion", options={"format": "txt"}),
    RealFile(path=f"{_FLORES}.si-en.doc_id", rows=2_898, kind="completion", options={"format": "txt"}),
    RealFile(
        path="nerre_prompt_completion/doping_train.json",
        rows=162,
        kind="completion",
        options={"input": "text", "target": "title"},
    ),
    RealFile(
        path="openai_cookbook/25000_spend_dataset_current.csv",
        rows=359,
        kind="labelled",
        options={"input": "Description", "target": "Supplier", "kind": "labelled"},
    ),
    RealFile(
        path="openai_cookbook/AG_news_samples.csv",
        rows=2_000,
        kind="labelled",
        options={"input": "{title}\n{description}", "target": "label", "kind": "labelled"},
    ),
    RealFile(
        path="openai_cookbook/fine_food_reviews_1k.csv",
        rows=1_000,
        kind="labelled",
        options={"input": "{Summary}\n{Text}", "target": "Score", "kind": "labelled"},
    ),
    RealFile(
        path="openai_cookbook/helpcenter_articles.csv",
        rows=4,
        kind="completion",
        options={"input": "policy", "target": "content"},
    ),
    RealFile(
        path="openai_cookbook/labelled_transactions.csv",
        rows=101,
        kind="labelled",
        options={"input": "{Supplier}: {Description}", "target": "Classification", "kind": "labelled"},
    ),
    RealFile(
        path="openai_cookbook/scifact_claims.jsonl",
        rows=300,
        kind="completion",
        options={"target": "claim"},
    ),
    RealFile(
        path="openai_cookbook/snli_1.0_train_2k.csv",
        rows=2_000,
        kind="labelled",
        options={"input": "{sentence1}\n{sentence2}", "target": "gold_label", "kind": "labelled"},
    ),
)
_REFUSED = (
    RealFile(path="flores_v1/wikipedia_en_ne_si_test_sets.tgz"),
    RealFile(path="lfs_pointer/databricks-dolly-15k.jsonl"),
    RealFile(path="llama_factory_demos/dataset_info.json"),
    RealFile(path="utf16_json/enwik8-vocab.json"),
)

FILES: tuple[RealFile, ...] = tuple(
    sorted(
        (
            *(RealFile(path=path, rows=rows, kind=kind) for path, (rows, kind) in _BY_CONTENT.items()),
            *_AS_TOLD,
            *_REFUSED,
        ),
        key=lambda file: file.name,
    )
)
"""All of them, in the order of their names."""


def folder_files(folder: Path) -> set[str]:
    """The files of real data that are there, licences and the like aside."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if len(path.parts) > 1 and path.name not in ("LICENSE.txt", "SOURCE_LICENSE")
    }
