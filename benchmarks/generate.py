"""Answers and scores on one CPU thread: tunekit against transformers.generate, same model, prompts and tokens.

    python benchmarks/generate.py [--repeats N] [--prompts N]

The model is the Llama of `train_cpu.py`: 15M parameters, 32k vocabulary, random weights, so it never ends an answer by
itself and every arm computes as many tokens as it may. Prompts are messages of 30 to 150 letters, a token each; a label
is three tokens and an end, as names of classes are in a vocabulary of that size. Measured is process CPU time with one
thread, all arms in turn in one process, so a busy machine changes ratios little; the best of the repeats counts.

- Choosing one of 20 labels: by `score`, and by generate-and-match, that is, writing an answer and comparing it with the
  labels. What that costs follows from how much the answer may say: as much as a label ("label"), a short sentence (32
  tokens), or a `Sampling()` as it comes (128). Each is measured as transformers does it, one prompt at a time.
- Writing 32 tokens to each of many prompts: together, one by one, and one by one by transformers.
"""

from __future__ import annotations

import argparse
import random
import runpy
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# Scripts side by side are no package.
TRAIN_CPU = runpy.run_path(str(Path(__file__).with_name("train_cpu.py")))
CHOICES = 20
LABEL_TOKENS = 4
LETTERS = "abcdefghijklmnopqrstuvwxyz "


def prompts_of(count: int) -> list[str]:
    """Messages of random letters."""
    rng = random.Random(0)
    return ["".join(rng.choices(LETTERS, k=rng.randint(30, 150))) for _ in range(count)]


def labels() -> list[str]:
    """Three letters each; the end token that `score` adds is their fourth."""
    rng = random.Random(1)
    return ["".join(rng.choices(LETTERS[:-1], k=LABEL_TOKENS - 1)) for _ in range(CHOICES)]


def by_transformers(loaded: Any, prompts: Sequence[str], most: int) -> list[str]:
    """Greedy answers, one prompt at a time."""
    import torch

    from tunekit.training.serving.answering.decoder import DecoderAnswering

    answers = []
    for prompt in prompts:
        ids = torch.tensor([DecoderAnswering(loaded).prompt_ids({"prompt": prompt})])
        with torch.inference_mode():
            output = loaded.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                do_sample=False,
                eos_token_id=None,
            )
        answers.append(loaded.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
    return answers


def arms(loaded: Any, prompts: Sequence[str]) -> dict[str, Callable[[], list[str]]]:
    """What is measured; each gives texts, so that arms of one kind can be held against each other."""
    from tunekit.spec import Sampling
    from tunekit.training.serving.generate import generate, score

    choices = labels()

    def together(requests: Sequence[str]) -> list[str]:
        asked = [{"prompt": prompt} for prompt in requests]
        return [answer["text"] for answer in generate(loaded, asked, Sampling(max_tokens=32))]

    def scored() -> list[str]:
        found = score(loaded, [{"prompt": prompt, "choices": choices} for prompt in prompts])
        return [choices[max(range(CHOICES), key=one["log_probs"].__getitem__)] for one in found]

    def matched(most: int) -> list[str]:
        answers = by_transformers(loaded, prompts, most)
        return [next((label for label in choices if label in answer), "") for answer in answers]

    return {
        "score of 20 labels": scored,
        f"generate-and-match, {LABEL_TOKENS} tokens": lambda: matched(LABEL_TOKENS),
        "generate-and-match, 32 tokens": lambda: matched(32),
        "generate-and-match, 128 tokens": lambda: matched(128),
        "32 tokens to all, together": lambda: together(prompts),
        "32 tokens, one by one": lambda: [text for prompt in prompts for text in together([prompt])],
        "32 tokens, one by one, transformers": lambda: by_transformers(loaded, prompts, 32),
    }


def measured(work: dict[str, Callable[[], list[str]]], repeats: int) -> dict[str, float]:
    """CPU-seconds of each arm, the least of its repeats; arms take turns, and the first round is not counted."""
    best = dict.fromkeys(work, float("inf"))
    for repeat in range(repeats + 1):
        for name, arm in work.items():
            start = time.process_time()
            arm()
            seconds = time.process_time() - start
            print(f"{name}: {seconds:.2f} s", file=sys.stderr)  # a long run should show that it lives
            if repeat:
                best[name] = min(best[name], seconds)
    return best


def table(best: dict[str, float], prompts: int) -> str:
    """Markdown: CPU-milliseconds for each prompt, and how many times the quickest arm of its kind that is."""
    lines = ["| what | CPU ms per prompt | times |", "|---|--:|--:|"]
    base = 0.0
    for name, seconds in best.items():
        if name.startswith("score") or name.endswith("together"):
            base = seconds
        lines.append(f"| {name} | {1000 * seconds / prompts:.1f} | {seconds / base:.1f}x |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=32)
    options = parser.parse_args(arguments)
    from tunekit.training.models.load import load
    from tunekit.training.plan.device import configure

    configure(threads=1)
    with tempfile.TemporaryDirectory() as directory:
        TRAIN_CPU["make_model"](Path(directory) / "llama15m")
        loaded = load(Path(directory) / "llama15m")
    loaded = replace(loaded, stop_ids=())  # no arm may end earlier than another
    work = arms(loaded, prompts_of(options.prompts))
    same = [work[name]() for name in list(work)[-3:]]
    if any(texts != same[0] for texts in same):
        raise SystemExit("the arms that write 32 tokens do not write the same")
    best = measured(work, options.repeats)
    print(f"{TRAIN_CPU['cpu_name']()}, one thread. {options.prompts} prompts, best of {options.repeats}.\n")
    print(table(best, options.prompts))


if __name__ == "__main__":
    main(sys.argv[1:])
