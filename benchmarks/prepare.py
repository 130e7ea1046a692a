"""Data preparation: `openai tools fine_tunes.prepare_data -q` of openai 0.28.1 against tunekit, on ten real files.

    python benchmarks/prepare.py [--data DIR] [--peer .venv-bench-prepare/bin/openai] [--json FILE]

Both do the whole job as one command does it: read, look, mend what may be mended unasked, split where it is
classification, write. The peer gets each file twice: as it is, and after somebody has written its rows out as JSON
lines with the keys prompt and completion, which is what it needs. tunekit gets it as it is, with its columns' names.

Harm is counted against the rows of the source, as tunekit reads them (tests/real hold those against known counts).
"lost": rows that are neither a copy of a kept one nor blank. "changed": rows whose prompt or answer stands nowhere in
the source, white space, invisible characters, Unicode's normal forms and the announced marks aside. "leaked": rows held
out whose prompt was trained on. "cut": answers of the source that the suggested stop sequence would shorten by more
than a mark (END, symbols, white space). Seconds are CPU time, memory is the peak of the process. tunekit looks at more
(near duplicates, tokens, characters, personal data), which is most of its time.

The peer needs an environment of its own: openai 0.28.1, pandas, openpyxl (`make bench-prepare` makes it).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sms_spam/spam.csv", {"input": "v2", "target": "v1"}),
    ("sms_spam_tsv/sms.tsv", {"header": ["label", "text"], "input": "text", "target": "label"}),
    ("banking77/train.csv", {"input": "text", "target": "category"}),
    ("korean_chatbot/ChatbotData.csv", {"input": "Q", "target": "A"}),
    ("nerre_prompt_completion/train.jsonl", {}),
    ("mlx_lora/wwdc25_train.jsonl", {}),
    ("gsm8k/train.jsonl", {"input": "question", "target": "answer"}),
    ("ajgt_xlsx/AJGT.xlsx", {"input": "Feed", "target": "Sentiment"}),
    ("bom_faq_csv/Amazon_SageMaker_FAQs.csv", {"header": ["q", "a"], "input": "q", "target": "a"}),
    ("openai_cookbook/toy_chat_fine_tuning.jsonl", {}),
)

Pair = tuple[str, str]
HARM = ("lost", "changed", "leaked", "cut")
_MARK = re.compile(r"END|[#*+&$@%\s]")


@dataclass
class Outcome:
    """What one tool made of one file."""

    tool: str
    found: list[str] = field(default_factory=list)
    advice: str = ""
    kept: int | None = None
    lost: int = 0
    changed: int = 0
    leaked: int = 0
    cut: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0


# --- running a command --------------------------------------------------------------------------------


def measured(command: Sequence[str], directory: Path) -> tuple[str, int, float, float]:
    """What it printed, its exit code, CPU-seconds and peak memory in MB."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(
            command,
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read()
    return printed, child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


# --- the peer -----------------------------------------------------------------------------------------

_FINDINGS = (
    (r"There are (\d+) duplicated", "{} duplicates"),
    (r"should not contain empty strings", "empty completions"),
    (r"There are (\d+) examples that are very long", "{} very long"),
    (r"More than a third of your `(\w+)`", "capitals in {}s"),
    (r"All prompts end with suffix `([^`]*)`", "separator {!r}"),
    (r"does not contain a common separator", "no separator"),
    (r"All prompts start with prefix `([^`]*)`", "prompts begin with {!r}"),
    (r"All completions start with prefix `([^`]*)`", "completions begin with {!r}"),
    (r"All completions end with suffix `([^`]*)`", "stop {!r}"),
    (r"does not contain a common ending", "no stop"),
    (r"should start with a whitespace", "no leading space"),
    (r"trying to fine-tune a model for classification", "classification"),
)


