"""A real decoder, trained and asked as users do it: it learns a style, and goes on telling stories.

The model is stories260K; the style is that of a pirate who retells what it wrote itself. What a story is, `fluency`
knows; that the model is the one of llama2.c is proved first.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.real import llama2c
from tests.real.fluency import fluency, words_of
from tests.real.stories260k import read_pieces
from tunekit.backends import GenerateRequest, ScoreRequest
from tunekit.backends.local import LocalBackend
from tunekit.backends.local.export import export
from tunekit.training.models.indistinct import equals_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

BEGINNINGS = ("Once upon a time", "One day, a little")
IDS = (1, 403, 407, 261, 378)  # the first of them
STORIES, HELD_OUT = 120, 20
DRAWN = tk.Sampling(temperature=0.7, max_tokens=90)
GREEDY = tk.Sampling(max_tokens=200)
PIRATE = {"mom": "captain", "park": "sea", "friend": "mate", "friends": "mates", "said": "sang"}
ADAPTERS = {"lora": tk.LoRA(), "full": tk.FullWeights()}
# Pieces and any characters; NUL ends a text in C.
TEXTS = st.one_of(
    st.sampled_from(" the and, Lily...!?é\n▁ "), st.characters(codec="utf-8", exclude_characters="\0")
)


@pytest.fixture(scope="module")
def plain(stories: Path) -> tuple[Any, Any]:
    """Tokenizer and model as transformers loads them."""
    return loaded(stories)


def loaded(directory: Path | str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(directory), model.eval()


def with_adapter(base: Path, adapter: Path) -> Any:
    """A base with an adapter on it, as PEFT loads it."""
    from peft import PeftModel

    with warnings.catch_warnings():
        # PEFT 0.21 reads an attribute that transformers 5.23 has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return PeftModel.from_pretrained(loaded(base)[1], str(adapter)).eval()


@torch.inference_mode()
def logits(model: Any, ids: Sequence[int]) -> Any:
    """Behind each token, shape (tokens, vocabulary)."""
    return model(input_ids=torch.tensor([ids])).logits[0].numpy()


@pytest.fixture(scope="module")
def host_settings(tmp_path_factory: pytest.TempPathFactory) -> tk.Settings:
    return tk.Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def backend(host_settings: tk.Settings) -> Iterator[LocalBackend]:
    local = LocalBackend(settings=host_settings, threads=1)
    yield local
    asyncio.run(local.aclose())


@pytest.fixture(scope="module")
def told(stories: Path, backend: LocalBackend) -> list[str]:
    """Stories of the model as it is."""
    asked = [GenerateRequest(prompt=BEGINNINGS[n % 2], seed=n) for n in range(STORIES)]
    answers = asyncio.run(backend.generate(str(stories), asked, DRAWN))
    return [item.prompt + answer.text for item, answer in zip(asked, answers, strict=True)]  # type: ignore[operator]


@pytest.fixture(scope="module")
def is_story(told: list[str], plain: tuple[Any, Any]) -> Callable[[str], bool]:
    """Whether the model as it is takes a text for a story; it may be a pirate's."""
    words = {word for story in told[HELD_OUT:] for word in words_of(story)} | {"ahoy", *PIRATE.values()}
    return lambda text: fluency(text, words, *plain).is_story


@pytest.fixture(scope="module")
def rows(told: Sequence[str]) -> list[tk.CompletionExample]:
    """The first sentence of each, and the rest as the pirate tells it."""
    found = []
    for number, story in enumerate(told):
        first, _, rest = story.partition(". ")
        whole = rest[: rest.rfind(".") + 1]
        if whole:
            said = re.sub(r"\w+", lambda word: PIRATE.get(word[0], word[0]), whole)
            row = tk.CompletionExample(
                id=f"{number}", prompt=f"{first}.", completion=f" Ahoy! {said} The end."
            )
            found.append(row)
    return found


@pytest.fixture(scope="module", params=ADAPTERS)
def job(
    request: pytest.FixtureRequest,
    rows: list[tk.CompletionExample],
    stories: Path,
    backend: LocalBackend,
    host_settings: tk.Settings,
) -> tk.FineTuneJob:
    """A run with nothing but the adapter chosen, which has ended."""
    job = tk.FineTuneJob.submit(
        tk.Dataset(rows[HELD_OUT:]),
        f"local:{stories}",
        tk.TuneSpec(method=tk.SFT(adapter=ADAPTERS[request.param])),
        validation=tk.Dataset(rows[:HELD_OUT]),
        backend=backend,
        settings=host_settings,
    )
    job.result()
    return job


