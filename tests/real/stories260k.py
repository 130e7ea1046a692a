"""stories260K, a Llama that writes children's stories, as a directory that plain transformers loads.

It knows the files of llama2.c (github.com/karpathy/llama2.c: `export.py`, `run.c`) and what transformers calls the same
things. It does not know what the model is wanted for. Nothing of it is kept in this project: it is converted whenever
it is needed, in a tenth of a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# It was trained on stories with <s> between them: `run.c` begins with it, and stops there. </s> has an id and was never
# trained, so nothing could learn to end with it.
BORDER_ID = 1
_SPECIAL = ("<unk>", "<s>", "</s>")
_BYTES = 256

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """The header of a checkpoint: seven numbers, of which a vocabulary below 0 says that the head is not tied."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    seq_len: int

    @property
    def kv_dim(self) -> int:
        """Width of all keys of a position."""
        return self.dim // self.heads * self.kv_heads


def convert(source: Path, out: Path) -> Path:
    """Write stories260K as a `LlamaForCausalLM` with a fast tokenizer.

    Args:
        source: The folder with `stories260K.bin` and `tok512.bin`.
        out: Directory to write; it is created.

    Returns:
        The directory.

    Raises:
        ValueError: The checkpoint is not of the size that its header says, or its head is not tied.
    """
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    shape, weights = read_checkpoint(source / "stories260K.bin")
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.dim,
        intermediate_size=shape.hidden_dim,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.seq_len,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=BORDER_ID,
        eos_token_id=BORDER_ID,
    )
    model = LlamaForCausalLM(config)
    model.load_state_dict({**_named(shape, weights), "lm_head.weight": _tensor(weights["embeddings"])})
    model.generation_config = GenerationConfig(bos_token_id=BORDER_ID, eos_token_id=BORDER_ID, pad_token_id=0)
    model.save_pretrained(out)
    make_tokenizer(read_pieces(source / "tok512.bin"), max_length=shape.seq_len).save_pretrained(out)
    return out


def read_checkpoint(path: Path) -> tuple[Shape, Mapping[str, Matrix]]:
    """Header and tensors of a checkpoint of llama2.c's first version, each with its layers in front."""
    raw = path.read_bytes()
    shape = Shape(*struct.unpack_from("<7i", raw))
    values = np.frombuffer(raw, dtype="<f4", offset=28)
    parts = list(_parts(shape))
    sizes = [int(np.prod(dims)) for _, dims in parts]
    # Behind the weights lie cosines and sines of all positions, which transformers computes for itself.
    if shape.vocabulary < 0 or len(values) != sum(sizes) + shape.seq_len * (shape.dim // shape.heads):
        raise ValueError(f"{path.name} is no llama2.c checkpoint with a tied head: {shape}")
    starts = np.cumsum([0, *sizes])
    cut = zip(parts, starts, sizes, strict=False)
    return shape, {name: values[at : at + size].reshape(dims) for (name, dims), at, size in cut}


def _parts(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """In the order of the file."""
    layers, dim, hidden = shape.layers, shape.dim, shape.hidden_dim
    yield "embeddings", (shape.vocabulary, dim)
    yield "input_layernorm", (layers, dim)
    yield "self_attn.q_proj", (layers, dim, dim)
    yield "self_attn.k_proj", (layers, shape.kv_dim, dim)
    yield "self_attn.v_proj", (layers, shape.kv_dim, dim)
    yield "self_attn.o_proj", (layers, dim, dim)
    yield "post_attention_layernorm", (layers, dim)
    yield "mlp.gate_proj", (layers, hidden, dim)
    yield "mlp.down_proj", (layers, dim, hidden)
    yield "mlp.up_proj", (layers, hidden, dim)
    yield "norm", (dim,)


def _named(shape: Shape, weights: Mapping[str, Matrix]) -> dict[str, Any]:
    """The tensors under the names that transformers gives them; the head is left out."""
    heads = {"self_attn.q_proj": shape.heads, "self_attn.k_proj": shape.kv_heads}
    found = {"model.embed_tokens.weight": weights["embeddings"], "model.norm.weight": weights["norm"]}
    for name, stacked in weights.items():
        if name in ("embeddings", "norm"):
            continue
        for layer, matrix in enumerate(stacked):
            rows = _halves(matrix, heads[name]) if name in heads else matrix
            found[f"model.layers.{layer}.{name}.weight"] = rows
    return {name: _tensor(matrix) for name, matrix in found.items()}


def _halves(matrix: Matrix, heads: int) -> Matrix:
    """llama2.c turns rows 2i and 2i + 1 of a head together, transformers rows i and i + half."""
    rows, width = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _tensor(matrix: Matrix) -> Any:
    import torch

    return torch.from_numpy(matrix.copy())


def read_pieces(path: Path) -> list[tuple[bytes, float]]:
    """Pieces of a vocabulary with their scores, in the order of their ids."""
    raw, at, pieces = path.read_bytes(), 4, list[tuple[bytes, float]]()
    while at < len(raw):
        score, size = struct.unpack_from("<fi", raw, at)
        pieces.append((raw[at + 8 : at + 8 + size], score))
        at += 8 + size
    return pieces


def make_tokenizer(pieces: list[tuple[bytes, float]], *, max_length: int) -> Any:
    """The tokenizer of `run.c`: a space before each text, then the best pair is merged until there is none.

    Pieces hold spaces as they are, and not SentencePiece's mark for them, so that a text with that mark is read as
    `run.c` reads it, too.

    Args:
        pieces: As `read_pieces` gives them: three special ones, 256 bytes, and then the others.
        max_length: Longest text in tokens.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    texts = [*_SPECIAL, *(piece.decode() for piece, _ in pieces[len(_SPECIAL) :])]
    vocabulary = {text: token for token, text in enumerate(texts)}
    merges = _merges({text: pieces[token][1] for text, token in vocabulary.items()})
    backend = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=_SPECIAL[0], byte_fallback=True, fuse_unk=True)
    )
    backend.normalizer = normalizers.Prepend(" ")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BORDER_ID)]
    )
    backend.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token=_SPECIAL[0],
        bos_token=_SPECIAL[BORDER_ID],
        eos_token=_SPECIAL[BORDER_ID],
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def _merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Pairs in the order in which they are merged: a pair is as good as the piece that it makes."""
    mergeable = list(scores)[len(_SPECIAL) + _BYTES :]
    known = set(mergeable)
    return [
        (piece[:cut], piece[cut:])
        for piece in sorted(mergeable, key=lambda piece: -scores[piece])
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
