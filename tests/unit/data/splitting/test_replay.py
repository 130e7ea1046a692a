"""Old rows among new ones: how many of each task and label, which, and what is said. Knows `Dataset.with_replay`."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tunekit.data.splitting.replay import allotted, rows_for
from tunekit.examples import ChatExample, CompletionExample, LabelledExample, Message


def labelled(name: str, counts: dict[str, int]) -> tk.Dataset:
    return tk.Dataset(
        LabelledExample(text=f"{name} {label} {n}", label=label, id=f"{name}.csv:{label}{n}", meta={"n": n})
        for label, count in counts.items()
        for n in range(count)
    )


NEW = labelled("reviews", {"good": 400, "bad": 400})
TREC = labelled("trec", {"num": 200, "loc": 150, "hum": 200, "enty": 190, "desc": 200, "abbr": 6})


def test_eight_rows_of_eight_hundred_have_all_six_labels() -> None:
    """The mini-curve of the research: 1 % of 800 is 8 rows for 6 labels, of which one is rare."""
    mix, report = NEW.with_replay({"trec": TREC}, share=0.01, floor=1)
    assert (report.taken, len(mix), report.warnings) == (8, 808, ())
    assert {part.label: part.taken for part in report.parts if part.label == "abbr"} == {"abbr": 1}
    assert all(part.taken >= 1 for part in report.parts)


def test_labels_have_their_shares() -> None:
    _, report = NEW.with_replay({"trec": TREC}, share=0.2, floor=0)
    assert report.wanted == report.taken == 200
    for part in report.parts:
        assert abs(part.taken - 200 * part.available / len(TREC)) < 1
        assert part.by_floor == 0


def test_floors_that_are_more_than_the_share_are_kept_and_told() -> None:
    many = labelled("intents", {f"intent {n}": 10 for n in range(150)})
    mix, report = NEW.with_replay({"intents": many})
    assert (report.wanted, report.taken, len(mix)) == (42, 300, 1100)
    assert report.warnings == (
        "the floor of 2 for each label takes 300 old rows: more than the 42 of a share of 5 %",
    )
    assert "warning: the floor of 2" in str(report)
    assert sum(part.by_floor for part in report.parts) == 300 - 42


def test_nothing_is_replayed_only_where_that_is_said() -> None:
    mix, report = NEW.with_replay({"trec": TREC}, share=0)
    assert mix == NEW
    assert (report.taken, report.warnings) == (0, ())
    tiny = labelled("new", {"x": 3})
    assert tiny.with_replay({"trec": TREC}, share=0.01, floor=0)[1].taken == 1


def test_labels_that_are_left_out_are_told() -> None:
    _, report = NEW.with_replay({"trec": TREC}, share=0.001, floor=0)
    assert report.taken == 1
    assert "5 labels of old tasks not replayed" in report.warnings[0]


def test_rows_say_where_they_come_from() -> None:
    mix, _ = NEW.with_replay({"trec": TREC}, share=0.1, task="reviews")
    ids = [row.id for row in mix]
    assert len(set(ids)) == len(ids)
    for row in mix:
        if row.meta["task"] == "trec":
            assert row.id.startswith("trec/trec.csv:")
        else:
            assert row.meta["task"] == "reviews"
            assert row.id.startswith("reviews.csv:")
        assert "n" in row.meta
    assert any(row.meta["task"] == "trec" for row in mix.head(200)), "old rows stand in a block"


def test_new_rows_are_left_as_they_are_unless_their_task_is_named() -> None:
    mix, _ = NEW.with_replay({"trec": TREC})
    assert Counter(row.meta.get("task") for row in mix) == {None: 800, "trec": 42}


def test_an_old_row_that_is_asked_anew_is_not_replayed() -> None:
    relabelled = tk.Dataset(row.replace(label="other") for row in TREC.head(150))  # all of "num" but 50
    mix, report = NEW.concat(relabelled).with_replay({"trec": TREC}, share=0.25)
    [num] = [part for part in report.parts if part.label == "num"]
    assert (num.rows, num.in_new, num.available) == (200, 150, 50)
    inputs = Counter(row.text for row in mix if isinstance(row, LabelledExample))
    assert max(inputs.values()) == 1


def test_an_old_row_that_occurs_twice_is_taken_once() -> None:
    twice = TREC.concat(TREC)
    mix, report = NEW.with_replay({"trec": twice}, share=0.5)
    assert sum(part.available for part in report.parts) == len(TREC)
    assert len({row.text for row in mix if isinstance(row, LabelledExample)}) == len(mix)


def test_where_there_is_less_than_asked_all_of_it_is_taken_and_told() -> None:
    few = labelled("few", {"a": 5})
    mix, report = NEW.with_replay({"few": few}, share=0.2)
    assert (report.taken, len(mix)) == (5, 805)
    assert report.warnings == ("there are 5 old rows to replay, and 200 were asked for",)


def test_one_dataset_is_parted_by_the_tasks_in_its_meta() -> None:
    mixed, _ = tk.Dataset.mix({"trec": TREC, "few": labelled("few", {"a": 50})}, size=300)
    unnamed = labelled("plain", {"b": 50})
    mix, report = NEW.with_replay(mixed.concat(unnamed), share=0.1)
    assert set(report.tasks) == {"trec", "few", "old"}
    replayed = [row for row in mix if "task" in row.meta]
    # Ids that a mix has given already are not put behind the task's name a second time.
    assert {row.id.count("/") for row in replayed} == {1}


def test_a_replay_of_a_replay_keeps_ids_unique() -> None:
    first, _ = NEW.with_replay({"trec": TREC}, share=0.2, task="reviews")
    newer = labelled("later", {"x": 300})
    second, report = newer.with_replay(
        first.concat(first.map(lambda row: row.replace(text=f"{row.id} again")))
    )
    ids = [row.id for row in second]
    assert len(set(ids)) == len(ids)
    assert set(report.tasks) == {"trec", "reviews"}


def test_completions_are_told_apart_where_they_look_like_labels() -> None:
    short = tk.Dataset(CompletionExample(prompt=f"p{n}", completion=f"c{n % 3}") for n in range(90))
    prose = tk.Dataset(CompletionExample(prompt=f"q{n}", completion=f"an answer {n}") for n in range(90))
    _, report = NEW.with_replay({"short": short, "prose": prose}, share=0.05)
    assert [(part.task, part.label) for part in report.parts] == [
        ("short", "c0"), ("short", "c1"), ("short", "c2"), ("prose", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("system", [None, "Name the topic."])
def test_chats_with_one_short_answer_are_told_apart_by_it(system: str | None) -> None:
    pairs = tk.Dataset(
        CompletionExample(prompt=f"p{n}", completion="rare" if n == 7 else "common") for n in range(900)
    )
    chats = pairs.to_chat(system=system)
    _, report = NEW.with_replay({"topics": chats}, share=0.05)
    assert [(part.label, part.taken) for part in report.parts] == [("common", 41), ("rare", 1)]


def test_chats_are_told_apart_by_task_or_as_told() -> None:
    def chat(n: int) -> ChatExample:
        turns = (
            Message(role="user", content=f"Question {n}"),
            Message(role="assistant", content=f"Answer {n}"),
        )
        return ChatExample(messages=turns, meta={"topic": n % 2})

    chats, newer = tk.Dataset(map(chat, range(60))), tk.Dataset(map(chat, range(60, 120)))
    _, report = newer.with_replay({"chats": chats}, share=0.1)
    assert [(part.label, part.taken) for part in report.parts] == [("", 7)]
    _, report = newer.with_replay({"chats": chats}, share=0.1, by=lambda row: row.meta["topic"])
    assert [(part.label, part.taken) for part in report.parts] == [("0", 4), ("1", 3)]
    _, report = NEW.with_replay({"trec": TREC}, by=False)
    assert [part.label for part in report.parts] == [""]


def test_the_draw_is_the_same_everywhere_and_moves_little_as_old_data_grow() -> None:
    def taken(old: tk.Dataset, seed: int = 0) -> set[str]:
        mix, _ = NEW.with_replay({"trec": old}, share=0.1, seed=seed)
        return {row.id for row in mix if row.meta.get("task") == "trec"}

    backwards = tk.Dataset(reversed(tuple(TREC)))
    assert taken(TREC) == taken(backwards)
    assert taken(TREC) != taken(TREC, seed=1)
    grown = TREC.concat(labelled("more", {"num": 10, "loc": 8}))
    assert len(taken(TREC) & taken(grown)) >= 0.9 * len(taken(TREC))


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 60), min_size=1, max_size=8),
    st.integers(0, 200),
    st.integers(0, 5),
)
def test_allotments_keep_floors_and_totals(sizes: dict[str, int], wanted: int, floor: int) -> None:
    available = {("task", label): count for label, count in sizes.items()}
    found, raised = allotted(available, wanted, floor)
    least = {place: min(floor, count) for place, count in available.items()}
    assert all(least[place] <= found[place] <= available[place] for place in available)
    assert sum(found.values()) == max(min(wanted, sum(available.values())), sum(least.values()))
    assert all(0 <= raised[place] <= least[place] for place in available)
    # Nobody above the floor has less than another who is smaller.
    above = sorted((available[place], found[place]) for place in available if found[place] > least[place])
    assert all(one[1] <= other[1] + 1 for one, other in pairwise(above))


@given(st.integers(1, 10_000), st.integers(1, 99))
def test_the_share_is_of_the_mix_to_the_nearest_row(new: int, percent: int) -> None:
    found = rows_for(new, percent / 100)
    exact = new * percent / (100 - percent)
    assert found == 1 if exact < 1 else abs(found - exact) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("old", "options", "says"),
    [
        ({"trec": TREC}, {"share": 1.0}, "share is 1.0"),
        ({"trec": TREC}, {"share": -0.1}, "share is -0.1"),
        ({"trec": TREC}, {"share": "5 %"}, "share is '5 %'"),
        ({"trec": TREC}, {"floor": -1}, "floor is -1"),
        ({"trec": TREC}, {"by": "label"}, "by is 'label'"),
        ({"trec": TREC}, {"seed": "x"}, "seed is 'x'"),
        ({"trec": TREC}, {"task": ""}, "task is ''"),
        ({}, {}, "there are no old rows"),
        ({"trec": tk.Dataset()}, {}, "'trec' has no rows"),
        ([1, 2], {}, "not an example"),
    ],
)
def test_wrong_arguments_are_named(old: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(tk.SpecError, match=says) as caught:
        NEW.with_replay(old, **options)
    assert caught.value.hint


def test_without_new_rows_there_is_nothing_to_add_to() -> None:
    with pytest.raises(tk.SpecError, match="no new rows"):
        tk.Dataset().with_replay({"trec": TREC})


def test_a_first_round_says_that_it_has_nothing_to_replay() -> None:
    mix, report = NEW.with_replay({}, share=0)
    assert mix == NEW
    assert str(report).startswith("800 new rows, 0 old rows")