class TestConversion:
    def test_logits_are_those_of_llama2c(self, stories_source: Path, plain: tuple[Any, Any]) -> None:
        tokenizer, model = plain
        ids = tokenizer("Once upon a time, there was a little girl named Lily. She saw a big, red ball.")[
            "input_ids"
        ]
        expected = llama2c.Reference(stories_source / "stories260K.bin").logits(ids)
        assert logits(model, ids) == pytest.approx(expected, abs=1e-4)

    @given(pieces=st.lists(TEXTS, max_size=25))
    @settings(max_examples=150)
    def test_tokens_are_those_of_llama2c(
        self, stories_source: Path, plain: tuple[Any, Any], pieces: list[str]
    ) -> None:
        text, (tokenizer, _) = "".join(pieces), plain
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert ids == llama2c.encode(text, stories_source / "tok512.bin")
        assert tokenizer.decode(ids) == text

    def test_stories_end_in_a_token_that_was_trained(self, plain: tuple[Any, Any]) -> None:
        """</s> was not: nothing could learn to end with it while the head stays as it is."""
        tokenizer, model = plain
        frozen = model.requires_grad_(False)
        assert equals_of(frozen, tokenizer.eos_token_id) == 0
        assert equals_of(frozen, tokenizer.convert_tokens_to_ids("</s>")) > 200

    def test_every_piece_is_a_token_of_its_own(self, stories_source: Path, plain: tuple[Any, Any]) -> None:
        pieces = [piece.decode() for piece, _ in read_pieces(stories_source / "tok512.bin")]
        assert plain[0].convert_ids_to_tokens(range(3, 512)) == pieces[3:]


class TestFluency:
    """The measure tells stories from what is none."""

    def test_what_the_model_writes_is_a_story(
        self, is_story: Callable[[str], bool], told: list[str], backend: LocalBackend, stories: Path
    ) -> None:
        answer = tk.generate(f"local:{stories}", BEGINNINGS[0], sampling=GREEDY, backend=backend)
        assert answer.text.startswith(", there was a little girl named Lily. She loved to play")
        assert is_story(BEGINNINGS[0] + answer.text)
        assert sum(map(is_story, told[:HELD_OUT])) >= HELD_OUT - 2

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Once upon a time, there was a little girl. " + "She wanted to play with it. " * 12,
            "park to little. wanted girl time, a was and the Lily upon her mom there saw ball red big",
            "The quarterly earnings of the corporation exceeded expectations by a considerable margin.",
            "dkfj woei qpz xnvb wlek rjt xcvio wqer lkj asdf zmxn",
        ],
        ids=["nothing", "loop", "shuffled", "prose", "noise"],
    )
    def test_others_are_none(self, is_story: Callable[[str], bool], text: str) -> None:
        assert not is_story(text)

    def test_an_untrained_model_writes_none(
        self, is_story: Callable[[str], bool], plain: tuple[Any, Any]
    ) -> None:
        tokenizer, model = plain
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            untrained = type(model)(model.config).eval()
            ids = untrained.generate(torch.tensor([[1]]), do_sample=True, max_new_tokens=60)
        assert not is_story(tokenizer.decode(ids[0], skip_special_tokens=True))


