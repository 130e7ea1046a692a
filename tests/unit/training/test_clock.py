"""Chat templates that write today's date: what a tuned model takes for today, in training and wherever it is served."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, train
from tunekit.examples import Message
from tunekit.spec import Classify
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_llama
from tunekit.training.models import load
from tunekit.training.saving.artifacts import read_card
from tunekit.training.texts import clock

DATED = (
    "{%- if strftime_now is defined %}{{ 'Today ' + strftime_now('%d %b %Y, %H:%M:%S.%f') }}{% endif %}"
    + CHAT_TEMPLATE
)
ASKED = (Message(role="user", content="hi"),)


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template writes the time down to the microsecond."""
    return make_tiny_llama(tmp_path_factory.mktemp("dated") / "llama", chat_template=DATED)


def test_equal_runs_are_equal_at_any_time_and_say_so(make_run: MakeRun, dated: Path) -> None:
    runs = [make_run(name=name, model=dated, epochs=1) for name in ("one", "other")]
    for run in runs:
        train(run)
    one, other = (artifact_bytes(run) for run in runs)
    assert one == other
    (report,) = [event.report for event in events(runs[0], "preflight")]
    assert report["sample"].startswith("Today 26 Jul 2024, 00:00:00.000000<|im_start|>")
    assert [warning for warning in report["warnings"] if "always 2024-07-26" in warning]


def test_a_tuned_model_is_served_with_the_date_of_its_training(make_run: MakeRun, dated: Path) -> None:
    from transformers import AutoTokenizer

    run = make_run(model=dated, epochs=1)
    train(run)
    trained = "Today 26 Jul 2024, 00:00:00.000000<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    tuned = load.load(run.artifact_path)
    assert tuned.template.text(ASKED, (), generation_prompt=True) == trained
    elsewhere = AutoTokenizer.from_pretrained(run.artifact_path)
    chat = [{"role": "user", "content": "hi"}]
    assert elsewhere.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == trained
    assert read_card(run.artifact_path).chat_template_date == "2024-07-26"
    assert "2024-07-26" in (run.artifact_path / "README.md").read_text()


def test_a_base_is_asked_with_today(dated: Path) -> None:
    template = load.load(dated).template
    first, then = (template.text(ASKED, (), generation_prompt=True) for _ in range(2))
    assert "26 Jul 2024" not in first
    assert first != then


def test_a_classifier_reads_no_template(make_run: MakeRun, dated: Path) -> None:
    from tunekit.examples import LabelledExample

    texts = [LabelledExample(id=f"{n}", text=f"text {n}", label="ab"[n % 2]) for n in range(4)]
    run = make_run(texts, model=dated, method=Classify(), epochs=1)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert not [warning for warning in report["warnings"] if "date" in warning]


@pytest.mark.parametrize("directive", sorted(clock._SAID))
def test_every_directive_says_what_strftime_says_of_that_day(directive: str, dated: Path) -> None:
    tokenizer = load.load_tokenizer(dated)
    form = f"<%{directive}|100%%d%{directive}>"
    tokenizer.chat_template = f"\n{{{{ strftime_now({form!r}) }}}}\n"
    clock.pin(tokenizer)
    text = tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
    assert text == "\n" + datetime.fromisoformat(clock.PINNED_DATE).strftime(form)


def test_templates_are_pinned_once_by_name_and_only_where_they_read_the_clock(dated: Path) -> None:
    tokenizer = load.load_tokenizer(dated)
    tokenizer.chat_template = {"default": DATED, "plain": CHAT_TEMPLATE}
    clock.pin(tokenizer)
    pinned = dict(tokenizer.chat_template)
    clock.pin(tokenizer)
    assert tokenizer.chat_template == pinned
    assert pinned["plain"] == CHAT_TEMPLATE
    assert clock.pinned_date(tokenizer) == clock.PINNED_DATE
    tokenizer.chat_template = None
    clock.pin(tokenizer)
    assert clock.pinned_date(tokenizer) == ""
