"""Model directories made to do harm: refused, or bounded; nothing that lies in them ever runs."""

from __future__ import annotations

import contextvars
import json
import os
import pickle
import resource
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, train
from tunekit import Settings
from tunekit.backends.base import GenerateRequest
from tunekit.backends.local import LocalBackend
from tunekit.errors import DataError, JobFailedError, ModelError, TunekitError
from tunekit.examples import Message
from tunekit.spec import Sampling
from tunekit.testing.tiny_models import CHAT_TEMPLATE
from tunekit.training.models import load
from tunekit.training.run.bounds import cpu_limit, memory_limit, rendering_limit
from tunekit.training.texts.template import Template, limit_rendering

CHAT = (Message(role="user", content="hello"),)


class Attack:
    """A model directory with something in it that touches a sentinel when it runs."""

    def __init__(self, directory: Path, sentinel: Path) -> None:
        self.directory, self.sentinel = directory, sentinel
        (directory / "evil.py").write_text(f"open({str(sentinel)!r}, 'w')\nclass Evil: pass\n")

    def change(self, name: str, **values: Any) -> None:
        path = self.directory / name
        body = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**body, **values}))


@pytest.fixture
def attack(llama: Path, tmp_path: Path) -> Attack:
    return Attack(Path(shutil.copytree(llama, tmp_path / "model")), tmp_path / "sentinel")


