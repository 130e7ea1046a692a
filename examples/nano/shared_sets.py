"""Rows from the instruction, chat and question-answering files of ../shared/data. Knows their formats, no weights.

Classification sets stay out on purpose: fine-tuning on them must meet text that the base never saw.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nano.rows import MissingSourceError, Row, chat, pieces, prose

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
NAMES = {"{{name}}": "Nano", "{{author}}": "the tunekit authors"}


def gsm8k(root: Path) -> Iterator[Row]:
    """School arithmetic; the calculator marks between << and >> are removed. The test file is not read."""
    for row in _json(root / "gsm8k/train.jsonl"):
        answer = "".join(part.split(">>")[-1] for part in row["answer"].split("<<"))
        yield chat(row["question"], (row["question"], answer))


def gpteacher(root: Path) -> Iterator[Row]:
    """Role play and tool use instructions (its gsm8k file repeats gsm8k and is left out)."""
    folder = root / "gpteacher_alpaca"
    yield from _alpaca(folder / "roleplay-simple-deduped-roleplay-dataset.json")


def toolformer(root: Path) -> Iterator[Row]:
    """Instructions whose answers call a tool in the text; the tool's description becomes the system turn."""
    for row in _json(root / "gpteacher_alpaca/toolformer-similarity-0.6-dataset.json"):
        instruction = str(row.get("instruction") or "")
        header, _, task = instruction.rpartition("\n")
        question = "\n".join(part for part in (task, str(row.get("input") or "")) if part)
        answer = row.get("output") or row.get("response") or ""
        yield chat(instruction + question, (question, str(answer)), system=header.split("\n")[-1])


def self_instruct(root: Path) -> Iterator[Row]:
    """Tasks written by people, each with one or more instances; classification tasks are left out."""
    for name in ("seed_tasks.jsonl", "user_oriented_instructions.jsonl"):
        for row in _json(root / "self_instruct_seed" / name):
            if row.get("is_classification"):
                continue
            for item in row["instances"]:
                question = "\n".join(part for part in (row["instruction"], item["input"]) if part)
                yield chat(row["instruction"], (question, item["output"]))


def cloud_faq(root: Path) -> Iterator[Row]:
    """Questions and answers of a service's FAQ page."""
    path = _exists(root / "bom_faq_csv/Amazon_SageMaker_FAQs.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        for question, answer, *_ in csv.reader(file):
            yield chat(question, (question, answer))


def help_centre(root: Path) -> Iterator[Row]:
    """Articles of a help centre: the title asks, the article answers."""
    path = _exists(root / "openai_cookbook/helpcenter_articles.csv")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            question, _, answer = row["content"].strip().partition("\n")
            yield chat(question, (question, answer))


def toy_chat(root: Path) -> Iterator[Row]:
    """Five small multi-turn chats."""
    for row in _json(root / "openai_cookbook/toy_chat_fine_tuning.jsonl"):
        turns = [(turn["role"], turn.get("content") or "") for turn in row["messages"]]
        yield from _turns(turns)


def tool_chats(root: Path) -> Iterator[Row]:
    """Multi-turn chats with an assistant; those that call functions are cut before the first call."""
    for row in _json(root / "llama_factory_demos/glaive_toolcall_en_demo.json"):
        turns = []
        for turn in row["conversations"]:
            if turn["from"] not in ROLES:
                break
            turns.append((ROLES[turn["from"]], turn["value"]))
        yield from _turns(turns)


def preferred(root: Path) -> Iterator[Row]:
    """The preferred answers of two preference files."""
    folder = root / "llama_factory_demos"
    for row in _json(folder / "dpo_en_demo.json"):
        turns = [(ROLES[turn["from"]], turn["value"]) for turn in row["conversations"]]
        yield from _turns([*turns, ("assistant", row["chosen"]["value"])])
    for row in _json(folder / "kto_en_demo.json"):
        if row["label"]:
            yield from _turns([(turn["role"], turn["content"]) for turn in row["messages"]])


def identity(root: Path) -> Iterator[Row]:
    """Who the assistant is, with its name and author filled in."""
    for row in _json(root / "llama_factory_demos/identity.json"):
        answer = row["output"]
        for mark, name in NAMES.items():
            answer = answer.replace(mark, name)
        yield chat(row["instruction"], (row["instruction"], answer))


def web_prose(root: Path) -> Iterator[Row]:
    """Pieces of web pages (C4)."""
    for index, row in enumerate(_json(root / "llama_factory_demos/c4_demo.jsonl")):
        for piece in pieces(row["text"], 1000):
            yield prose(f"c4:{index}", piece)


def table_questions(root: Path) -> Iterator[Row]:
    """Questions about a table with their SQL."""
    for row in _json(root / "mlx_lora/train.jsonl"):
        question, _, answer = row["text"].partition("\nA: ")
        yield chat(question, (question, answer))


def sport_questions(root: Path) -> Iterator[Row]:
    """Questions about one sports event; many prompts have several answers, three of them are kept."""
    seen: dict[str, int] = {}
    for row in _json(root / "mlx_lora/wwdc25_train.jsonl"):
        seen[row["prompt"]] = seen.get(row["prompt"], 0) + 1
        if seen[row["prompt"]] <= 3:
            yield chat(row["prompt"], (row["prompt"], row["completion"]))


def _alpaca(path: Path) -> Iterator[Row]:
    for row in _json(path):
        question = "\n".join(part for part in (row["instruction"], row.get("input") or "") if part)
        yield chat(question, (question, row["output"]))


def _turns(turns: list[tuple[str, str]]) -> Iterator[Row]:
    system = turns[0][1] if turns and turns[0][0] == "system" else ""
    said = [turn for turn in turns if turn[0] != "system"]
    pairs = list(zip(said[::2], said[1::2], strict=False))
    if pairs and all(a[0] == "user" and b[0] == "assistant" for a, b in pairs):
        yield chat(said[0][1], *((a[1], b[1]) for a, b in pairs), system=system)


def _exists(path: Path) -> Path:
    if not path.is_file():
        raise MissingSourceError(f"{path} is not there")
    return path


def _json(path: Path) -> list[dict[str, Any]]:
    text = _exists(path).read_text(encoding="utf-8")
    if path.suffix == ".json":
        return list(json.loads(text))
    return [json.loads(line) for line in text.split("\n") if line.strip()]
