"""Detectors of extras: what we ask of presidio and py3langid, and what is said where they are missing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tunekit.data import detectors
from tunekit.data.patterns.sensitive import Sensitive
from tunekit.errors import MissingExtraError, SpecError


@dataclass
class Result:
    entity_type: str
    start: int
    end: int


class StandIn:
    """Speaks as presidio's AnalyzerEngine does, and keeps what it was asked."""

    asked: dict[str, Any]

    def analyze(
        self, *, text: str, language: str, entities: list[str], score_threshold: float
    ) -> list[Result]:
        self.asked = {"language": language, "entities": entities, "score_threshold": score_threshold}
        return [Result("US_PASSPORT", 0, len(text))]


def test_presidio_is_asked_for_what_was_named_and_its_kinds_are_spelled_as_ours() -> None:
    analyzer = StandIn()
    find = detectors.presidio(analyzer, language="de", entities=["US_PASSPORT"], min_score=0.7)
    assert find("C123") == [Sensitive("us-passport", 0, 4)]
    assert analyzer.asked == {"language": "de", "entities": ["US_PASSPORT"], "score_threshold": 0.7}


@pytest.mark.parametrize(
    ("module", "extra", "make"),
    [("presidio_analyzer", "privacy", detectors.presidio), ("py3langid", "languages", detectors.langid)],
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, extra: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (module, f"{module}.langid"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        make()
    assert (caught.value.package, caught.value.extra) == (module, extra)


def test_presidio_without_its_model_is_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", sys)
    monkeypatch.setattr(detectors, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="en_core_web_lg") as caught:
        detectors.presidio()
    assert "spacy download" in str(caught.value.hint)


def test_langid_names_languages_and_stays_silent_where_it_would_guess() -> None:
    pytest.importorskip("py3langid", reason="the extra `languages` is not installed")
    language_of = detectors.langid()
    assert language_of("Where is my parcel? It should have come yesterday.") == "en"
    assert language_of("Où est mon colis ? Il devait arriver hier.") == "fr"
    assert language_of("안녕하세요, 반갑습니다.") == "ko"
    assert language_of("1234") is None
    assert language_of("") is None


def test_langid_refuses_a_language_it_does_not_know() -> None:
    pytest.importorskip("py3langid", reason="the extra `languages` is not installed")
    with pytest.raises(SpecError, match="Unknown language code"):
        detectors.langid(languages=["klingon"])
