r"""Characters that do not belong: found where they are damage, left alone where a language needs them, and mended.

Checks and fixes together, because each finding must be gone after its fix. Damage is made here, not copied.
"""

# ruff: noqa: RUF001 - letters of other languages that look alike are what is tested

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.strategies import example
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.characters import Characters
from tunekit.data.findings import Finding
from tunekit.data.fixes import characters
from tunekit.data.fixes.characters import CharacterFix
from tunekit.data.patterns.characters import compose
from tunekit.data.patterns.mojibake import repaired
from tunekit.examples import CompletionExample, Example, Message, PreferenceExample, ToolCall

FIXES: tuple[type[CharacterFix], ...] = tuple(CharacterFix.__subclasses__())
CONTEXT = CheckContext()


def check(*rows: Example) -> dict[str, Finding]:
    running = Characters(CONTEXT)
    for row in rows:
        running.see(row)
    return {finding.code: finding for finding in running.findings()}


def said(text: str) -> CompletionExample:
    return CompletionExample(id="a.csv:2", prompt="What?", completion=text)


def misread(text: str, encoding: str = "cp1252") -> str:
    """What UTF-8 becomes in a program that takes it for something else, as browsers read cp1252."""
    return "".join(bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in text.encode())


def mended(text: str, name: str) -> str:
    fix = next(cls for cls in FIXES if cls.name == name)(CONTEXT)
    once = fix.mended(text)
    assert fix.mended(once) == once
    return once


# --- what is found and what becomes of it ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "after"),
    [
        ("nul\x00l", "control-characters", "null"),
        ("one\x1ftwo", "control-characters", "one two"),
        ("one\r\ntwo\rthree\u2028four\x0cfive", "line-ends", "one\ntwo\nthree\nfour\nfive"),
        ("\x1b[1;31mred\x1b[0m", "terminal-escapes", "red"),
        ("\x1b]0;title\x07prompt", "terminal-escapes", "prompt"),
        ("N\x08NA\x08AM\x08ME\x08E", "terminal-escapes", "NAME"),
        ("a\x08 picture", "terminal-escapes", "a picture"),
        ("\\(\x0crac{1}{2}\\)", "lost-backslashes", "\\(\\frac{1}{2}\\)"),
        ("\ufeffstart", "invisible-characters", "start"),
        ("word\u200bword", "invisible-characters", "wordword"),
        ("soft\xadhyphen", "invisible-characters", "softhyphen"),
        ("plain\u200e text", "invisible-characters", "plain text"),
        ("join\u200der", "invisible-characters", "joiner"),
        ("invoice\u202efdp.exe", "direction-overrides", "invoicefdp.exe"),
        ("Hi\U000e0049\U000e0067\U000e006e!", "hidden-text", "Hi!"),
        ("A\ufe01\ufe05\ufe0a", "hidden-text", "A"),
        ("my\xa0card", "odd-spaces", "my card"),
        ("a\u3000b", "odd-spaces", "a b"),
        ("half \ud83d", "unpaired-surrogates", "half \ufffd"),
        ("\ud83d\ude00", "unpaired-surrogates", "😀"),
        ("cafe\u0301", "decomposed-characters", "café"),
        ("\u0958\u0932\u092e", "decomposed-characters", "\u0915\u093c\u0932\u092e"),  # form C takes it apart
        ("Tom &amp; Jerry", "html-entities", "Tom & Jerry"),
        ("&amp;amp;lt;", "html-entities", "<"),
        ("caf&eacute; &#39;X&#39;", "html-entities", "café 'X'"),
        ("It\x92s", "mojibake", "It\u2019s"),
    ],
)
def test_a_flaw_is_found_and_its_fix_mends_it(text: str, code: str, after: str) -> None:
    finding = check(said(text))[code]
    assert finding.rows == ("a.csv:2",)
    assert [place.field for place in finding.places] == ["completion"]
    assert finding.fix is not None
    assert mended(text, finding.fix.name) == after
    assert code not in check(said(after))


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n\tif x:\n\t    return '  '\n",  # code: tabs and leading spaces
        "👩\u200d🍳 and ❤\ufe0f and 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",  # Persian: a joiner keeps letters apart
        "क\u094d\u200dष",  # Hindi: a joiner asks for a half letter
        "ภาษา\u200bไทย",  # Thai: where a line may break
        "\u200fשלום (abc)\u200e",  # Hebrew: direction marks
        "«\xa0Tu viens\xa0?\xa0» 10\xa0000\xa0€",  # French typography
        "spotkanie z\xa0tobą",  # Polish: no line may end after "z"
        "全角\u3000空白",
        "<p>Tom &amp; Jerry</p>",  # HTML needs its entities
        "write `&amp;`:\n```\n&amp;\n```",
        "return &sum; &image; R&D; AT&T;",
        "ДНК и iPhone'ы",
        "«MENÜ…» ‘É’ „Ä“ ¿QUÉ? ENTRÉ\xa0» está»…",
        "Ångström Å² ß× 3×½ naïve Straße",
        "",
    ],
)
def test_what_belongs_is_no_flaw(text: str) -> None:
    assert check(said(text)) == {}
    for fix in FIXES:
        assert fix(CONTEXT).apply(said(text)) == said(text)


