"""The words outside a method's range, and silence inside it."""

from __future__ import annotations

import pytest

from tunekit.evaluation import stats


@pytest.mark.parametrize(
    ("said", "silent", "number"),
    [
        (stats.t_warning(29), stats.t_warning(30), "29"),
        (stats.bootstrap_warning(99), stats.bootstrap_warning(100), "99"),
        (stats.bootstrap_warning(99, groups=True), stats.bootstrap_warning(100, groups=True), "99 groups"),
        (stats.disagreements_warning(5, 4), stats.disagreements_warning(5, 5), "9"),
        (stats.clusters_warning([*range(9)] * 20), stats.clusters_warning([*range(10)] * 20), "9"),
        (stats.clusters_warning([*range(20), *[0] * 80]), stats.clusters_warning([*range(40)]), "1.5"),
        (stats.sign_flip_warning(5), stats.sign_flip_warning(6), "0.0625"),
        (stats.runs_warning(2, 5), stats.runs_warning(3, 3), "2 and 5"),
        (stats.runs_warning(1, 5), stats.runs_warning(4, 5), "one run of a"),
    ],
)
def test_words_outside_and_silence_inside(said: str | None, silent: str | None, number: str) -> None:
    assert silent is None
    assert said is not None and number in said


def test_sign_flips_of_five_can_never_be_significant() -> None:
    assert stats.sign_flip([1.0] * 5) == 0.0625
    assert stats.sign_flip([1.0] * 6) < 0.05
