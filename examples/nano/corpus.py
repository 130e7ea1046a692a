"""Builds the corpus: sources, weights, deduplication, the held-out part, the leak filter. Knows no model.

Writes `chat.jsonl`, `text.jsonl`, their held-out twins and `manifest.json`, in tunekit's JSONL formats.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nano import documents, shared_sets, wordnet
from nano.packages import version
from nano.rows import MissingSourceError, Row, dice, short_enough, usable

LIMIT_CHARS = 1300  # about 400 tokens; the context is 512
HELD_OUT_PERCENT = 2
SHINGLE_WORDS = 8
UNSEEN = (
    "banking77/train.csv",
    "banking77/test.csv",
    "sms_spam/spam.csv",
    "gsm8k/test.jsonl",
    "clinc150/data_full.json",
    "cola/in_domain_train.tsv",
)
CHAT_FILE, TEXT_FILE, MANIFEST_FILE = "chat.jsonl", "text.jsonl", "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rows come from, under what licence, and how often each is shown in one pass."""

    name: str
    licence: str
    read: Callable[[Path], Iterator[Row]]
    copies: int = 1
    package: str = ""  # empty: a file of ../shared/data


SOURCES = (
    Source(name="wordnet-base", licence="WordNet 3.0", read=wordnet.rows, package="wordnet-base"),
    Source(name="stripe docstrings", licence="MIT", read=documents.payments, copies=2, package="stripe"),
    Source(name="squareup docstrings", licence="MIT", read=documents.commerce, copies=2, package="squareup"),
    Source(name="Python manual", licence="PSF-2.0", read=documents.python_manual, package="python3.11-doc"),
    Source(name="SQLite manual", licence="public domain", read=documents.sqlite_manual, package="sqlite3-doc"),
    Source(name="Jane Austen's novels", licence="public domain; package MIT", read=documents.novels,
           package="r-cran-janeaustenr"),
    Source(name="GPTeacher role play", licence="MIT", read=shared_sets.gpteacher, copies=2),
    Source(name="GPTeacher toolformer", licence="MIT", read=shared_sets.toolformer),
    Source(name="gsm8k train", licence="MIT", read=shared_sets.gsm8k),
    Source(name="self-instruct", licence="Apache-2.0", read=shared_sets.self_instruct, copies=2),
    Source(name="glaive tool chats", licence="Apache-2.0", read=shared_sets.tool_chats, copies=3),
    Source(name="preferred answers", licence="Apache-2.0 (repository)", read=shared_sets.preferred, copies=2),
    Source(name="identity", licence="Apache-2.0", read=shared_sets.identity, copies=3),
    Source(name="C4 sample", licence="ODC-BY; repository Apache-2.0", read=shared_sets.web_prose, copies=2),
    Source(name="SageMaker FAQ", licence="MIT-0", read=shared_sets.cloud_faq, copies=3),
    Source(name="help centre articles", licence="MIT", read=shared_sets.help_centre, copies=3),
    Source(name="toy chats", licence="MIT", read=shared_sets.toy_chat, copies=3),
    Source(name="MLX table questions", licence="MIT", read=shared_sets.table_questions),
    Source(name="MLX sport questions", licence="MIT", read=shared_sets.sport_questions),
)  # fmt: skip

LEFT_OUT = {
    "banking77, clinc150, sms_spam, sms_spam_tsv, cola, ajgt_xlsx": "classification sets: they must stay unseen",
    "gsm8k test": "a test set",
    "alpaca_en_demo, v1_sft_demo": "believed to stem from Alpaca, whose data is for non-commercial use",
    "flores_v1, wiki_demo, SNLI": "share-alike text",
    "fine_food_reviews, AG_news": "reviews and news of unclear licence",
    "nerre_prompt_completion, drone_training, azure_function_call": "formats under test, of no use for plain English",
    "korean_chatbot, alpaca_zh_demo": "not English",
}


