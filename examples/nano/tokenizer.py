"""The tokenizer of nano: byte-level BPE of 4,096 pieces with a chat template. Knows no corpus and no model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

VOCABULARY = 4096
CONTEXT = 512
PAD, END = "<|pad|>", "<|end|>"
# One token opens each kind of turn: short chats spend few tokens on format. Ids follow this order from 0.
SPECIAL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")

# Control tokens are written out, never joined from parts, so that transformers can tell them from what users typed.
# `developer` is OpenAI's newer name for system. The end of a turn belongs to what the assistant generates.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
  {%- if content is string -%}{{ content }}
  {%- elif content -%}{%- for part in content -%}{{ part.text if part.text is defined else '' }}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- if tools -%}<|system|>Tools: {{ tools | tojson }}<|end|>{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'assistant' -%}
    <|assistant|>
    {%- generation -%}
      {{- text(message.content) -}}
      {%- for call in message.tool_calls or [] -%}
        <|tool|>{{ call.function.name }} {{ call.function.arguments if call.function.arguments is string
                                             else call.function.arguments | tojson }}
      {%- endfor -%}
      <|end|>
    {%- endgeneration -%}
  {%- elif message.role == 'user' -%}<|user|>{{ text(message.content) }}<|end|>
  {%- elif message.role in ('system', 'developer') -%}<|system|>{{ text(message.content) }}<|end|>
  {%- elif message.role == 'tool' -%}<|tool|>{{ text(message.content) }}<|end|>
  {%- else -%}{{ raise_exception('unknown role: ' ~ message.role) }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""


def train(texts: Iterable[str], folder: Path) -> Any:
    """Train the tokenizer on texts and save it into `folder` as transformers loads it.

    Every byte is a piece, so any Unicode text survives a round trip; digits stand alone, so numbers keep their
    places. Nothing is normalised and nothing is added around a text.

    Returns:
        A transformers tokenizer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token=None))
    digits, blanks = (
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, blanks])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(SPECIAL[2:]),
        model_max_length=CONTEXT,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
