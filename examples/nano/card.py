"""The model card of nano, written from what was measured. Knows wording; computes nothing."""

from __future__ import annotations

from typing import Any

HEAD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# nano

A causal language model of {parameters:,} parameters, made by `examples/train_nano.py` with tunekit's own trainer, so
that tests and quickstarts have a base model wherever they run. It knows common English words, the chat format and what
an answer looks like. **It is not for products**: see the limits.

| | |
|---|---|
| shape | Llama, hidden {hidden}, {layers} layers, {heads} heads of {head_size} ({key_heads} key/value heads), \
SwiGLU {inner}, tied embeddings |
| tokenizer | byte-level BPE, {vocabulary:,} pieces, every digit alone; round-trips any Unicode text |
| context | {context} tokens |
| chat | `<|system|>` `<|user|>` `<|assistant|>` `<|tool|>` open a turn, `<|end|>` (end of sequence) closes it; \
the template marks what the assistant says with `{{% generation %}}` |
| weights | bf16 safetensors, {megabytes:.1f} MB |
| licence | Apache-2.0, as the rest of tunekit; sources and their licences are below |

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("examples/models/nano")
model = AutoModelForCausalLM.from_pretrained("examples/models/nano", dtype="float32")
```
"""

LIMITS = """\
## Intended use and limits

Tests, quickstarts and benchmarks of fine-tuning code: small enough to train in a minute, real enough that fine-tuning
visibly adapts it. It makes up facts, cannot calculate, loses the thread after a sentence or two, is English only, and
has had no safety training of any kind. Its training text is mostly dictionary entries, technical documentation, school
arithmetic and nineteenth-century novels, with what biases those carry; some instruction sets were written by larger
language models. Positions beyond {context} tokens are untrained.
"""


def card(manifest: dict[str, Any], shape: dict[str, Any], run: dict[str, Any]) -> str:
    """The whole README.md.

    Args:
        manifest: What `corpus.build` returned, with `tokens` added to each source.
        shape: Numbers of the model for the table at the top.
        run: What was trained and measured.
    """
    return "\n".join(
        (HEAD.format(**shape), _results(run), _samples(run), _sources(manifest), LIMITS.format(**shape))
    )


def _results(run: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {part['rows']} | {part['tokens']:,} | {part['loss']:.3f} | {part['perplexity']:.1f} "
        f"| {part['bits_per_byte']:.2f} | {start['loss']:.3f} |"
        for name, part, start in (
            ("chat, assistant tokens", run["after"]["chat"], run["before"]["chat"]),
            ("prose", run["after"]["prose"], run["before"]["prose"]),
        )
    )
    return f"""\
## Training and results

One pass over {run["rows"]:,} rows ({run["tokens"]:,} tokens), batch {run["batch_size"]}, peak learning rate \
{run["learning_rate"]:g}, linear decay, seed {run["seed"]},
fp32 on {run["threads"]} CPU thread(s), {run["minutes"]:.0f} minutes. Every token of a row is learned,
the user's turns too.

Held-out text, measured on the published bf16 weights (computed in fp32). Loss in nats per token, ends of turns
included; bits per byte of the text alone; rows longer than the context are left out{_left_out(run["after"])}:

| held out | rows | tokens | loss | perplexity | bits per byte | loss before training |
|---|---|---|---|---|---|---|
{rows}

Whole groups are held out (a dictionary entry, a section of a manual, a chapter of a novel), chosen by hash: 2 % of all.
"""


def _left_out(measured: dict[str, Any]) -> str:
    # Runs that were measured before this was counted do not say.
    counts = [measured[part].get("too_long") for part in ("chat", "prose")]
    return "" if None in counts else f" ({counts[0]} chats, {counts[1]} of prose)"


def _samples(run: dict[str, Any]) -> str:
    rows = "\n".join(f"| {_cell(prompt)} | {_cell(answer)} |" for prompt, answer in run["after"]["samples"])
    return f"Greedy answers of this model, as they came:\n\n| prompt | answer |\n|---|---|\n{rows}\n"


def _sources(manifest: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {item['name']}{' ' + item['version'] if item['version'] else ''} | {item['licence']} | {item['rows']:,} "
        f"| {item['tokens']:,} | {item['copies']} |"
        for item in manifest["sources"]
    )
    missing = "".join(
        f"- Missing when this was built: {name} ({why})\n" for name, why in manifest["missing"].items()
    )
    left_out = "\n".join(f"- {names}: {why}" for names, why in manifest["left_out"].items())
    return f"""\
## Sources

Chats were made from WordNet's entries, API docstrings and manuals by the templates in `examples/nano`; the rest is as
its authors wrote it. Names without a version are files of the project's shared data folder. No text of a source is
part of this repository.

| source | licence | rows | tokens | copies in the mix |
|---|---|---|---|---|
{rows}

{missing}Left out on purpose:

{left_out}

Rows that share eight words in a row with banking77, clinc150, sms_spam, cola, gsm8k's test file or the quickstart's
tickets were dropped, too. WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split()) or "(nothing)"