@dataclass(slots=True)
class Tally:
    """What became of one source's rows."""

    source: Source
    rows: int = 0
    held_out: int = 0
    characters: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count one row that does not enter the corpus."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def build(shared: Path, cache: Path, *, unseen_files: Iterable[Path] = (), seed: int = 0) -> dict[str, Any]:
    """Write the corpus into `cache` and return its manifest.

    Args:
        shared: The folder of shared data sets.
        cache: Where packages are unpacked and the corpus goes; outside git.
        unseen_files: Texts that no row may share eight words in a row with, beside the sets in `UNSEEN`.
        seed: Order of the rows.
    """
    cache = cache.resolve()  # fetching runs in other folders
    cache.mkdir(parents=True, exist_ok=True)
    leaks = shingles_of([*(shared / name for name in UNSEEN), *unseen_files])
    seen: set[bytes] = set()
    kept: list[tuple[str, Row]] = []
    tallies, missing = [], {}
    for source in SOURCES:
        tally = Tally(source=source)
        try:
            found = list(_keep(source.read(cache if source.package else shared), tally, seen, leaks))
        except MissingSourceError as error:
            missing[source.name] = str(error)
            continue
        tallies.append(tally)
        kept += [(source.name, row) for row in found]
    manifest = {
        "seed": seed,
        "sources": [_describe(tally, cache) for tally in tallies],
        "missing": missing,
        "left_out": LEFT_OUT,
        "files": _write(kept, cache, seed),
    }
    (cache / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def held_out(row: Row) -> bool:
    """Whether a row belongs to the part that is never trained on; all rows of one group share the answer."""
    return dice(row.group, seed=1).randrange(100) < HELD_OUT_PERCENT


def to_json(row: Row) -> dict[str, Any]:
    """A row in tunekit's JSONL format; prose is a completion of the empty prompt."""
    if row.text:
        return {"prompt": "", "completion": row.text}
    return {"messages": [{"role": role, "content": content} for role, content in row.turns]}


def shingles_of(files: Iterable[Path]) -> frozenset[int]:
    """Hashes of every run of eight words in the fields of the files; a file that is not there is left out."""
    return frozenset(
        key for path in files if path.is_file() for text in _fields(path) for key in _shingles(text)
    )


def _fields(path: Path) -> Iterator[str]:
    raw = path.read_bytes().decode("utf-8", errors="replace")
    if path.suffix == ".csv":
        for row in csv.reader(raw.splitlines(keepends=True)):
            yield from row
    elif path.suffix == ".tsv":
        yield from re.split(r"[\t\n]", raw)
    else:
        yield from re.findall(r'"((?:[^"\\]|\\.)*)"', raw)


def _shingles(text: str) -> Iterator[int]:
    words = re.findall(r"[a-z0-9']+", text.lower())
    for start in range(len(words) - SHINGLE_WORDS + 1):
        # 64 bits: a false hit costs one row. Python's own hash() differs between processes.
        joined = " ".join(words[start : start + SHINGLE_WORDS]).encode()
        yield int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")


def _keep(rows: Iterable[Row], tally: Tally, seen: set[bytes], leaks: frozenset[int]) -> Iterator[Row]:
    for raw in rows:
        row = short_enough(raw, LIMIT_CHARS)
        if row is None:
            tally.drop("too long")
            continue
        key = hashlib.sha256(" ".join(row.content().lower().split()).encode()).digest()
        if not usable(row):
            tally.drop("damaged or not English")
        elif key in seen:
            tally.drop("duplicate")
        elif not leaks.isdisjoint(_shingles(row.content())):
            tally.drop("shares text with an unseen set")
        else:
            seen.add(key)
            tally.rows += 1
            tally.held_out += held_out(row)
            tally.characters += len(row.content())
            yield row


def _write(kept: list[tuple[str, Row]], cache: Path, seed: int) -> dict[str, dict[str, int]]:
    copies = {source.name: source.copies for source in SOURCES}
    train = [(n, row) for n, row in kept if not held_out(row) for _ in range(copies[n])]
    test = [(n, row) for n, row in kept if held_out(row)]
    dice("order", seed).shuffle(train)
    sizes = {}
    for prefix, part in (("", train), ("heldout_", test)):
        for name, is_text in ((CHAT_FILE, False), (TEXT_FILE, True)):
            chosen = [row for _, row in part if bool(row.text) is is_text]
            lines = (json.dumps(to_json(row), ensure_ascii=False) + "\n" for row in chosen)
            (cache / (prefix + name)).write_text("".join(lines), encoding="utf-8")
            sizes[prefix + name] = {"rows": len(chosen), "characters": sum(len(r.content()) for r in chosen)}
    with (cache / "by_source.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps([n, row.content()], ensure_ascii=False) + "\n" for n, row in kept)
    return sizes


def _describe(tally: Tally, cache: Path) -> dict[str, Any]:
    source = tally.source
    return {
        "name": source.name,
        "licence": source.licence,
        "version": version(source.package, cache) if source.package else "",
        "copies": source.copies,
        "rows": tally.rows,
        "held_out": tally.held_out,
        "characters": tally.characters,
        "dropped": tally.dropped,
    }
