"""What a product saw becomes training data: masked before it is written, joined with the last word on it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tests.disks import fill_up, make_room, read_only_disk, small_disk
from tunekit.errors import DataError, RefError, SpecError, StorageError, TunekitError
from tunekit.retrain.collecting import Collector

SECRETS = ["AKIAQ7RWLDM3TZ5XKJ2P", "ann.lee@acme.org", "+49 170 1234567", "4539 1488 0343 6467"]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    max_leaves=8,
)


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector("support-bot", directory=tmp_path / "collected", strict=True)


def on_disk(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.iterdir() if path.suffix != ".key")


class TestDatasets:
    def test_corrections_and_liked_answers_are_rows_to_learn(self, collector: Collector) -> None:
        late = collector.record(
            "Where is it?", "No idea.", model="support-bot@3", user="u-1", meta={"shop": "de"}
        )
        fine = collector.record("How long?", "Two days.", model="support-bot@3")
        collector.record("Nobody said a word on this", "Well")
        collector.feedback(late, correction="On its way.")
        collector.feedback(fine, thumb="up")
        (row,) = collector.sft()
        assert isinstance(row, tk.CompletionExample)
        assert (row.prompt, row.completion) == ("Where is it?", "On its way.")
        assert row.meta["shop"] == "de" and row.meta["model"] == "support-bot@3"
        assert row.id.startswith("support-bot:") and "u-1" not in json.dumps(dict(row.meta))
        assert [row.completion for row in collector.sft(thumbs_up=True)] == ["On its way.", "Two days."]  # type: ignore[union-attr]

    def test_chats_stay_chats(self, collector: Collector) -> None:
        tool = {"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}
        turn = collector.record(
            [{"role": "system", "content": "Be brief."}, tk.Message(role="user", content="Where is it?")],
            {"role": "assistant", "content": "Hm.", "refusal": None},
            tools=[tool],
        )
        collector.feedback(turn, thumb="down", correction={"role": "assistant", "content": "On its way."})
        (row,) = collector.sft()
        assert isinstance(row, tk.ChatExample)
        assert [turn.role for turn in row.messages] == ["system", "user", "assistant"]
        assert row.tools == (tool,)
        (pair,) = collector.preferences()
        assert isinstance(pair, tk.PreferenceExample)
        assert (pair.chosen, pair.rejected, len(pair.messages)) == ("On its way.", "Hm.", 2)

    def test_liked_and_disliked_answers_to_one_question_are_pairs(self, collector: Collector) -> None:
        for answer, thumb in (("a", "up"), ("b", "down"), ("c", "down"), ("b", "down"), ("d", None)):
            turn = collector.record("Which?", answer)
            if thumb:
                collector.feedback(turn, thumb=thumb)  # type: ignore[arg-type]
        collector.feedback(collector.record("Other?", "x"), thumb="down")
        pairs = [(row.chosen, row.rejected) for row in collector.preferences()]  # type: ignore[union-attr]
        assert sorted(pairs) == [("a", "b"), ("a", "c")]

    def test_thumbs_and_outcomes(self, collector: Collector) -> None:
        turn = collector.record("Refund?", "12 euros")
        collector.feedback(turn, thumb="up", outcome={"refund": 12.5, "solved": True})
        (row,) = collector.unpaired()
        assert isinstance(row, tk.UnpairedExample) and row.desirable
        (prompt,) = collector.references()
        assert isinstance(prompt, tk.PromptExample)
        assert prompt.reference == {"refund": 12.5, "solved": True}
        assert collector.preferences() == tk.Dataset([])

    def test_the_last_word_counts(self, collector: Collector) -> None:
        turn = collector.record("Refund?", "12 euros")
        collector.feedback(turn, thumb="up", correction="13 euros")
        collector.feedback(turn, thumb="down")
        collector.feedback(turn, correction="14 euros")
        assert [row.desirable for row in collector.unpaired()] == [False]  # type: ignore[union-attr]
        assert [row.completion for row in collector.sft()] == ["14 euros"]  # type: ignore[union-attr]
        found = collector.counts()
        assert (found.turns, found.corrections, found.thumbs_up, found.thumbs_down) == (1, 1, 0, 1)

    def test_a_window_is_over_what_became_known(self, collector: Collector) -> None:
        before = collector.record("1?", "1", model="a")
        other = collector.record("2?", "2", model="b")
        collector.feedback(before, correction="one")
        between = datetime.now(UTC)
        collector.feedback(before, correction="uno")
        collector.feedback(other, correction="dos")
        answers = [row.completion for row in collector.sft(since=between)]  # type: ignore[union-attr]
        assert answers == ["uno", "dos"]
        assert [row.completion for row in collector.sft(until=between)] == ["one"]  # type: ignore[union-attr]
        assert [row.completion for row in collector.sft(model="b")] == ["dos"]  # type: ignore[union-attr]
        assert len(collector.sft(since=between + timedelta(days=1))) == 0
        with pytest.raises(SpecError, match="time zone"):
            collector.sft(since=datetime(2026, 1, 1))  # noqa: DTZ001 - without a zone on purpose

    def test_rows_pass_the_checks_and_split_by_user(self, collector: Collector) -> None:
        for n in range(40):
            turn = collector.record(f"Where is parcel number {n}?", "No idea.", user=f"u-{n % 10}")
            collector.feedback(turn, correction=f"It is in town {n}.")
        train, test = collector.sft().split(test=0.25, seed=0, groups="user")
        assert not {row.meta["user"] for row in train} & {row.meta["user"] for row in test}


class TestMasking:
    @pytest.mark.parametrize("secret", SECRETS)
    def test_no_byte_on_the_disk_says_it(self, collector: Collector, secret: str) -> None:
        said = f"It is {secret} there."
        call = tk.ToolCall(id="c", name="look", arguments=json.dumps({"who": secret}))
        turn = collector.record(
            [{"role": "user", "content": said}, tk.Message(role="assistant", tool_calls=(call,))],
            {"role": "assistant", "content": said, "reasoning_content": said},
            user=secret,
            meta={"note": [said], said: {"deep": said}, "number": 4539148803436467},
        )
        collector.feedback(turn, correction=said, outcome={said: said, "list": [[said]]}, comment=said)
        digits = secret.replace(" ", "")
        text = on_disk(collector.directory)
        assert secret not in text and digits not in text and "4539148803436467" not in text
        for rows in (collector.sft(), collector.preferences(), collector.references()):
            shown = "".join(map(repr, rows))
            assert len(rows) == 1 and secret not in shown and digits not in shown

    def test_they_are_the_words_of_fix(self, collector: Collector) -> None:
        said = f"I am {SECRETS[1]}, my key is {SECRETS[0]}, call {SECRETS[2]}"
        collector.feedback(collector.record(said, f"Hello {SECRETS[1]}"), thumb="up")
        fixed = tk.Dataset([tk.CompletionExample(prompt=said, completion=f"Hello {SECRETS[1]}")]).fix(
            "mask-secrets", "mask-personal-data"
        )
        assert collector.sft(thumbs_up=True) == fixed

    def test_a_correction_names_what_the_turn_names(self, collector: Collector) -> None:
        turn = collector.record("ann@acme.org wrote to bob@acme.org", "Who?")
        collector.feedback(turn, correction="bob@acme.org and eve@acme.org, not ann@acme.org nor [EMAIL_9]")
        (row,) = collector.sft()
        assert row.completion == "[EMAIL_2] and [EMAIL_3], not [EMAIL_1] nor [EMAIL_9]"  # type: ignore[union-attr]

    def test_what_a_host_finds_is_masked_too(self, tmp_path: Path) -> None:
        from tunekit.data.patterns.sensitive import Sensitive

        def names(text: str) -> list[Sensitive]:
            at = text.find("Zoe")
            return [Sensitive("person", at, at + 3)] if at >= 0 else []

        collector = Collector("bot", directory=tmp_path, find_personal_data=names, strict=True)
        collector.feedback(collector.record("I am Zoe", "Hello Zoe"), thumb="up")
        assert [row.completion for row in collector.sft(thumbs_up=True)] == ["Hello [PERSON_1]"]  # type: ignore[union-attr]

    def test_it_can_be_left_as_it_is(self, tmp_path: Path) -> None:
        collector = Collector("bot", directory=tmp_path, redact=False)
        collector.record("I am ann@acme.org", "Hi")
        assert "ann@acme.org" in on_disk(tmp_path)

    def test_what_json_spells_otherwise_is_masked_as_it_is_spelled(self, collector: Collector) -> None:
        @dataclass
        class Customer:
            address: str

        meta: Any = {"who": Customer("ann@acme.org"), "at": datetime(2026, 11, 1, tzinfo=UTC), 7: "seven"}
        collector.feedback(collector.record("a", "b", meta=meta), thumb="up")
        (row,) = collector.unpaired()
        assert row.meta["who"] == {"address": "[EMAIL_1]"} and row.meta["7"] == "seven"
        assert row.meta["at"].startswith("2026-11-01T00:00:00")

    @given(st.text(max_size=200), VALUES)
    def test_any_text_and_any_value_is_kept_as_it_was(
        self, tmp_path_factory: Any, text: str, value: Any
    ) -> None:
        collector = Collector("bot", directory=tmp_path_factory.mktemp("any"), redact=False, strict=True)
        turn = collector.record(text, text, meta={"value": value})
        collector.feedback(turn, correction=text, outcome={"value": value})
        (row,) = collector.sft()
        assert (row.prompt, row.completion, row.meta["value"]) == (text, text, value)  # type: ignore[union-attr]
        assert collector.references()[0].reference == {"value": value}  # type: ignore[union-attr]


class TestNeverInTheWay:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"prompt": 5},
            {"prompt": []},
            {"answer": None},
            {"meta": {"user": "u"}},
            {"meta": {"score": math.nan}},
            {"meta": {"when": object()}},
            {"prompt": "x" * 1001},
            {"meta": {"long": ["x" * 600, "y" * 600]}},
        ],
        ids=["no-text", "no-turns", "no-answer", "ours", "nan", "no-json", "long", "long-meta"],
    )
    def test_what_cannot_be_kept_is_counted_and_told(
        self, tmp_path: Path, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[Exception] = []
        collector = Collector("bot", directory=tmp_path, max_chars=1000, on_lost=told.append)
        given = {"prompt": "Where?", "answer": "Here.", **wrong}
        with caplog.at_level(logging.WARNING, "tunekit"):
            assert collector.record(**given) is None
            assert collector.record(**given) is None
        assert collector.lost == len(told) == 2 and isinstance(told[0], TunekitError)
        assert len(caplog.records) == 1, "a broken product must not fill its log"
        assert collector.feedback(None, thumb="up") is False
        strict = Collector("bot", directory=tmp_path, max_chars=1000, strict=True)
        with pytest.raises((SpecError, DataError)):
            strict.record(**given)
        assert strict.counts().turns == 0

    @pytest.mark.parametrize("wrong", [{}, {"thumb": "left"}, {"outcome": {"x": math.inf}}])
    def test_feedback_that_is_none(self, tmp_path: Path, wrong: dict[str, Any]) -> None:
        collector = Collector("bot", directory=tmp_path)
        turn = collector.record("a", "b")
        assert collector.feedback(turn, **wrong) is False
        assert collector.lost == 1

    def test_a_callback_that_raises(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def broken(error: Exception) -> None:
            raise RuntimeError("my own")

        collector = Collector("bot", directory=tmp_path, on_lost=broken)
        assert collector.record("a", None) is None  # type: ignore[arg-type]
        assert "on_lost raised" in caplog.text

    def test_a_full_disk_does_not_take_the_product_down(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", mib=1) as disk:
            collector = Collector("bot", directory=disk / "bot")
            kept = [collector.record("first", "a" * 100)]
            fill_up(disk)
            lost = [collector.record(f"{n}", "b" * 9000) for n in range(3)]
            make_room(disk)
            kept.append(collector.record("last", "c"))
            assert all(kept) and lost == [None] * 3 and collector.lost == 3
            assert collector.counts().turns == 2 and collector.counts().spoilt == ()

    def test_a_disk_that_cannot_be_written(self, tmp_path: Path) -> None:
        with read_only_disk(tmp_path / "disk") as disk:
            assert Collector("bot", directory=disk / "bot").record("a", "b") is None
            with pytest.raises(StorageError, match="Read-only"):
                Collector("bot", directory=disk / "bot", strict=True).record("a", "b")

    def test_a_share_is_kept_and_feedback_on_the_rest_is_not(self, tmp_path: Path) -> None:
        collector = Collector("bot", directory=tmp_path, sample=0.3)
        turns = [collector.record("a", "b") for _ in range(1000)]
        kept = [turn for turn in turns if turn]
        assert 230 < len(kept) < 370 and collector.counts().turns == len(kept) and collector.lost == 0
        assert sum(collector.feedback(turn, thumb="up") for turn in turns) == len(kept)

    def test_a_coroutine_may_call_it(self, collector: Collector) -> None:
        async def answer(n: int) -> str | None:
            return collector.record(f"{n}?", f"{n}")

        async def serve() -> list[str | None]:
            return await asyncio.gather(*(answer(n) for n in range(100)))

        assert len(set(asyncio.run(serve()))) == 100 and collector.counts().turns == 100


@pytest.mark.parametrize(
    "wrong", [{"sample": 1.5}, {"sample": math.nan}, {"max_chars": 0}, {"max_bytes": 0}, {"sample": "all"}]
)
def test_arguments_that_are_wrong(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        Collector("bot", directory=tmp_path, **wrong)


def test_a_name_that_is_none() -> None:
    with pytest.raises(RefError):
        Collector("../etc")


def test_it_is_kept_in_the_home_directory_for_its_owner_only(tmp_path: Path) -> None:
    collector = Collector("bot", settings=tk.Settings(home=tmp_path))
    collector.record("a", "b", user="u-1")
    assert collector.directory == tmp_path / "collected" / "bot"
    assert collector.directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in collector.directory.iterdir())
