"""What comes out can be loaded by others, and what goes in is looked at before it is believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, rows, train, with_peft
from tunekit.errors import DataError, ModelError, SpecError, StorageError
from tunekit.spec import DPO, SFT, FullWeights, LoRA
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving.artifacts import publish, read_card
from tunekit.training.texts import render

IDS = torch.tensor([[2, 88, 86, 72, 85, 202, 68, 3]])
VARIANTS = {
    "lora": SFT(adapter=LoRA(rank=4)),
    "dora": SFT(adapter=LoRA(rank=4, dora=True)),
    "rslora": SFT(adapter=LoRA(rank=4, rslora=True, alpha=8)),
    "full": SFT(adapter=FullWeights()),
}


@pytest.fixture(scope="module")
def trained() -> dict[str, RunDirectory]:
    return {}


@pytest.fixture(params=VARIANTS)
def run(request: pytest.FixtureRequest, make_run: MakeRun, trained: dict[str, RunDirectory]) -> RunDirectory:
    """One trained run per adapter kind, shared by the tests of this file."""
    if request.param not in trained:
        made = make_run(name=request.param, method=VARIANTS[request.param])
        train(made)
        trained[request.param] = made
    return trained[request.param]


@pytest.fixture
def adapter_run(make_run: MakeRun, trained: dict[str, RunDirectory]) -> RunDirectory:
    """The run that trained a plain LoRA."""
    if "lora" not in trained:
        trained["lora"] = make_run(name="lora", method=VARIANTS["lora"])
        train(trained["lora"])
    return trained["lora"]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits  # type: ignore[no-any-return]


def test_plain_transformers_and_peft_load_it_with_equal_logits(run: RunDirectory) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ours = load.load(run.artifact_path)
    theirs: Any
    if ours.card is not None and ours.card.kind == "adapter":
        theirs = with_peft(AutoModelForCausalLM.from_pretrained(run.plan().model), run.artifact_path)
    else:
        theirs = AutoModelForCausalLM.from_pretrained(run.artifact_path)
    assert torch.equal(logits(ours.model), logits(theirs))
    assert not torch.equal(logits(theirs), logits(load.load(run.plan().model).model)), (
        "training changed nothing"
    )
    tokenizer = AutoTokenizer.from_pretrained(run.artifact_path)
    assert tokenizer.chat_template == ours.tokenizer.chat_template
    assert ours.stop_ids == (1, 3)
    assert sorted(theirs.generation_config.eos_token_id) == [1, 3]


@pytest.mark.parametrize("variant", ["lora", "dora", "rslora"])
def test_merged_gives_what_the_adapter_gives(make_run: MakeRun, variant: str) -> None:
    run = make_run(method=VARIANTS[variant])
    train(run)
    ours = load.load(run.artifact_path)
    before = logits(ours.model)
    torch.testing.assert_close(logits(ours.model.merge_and_unload()), before, rtol=1e-4, atol=1e-5)


def test_the_card_says_what_it_takes_to_serve_it(run: RunDirectory) -> None:
    card = read_card(run.artifact_path)
    plan = run.plan()
    assert (card.base_model, card.run_id, card.key) == (plan.model, plan.run_id, plan.key)
    assert card.spec == plan.spec
    assert card.prompt_format == "chat"
    assert card.max_length == 256
    assert card.resolved["batch_size"] == 4
    assert set(card.versions) > {"tunekit", "torch", "transformers", "peft"}


def test_nothing_in_it_is_a_pickle_or_depends_on_the_hour(run: RunDirectory) -> None:
    names = {item.name for item in run.artifact_path.iterdir()}
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert {"tunekit.json", "tokenizer.json", "generation_config.json", "chat_template.jinja"} <= names


def test_publishing_again_changes_nothing(run: RunDirectory) -> None:
    loaded = load.load(run.artifact_path)
    assert loaded.card is not None
    assert not publish(run.artifact_path, loaded.model, loaded.tokenizer, loaded.card)


def test_one_bit_of_the_weights_is_noticed_at_load(run: RunDirectory, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.artifact_path, tmp_path / "copy"))
    (weights,) = copy.glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=rf"'{weights.name}' in '.*' has changed since") as caught:
        load.load(copy)
    assert "copy the whole artifact directory again" in str(caught.value.hint)


def test_a_weight_file_too_many_or_too_few_is_named(run: RunDirectory, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.artifact_path, tmp_path / "copy"))
    (weights,) = copy.glob("*.safetensors")
    shutil.copy(weights, copy / "adapter_more.safetensors")
    with pytest.raises(ModelError, match=r"'adapter_more\.safetensors' in '.*' is none of those"):
        load.load(copy)
    (copy / "adapter_more.safetensors").unlink()
    load.load(copy)
    weights.unlink()
    with pytest.raises(ModelError, match=rf"'{weights.name}' in '.*' is missing"):
        load.load(copy)


def test_another_template_is_noticed_at_load(run: RunDirectory, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.artifact_path, tmp_path / "copy"))
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text().replace("im_end", "eot"))
    with pytest.raises(ModelError, match="not the one the model was trained with"):
        load.load(copy)


class TestNotAModel:
    """Directories that cannot be loaded: a typed error that names what is missing."""

    @pytest.fixture
    def copy(self, llama: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(llama, tmp_path / "copy"))

    def test_no_such_directory(self) -> None:
        with pytest.raises(ModelError, match="'/nowhere/at/all' is not a directory"):
            load.load("/nowhere/at/all")

    def test_a_file(self, llama: Path) -> None:
        with pytest.raises(ModelError, match="is not a directory"):
            load.load(llama / "config.json")

    def test_an_empty_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"no config\.json"):
            load.load(tmp_path)

    @pytest.mark.parametrize(
        ("missing", "message"),
        [
            ("config.json", "no config.json"),
            ("model.safetensors", "no \\*.safetensors weights"),
            ("tokenizer.json", "tokenizer"),
        ],
    )
    def test_a_missing_file_is_named(self, copy: Path, missing: str, message: str) -> None:
        (copy / missing).unlink()
        if missing == "tokenizer.json":
            (copy / "tokenizer_config.json").unlink()
        with pytest.raises(ModelError, match=message):
            load.load(copy)

    def test_a_pickle_is_refused_unread(self, copy: Path, tmp_path: Path) -> None:
        import pickle

        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return (open, (str(tmp_path / "sentinel"), "w"))

        (copy / "model.safetensors").unlink()
        (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ModelError, match=r"pickle \(pytorch_model.bin\)"):
            load.load(copy)
        assert not (tmp_path / "sentinel").exists()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "surprise"}'])
    def test_a_damaged_config(self, copy: Path, text: str) -> None:
        (copy / "config.json").write_text(text)
        with pytest.raises(ModelError):
            load.load(copy)

    def test_truncated_weights(self, copy: Path) -> None:
        path = copy / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(ModelError, match="model"):
            load.load(copy)

    def test_missing_weights_are_not_made_up(self, copy: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(copy / "model.safetensors")
        del tensors["model.layers.1.mlp.up_proj.weight"]
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"lacks weights for .*up_proj"):
            load.load(copy)

    @pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "absent.safetensors"])
    def test_an_index_that_points_elsewhere(self, copy: Path, shard: str) -> None:
        index = {"metadata": {}, "weight_map": {"model.norm.weight": shard}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(ModelError, match="not a file beside it"):
            load.load(copy)

    def test_remote_code_is_not_run(self, copy: Path, tmp_path: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        config |= {
            "model_type": "mine",
            "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
        }
        (copy / "config.json").write_text(json.dumps(config))
        (copy / "code.py").write_text(f"open({str(tmp_path / 'sentinel')!r}, 'w')")
        with pytest.raises(ModelError):
            load.load(copy)
        assert not (tmp_path / "sentinel").exists()

    def test_an_adapter_whose_base_is_gone(self, make_run: MakeRun, copy: Path) -> None:
        run = make_run(model=copy, epochs=1)
        train(run)
        shutil.rmtree(copy)
        with pytest.raises(ModelError, match="is not a directory"):
            load.load(run.artifact_path)

    def test_an_adapter_without_weights(self, run: RunDirectory, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(run.artifact_path, tmp_path / "adapter"))
        for item in copy.glob("*.safetensors"):
            item.unlink()
        with pytest.raises(ModelError, match="safetensors"):
            load.load(copy)

    def test_an_adapter_that_lacks_a_tensor_is_not_half_loaded(
        self, adapter_run: RunDirectory, tmp_path: Path
    ) -> None:
        from safetensors.torch import load_file, save_file

        copy = Path(shutil.copytree(adapter_run.artifact_path, tmp_path / "half"))
        (copy / "tunekit.json").unlink()  # it would tell by the digest, as with any change
        tensors = load_file(copy / "adapter_model.safetensors")
        del tensors[min(tensors)]
        save_file(tensors, copy / "adapter_model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match="does not fit its base model"):
            load.load(copy)

    @pytest.mark.parametrize("text", ["", "{", '{"schema_version": 99}'])
    def test_a_damaged_card(self, run: RunDirectory, tmp_path: Path, text: str) -> None:
        copy = Path(shutil.copytree(run.artifact_path, tmp_path / "card"))
        (copy / "tunekit.json").write_text(text)
        with pytest.raises(ModelError, match="damaged"):
            load.load(copy)


def test_a_peft_directory_of_another_tool_loads(adapter_run: RunDirectory, tmp_path: Path) -> None:
    ours = load.load(adapter_run.artifact_path)
    copy = Path(shutil.copytree(adapter_run.artifact_path, tmp_path / "foreign"))
    for name in ("tunekit.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (copy / name).unlink()
    theirs = load.load(copy)
    assert theirs.card is None
    assert torch.equal(logits(ours.model), logits(theirs.model))
    assert theirs.stop_ids == ours.stop_ids


def test_a_checkpoint_in_bf16_trains_in_fp32(make_run: MakeRun, llama: Path, tmp_path: Path) -> None:
    load.load_base(llama).to(torch.bfloat16).save_pretrained(tmp_path / "bf16")
    load.load_tokenizer(llama).save_pretrained(tmp_path / "bf16")
    run = make_run(model=tmp_path / "bf16", method=VARIANTS["full"])
    train(run)
    assert {value.dtype for value in load.load(run.artifact_path).model.parameters()} == {torch.float32}
    from safetensors.torch import load_file

    assert {value.dtype for value in load_file(run.artifact_path / "model.safetensors").values()} == {
        torch.float32
    }


def test_untied_models_train_and_load(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(model=make_tiny_llama(tmp_path / "untied", tied=False), method=VARIANTS["full"])
    train(run)
    names = {name for name, _ in load.load(run.artifact_path).model.named_parameters()}
    assert "lm_head.weight" in names


class TestRefusals:
    """Runs that end before their first step."""

    def test_a_row_that_is_too_long_is_named_and_never_cut(self, make_run: MakeRun) -> None:
        examples = rows()
        run = make_run(examples, max_length=40)
        tokenizer = load.load_tokenizer(run.plan().model)
        long = [item.id for item in examples if len(render.render_example(tokenizer, item).ids) > 40]
        assert long, "the test needs a row that is too long"
        with pytest.raises(
            DataError, match=f"{len(long)} of 20 training rows are longer than 40 tokens"
        ) as caught:
            train(run)
        assert all(repr(name) in caught.value.message for name in long[:10])

    def test_nothing_to_learn(self, make_run: MakeRun) -> None:
        from tunekit.examples import ChatExample, Message

        run = make_run([ChatExample(id="1", messages=(Message(role="user", content="hello"),))])
        with pytest.raises(DataError, match="none of 1 training rows has a token to learn"):
            train(run)

    def test_examples_of_another_method(self, make_run: MakeRun) -> None:
        with pytest.raises(
            DataError, match="row 'row-0': a completion example has no better and worse answer"
        ):
            train(make_run(method=DPO()))

    def test_modules_that_are_not_there(self, make_run: MakeRun) -> None:
        with pytest.raises(ModelError, match="nonsense"):
            train(make_run(method=SFT(adapter=LoRA(target_modules=("nonsense",)))))

    def test_chat_format_without_a_template(self, make_run: MakeRun, tmp_path: Path) -> None:
        model = make_tiny_llama(tmp_path / "plain", chat_template=None)
        with pytest.raises(SpecError, match="no chat template"):
            train(make_run(model=model, method=SFT(prompt_format="chat")))

    def test_a_full_disk_is_a_storage_error(self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
        import errno

        from tunekit import _files

        run = make_run(checkpoint_every_steps=3)
        write = _files.write_durable

        def full(path: Path, data: bytes) -> None:
            if "00000009" in str(path):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            write(path, data)

        monkeypatch.setattr(_files, "write_durable", full)
        with pytest.raises(StorageError, match="No space left"):
            train(run)
        left = sorted(item.name for item in run.checkpoints_path.iterdir())
        assert left == ["00000006"], (
            "the newest earlier checkpoint survives; older ones made room for the second try"
        )
        monkeypatch.undo()
        result = train(run)
        assert result is not None