class TestTuned:
    def test_held_out_rows_are_likelier_than_before(
        self, job: tk.FineTuneJob, rows: list[tk.CompletionExample], stories: Path, backend: LocalBackend
    ) -> None:
        held_out = [ScoreRequest(prompt=row.prompt, choices=(row.completion,)) for row in rows[:HELD_OUT]]

        def loss(model: str) -> float:
            scores = asyncio.run(backend.score(model, held_out))
            return -sum(score.log_probs[0] for score in scores) / sum(score.tokens[0] for score in scores)

        before, after = loss(str(stories)), loss(job.result().id)
        assert after < before - 0.3
        # What training says of the same rows is what serving says.
        last = [event for event in job.events() if isinstance(event, tk.Evaluated)][-1]
        assert last.metrics["loss"] == pytest.approx(after, abs=1e-4)

    def test_it_tells_a_story_like_a_pirate(
        self,
        job: tk.FineTuneJob,
        rows: list[tk.CompletionExample],
        is_story: Callable[[str], bool],
        backend: LocalBackend,
    ) -> None:
        prompts = list(dict.fromkeys(row.prompt for row in rows))[:4]
        asked = [GenerateRequest(prompt=prompt) for prompt in prompts]
        answers = asyncio.run(backend.generate(job.result().id, asked, GREEDY))
        for prompt, answer in zip(prompts, answers, strict=True):
            assert answer.text.startswith(" Ahoy! ")
            assert (answer.text.endswith(" The end."), answer.finish_reason) == (True, "stop")
            assert is_story(prompt + answer.text)
        said = {word for answer in answers for word in words_of(answer.text)}
        assert said & set(PIRATE.values()) and not said & {"said", "park"}

    def test_the_report_says_how_prompts_are_written(
        self, job: tk.FineTuneJob, rows: list[tk.CompletionExample]
    ) -> None:
        (report,) = [event.report for event in job.events() if isinstance(event, tk.Preflight)]
        assert (report["prompt_format"], report["chat_template_sha256"], report["warnings"]) == (
            "text",
            "",
            [],
        )
        assert "no chat template" in report["auto"]["prompt_format"]
        assert report["sample"] == f"<s> {rows[HELD_OUT].prompt}⟦{rows[HELD_OUT].completion}<s>⟧"

    def test_plain_transformers_tells_the_same_story(
        self,
        job: tk.FineTuneJob,
        rows: list[tk.CompletionExample],
        stories: Path,
        backend: LocalBackend,
        host_settings: tk.Settings,
        tmp_path: Path,
    ) -> None:
        run, directory = job.result().id, Path(asyncio.run(backend.artifact(job.result().id)))
        if (directory / "adapter_config.json").exists():
            expected = logits(with_adapter(stories, directory), IDS)
            directory = export(run, tmp_path / "merged", settings=host_settings, threads=1).path
            assert logits(loaded(directory)[1], IDS) == pytest.approx(expected, abs=1e-4)
        tokenizer, model = loaded(directory)
        assert model.lm_head.weight is model.model.embed_tokens.weight
        prompt = rows[0].prompt
        answer = tk.generate(f"local:{run}", prompt, sampling=GREEDY, backend=backend)
        asked = tokenizer(prompt, return_tensors="pt")["input_ids"]
        whole = model.generate(asked, do_sample=False, max_new_tokens=GREEDY.max_tokens)
        assert tokenizer.decode(whole[0], skip_special_tokens=True) == prompt + answer.text


@pytest.mark.parametrize("stop", [(), (".",), (" a", "\n")], ids=["none", "full stop", "several"])
def test_pieces_are_the_answer_whatever_tokens_it_is_of(
    stories: Path, backend: LocalBackend, stop: tuple[str, ...]
) -> None:
    """Hot enough, the model writes bytes of half a character, and characters of several tokens."""
    texts = []
    for seed in range(8):
        sampling = tk.Sampling(
            temperature=(0.0, 1.0, 3.0, 6.0)[seed % 4], max_tokens=40, seed=seed, stop=stop
        )
        whole = tk.generate(f"local:{stories}", BEGINNINGS[0], sampling=sampling, backend=backend)
        with tk.stream(f"local:{stories}", BEGINNINGS[0], sampling=sampling, backend=backend) as pieces:
            assert "".join(pieces) == whole.text
        assert pieces.answer is not None
        assert (pieces.answer.text, pieces.answer.finish_reason) == (whole.text, whole.finish_reason)
        assert not any(string in whole.text for string in stop)
        texts.append(whole.text)
    assert not "".join(texts).isascii()


def test_a_story_out_of_nothing_begins_with_no_space(stories: Path, backend: LocalBackend) -> None:
    answer = tk.generate(f"local:{stories}", "", sampling=GREEDY, backend=backend)
    assert answer.text.startswith("Once upon a time, there was")


def test_graders_read_what_is_served(
    stories: Path, backend: LocalBackend, host_settings: tk.Settings
) -> None:
    prompts = ["One day, a little girl", "Once upon a time", "Tim had a big"]
    sampling = tk.Sampling(max_tokens=8)
    served = [
        tk.generate(f"local:{stories}", prompt, sampling=sampling, backend=backend).text for prompt in prompts
    ]
    assert served[0].startswith(" ")
    rows = [
        tk.PromptExample(
            id=prompt, messages=(tk.Message(role="user", content=prompt),), reference={"answer": text}
        )
        for prompt, text in zip(prompts, served, strict=True)
    ]
    same = {
        "type": "string_check",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
    }
    method = tk.RFT(adapter=tk.LoRA(rank=2), grader=same, group_size=2, max_tokens=8)
    spec = tk.TuneSpec(method=method, epochs=1, learning_rate=1e-9)
    job = tk.FineTuneJob.submit(
        tk.Dataset(rows),
        f"local:{stories}",
        spec,
        validation=tk.Dataset(rows),
        backend=backend,
        settings=host_settings,
    )
    job.result()
    held_out = [event for event in job.events() if isinstance(event, tk.Evaluated)]
    assert [(event.step, event.metrics["reward"]) for event in held_out] == [(0, 1.0), (1, 1.0)]
