"""Rows end to end in one kernel: what the kernel is told, with a kernel written by hand in its place.

torch's runs on GPUs only (the test marked `gpu` holds it against the pieces); where each piece begins and which keys it
sees is the same everywhere.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tunekit.training.models import varlen
from tunekit.training.models.attention import end_to_end_attention
from tunekit.training.models.layouts import end_to_end
from tunekit.training.models.varlen import Spans
from tunekit.training.texts.rows import Answers, Tokens

HEADS, KEY_HEADS, SIZE = 4, 2, 8


def kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    key_starts: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """What `varlen_attn` documents, one piece after the other; causal is lined up at the ends."""
    found = []
    bounds = zip(starts[:-1], starts[1:], key_starts[:-1], key_starts[1:], strict=True)
    for first, last, first_key, last_key in bounds:
        asked, keys, values = query[first:last], key[first_key:last_key], value[first_key:last_key]
        assert len(asked) <= longest_query
        assert len(keys) <= longest_key
        mask = torch.ones((len(asked), len(keys)), dtype=torch.bool)
        if window_size == (-1, 0):
            mask = mask.tril(len(keys) - len(asked))
        asked, keys, values = (each.transpose(0, 1)[None] for each in (asked, keys, values))
        attended = functional.scaled_dot_product_attention(
            asked, keys, values, attn_mask=mask, scale=scale, enable_gqa=enable_gqa
        )
        found.append(attended[0].transpose(0, 1))
    return torch.cat(found)


rows = st.lists(
    st.builds(
        lambda prompt, answers: Answers(
            id="",
            prompt=(1,) * prompt,
            answers=tuple(Tokens(ids=(2,) * n, weights=(0.0,) + (1.0,) * (n - 1)) for n in answers),
            weight=1.0,
        ),
        st.integers(0, 5),
        st.lists(st.integers(1, 6), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=50)
@given(rows=rows, causal=st.booleans(), seed=st.integers(0, 99))
def test_one_kernel_sees_what_pieces_see(rows: list[Answers], causal: bool, seed: int) -> None:
    batch = end_to_end(rows)
    spans = Spans.of(batch.pieces, torch.device("cpu"))
    draw = torch.Generator().manual_seed(seed)
    tokens = batch.ids.shape[1]
    query, key, value = (
        torch.randn((1, heads, tokens, SIZE), generator=draw) for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    )
    module: Any = torch.nn.Module()
    module.is_causal, module.num_key_value_groups = causal, HEADS // KEY_HEADS
    if not causal and any(piece.position for piece in batch.pieces):
        return  # only decoders share prompts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varlen, "varlen_attn", kernel)
        joined = varlen.attention(query, key, value, spans, causal=causal, scale=0.3)
    apart, _ = end_to_end_attention(module, query, key, value, None, spans=spans, scaling=0.3)
    torch.testing.assert_close(joined, apart)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch's kernel runs on CUDA devices alone")
@pytest.mark.parametrize("causal", [True, False])
def test_torchs_kernel_sees_what_pieces_see(causal: bool) -> None:
    """In bf16 as it is trained, against fp32 piece by piece; gradients too."""
    plain = Answers(id="", answers=(Tokens(ids=(1,) * 9, weights=(0.0,) + (1.0,) * 8),), weight=1.0)
    shared = Answers(id="", prompt=(1, 2, 3), answers=plain.answers * 2, weight=1.0)
    batch = end_to_end([plain, shared] if causal else [plain, plain])
    draw = torch.Generator().manual_seed(0)
    shapes = [(1, heads, batch.ids.shape[1], 64) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    states = [torch.randn(shape, generator=draw).to("cuda", torch.bfloat16) for shape in shapes]
    spans = Spans.of(batch.pieces, torch.device("cuda"))
    module: Any = torch.nn.Module()
    module.is_causal, module.num_key_value_groups = causal, HEADS // KEY_HEADS
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        query, key, value = read = [each.detach().to(dtype).requires_grad_() for each in states]
        attended, _ = end_to_end_attention(module, query, key, value, None, spans=spans, scaling=0.125)
        attended.float().square().sum().backward()
        found.append(
            [attended.detach().float(), *(each.grad.float() for each in read if each.grad is not None)]
        )
    for joined, apart in zip(*found, strict=True):
        torch.testing.assert_close(joined, apart, rtol=0.05, atol=0.05)


def test_keys_are_copied_only_where_a_prompt_is_shared() -> None:
    plain = Answers(id="", answers=(Tokens(ids=(1, 2, 3), weights=(0.0, 1.0, 1.0)),), weight=1.0)
    shared = Answers(id="", prompt=(1, 2), answers=plain.answers * 2, weight=1.0)
    assert Spans.of(end_to_end([plain, plain]).pieces, torch.device("cpu")).order is None
    order = Spans.of(end_to_end([plain, shared]).pieces, torch.device("cpu")).order
    assert order is not None
    assert order.tolist() == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 3, 4, 8, 9, 10]
