"""Draws of RFT: each answer by itself, as often as it is likely, with the log-probability that it has."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.unit.training.judged import CPU, decoder
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.encoder_decoder import EncoderDecoder
from tunekit.training.objectives.drawing import Draw, draw
from tunekit.training.serving.sampling import probabilities

HOW = Draw(max_tokens=8, temperature=0.8, stops=(3,))


def keys(count: int, copies: int = 3) -> list[tuple[bytes, ...]]:
    return [tuple(f"{n} {copy}".encode() for copy in range(copies)) for n in range(count)]


def test_an_answer_does_not_depend_on_what_it_is_drawn_beside(llama: Path) -> None:
    model = decoder(load.load_base(llama), end_to_end=True)
    asked = [[5, 6, 7], [8, 9, 10, 11, 12], [13]]
    together = draw(model, asked, keys(3), HOW)
    for at, prompt in enumerate(asked):
        alone = draw(model, [prompt], keys(3)[at : at + 1], HOW)[0]
        assert [answer.ids for answer in alone] == [answer.ids for answer in together[at]]
    assert len({answer.ids for answers in together for answer in answers}) > 3


@pytest.mark.parametrize("end_to_end", [False, True], ids=["padded", "end to end"])
def test_log_probabilities_of_a_draw_are_those_of_the_answer(llama: Path, end_to_end: bool) -> None:
    module = load.load_base(llama)
    model = decoder(module, end_to_end=end_to_end)
    asked = [(5, 6, 7), (8, 9, 10, 11, 12)]
    for prompt, answers in zip(asked, draw(model, asked, keys(2), HOW), strict=True):
        for answer in answers:
            ids = torch.tensor([[*prompt, *answer.ids]])
            logs = (module(input_ids=ids).logits[0, :-1] / HOW.temperature).log_softmax(-1)
            each = logs.gather(-1, ids[0, 1:, None])[len(prompt) - 1 :]
            assert answer.log_prob == pytest.approx(float(each.sum()), abs=1e-4)
            assert answer.stopped == (answer.ids[-1] == 3) and 3 not in answer.ids[:-1]


def test_tokens_are_drawn_as_often_as_they_are_likely(llama: Path) -> None:
    module = load.load_base(llama)
    one = Draw(max_tokens=1, temperature=0.3, stops=())
    many = [tuple(f"{n}".encode() for n in range(3000))]
    drawn = [answer.ids[0] for answer in draw(decoder(module, end_to_end=False), [[5, 6, 7]], many, one)[0]]
    wanted = probabilities(
        module(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1:], temperature=0.3, top_p=1.0
    )[0]
    counts = torch.bincount(torch.tensor(drawn), minlength=len(wanted)).double()
    # Pearson's statistic has mean 259 and standard deviation 23 over 260 tokens.
    statistic = float(((counts - 3000 * wanted) ** 2 / (3000 * wanted)).sum())
    assert statistic < 259 + 5 * math.sqrt(2 * 259)


def test_an_encoder_decoder_draws_too(tmp_path: Path) -> None:
    module = load.load_base(make_tiny_t5(tmp_path / "t5"), head="tokens").eval()
    model = EncoderDecoder.of(module, CPU, pad_id=0)
    asked = [(5, 6, 7), (8, 9, 10, 11, 12)]
    module.eval()
    for prompt, answers in zip(asked, draw(model, asked, keys(2), HOW), strict=True):
        for answer in answers:
            ids = torch.tensor([[model.start_id, *answer.ids]])
            logits = module(input_ids=torch.tensor([prompt]), decoder_input_ids=ids[:, :-1]).logits[0]
            each = (logits / HOW.temperature).log_softmax(-1).gather(-1, ids[0, 1:, None])
            assert answer.log_prob == pytest.approx(float(each.sum()), abs=1e-4)
