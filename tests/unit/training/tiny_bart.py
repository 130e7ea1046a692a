"""A BART small enough to train in a test: an encoder-decoder that is no T5. It knows no test."""

from __future__ import annotations

from pathlib import Path

import torch

from tunekit.training.models import load


def make_tiny_bart(path: Path, *, tokenizer_of: Path) -> Path:
    """Learned positions (64), a bias behind the head, and a decoder that starts with another token than padding.

    Like published BARTs it brings a way of searching along, in its generation config, which is not for us to follow.
    """
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=260,
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        decoder_start_token_id=1,
        init_std=0.2,
    )
    model = BartForConditionalGeneration(config)
    torch.nn.init.normal_(model.final_logits_bias, std=0.1)
    model.generation_config.update(num_beams=4, no_repeat_ngram_size=2, forced_eos_token_id=1)
    model.save_pretrained(path)
    load.load_tokenizer(tokenizer_of).save_pretrained(path)
    return path
