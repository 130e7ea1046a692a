"""Random models small enough to train in a test. Knows how to write them to disk; it does not know what tests do.

torch, transformers and tokenizers are imported when a model is made, so importing this module costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

# ChatML with the answer and its end marked for the loss. The newline after a turn is not something to learn.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ (message['content'] or '') + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ (message['content'] or '') + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
_T5_SPECIAL = ("<pad>", "</s>", "<unk>")
_BERT_SPECIAL = ("[PAD]", "[SEP]", "[CLS]", "[UNK]", "[MASK]")


def make_tiny_llama(
    path: str | os.PathLike[str],
    *,
    vocab_size: int = 260,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    max_length: int = 256,
    tied: bool = True,
    chat_template: str | None = CHAT_TEMPLATE,
    seed: int = 0,
) -> Path:
    """Write a Llama with random weights, a byte-level tokenizer and a chat template; 0.1 MB by default.

    The same arguments write the same weights. The host's random state is left as it was.

    Args:
        path: Directory to write; it is created.
        vocab_size: At least 260: 256 bytes and four special tokens. More is never produced by the tokenizer.
        layers: Decoder layers.
        hidden: Width; a multiple of `heads`.
        heads: Attention heads; half as many carry keys and values.
        max_length: Longest sequence in tokens.
        tied: Share the input and output embeddings.
        chat_template: Jinja template; None makes a model without one.
        seed: Seeds the weights.

    Returns:
        The directory, which `AutoModelForCausalLM` and `AutoTokenizer` load.
    """
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _byte_tokenizer(chat_template)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=hidden * 2,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=max_length,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with _seeded(seed):
        model = LlamaForCausalLM(config)
    stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=tokenizer.pad_token_id)
    return _saved(path, model, tokenizer)


def make_tiny_t5(
    path: str | os.PathLike[str],
    *,
    kind: Literal["t5", "mt5"] = "t5",
    vocab_size: int = 260,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    dropout: float = 0.1,
    seed: int = 0,
) -> Path:
    """Write an encoder-decoder with random weights and a byte-level tokenizer that ends texts with `</s>`.

    The same arguments write the same weights. The host's random state is left as it was.

    Args:
        path: Directory to write; it is created.
        kind: "t5" is the first T5: ReLU, and one matrix for input and output embeddings, whose products are scaled.
            "mt5" is mT5: gated GELU, and an output head of its own, without a scale.
        vocab_size: At least 259: 256 bytes and three special tokens. More is never produced by the tokenizer.
        layers: Layers of the encoder, and of the decoder.
        hidden: Width; a multiple of `heads`.
        heads: Attention heads.
        dropout: Active while the model is trained, as in every published T5.
        seed: Seeds the weights.

    Returns:
        The directory, which `AutoModelForSeq2SeqLM` and `AutoTokenizer` load.

    Examples:
        >>> import tempfile
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     AutoModelForSeq2SeqLM.from_pretrained(make_tiny_t5(directory)).config.model_type
        't5'
    """
    import torch
    import transformers

    tokenizer = _byte_tokenizer(None, special=_T5_SPECIAL, end="</s>")
    made = {
        "t5": ("T5Config", "T5ForConditionalGeneration"),
        "mt5": ("MT5Config", "MT5ForConditionalGeneration"),
    }
    config_class, model_class = (getattr(transformers, name) for name in made[kind])
    config = config_class(
        vocab_size=vocab_size,
        d_model=hidden,
        d_kv=hidden // heads,
        d_ff=hidden * 2,
        num_layers=layers,
        num_heads=heads,
        dropout_rate=dropout,
        feed_forward_proj="relu" if kind == "t5" else "gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    with _seeded(seed):
        model = model_class(config)
        if kind == "mt5":
            # transformers 5 ties every T5 that it makes, and unties on loading where the file has two matrices, as
            # the published mT5s have.
            model.lm_head.weight = torch.nn.Parameter(torch.randn(vocab_size, hidden) * hidden**-0.5)
            del model.all_tied_weights_keys["lm_head.weight"]
    return _saved(path, model, tokenizer)


def make_tiny_bert(
    path: str | os.PathLike[str],
    *,
    vocab_size: int = 261,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    max_length: int = 256,
    dropout: float = 0.1,
    seed: int = 0,
) -> Path:
    """Write a BERT with random weights, no head, and a byte-level tokenizer that puts [CLS] and [SEP] around a text.

    The same arguments write the same weights. The host's random state is left as it was.

    Args:
        path: Directory to write; it is created.
        vocab_size: At least 261: 256 bytes and five special tokens. More is never produced by the tokenizer.
        layers: Encoder layers.
        hidden: Width; a multiple of `heads`.
        heads: Attention heads.
        max_length: Longest sequence in tokens.
        dropout: Active while the model is trained, as in every published BERT.
        seed: Seeds the weights.

    Returns:
        The directory, which `AutoModel` and `AutoTokenizer` load.

    Examples:
        >>> import tempfile
        >>> from transformers import AutoModel
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     AutoModel.from_pretrained(make_tiny_bert(directory)).config.model_type
        'bert'
    """
    from transformers import BertConfig, BertModel

    tokenizer = _byte_tokenizer(None, special=_BERT_SPECIAL, begin="[CLS]", end="[SEP]")
    tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token = "[CLS]", "[SEP]", "[MASK]"
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=hidden * 2,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=max_length,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=tokenizer.pad_token_id,
    )
    with _seeded(seed):
        model = BertModel(config)
    return _saved(path, model, tokenizer)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch draws from `seed` inside; outside nothing has happened."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _saved(path: str | os.PathLike[str], model: Any, tokenizer: Any) -> Path:
    directory = Path(path)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _byte_tokenizer(  # type: ignore[no-untyped-def]  # a transformers class, imported late
    chat_template: str | None,
    *,
    special: tuple[str, ...] = _SPECIAL,
    begin: str | None = None,
    end: str | None = None,
):
    """A tokenizer with a token for every byte.

    The first two special tokens fill and end; `begin` and `end` stand around every text.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate((*special, *alphabet))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if end is not None:
        backend.post_processor = processors.TemplateProcessing(
            single=" ".join(part for part in (begin, "$A", end) if part),
            special_tokens=[(token, vocabulary[token]) for token in (begin, end) if token],
        )
    backend.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=special[0],
        eos_token=special[1],
        chat_template=chat_template,
        clean_up_tokenization_spaces=False,
    )
