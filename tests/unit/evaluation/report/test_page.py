"""The page as a browser reads it: whole, safe, bounded, and with everything that a decision needs."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.report.made import FEW, comparison, evaluation
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.leakage import Leak, Leakage
from tunekit.evaluation.report import words
from tunekit.evaluation.report.html import page
from tunekit.evaluation.results import Evaluation

_VOID = {"meta"}
_HOSTILE = (
    "</title></style><script>alert(1)</script><img src=x onerror=x>\x1b[31m\u202e'\"&amp;--><svg/onload=x>"
)
_HEADINGS = (
    "What was found",
    "Know before believing it",
    "What changed",
    "Parts of the test",
    "Which class is taken for which",
    "Is it as sure as it is right?",
    "Cost",
    "How this was made",
)


class _Page(HTMLParser):
    """Tags that must be closed in order, attributes, and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def read(result: Comparison | Evaluation) -> _Page:
    """The page of a result, which must be well-formed."""
    found = _Page(page(result))
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def whole() -> Comparison:
    return comparison(200, rule=Rule(margin=0.01))


def test_the_verdict_comes_first_and_in_words(whole: Comparison) -> None:
    shown = read(whole).text
    assert whole["accuracy"].verdict == "better"
    assert shown.index("It passes.") < shown.index("Better") < shown.index("What changed")
    assert words.sentence(whole["accuracy"]) in shown


@pytest.mark.parametrize(
    ("right", "rule", "said"),
    [
        ((0.9, 0.6), Rule(), "It does not pass."),
        ((0.8, 0.81), Rule(), "This test cannot tell."),
        ((0.8, 0.8), Rule(margin=0.3), "No difference that matters"),
        ((0.8, 0.8), Rule(margin=0.3, min_gain=0.3), "It does not pass."),
    ],
)
def test_every_verdict_has_its_words(right: tuple[float, float], rule: Rule, said: str) -> None:
    assert said in read(comparison(120, rule=rule, right=right, corpus=False, weighed=False)).text


def test_everything_that_a_decision_needs_is_there(whole: Comparison) -> None:
    shown = read(whole)
    for heading in _HEADINGS:
        assert heading in shown.text
    assert "always answering 'billing'" in shown.text
    assert "language = العربية" in shown.text
    assert shown.tags["svg"] == 2 * 2 + 2 + 1, "two for each scorer, its slices, one reliability plot"
    fixed = whole["accuracy"].newly_fixed
    assert fixed[0] in shown.text
    assert f"{len(fixed) - 12} more items in the JSON" in shown.text


def test_the_matrix_holds_every_pair_of_both_models(whole: Comparison) -> None:
    cells = re.findall(r'<td class="(right|wrong)" style="--share:(\d+)">([\d,]+)</td>', page(whole))
    assert sum(int(count) for _, _, count in cells) == 2 * 200
    right = sum(int(count) for kind, _, count in cells if kind == "right")
    assert right == sum(
        round(200 * side.value.estimate) for side in (whole["accuracy"].a, whole["accuracy"].b)
    )
    assert all(1 <= int(share) <= 10 for _, share, _ in cells)


def test_people_who_do_not_see_it_can_read_it(whole: Comparison) -> None:
    shown = read(whole)
    assert shown.tags["main"] == shown.tags["header"] == shown.tags["footer"] == shown.tags["h1"] == 1
    assert shown.tags["title"] >= 1 + shown.tags["svg"]
    assert ("lang", "en") in shown.attributes
    labelled = {value for name, value in shown.attributes if name == "aria-labelledby"}
    assert labelled <= {value for name, value in shown.attributes if name == "id"}
    assert shown.tags["section"] == len(labelled)
    scopes = [value for name, value in shown.attributes if name == "scope"]
    assert len(scopes) == shown.tags["th"]
    ids = [value for name, value in shown.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_nothing_runs_and_nothing_is_fetched(whole: Comparison) -> None:
    html = page(whole)
    shown = _Page(html)
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    ) in [each for each in shown.attributes if each[0] == "content"]
    assert not set(shown.tags) & {"script", "img", "iframe", "link", "a", "form", "object", "base"}
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in re.sub("http-equiv", "", html)