def run_peer(peer: Path, path: Path, tool: str, source: Sequence[Pair]) -> Outcome:
    """prepare_data -q on a copy of the file in its own directory."""
    printed, code, seconds, peak = measured(
        [str(peer), "tools", "fine_tunes.prepare_data", "-q", "-f", path.name], path.parent
    )
    outcome = Outcome(tool=tool, seconds=seconds, peak_mb=peak)
    if code:
        error = re.search(r"ERROR in \w+ validator: ([^\n]*)", printed) or re.search(
            r"(\w+Error: [^\n]*)", printed
        )
        outcome.found = [f"ends: {error[1][:90] if error else printed[-90:]}"]
        return outcome
    outcome.found = [says.format(*match.groups()) for match, says in _said(printed)]
    stop = re.search(r"stop=\[([^\]]*\]?[^\]]*)\]` so", printed)
    outcome.advice = f"stop={stop[1]}" if stop else ""
    parts = sorted(path.parent.glob(f"{path.stem}_prepared*.jsonl")) or [path]
    rows = [read_pairs(part) for part in parts]
    added = re.search(r"Add a suffix ending `([^`]*)`", printed)
    separator = re.search(r"Add a suffix separator `([^`]*)`", printed)
    judge(outcome, rows, source, unescaped(separator), unescaped(added))
    outcome.cut = cut_by(unescaped(stop).strip('"'), source)
    return outcome


def _said(printed: str) -> Iterator[tuple[re.Match[str], str]]:
    for pattern, says in _FINDINGS:
        for match in re.finditer(pattern, printed):
            yield match, says


def unescaped(match: re.Match[str] | None) -> str:
    return match[1].replace("\\n", "\n") if match else ""


def cut_by(stop: str, source: Sequence[Pair]) -> int:
    """How many answers the stop sequence would shorten by more than a mark."""
    tails = (answer[answer.index(stop) :] for _, answer in source if stop and stop in answer)
    return sum(bool(_MARK.sub("", tail)) for tail in tails)


def spaced(text: str) -> str:
    """What a reader sees: white space, zero-width characters and normal forms aside."""
    return " ".join(unicodedata.normalize("NFC", text).replace("\u200b", "").split())


def read_pairs(path: Path) -> list[Pair]:
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return [(row.get("prompt") or "", row.get("completion") or "") for row in rows]


def judge(
    outcome: Outcome, parts: Sequence[Sequence[Pair]], source: Sequence[Pair], separator: str, stop: str
) -> None:
    """Count what was kept, lost, changed and leaked."""
    kept = [
        (spaced(prompt.removesuffix(separator)), spaced(completion.removesuffix(stop)))
        for part in parts
        for prompt, completion in part
    ]
    known = {(spaced(prompt), spaced(completion)) for prompt, completion in source if completion.strip()}
    prompts, answers = ({row[side] for row in known} for side in (0, 1))
    outcome.kept = len(kept)
    outcome.changed = sum(prompt not in prompts or answer not in answers for prompt, answer in kept)
    outcome.lost = max(0, len(known) - len(set(kept)))
    if len(parts) == 2:
        trained = {prompt for prompt, _ in parts[0]}
        outcome.leaked = sum(prompt in trained for prompt, _ in parts[1])


# --- tunekit ------------------------------------------------------------------------------------------


def prepare(path: Path, options: dict[str, Any], out: Path) -> dict[str, Any]:
    """The job of one child process."""
    import tunekit as tk

    data = tk.Dataset.load(path, **options)
    target = "base" if data.kinds == {"completion"} else None
    report = data.check(target=target)
    mended = data.fix(target=target)
    hints = mended.hints(target=target)
    parts = mended.split(test=hints.test or 0.2, seed=42) if hints.task == "classification" else (mended,)
    for name, part in zip(("train", "valid"), parts, strict=False):
        part.write_jsonl(out / f"{name}.jsonl")
    return {
        "found": [_told(finding) for finding in report],
        "advice": f"{hints.task}" + (f", stop={list(hints.stop)}" if hints.stop else ""),
        "stop": list(hints.stop),
    }


def _told(finding: Any) -> str:
    return f"{finding.code} {len(finding.rows):,}" if finding.rows else finding.code


