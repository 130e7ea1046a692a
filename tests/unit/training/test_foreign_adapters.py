"""Adapters that other tools wrote: loaded if they are LoRA beside their base; refused where they ask for more."""

from __future__ import annotations

import contextvars
import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tunekit.errors import JobFailedError, ModelError
from tunekit.spec import LoRA
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.run.bounds import cpu_limit
from tunekit.training.texts.template import limit_rendering


@pytest.fixture(scope="module")
def written(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As PEFT alone writes it."""
    path = tmp_path_factory.mktemp("adapters") / "foreign"
    model = make_trainable(load.load_base(llama), LoRA(rank=4), seed=0)
    model.peft_config["default"].base_model_name_or_path = str(llama)
    model.save_pretrained(path, save_embedding_layers=False)
    return path


@pytest.fixture
def adapter(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "adapter"))


def change(adapter: Path, **values: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("has_tokenizer", [False, True])
def test_it_is_loaded_with_its_own_tokenizer_or_the_base_s(
    adapter: Path, llama: Path, has_tokenizer: bool
) -> None:
    if has_tokenizer:
        tokenizer = load.load_tokenizer(llama)
        tokenizer.chat_template = "{{ messages[0].content }}"
        tokenizer.save_pretrained(adapter)
    loaded = load.load(adapter)
    assert loaded.card is None
    assert (loaded.tokenizer.chat_template == "{{ messages[0].content }}") is has_tokenizer


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 10**9}, "only LoRA"),
    "adapters from elsewhere": ({"peft_type": "XLORA", "adapters": {"0": "/etc"}}, "only LoRA"),
    "no kind": ({"peft_type": ["LORA"]}, "only LoRA"),
    "a module to import": ({"megatron_config": {"x": 1}, "megatron_core": "evil"}, "megatron_config"),
    "a larger model": ({"layer_replication": [[0, 2]] * 10**5}, "layer_replication"),
    "a rank without end": ({"r": 10**9}, "no rank"),
    "a rank of another type": ({"r": "x"}, "no rank"),
    "a rank by layer": ({"rank_pattern": {"q_proj": 10**9}}, "no rank"),
    "no base": ({"base_model_name_or_path": None}, "which model it belongs to"),
    "a base that is none": ({"base_model_name_or_path": "/etc"}, "not a model directory"),
    "a broken pattern": ({"target_modules": "((("}, "cannot load the adapter"),
    "a token that is none": ({"trainable_token_indices": [10**6]}, "cannot load the adapter"),
    "layers that are none": ({"target_modules": ["evil"]}, "cannot load the adapter"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_more_is_refused_at_once(adapter: Path, name: str) -> None:
    values, message = REFUSED[name]
    change(adapter, **values)
    began = time.monotonic()
    with pytest.raises(ModelError, match=message) as caught:
        load.load(adapter)
    assert caught.value.hint
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "values",
    [
        {"target_modules": "(([a-z_.0-9]+)+)+!"},
        {"rank_pattern": {"(([a-z_.0-9]+)+)+!": 4}},
        {"exclude_modules": "(([a-z_.0-9]+)+)+!"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_pattern_without_end_is_given_up(adapter: Path, values: dict[str, Any]) -> None:
    change(adapter, **values)

    def load_limited() -> None:
        limit_rendering(partial(cpu_limit, seconds=0.5))
        load.load(adapter)

    with pytest.raises(JobFailedError, match=r"more than 0\.5 s of CPU"):
        contextvars.copy_context().run(load_limited)


def test_weights_of_a_model_beside_an_adapter_are_refused(adapter: Path, llama: Path) -> None:
    """transformers would load both together, PEFT the adapter on the base that it names."""
    shutil.copytree(llama, adapter, dirs_exist_ok=True)
    for loading in (load.load, load.load_base):
        with pytest.raises(ModelError, match="holds an adapter and the weights of a model"):
            loading(adapter)


def test_pickled_weights_are_no_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model_old.safetensors")
    (adapter / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors"):
        load.load(adapter)
