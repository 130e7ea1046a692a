"""What holds for every comparison: both orders mirror each other, nothing is better than itself, JSON keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.evaluation.results import Evaluation, ItemResult

MIRROR = {"better": "worse", "worse": "better", "equivalent": "equivalent", "inconclusive": "inconclusive"}
RULE = Rule(margin=0.03, max_error_rate=1.0)
LABELS = ("a", "b", "c")


every_kind = pytest.mark.parametrize(
    ("kind", "examples"),
    [("marks", 20), ("numbers", 20), ("classes", 2), pytest.param("classes", 200, marks=pytest.mark.soak)],
)


class Case(NamedTuple):
    """Two evaluations of one test."""

    a: Evaluation
    b: Evaluation


def rows(values: Sequence[float], clusters: Sequence[str | None], slices: Sequence[str]) -> list[ItemResult]:
    return scored(values, clusters=clusters, slices=[{"language": value} for value in slices])


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """Marks, numbers or classes, with or without groups, of which less or more is better."""
    n = draw(st.integers(1, 8 if kind == "classes" else 24))
    groups = st.none() if draw(st.booleans()) else st.one_of(st.none(), st.sampled_from("xyz"))
    clusters = draw(st.lists(groups, min_size=n, max_size=n))
    slices = draw(st.lists(st.sampled_from(["de", "en"]), min_size=n, max_size=n))
    if kind == "classes":
        return _classes(draw, n, clusters, slices)
    one = (
        st.sampled_from([0.0, 1.0])
        if kind == "marks"
        else st.integers(-8, 8).map(lambda eighths: eighths / 8)
    )
    values = [draw(st.lists(one, min_size=n, max_size=n)) for _ in range(2)]
    higher = draw(st.booleans())
    a, b = (rows(each, clusters, slices) for each in values)
    return Case(stored("a", a, higher_is_better=higher), stored("b", b, higher_is_better=higher))


def _classes(draw: st.DrawFn, n: int, clusters: Sequence[str | None], slices: Sequence[str]) -> Case:
    labels = st.lists(st.sampled_from(LABELS), min_size=n, max_size=n)
    references = draw(labels)

    def side(model: str) -> Evaluation:
        items = [
            item.model_copy(update={"cluster": clusters[at], "slices": {"language": slices[at]}})
            for at, item in enumerate(classified(references, draw(labels)))
        ]
        return stored(model, items, corpus="mcc")

    return Case(side("a"), side("b"))


def compared(a: Evaluation, b: Evaluation) -> MetricComparison:
    return compare_evaluations(a, b, RULE)["score"]


@every_kind
def test_models_that_change_places_mirror_everything(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=cases(kind))
    def check(case: Case) -> None:
        there, back = compared(case.a, case.b), compared(case.b, case.a)
        assert back.verdict == MIRROR[there.verdict]
        assert (there.wins, there.losses, there.ties) == (back.losses, back.wins, back.ties)
        assert (there.newly_fixed, there.newly_broken) == (back.newly_broken, back.newly_fixed)
        assert (there.a, there.b) == (back.b, back.a)
        ends = [there.delta.estimate, there.delta.low, there.delta.high]
        assert ends == pytest.approx([-back.delta.estimate, -back.delta.high, -back.delta.low], abs=1e-9)
        assert there.p_value == pytest.approx(back.p_value, abs=1e-12)
        assert (there.method, there.test, there.n_clusters) == (back.method, back.test, back.n_clusters)
        assert there.se == pytest.approx(back.se)
        for mine, other in zip(there.slices, back.slices, strict=True):
            assert (mine.column, mine.value, mine.n, mine.a, mine.b) == (
                other.column,
                other.value,
                other.n,
                other.b,
                other.a,
            )
            assert mine.p_adjusted == pytest.approx(other.p_adjusted, abs=1e-12)

    check()


@every_kind
def test_nothing_is_better_than_itself(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=cases(kind))
    def check(case: Case) -> None:
        found = compared(case.a, case.a)
        assert (found.delta.estimate, found.p_value, found.wins, found.losses) == (0.0, 1.0, 0, 0)
        assert found.delta.low <= 0.0 <= found.delta.high
        assert found.verdict in ("equivalent", "inconclusive")
        assert all(part.p_adjusted == 1.0 for part in found.slices)

    check()


@every_kind
def test_json_changes_nothing(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=cases(kind))
    def check(case: Case) -> None:
        report = compare_evaluations(*case, RULE)
        assert Comparison.from_json(report.to_json()) == report

    check()


@every_kind
def test_items_that_one_model_was_not_scored_on_count_for_neither(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=cases(kind), keep=st.integers(1, 24))
    def check(case: Case, keep: int) -> None:
        kept = {item.id for item in case.a.items[:keep]}
        assume(kept)
        holes = [
            item
            if item.id in kept
            else ItemResult(id=item.id, errors={"score": "timeout"}, slices=item.slices)
            for item in case.b.items
        ]
        metric = case.b["score"]
        options = {"corpus": metric.corpus, "higher_is_better": metric.higher_is_better}
        with_holes = compared(case.a, stored("b", holes, **options))  # type: ignore[arg-type]
        a, b = (
            stored(name, [item for item in side.items if item.id in kept], **options)  # type: ignore[arg-type]
            for name, side in (("a", case.a), ("b", case.b))
        )
        alone = compare_evaluations(a, b.model_copy(update={"provenance": a.provenance}), RULE)["score"]
        assert with_holes.n_paired == len(kept)
        for field in ("delta", "p_value", "wins", "losses", "slices", "newly_fixed", "design_effect", "se"):
            assert getattr(with_holes, field) == getattr(alone, field), field
        assert with_holes.a.value == alone.a.value and with_holes.b.value == alone.b.value
        assert set(with_holes.only_a) == {item.id for item in case.a.items} - kept

    check()


@every_kind
def test_both_sides_and_the_difference_add_up(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=cases(kind))
    def check(case: Case) -> None:
        found = compared(*case)
        assert found.a.value.estimate + found.delta.estimate == pytest.approx(
            found.b.value.estimate, abs=1e-9
        )
        assert found.wins + found.losses + found.ties == found.n_paired
        assert sum(part.n for part in found.slices) == found.n_paired

    check()