def hostile(made: Evaluation, text: str) -> Evaluation:
    """The same with this text wherever a stranger can write."""
    items = tuple(
        item.model_copy(
            update={
                "id": f"{item.id}{text}",
                "prompt": text,
                "answer": text,
                "finish_reason": "length",
                "choices": {"accuracy": text} if item.scores["accuracy"] == 0.0 else item.choices,
                "slices": {text: text},
                "errors": {text: text},
            }
        )
        for item in made.items
    )
    return made.model_copy(update={"items": items, "warnings": (text,)})


@pytest.fixture(scope="module")
def small() -> tuple[Evaluation, Evaluation]:
    return (
        evaluation("local:a", 30, FEW, 0.5, 1, corpus=False, weighed=False),
        evaluation("local:b", 30, FEW, 0.9, 2, corpus=False, weighed=False),
    )


def test_hostile_text_is_only_text(small: tuple[Evaluation, Evaluation]) -> None:
    found = compare_evaluations(hostile(small[0], _HOSTILE), hostile(small[1], _HOSTILE))
    for result in (found, found.evaluations[0]):
        html, shown = page(result), read(result)
        assert not set(shown.tags) & {"script", "img", "iframe", "link"}
        assert not [name for name, _ in shown.attributes if name.startswith("on") or name in ("src", "href")]
        assert "<script>alert(1)</script>" in shown.text
        assert "\\u001b[31m\\u202e" in shown.text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_gives_a_page_of_the_same_shape(small: tuple[Evaluation, Evaluation], text: str) -> None:
    found = compare_evaluations(hostile(small[0], text), hostile(small[1], text))
    tame = compare_evaluations(hostile(small[0], "x"), hostile(small[1], "x"))
    html = page(found)
    html.encode()
    assert read(found).tags.keys() == read(tame).tags.keys()
    assert page(found) == html


def test_a_long_text_folds_and_what_is_left_out_is_counted(small: tuple[Evaluation, Evaluation]) -> None:
    long = "word " * 2_000
    found = compare_evaluations(hostile(small[0], long), hostile(small[1], long))
    shown = read(found)
    assert "(10,000 characters)" in shown.text
    assert "6,000 more characters in the JSON" in shown.text


def test_a_large_test_makes_no_large_page() -> None:
    """10,000 items of 77 classes, as banking77 has, with every example kept."""
    names = [f"class_with_a_long_name_{at}" for at in range(77)]
    found = comparison(10_000, names, corpus=False, weighed=False)
    html = page(found)
    assert len(html.encode()) < 120_000
    shown = read(found)
    assert "65 more classes" in shown.text
    assert "all other classes" in str(shown.attributes) + shown.text


def test_less_is_better_is_drawn_and_said_the_right_way_round(small: tuple[Evaluation, Evaluation]) -> None:
    def turned(made: Evaluation) -> Evaluation:
        metric = made["accuracy"].model_copy(update={"higher_is_better": False, "baseline": None})
        return made.model_copy(update={"metrics": {"accuracy": metric}})

    found = compare_evaluations(turned(small[0]), turned(small[1]), Rule(margin=0.01))
    assert found["accuracy"].verdict == "worse"
    html = page(found)
    assert html.index("b is better</text>") < html.index("a is better</text>")
    assert "less is better" in read(found).text


def test_a_difference_that_data_do_not_bound_is_drawn(small: tuple[Evaluation, Evaluation]) -> None:
    found = compare_evaluations(*small)
    metric: Any = found["accuracy"]
    endless = metric.model_copy(
        update={
            "delta": type(metric.delta)(estimate=0.0, low=float("-inf"), high=float("inf"), level=0.95, n=30)
        }
    )
    html = page(found.model_copy(update={"metrics": {"accuracy": endless}}))
    places = re.findall(r' (?:x|y|cx|cy|d|width|height)="([^"]*)"', html)
    assert places
    assert not [place for place in places if re.search("nan|inf", place)]
    assert "The data bound nothing" in html


def test_a_long_reason_of_failure_is_not_cut(small: tuple[Evaluation, Evaluation]) -> None:
    reason = f"BackendError: {'refused ' * 100}at the end"
    items = tuple(item.model_copy(update={"errors": {"accuracy": reason}}) for item in small[0].items)
    assert reason in read(small[0].model_copy(update={"items": items})).text


def test_what_is_in_the_training_data_is_said(small: tuple[Evaluation, Evaluation]) -> None:
    looked = Leakage(n_items=30, n_rows=7, leaks=(Leak(item="i", row="r", how="near"),))
    found = compare_evaluations(small[0], small[1].model_copy(update={"leakage": looked}))
    assert looked.warnings[0] in read(found).text