def test_what_is_lost_is_reported_without_a_fix() -> None:
    lost = check(said("God\ufffds window"))["replacement-characters"]
    assert lost.fix is None
    assert "encoding=" in lost.message
    assert check(said("p\u0430ypal"))["lookalike-letters"].fix is None


def test_evidence_shows_what_nobody_sees() -> None:
    place = check(said("word\u200bword"))["invisible-characters"].places[0]
    assert place.evidence == "word\\u200bword"


# --- mojibake --------------------------------------------------------------------------------------------

SENTENCES = (
    "Où êtes-vous ? L’été dernier, à Besançon, ça coûtait 15 €.",
    "Größe über alles: „Füße“ und Äpfel – schön!",
    "El niño comió piñas; ¿qué año? Está aquí.",
    "São Paulo: não há pão, mãe. Às três.",
    "Zażółć gęślą jaźń, łódź.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "İstanbul’da şöyle güzel bir çiçek.",
    "Tôi muốn được giúp đỡ về việc này, cảm ơn.",
    "Привет, как дела? Всё хорошо.",
    "Καλημέρα, τι κάνεις;",
    "שלום לכולם, מה נשמע?",
    "こんにちは、元気ですか。",
    "안녕하세요, 반갑습니다.",
    "你好，今天怎么样？",
    "नमस्ते, आप कैसे हैं?",
    "Great job 😀🎉 → done ✓",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_text_that_was_misread_is_repaired_and_text_that_was_not_is_left(text: str) -> None:
    assert repaired(misread(text)) == text
    assert repaired(misread(text, "latin-1")) == text
    assert repaired(misread(misread(text))) == text
    assert repaired(text) == text
    assert repaired(text.upper()) == text.upper()


@pytest.mark.parametrize(
    "text", ["days.Ì¬n't", "‹Û¬ud"]
)  # misread twice, by other programs: no repair is right
def test_what_cannot_be_undone_is_left(text: str) -> None:
    assert repaired(text) == text


def test_half_of_a_misread_character_is_kept_for_its_repair() -> None:
    text = misread(
        "así, à la carte, “so” it went"
    )  # í holds a soft hyphen, à a no-break space, ” a control character
    for name in ("strip-control", "strip-zero-width", "replace-nbsp", "normalise-newlines", "nfc"):
        text = mended(text, name)
    assert mended(text, "repair-mojibake") == "así, à la carte, “so” it went"


ACCENTS = {
    "French": "àâæçéèêëîïôœùûüÿ",
    "German": "äöüß",
    "Spanish": "áéíñóúü",
    "Portuguese": "àáâãçéêíóôõú",
    "Italian": "àèéìòù",
    "Czech": "áčďéěíňóřšťúůýž",
    "Polish": "ąćęłńóśźż",
    "Scandinavian": "åäæöø",
    "Estonian": "äõöüšž",
    "Turkish": "âçğıİîöşüû",
    "Romanian": "ăâîșț",
    "Vietnamese": "ăâđêôơưạếộ",
}
CLOSING = "\xa0 …–—’”»›.,:;!?)"


def words_in(language: str) -> st.SearchStrategy[str]:
    """Syllables of a consonant and another letter; an accent may begin a word."""
    letters = st.sampled_from(ACCENTS[language] + "aeiou")
    syllables = st.lists(st.tuples(st.sampled_from("bcdlmnrst"), letters).map("".join), max_size=4).map(
        "".join
    )
    words = st.tuples(st.just("") | letters, syllables, st.sampled_from(["", "n", "t"])).map("".join)
    return words.filter(lambda word: word not in ("â", "ã"))  # words of no language, and half a misread quote


@settings(max_examples=300)
@given(
    st.sampled_from(list(ACCENTS)).flatmap(lambda language: st.lists(words_in(language), max_size=6)),
    st.lists(st.sampled_from(["«\xa0", "„", "“", "", "¿"]), min_size=6, max_size=6),
    st.lists(st.text(CLOSING, max_size=2), min_size=6, max_size=6),
)
def test_no_european_typography_looks_misread(
    words: list[str], opening: list[str], closing: list[str]
) -> None:
    styled = [word.upper() if index % 2 else word.capitalize() for index, word in enumerate(words)]
    text = " ".join(a + word + z for a, word, z in zip(opening, styled, closing, strict=False))
    assert repaired(text) == text


# --- every fix, on everything ---------------------------------------------------------------------------

NASTY = st.text(
    st.sampled_from(
        "aZeé. &;#amplt39<>/`x\r\n\t\x00\x07\x08\x0b\x0c\x1b[m]\x1f\x7f\x81\x85\x92\x9d\xa0\xad"
        "ÂÃÅâ€œ\u201dŸ\u0301\u0430\u05d0\u061c\u0915\u200b\u200c\u200d\u200e\u2009\u202a\u202e\u2028\u2060"
        "\u3000\u4e00\ufe0f\ufeff\ufffd\uf900\ud83d\ude00\U0001f3f4\U000e0067\U000e007f\U000e0100"
    ),
    max_size=40,
)


@pytest.mark.parametrize("text", ["&&#97;mp;", "&#&#1;39;", "&amp;#38;lt;", "&a&#109;p;"])
def test_unescaping_makes_no_new_entity(text: str) -> None:
    mended(text, "unescape-html")  # which asks whether twice is once


@settings(max_examples=400)
@given(NASTY)
def test_fixing_twice_is_fixing_once_and_the_finding_is_gone(text: str) -> None:
    for finding in check(said(text)).values():
        if finding.fix:
            after = mended(text, finding.fix.name)
            assert after != text
            assert finding.code not in check(said(after))


@settings(max_examples=60)
@given(example())
def test_rows_of_every_kind_keep_their_id_and_are_the_same_object_where_nothing_is_wrong(
    row: Example,
) -> None:
    for cls in FIXES:
        after = cls(CONTEXT).apply(row)
        assert after is not None
        assert after.id == row.id
        assert (after is row) == (after == row)
        again = cls(CONTEXT).apply(after)
        assert again == after
        assert not [f for f in check(after).values() if f.fix and f.fix.name == cls.name]


def test_every_text_of_a_row_is_seen_and_mended() -> None:
    call = ToolCall(id="1", name="f", arguments='{"q": "it\x92s &quot;here&quot;"}')
    turn = Message(role="assistant", reasoning="h\x00m", content="a\x00b", tool_calls=(call,))
    parts = ({"type": "text", "text": "x\x00"}, {"type": "image_url", "image_url": {"url": "u"}})
    user = Message(role="user", content="x\x00", parts=parts)
    row = PreferenceExample(id="a:1", messages=(user,), chosen=(turn,), rejected="n\x00o")
    places = check(row)["control-characters"].places
    assert [place.field for place in places] == [
        "messages[0].content",
        "chosen[0].reasoning",
        "chosen[0].content",
        "rejected",
    ]
    after = next(cls for cls in FIXES if cls.name == "strip-control")(CONTEXT).apply(row)
    assert isinstance(after, PreferenceExample)
    assert after.messages[0].content == "x"
    assert after.messages[0].parts == ({"type": "text", "text": "x"}, parts[1])
    assert after.rejected == "no"
    assert isinstance(after.chosen, tuple)
    assert (after.chosen[0].reasoning, after.chosen[0].content) == ("hm", "ab")


def test_arguments_of_calls_stay_json() -> None:
    call = ToolCall(id="1", name="f", arguments='{"q": "say &quot;hi&quot;", "n": 1}')
    row = PreferenceExample(
        id="a:1", messages=(), chosen=(Message(role="assistant", tool_calls=(call,)),), rejected="no"
    )
    after = characters.UnescapeHtml(CONTEXT).apply(row)
    assert isinstance(after, PreferenceExample) and isinstance(after.chosen, tuple)
    assert after.chosen[0].tool_calls[0].arguments == '{"q": "say \\"hi\\"", "n": 1}'
    assert "html-entities" not in check(after)


@pytest.mark.parametrize(
    "text",
    [
        piece * (100_000 // len(piece))
        for piece in ("&amp;", "\x1b]", "\x08a", "Ã", "Ãƒ", "\xa0", "\u200d", "é\xad", "\U000e0067")
    ]
    + ["Ã" + "ƒ" * 100_000, "&" + "amp;" * 25_000 + "x"],
    ids=lambda text: repr(text[:6]),
)
@pytest.mark.timeout(10)
def test_hostile_texts_are_quick(text: str) -> None:
    for finding in check(said(text)).values():
        if finding.fix:
            mended(text, finding.fix.name)


def test_every_code_can_be_found() -> None:
    text = "\x00\x0crac \x1b \xad\xa0 \r &amp; It\x92s \ufffd \ud800"
    text += "\u202e e\u0301 p\u0430y \U000e0067"
    assert tuple(check(said(text))) == Characters.codes


# Accents below and above, some of which are two, one that hides behind a class of 0, letters, marks that decompose.
MARKS = st.sampled_from("\u0301\u0323\u0327\u0344\u0308\u0f71\u0f72\u0f73\u0f81=\u0338\u037e(\u3099")


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("aeo か"), max_size=3), st.lists(MARKS, min_size=50, max_size=150))
def test_many_accents_are_composed_as_unicode_says(letters: str, marks: list[str]) -> None:
    text = letters + "".join(marks) + letters
    assert compose(text) == unicodedata.normalize("NFC", text)


def test_a_run_of_accents_takes_no_quadratic_time() -> None:
    row = said("a" + "\u0301\u0323\u0f73" * 100_000)
    start = time.process_time()
    fixed = characters.Nfc(CONTEXT).apply(row)
    assert time.process_time() - start < 10  # minutes, if it did
    assert isinstance(fixed, CompletionExample)
    assert unicodedata.is_normalized("NFC", fixed.completion)
