"""`tunekit export`: every format from one tiny run, the files in it, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, quiet, rows, train
from tunekit.cli import main
from tunekit.errors import MissingExtraError, ModelError, SpecError, UnsupportedError
from tunekit.examples import LabelledExample
from tunekit.spec import SFT, Classify, LoRA
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_bert, make_tiny_llama, make_tiny_t5
from tunekit.training.models import load
from tunekit.training.saving import ollama
from tunekit.training.saving.artifacts import read_card
from tunekit.training.saving.export import export
from tunekit.training.texts.template import Template

__all__ = ["quiet"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def make_run(tmp_path: Path, llama: Path) -> MakeRun:
    from tests.unit.training import conftest

    made: MakeRun = conftest.make_run.__wrapped__(tmp_path, llama)  # type: ignore[attr-defined]  # the same fixture
    return made


@pytest.fixture
def artifact(make_run: MakeRun) -> Path:
    run = make_run(rows(8), epochs=1)
    train(run)
    return run.artifact_path


def test_the_command_writes_what_transformers_loads(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEKIT_HOME", str(tmp_path / "home"))
    out = tmp_path / "merged"
    assert main(["export", str(artifact), "-o", str(out)]) == 0
    assert f"Wrote {out} (merged)" in capsys.readouterr().out
    assert json.loads((out / "export.json").read_text())["relative_error"] <= 1e-6
    assert {"model.safetensors", "config.json", "chat_template.jinja", "README.md"} <= names(out)
    assert main(["export", str(artifact), "-o", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


def names(directory: Path) -> set[str]:
    return {item.name for item in directory.iterdir()}


def test_a_merged_model_names_what_it_was_made_from(artifact: Path, tmp_path: Path) -> None:
    export(str(artifact), str(tmp_path / "merged"), format="merged", dtype="bf16")
    before, after = read_card(artifact), read_card(tmp_path / "merged")
    assert (after.kind, after.base_fingerprint) == ("full", before.base_fingerprint)
    assert [parent.run_id for parent in after.parents] == [before.run_id]
    assert load.load(tmp_path / "merged").stop_ids == before.stop_token_ids


def test_an_adapter_is_copied_and_proved(artifact: Path, tmp_path: Path) -> None:
    done = export(str(artifact), str(tmp_path / "adapter"), format="adapter")
    assert done["relative_error"] == 0.0
    assert names(tmp_path / "adapter") == {*names(artifact), "export.json"}


class TestVLLM:
    def test_a_plain_adapter_is_served_beside_its_base(
        self, artifact: Path, tmp_path: Path, llama: Path
    ) -> None:
        out = tmp_path / "served"
        done = export(str(artifact), str(out), format="vllm")
        words = shlex.split(done["commands"][0])
        assert words[:3] == ["vllm", "serve", str(llama)]
        assert words[words.index("--lora-modules") + 1] == f"served={out}"
        assert words[words.index("--max-lora-rank") + 1] == "8"
        assert Path(words[words.index("--chat-template") + 1]).is_file()
        assert "adapter_model.safetensors" in names(out)

    def test_dora_is_merged(self, make_run: MakeRun, tmp_path: Path) -> None:
        run = make_run(rows(8), epochs=1, method=SFT(adapter=LoRA(rank=4, dora=True)))
        train(run)
        out = tmp_path / "served"
        done = export(str(run.artifact_path), str(out), format="vllm")
        assert done["commands"] == [f"vllm serve {out} --served-model-name served"]
        assert "model.safetensors" in names(out)


class TestOllama:
    def test_chatml_is_translated_and_every_stop_token_named(self, artifact: Path, tmp_path: Path) -> None:
        done = export(str(artifact), str(tmp_path / "ollama"), format="ollama")
        text = (tmp_path / "ollama" / "Modelfile").read_text()
        assert text.startswith(
            'FROM .\nTEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}'
        )
        assert text.endswith('PARAMETER stop "<|endoftext|>"\nPARAMETER stop "<|im_end|>"\n')
        assert not any("no family" in note for note in done["notes"])

    def test_another_template_is_passed_on_as_it_is_with_a_warning(self, tmp_path: Path) -> None:
        strange = CHAT_TEMPLATE.replace("'\\n' }}", "' says: ' }}", 1)
        model = make_tiny_llama(tmp_path / "strange", chat_template=strange)
        template = Template.of(load.load_tokenizer(model))
        text, notes = ollama.modelfile(template, "chat", (1,), source=".")
        assert '"""{{ .Prompt }}"""' in text
        assert "no family" in notes[0]
        assert ollama.modelfile(template, "text", (1,), source=".")[1] == []

    @pytest.mark.parametrize(
        ("source", "begin"),
        [
            (
                "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}"
                "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
                "{% endif %}",
                "<|start_header_id|>",
            ),
            (
                "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
                "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else 'user' }}\n{{ m['content'] }}"
                "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
                "<start_of_turn>",
            ),
        ],
        ids=["llama 3", "gemma"],
    )
    def test_families_are_known_by_what_they_write(self, tmp_path: Path, source: str, begin: str) -> None:
        model = make_tiny_llama(tmp_path / "model", chat_template=source)
        text, _ = ollama.modelfile(Template.of(load.load_tokenizer(model)), "chat", (1,), source=".")
        assert "{{- range .Messages }}" + begin in text


class TestGGUF:
    def test_the_converter_is_run_on_the_merged_model(self, artifact: Path, tmp_path: Path) -> None:
        converter = tmp_path / "convert_hf_to_gguf.py"
        converter.write_text(
            "import pathlib, sys\n"
            "assert (pathlib.Path(sys.argv[1]) / 'model.safetensors').is_file()\n"
            "pathlib.Path(sys.argv[sys.argv.index('--outfile') + 1]).write_bytes(b'GGUF')\n"
        )
        export(str(artifact), str(tmp_path / "gguf"), format="gguf", converter=str(converter))
        assert names(tmp_path / "gguf") == {"model.gguf", "Modelfile", "export.json"}
        assert (tmp_path / "gguf" / "Modelfile").read_text().startswith("FROM ./model.gguf\n")

    def test_the_converter_is_found_from_where_the_command_runs(
        self, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TUNEKIT_HOME", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path)
        Path("convert.py").write_text(
            "import pathlib, sys\n"
            "pathlib.Path(sys.argv[sys.argv.index('--outfile') + 1]).write_bytes(b'GGUF')\n"
        )
        command = ["export", str(artifact), "-o", "gguf", "--format", "gguf", "--converter", "convert.py"]
        assert main(command) == 0
        assert "model.gguf" in names(tmp_path / "gguf")

    def test_a_converter_that_fails_leaves_nothing(self, artifact: Path, tmp_path: Path) -> None:
        converter = tmp_path / "convert_hf_to_gguf.py"
        converter.write_text("raise SystemExit('Model LlamaForCausalLM is not supported')")
        with pytest.raises(ModelError, match="is not supported"):
            export(str(artifact), str(tmp_path / "gguf"), format="gguf", converter=str(converter))
        assert not [name for name in names(tmp_path) if "gguf" in name and not name.startswith("convert")]

    def test_without_one_it_says_where_to_get_it(self, artifact: Path, tmp_path: Path) -> None:
        with pytest.raises(SpecError) as caught:
            export(str(artifact), str(tmp_path / "gguf"), format="gguf", converter="/nowhere/convert.py")
        assert "llama.cpp" in caught.value.hint


class TestRefusals:
    def test_a_base_model(self, llama: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="not a tuned model"):
            export(str(llama), str(tmp_path / "out"), format="merged")

    @pytest.mark.parametrize("format", ["vllm", "ollama", "gguf"])
    def test_an_encoder_decoder_where_only_decoders_are_served(
        self, make_run: MakeRun, tmp_path: Path, format: str
    ) -> None:
        run = make_run(rows(8), epochs=1, model=make_tiny_t5(tmp_path / "t5"))
        train(run)
        with pytest.raises(UnsupportedError, match="encoder-decoder"):
            export(str(run.artifact_path), str(tmp_path / "out"), format=format)

    def test_what_differs_is_not_published(
        self, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tunekit.training.saving import merge

        whole = merge.merged

        def damaged(*arguments: object, **options: object) -> object:
            model = whole(*arguments, **options)  # type: ignore[arg-type]
            model.lm_head.weight.data *= 1.01
            return model

        monkeypatch.setattr(merge, "merged", damaged)
        with pytest.raises(ModelError, match="does not give the logits"):
            export(str(artifact), str(tmp_path / "out"), format="merged")
        assert not (tmp_path / "out").exists()


def test_a_classifier_is_merged_with_its_head(make_run: MakeRun, tmp_path: Path) -> None:
    examples = [LabelledExample(id=str(n), text="ab"[n % 2] * 3, label="ab"[n % 2]) for n in range(8)]
    run = make_run(
        examples, model=make_tiny_bert(tmp_path / "bert"), method=Classify(adapter=LoRA(rank=4)), epochs=1
    )
    train(run)
    done = export(str(run.artifact_path), str(tmp_path / "merged"), format="merged")
    assert done["relative_error"] <= 1e-6
    loaded = load.load(tmp_path / "merged")
    assert loaded.classes is not None
    assert loaded.classes.names == ("a", "b")


def test_without_torch_the_extra_is_named(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunekit.backends.local import export as host
    from tunekit.backends.local import packages

    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="torch"):
        host.export(str(artifact), tmp_path / "out")