def run_ours(path: Path, options: dict[str, Any], source: Sequence[Pair], out: Path) -> Outcome:
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--child",
        str(path),
        json.dumps(options),
        str(out),
    ]
    printed, code, seconds, peak = measured(command, out)
    if code:
        raise SystemExit(f"tunekit failed on {path}:\n{printed}")
    said = json.loads(printed.splitlines()[-1])
    outcome = Outcome(
        tool="tunekit", found=said["found"], advice=said["advice"], seconds=seconds, peak_mb=peak
    )
    parts = [read_pairs(part) for part in sorted(out.glob("*.jsonl"))]  # "train" sorts before "valid"
    if source:
        judge(outcome, parts, source, "", "")
        outcome.cut = sum(cut_by(stop, source) for stop in said["stop"])
    else:
        outcome.kept = sum(map(len, parts))
    return outcome


# --- both ---------------------------------------------------------------------------------------------


def compare(peer: Path, path: Path, options: dict[str, Any], scratch: Path) -> list[Outcome]:
    """The peer as it is, the peer renamed, tunekit."""
    source = source_pairs(path, options)
    outcomes = []
    for name, text in (("as it is", None), ("renamed", _renamed(source))):
        directory = scratch / name.replace(" ", "-")
        directory.mkdir()
        if text is None:
            copy = directory / path.name
            copy.write_bytes(path.read_bytes())
        elif not source:
            continue
        else:
            copy = directory / "renamed.jsonl"
            copy.write_text(text, encoding="utf-8")
        outcomes.append(run_peer(peer, copy, f"openai 0.28.1, {name}", source))
    out = scratch / "tunekit"
    out.mkdir()
    outcomes.append(run_ours(path, options, source, out))
    return outcomes


def source_pairs(path: Path, options: dict[str, Any]) -> list[Pair]:
    """Every row as its author wrote it; none for chats, which prompt and completion cannot hold."""
    import tunekit as tk
    from tunekit.examples import CompletionExample

    return [
        (row.prompt, row.completion)
        for row in tk.Dataset.load(path, **options)
        if isinstance(row, CompletionExample)
    ]


def _renamed(source: Sequence[Pair]) -> str:
    rows = (json.dumps({"prompt": p, "completion": c}, ensure_ascii=False) for p, c in source)
    return "".join(f"{row}\n" for row in rows)


def lines(file: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield f"\n{file}"
    for one in outcomes:
        rows = "nothing written" if one.kept is None else f"{one.kept:,} rows kept"
        harm = ", ".join(f"{count:,} {name}" for name in HARM if (count := getattr(one, name)))
        yield f"  {one.tool:24} {rows:18} {harm or 'no harm':34} {one.seconds:5.1f} s {one.peak_mb:6.0f} MB"
        yield f"  {'':24} {'; '.join(one.found) or 'nothing found'}"
        if one.advice:
            yield f"  {'':24} {one.advice}"


def totals(results: dict[str, list[Outcome]]) -> Iterator[str]:
    yield "\nin all"
    for tool in ("openai 0.28.1, as it is", "openai 0.28.1, renamed", "tunekit"):
        ran = [one for outcomes in results.values() for one in outcomes if one.tool == tool]
        wrote = [one for one in ran if one.kept is not None]
        harm = ", ".join(f"{sum(getattr(one, name) for one in wrote):,} {name}" for name in HARM)
        seconds, peak = sum(one.seconds for one in ran), max(one.peak_mb for one in ran)
        yield f"  {tool:24} {len(wrote)} of {len(ran)} files   {harm:42} {seconds:5.1f} s {peak:6.0f} MB at most"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-bench-prepare" / "bin" / "openai")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        path, options, out = arguments.child
        print(json.dumps(prepare(Path(path), json.loads(options), Path(out))))
        return
    results: dict[str, list[Outcome]] = {}
    for file, options in FILES:
        with tempfile.TemporaryDirectory() as scratch:
            results[file] = compare(arguments.peer, arguments.data / file, options, Path(scratch))
        print("\n".join(lines(file, results[file])), flush=True)
    print("\n".join(totals(results)))
    if arguments.json:
        plain = {file: [asdict(one) for one in outcomes] for file, outcomes in results.items()}
        arguments.json.write_text(json.dumps(plain, ensure_ascii=False, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
