"""Mixed tensors are the sums that they are said to be, whatever the ranks, scales and shares."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tunekit.training.saving import blend_adapters, blend_weights

Q = "base_model.model.layer.q"


@given(st.data(), st.integers(1, 3), st.integers(0, 2**31))
def test_any_adapters_add_up(data: st.DataObject, count: int, seed: int) -> None:
    """The change of the mixture is the sum of the changes, whatever ranks, scales and shares."""
    torch.manual_seed(seed)
    shares = [data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0, 0.3])) for _ in range(count)]
    parts, expected = [], torch.zeros(5, 7)
    for share in shares:
        rank, alpha = data.draw(st.integers(1, 6)), data.draw(st.floats(0.5, 64))
        rslora = data.draw(st.booleans())
        inner, outer = torch.randn(rank, 7), torch.randn(5, rank)
        config = {"r": rank, "lora_alpha": alpha, "use_rslora": rslora, "target_modules": ["q"]}
        adapter = blend_adapters.Adapter(
            tensors={f"{Q}.lora_A.weight": inner, f"{Q}.lora_B.weight": outer}, config=config
        )
        parts.append((adapter, share))
        expected += share * alpha / (rank**0.5 if rslora else rank) * (outer @ inner)
    found = blend_adapters.mixed(parts)
    change = found.scale * (found.tensors[f"{Q}.lora_B.weight"] @ found.tensors[f"{Q}.lora_A.weight"])
    torch.testing.assert_close(change, expected, rtol=1e-4, atol=1e-3)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32)), min_size=1))
def test_who_has_the_whole_is_copied_bit_by_bit(pairs: list[tuple[float, float]]) -> None:
    one, other = (torch.tensor(column) for column in zip(*pairs, strict=True))
    for shares, expected in (([1.0, 0.0], one), ([0.0, 1.0], other)):
        (found,) = blend_weights.mixed("w", [one, other], shares)
        assert torch.equal(found.view(torch.int32), expected.view(torch.int32))
