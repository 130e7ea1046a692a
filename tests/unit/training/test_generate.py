"""Answers of a loaded model: what stands beside a prompt in a batch changes nothing for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training import decoders
from tunekit.errors import ModelError
from tunekit.spec import Sampling
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving import writing
from tunekit.training.serving.answering.decoder import DecoderAnswering
from tunekit.training.serving.continuing import Texts
from tunekit.training.serving.generate import generate, score, stream

PROMPTS = ["a", "a longer prompt than others", "b" * 60, "what is it?", "a", "zz", "one two three"]
KINDS = ("plain", "gpt2", "sliding", "t5")
GREEDY = Sampling(max_tokens=24)
DRAWN = Sampling(max_tokens=24, temperature=1.2, top_p=0.9, seed=3)


@pytest.fixture(scope="module")
def models(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    made = tmp_path_factory.mktemp("models")
    paths = {
        "llama": llama,
        "plain": decoders.make_sliding(made / "plain", tokenizer_of=llama, window=None),
        "gpt2": decoders.make_gpt2(made / "gpt2", tokenizer_of=llama),
        "sliding": decoders.make_sliding(made / "sliding", tokenizer_of=llama),
        "t5": make_tiny_t5(made / "t5"),
    }
    return {kind: load.load(path) for kind, path in paths.items()}


@pytest.fixture(scope="module")
def endless(models: dict[str, LoadedModel]) -> Any:
    """A model that never stops of itself, so that only limits end its answers."""
    return dataclasses.replace(models["llama"], stop_ids=())


def stopping(loaded: LoadedModel) -> LoadedModel:
    """The same with many stop tokens, so that answers end at different lengths."""
    return dataclasses.replace(loaded, stop_ids=tuple(range(4, 40)))


def asked(prompts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"prompt": prompt, **more} for prompt in prompts]


def told(answers: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(answer["text"], answer["finish_reason"], answer["usage"]["output_tokens"]) for answer in answers]


@pytest.mark.parametrize("long", [150, 200, 230])
def test_a_long_neighbour_does_not_cut_a_short_prompts_answer(endless: Any, long: int) -> None:
    sampling = Sampling(max_tokens=64)
    short, neighbour = {"prompt": "a"}, {"prompt": "b" * long}
    (alone,) = generate(endless, [short], sampling)
    beside, cut = generate(endless, [short, neighbour], sampling)
    assert alone["usage"]["output_tokens"] == 64
    assert (beside["text"], beside["usage"]["output_tokens"]) == (alone["text"], 64)
    assert cut["usage"]["output_tokens"] == min(64, 256 - cut["usage"]["input_tokens"])


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_together_are_answers_one_by_one(
    models: dict[str, LoadedModel], kind: str, sampling: Sampling
) -> None:
    loaded = stopping(models[kind])
    together = told(generate(loaded, asked(PROMPTS), sampling))
    alone = [told(generate(loaded, [request], sampling))[0] for request in asked(PROMPTS)]
    assert together == alone
    assert told(generate(loaded, asked(PROMPTS[::-1]), sampling)) == together[::-1]
    assert together[0] == together[4], "the same prompt and seed"
    assert len({length for _, _, length in together}) > 1, "some must leave the batch before others"


@pytest.mark.parametrize("kind", ["plain", "gpt2", "sliding"])
def test_greedy_answers_are_those_of_transformers(models: dict[str, LoadedModel], kind: str) -> None:
    loaded = dataclasses.replace(models[kind], stop_ids=())
    for answer, prompt in zip(generate(loaded, asked(PROMPTS), GREEDY), PROMPTS, strict=True):
        ids = torch.tensor([DecoderAnswering(loaded).prompt_ids({"prompt": prompt})])
        output = loaded.model.generate(input_ids=ids, max_new_tokens=24, do_sample=False, eos_token_id=None)
        assert answer["text"] == loaded.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_request_may_have_a_seed_of_its_own(models: dict[str, LoadedModel]) -> None:
    loaded = models["llama"]
    requests = [{"prompt": "a", "seed": seed} for seed in (3, 4, 5, None, 3)]
    texts = [answer["text"] for answer in generate(loaded, requests, DRAWN)]
    assert texts[0] == texts[3] == texts[4]
    assert len(set(texts)) == 3


def test_draws_of_prompts_are_unrelated(endless: Any) -> None:
    flat = dataclasses.replace(endless)
    sampling = Sampling(max_tokens=12, temperature=1e6, seed=1)
    texts = [answer["text"] for answer in generate(flat, asked(["a", "b", "c"]), sampling)]
    assert len({text[:3] for text in texts}) == 3, "with one sequence of numbers for all they would be alike"


def test_a_batch_holds_no_more_than_memory_bears(endless: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = told(generate(endless, asked(PROMPTS), GREEDY))
    monkeypatch.setattr(writing, "_TOKENS_TOGETHER", 100)
    sizes: list[int] = []
    begin = DecoderAnswering.begin

    def counted(self: DecoderAnswering, prompts: list[list[int]]) -> Texts:
        sizes.append(len(prompts))
        return begin(self, prompts)

    monkeypatch.setattr(DecoderAnswering, "begin", counted)
    assert told(generate(endless, asked(PROMPTS), GREEDY)) == whole
    assert sum(sizes) == len(PROMPTS)
    assert max(sizes) < len(PROMPTS)


class TestStopStrings:
    """The second half of what a model says anyway is what stops it."""

    def test_the_answer_ends_where_the_string_does(self, endless: Any) -> None:
        (whole,) = generate(endless, asked(["a"]), GREEDY)
        stop = whole["text"][6:8]
        (cut,) = generate(endless, asked(["a"]), Sampling(max_tokens=24, stop=(stop, "not there")))
        at = whole["text"].index(stop)
        assert (cut["text"], cut["finish_reason"]) == (whole["text"][:at], "stop")
        assert cut["usage"]["output_tokens"] < whole["usage"]["output_tokens"]

    def test_it_ends_the_answers_that_have_it_and_no_others(self, endless: Any) -> None:
        wholes = [answer["text"] for answer in generate(endless, asked(PROMPTS), GREEDY)]
        stop = wholes[1][8:10]
        found = generate(endless, asked(PROMPTS), Sampling(max_tokens=24, stop=(stop,)))
        assert [answer["text"] for answer in found] == [whole.split(stop)[0] for whole in wholes]

    def test_a_special_token_may_be_one(self, models: dict[str, LoadedModel]) -> None:
        loaded = dataclasses.replace(models["llama"], stop_ids=())
        bias = torch.zeros(260)
        bias[loaded.tokenizer.convert_tokens_to_ids("<|im_start|>")] = 1e3
        handle = loaded.model.get_output_embeddings().register_forward_hook(
            lambda module, inputs, output: output + bias
        )
        try:
            (answer,) = generate(loaded, asked(["a"]), Sampling(max_tokens=9, stop=("<|im_start|>",)))
        finally:
            handle.remove()
        assert told([answer]) == [("", "stop", 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_the_pieces_of_an_answer_are_the_answer(
    models: dict[str, LoadedModel], kind: str, sampling: Sampling
) -> None:
    loaded = stopping(models[kind])
    for prompt in PROMPTS[:3]:
        (whole,) = generate(loaded, asked([prompt]), sampling)
        pieces, answer = streamed(loaded, prompt, sampling)
        assert told([answer]) == told([whole])
        assert "".join(pieces) == whole["text"]


def streamed(loaded: LoadedModel, prompt: str, sampling: Sampling) -> tuple[list[str], dict[str, Any]]:
    pieces, running = [], stream(loaded, {"prompt": prompt}, sampling)
    while True:
        try:
            pieces.append(next(running))
        except StopIteration as end:
            return pieces, end.value


def test_no_piece_holds_a_part_of_a_stop_string(endless: Any) -> None:
    (whole,) = generate(endless, asked(["a"]), GREEDY)
    stop = whole["text"][5:9]
    pieces, answer = streamed(endless, "a", Sampling(max_tokens=24, stop=(stop,)))
    assert "".join(pieces) == answer["text"] == whole["text"].split(stop)[0]
    assert len(pieces) > 1


def test_a_model_of_nan_is_an_error_and_the_next_is_not(models: dict[str, LoadedModel], llama: Path) -> None:
    broken = load.load(llama)
    next(broken.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        generate(broken, asked(["a"]), GREEDY)
    with pytest.raises(ModelError, match="NaN"):
        score(broken, [{"prompt": "a", "choices": ["b"]}])
    assert generate(models["llama"], asked(["a"]), GREEDY)[0]["text"]
