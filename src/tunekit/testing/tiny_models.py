"""Random models small enough to train in a test. Knows how to write them to disk; it does not know what tests do.

torch, transformers and tokenizers are imported when a model is made, so importing this module costs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

# ChatML with the answer and its end marked for the loss. The newline after a turn is not something to learn.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ (message['content'] or '') + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ (message['content'] or '') + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")


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
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    directory = Path(path)
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _byte_tokenizer(chat_template: str | None):  # type: ignore[no-untyped-def]  # a transformers class, imported late
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate((*_SPECIAL, *alphabet))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        eos_token="<|endoftext|>",
        chat_template=chat_template,
        clean_up_tokenization_spaces=False,
    )
