"""Tokens counted by a local model's own tokenizer, against transformers. Knows `token_counter` and `Dataset.check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

import tunekit as tk
from tests.processes import run_python
from tunekit.backends.local import token_counter

NANO = Path(__file__).resolve().parents[3] / "examples" / "models" / "nano"
DATA = tk.Dataset.from_records(
    [{"prompt": f"Where is parcel {n}?", "completion": "delivery"} for n in range(20)]
)


def test_texts_are_counted_as_transformers_counts_them() -> None:
    counter, reference = token_counter(str(NANO)), AutoTokenizer.from_pretrained(NANO)
    for text in ("", "Where is my parcel?", "naïve café 東京 🚚", "a" * 500):
        assert counter.tokens_of(text) == len(reference(text, add_special_tokens=False)["input_ids"])


def test_check_and_cost_use_it() -> None:
    counter = token_counter(str(NANO))
    finding = DATA.check(counter=counter)["token-lengths"]
    assert finding.facts["counter"] == "nano"
    assert not finding.facts["is_estimate"]
    assert DATA.estimate_cost("local", counter=counter).tokens.total == sum(
        counter(row).total for row in DATA
    )


def test_no_torch_is_loaded_for_it() -> None:
    out = run_python(
        "import sys\nfrom tunekit.backends.local import token_counter\n"
        f"token_counter({str(NANO)!r})\nprint('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert out == "False False\n"


def test_missing_and_broken_tokenizers_are_named(tmp_path: Path) -> None:
    with pytest.raises(tk.ModelError, match=r"no tokenizer\.json"):
        token_counter(str(tmp_path))
    with pytest.raises(tk.ModelError, match=r"no tokenizer\.json for 'acme/none'"):
        token_counter("acme/none")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(tk.ModelError, match="is no tokenizer"):
        token_counter(str(tmp_path))