class Explosive:
    """Touches a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return (open, (str(self.sentinel), "w"))


def pickled(attack: Attack) -> None:
    (attack.directory / "model.safetensors").unlink()
    (attack.directory / "pytorch_model.bin").write_bytes(pickle.dumps(Explosive(attack.sentinel)))


def linked(name: str, content: str = "a secret") -> Callable[[Attack], None]:
    def link(attack: Attack) -> None:
        secret = attack.directory.parent / "secret"
        secret.write_text(content)
        (attack.directory / name).unlink(missing_ok=True)
        (attack.directory / name).symlink_to(secret)

    return link


def sharded_outside(attack: Attack) -> None:
    shutil.copyfile(attack.directory / "model.safetensors", attack.directory.parent / "model.safetensors")
    attack.change("model.safetensors.index.json", weight_map={"lm_head.weight": "../model.safetensors"})


def configured(**values: Any) -> Callable[[Attack], None]:
    return lambda attack: attack.change("config.json", **values)


def piped(name: str) -> Callable[[Attack], None]:
    """A pipe, which whoever opens it waits for."""

    def pipe(attack: Attack) -> None:
        (attack.directory / name).unlink(missing_ok=True)
        os.mkfifo(attack.directory / name)

    return pipe


def swollen(attack: Attack) -> None:
    os.truncate(attack.directory / "tokenizer.json", 300 << 20)  # a hole in the file, not on the disk


def template_beside_elsewhere(attack: Attack) -> None:
    (attack.directory / "additional_chat_templates").mkdir()
    linked("additional_chat_templates/tools.jinja")(attack)


def tokenizer_named(**values: Any) -> Callable[[Attack], None]:
    return lambda attack: attack.change("tokenizer_config.json", **values)


def tokenizer_made(**values: Any) -> Callable[[Attack], None]:
    return lambda attack: attack.change("tokenizer.json", **values)


def as_classifier(**values: Any) -> Callable[[Attack], None]:
    """Tensors that do not fit are made anew for a head of classes."""
    return configured(architectures=["LlamaForSequenceClassification"], **values)


CODE = dict.fromkeys(("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer"), "evil.Evil")
REFUSED: dict[str, tuple[Callable[[Attack], object], str]] = {
    "pickle": (pickled, "pickle"),
    "code of its own": (configured(model_type="evil", auto_map=CODE), "custom code"),
    "code of the hub": (configured(attn_implementation="evil/kernel"), "code from elsewhere"),
    "code of the hub, nested": (configured(x=[{"_attn_implementation": "a/b"}]), "code from elsewhere"),
    "code of the hub, by part": (
        configured(attn_implementation={"": "kernels-community/flash-attn2"}),
        "code from elsewhere",
    ),
    "weights of others' code": (configured(quantization_config={"quant_method": "mxfp4"}), "quantised"),
    "template beside it elsewhere": (template_beside_elsewhere, "outside of the model's directory"),
    "tokenizer named elsewhere": (
        tokenizer_named(fast_tokenizer_files=["../tokenizer.4.0.0.json"]),
        "not beside it",
    ),
    "tokenizer of weights elsewhere": (tokenizer_named(gguf_file="../model.gguf"), "not beside it"),
    "tokenizer that is no object": (
        lambda attack: (attack.directory / "tokenizer_config.json").write_text("[]"),
        "not a configuration",
    ),
    "tokenizer without end": (swollen, "bytes"),
    "tokenizer with a broken pattern": (
        tokenizer_made(pre_tokenizer={"type": "Split", "pattern": {"Regex": "((("}, "behavior": "Isolated"}),
        "cannot load the tokenizer",
    ),
    "piped weights": (piped("more.safetensors"), "is no file"),
    "piped template": (piped("chat_template.jinja"), "is no file"),
    "piped adapter": (piped("adapter_config.json"), "is no file"),
    "classes that are no names": (configured(architectures=[3]), "names no classes"),
    "a billion classes": (as_classifier(num_labels=10**9), "unreasonable"),
    "wide, as a classifier": (
        as_classifier(hidden_size=1 << 17, head_dim=1 << 15, intermediate_size=1 << 17),
        "weights, and its files have",
    ),
    "stop tokens that are none": (
        lambda attack: attack.change("generation_config.json", eos_token_id=[[1]]),
        "no token ids",
    ),
    "template elsewhere": (linked("chat_template.jinja"), "outside of the model's directory"),
    "tokenizer elsewhere": (linked("tokenizer.json"), "outside of the model's directory"),
    "configuration elsewhere": (linked("config.json", "{}"), "outside of the model's directory"),
    "shard elsewhere": (sharded_outside, "not a file beside it"),
    "no object": (
        lambda attack: (attack.directory / "config.json").write_text("[1]"),
        "not a configuration",
    ),
    "deep": (
        lambda attack: (attack.directory / "config.json").write_text("[" * 10**5),
        "not a configuration",
    ),
    **{
        f"{name}={value}": (
            configured(**{name: value}),
            "unreasonable|Validation error|validation error|tensors",
        )
        for name in ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "head_dim")
        for value in (10**9, -(10**9))
    },
    "layers without weights": (
        configured(num_hidden_layers=900),
        "has num_hidden_layers=900, and its weights",
    ),
    "size of another type": (configured(hidden_size="x"), "Validation error"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_made_to_do_harm_is_refused_at_once(attack: Attack, name: str) -> None:
    prepare, message = REFUSED[name]
    prepare(attack)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=message) as caught:
        load.load(attack.directory)
    assert caught.value.hint
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "in KiB"
    assert not attack.sentinel.exists()


@pytest.mark.parametrize(
    "name", ["pickle", "code of its own", "template elsewhere", "num_hidden_layers=1000000000"]
)
def test_a_run_on_it_fails_typed(attack: Attack, make_run: MakeRun, name: str) -> None:
    prepare, message = REFUSED[name]
    prepare(attack)
    with pytest.raises(ModelError, match=message):
        train(make_run(model=attack.directory))
    assert not attack.sentinel.exists()


def test_code_beside_a_model_that_needs_none_never_runs(attack: Attack) -> None:
    attack.change("config.json", auto_map=CODE)
    attack.change("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    load.load(attack.directory)
    assert not attack.sentinel.exists()


def test_classes_may_be_called_like_sizes(attack: Attack) -> None:
    attack.change("config.json", label2id={"player": 5_000, "hidden_size": 1 << 30})
    load.load(attack.directory)


@pytest.mark.parametrize(
    "values",
    [
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "eager"},
        {"experts_implementation": "sonicmoe"},
    ],
)
def test_kernels_are_ours_to_choose(attack: Attack, llama: Path, values: dict[str, str]) -> None:
    """Some of these names stand for kernels that transformers would fetch and run."""
    attack.change("config.json", **values)
    ours, theirs = load.load(llama).model.config, load.load(attack.directory).model.config
    assert theirs._attn_implementation == ours._attn_implementation == "sdpa"
    assert theirs._experts_implementation == ours._experts_implementation


@pytest.mark.parametrize(
    "changed",
    [
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "((a+)+)+b"}, "content": ""}},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}},
        {"post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "gone", "type_id": 0}}],
            "pair": [],
            "special_tokens": {},
        }},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_a_tokenizer_that_fails_on_a_text_says_so(attack: Attack, changed: dict[str, Any]) -> None:
    """What it raises then, a panic in Rust, is no Exception to Python."""
    attack.change("tokenizer.json", **changed)
    with pytest.raises(ModelError, match="tokenizer fails on a text"):
        load.load(attack.directory).template.whole("a" * 3_000)


def test_custom_generation_never_runs(attack: Attack) -> None:
    (attack.directory / "custom_generate").mkdir()
    shutil.copy(attack.directory / "evil.py", attack.directory / "custom_generate" / "generate.py")
    load.load(attack.directory)
    assert not attack.sentinel.exists()


def test_links_of_the_hubs_cache_are_its_own(llama: Path, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for item in llama.iterdir():
        shutil.copyfile(item, blobs / f"hash-of-{item.name}")
        (snapshot / item.name).symlink_to(os.path.join("..", "..", "blobs", f"hash-of-{item.name}"))
    load.load(snapshot)


def rendered(directory: Path, template: str, limit: Any) -> str:
    (directory / "chat_template.jinja").write_text(template)

    def render() -> str:
        limit_rendering(limit)
        return Template.of(load.load_tokenizer(directory)).text(CHAT, (), generation_prompt=False)

    return contextvars.copy_context().run(render)


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "reach",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ self._TemplateReference__context }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
        "{{ 1 // 0 }}",
        "{{ 'x' * 10**30 }}",
        "{{ ''|attr('__class__') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ [messages]|map(attribute='0.__class__')|list }}",
        "{% macro again(n) %}{{ again(n) }}{% endmacro %}{{ again(0) }}",
        "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
        "{{ 1e400|int }}",
    ],
)
def test_a_template_that_reaches_out_is_refused_or_gets_nothing(attack: Attack, reach: str) -> None:
    text = ""
    with suppress(DataError, ModelError, JobFailedError):  # typed, whatever it tried
        text = rendered(attack.directory, reach, rendering_limit)
    assert "root:" not in text
    assert "class" not in text


def test_a_template_that_loops_is_given_up(attack: Attack) -> None:
    with pytest.raises(JobFailedError, match=r"more than 0\.5 s of CPU"):
        rendered(attack.directory, LOOPS + CHAT_TEMPLATE, partial(cpu_limit, seconds=0.5))


def forever_after_another_limit() -> None:
    with cpu_limit("its template", seconds=60):
        pass
    while True:
        pass


def test_the_outer_limit_counts_and_names_what_it_bounds() -> None:
    with (
        pytest.raises(JobFailedError, match=r"row 'a' takes more than 0\.2 s"),
        cpu_limit("row 'a'", seconds=0.2),
    ):
        forever_after_another_limit()


@pytest.mark.parametrize(
    "wants", ["{{ 'x' * 10**11 }}", "{% set x = namespace(y=[0]) %}{{ ([0] * 10**10) | length }}"]
)
def test_a_template_that_wants_gigabytes_gets_none(attack: Attack, wants: str) -> None:
    with pytest.raises(JobFailedError, match="more than 2048 MiB"):
        rendered(attack.directory, wants, memory_limit)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


@pytest.mark.timeout(300)
async def test_the_inference_worker_is_bounded_too(attack: Attack, tmp_path: Path) -> None:
    """In the worker of the local backend: refused there, typed here, and the next question is answered."""
    greedy = Path(shutil.copytree(attack.directory, tmp_path / "greedy"))
    (greedy / "chat_template.jinja").write_text("{{ 'x' * 10**11 }}")
    pickled(attack)
    backend = LocalBackend(settings=Settings(home=tmp_path / "home"), threads=1)
    try:
        with pytest.raises(TunekitError, match="more than 2048 MiB"):
            await backend.generate(str(greedy), [GenerateRequest(prompt=CHAT)], Sampling(max_tokens=1))
        with pytest.raises(ModelError, match="pickle"):
            await backend.generate(
                str(attack.directory), [GenerateRequest(prompt=CHAT)], Sampling(max_tokens=1)
            )
        (greedy / "chat_template.jinja").write_text(CHAT_TEMPLATE)
        await backend.generate(str(greedy), [GenerateRequest(prompt=CHAT)], Sampling(max_tokens=1))
    finally:
        await backend.aclose()
    assert not attack.sentinel.exists()
