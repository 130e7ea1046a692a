r"""Secrets and personal data: what is found, what is not, what masking leaves, and that no report shows a value.

Keys are put together from pieces at run time, so that no scanner of repositories takes this file for a leak.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.strategies import example
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.privacy import Privacy
from tunekit.data.dataset import Dataset
from tunekit.data.findings import Finding
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.privacy import DropPersonalData, DropSecrets, MaskPersonalData, MaskSecrets
from tunekit.data.patterns import personal, secrets
from tunekit.data.patterns.sensitive import Sensitive
from tunekit.data.views import texts
from tunekit.examples import ChatExample, CompletionExample, Example, Message, PromptExample, ToolCall

CONTEXT = CheckContext()
FIXES: tuple[type[Fix], ...] = (MaskSecrets, MaskPersonalData, DropSecrets, DropPersonalData)
SIXTEEN = "QWERTYUIOPASDFGH"
RANDOM = "8fK2mQz7Lw0Xb3Vn9RtYc5Jd1Hs6Gp4TaEoUiWlSkNvBqMrZxFyDhCjP"


def check(*rows: Example, context: CheckContext = CONTEXT) -> dict[str, Finding]:
    running = Privacy(context)
    for row in rows:
        running.see(row)
    return {finding.code: finding for finding in running.findings()}


def said(text: str, prompt: str = "What?") -> CompletionExample:
    return CompletionExample(id="a.csv:2", prompt=prompt, completion=text)


def mended(row: Example, fix: type[Fix], context: CheckContext = CONTEXT) -> Example:
    once = fix(context).apply(row)
    assert once is not None
    assert fix(context).apply(once) == once
    return once


def after(row: Example, fix: type[Fix] = MaskPersonalData) -> list[str]:
    return [text for _, text, _ in texts(mended(row, fix))]


# --- secrets --------------------------------------------------------------------------------------------

SECRETS = {
    "aws-access-key": "AKIA" + SIXTEEN,
    "google-api-key": "AIza" + RANDOM[:35],
    "google-client-secret": "GOCSPX-" + RANDOM[:28],
    "github-token": "ghp_" + RANDOM[:36],
    "gitlab-token": "glpat-" + RANDOM[:20],
    "openai-key": "sk-proj-" + RANDOM,
    "anthropic-key": "sk-ant-api03-" + RANDOM + RANDOM,
    "huggingface-token": "hf_" + RANDOM[:34],
    "slack-token": "xoxb-" + "123456789012-" + RANDOM[:24],
    "stripe-key": "sk_live_" + RANDOM[:24],
    "npm-token": "npm_" + RANDOM[:36],
    "sendgrid-key": "SG." + RANDOM[:22] + "." + RANDOM[:43],
    "json-web-token": "eyJ" + RANDOM[:20] + ".eyJ" + RANDOM[:30] + "." + RANDOM[:43],
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_published_forms_of_keys_are_found_and_masked_whole(kind: str) -> None:
    value = SECRETS[kind]
    row = said(f"Use {value}, please.")
    found = check(row)["secrets"]
    assert (found.severity, found.facts) == ("error", {"kinds": {kind: 1}})
    assert found.fix is not None and found.fix.name == "mask-secrets"
    assert after(row, MaskSecrets)[1] == f"Use [{kind.upper().replace('-', '_')}_1], please."
    assert check(mended(row, MaskSecrets)) == {}
    assert DropSecrets(CONTEXT).apply(row) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"postgres://app:{RANDOM[:12]}@db.internal/app", RANDOM[:12]),
        (f'password = "{RANDOM[:10]}"', RANDOM[:10]),
        (f"My password is {RANDOM[:10]}", RANDOM[:10]),
        (f'{{"client_secret": "{RANDOM[:24]}"}}', RANDOM[:24]),
        (f"X_API_KEY={RANDOM[:32]}", RANDOM[:32]),
    ],
)
def test_what_is_assigned_to_the_name_of_a_secret_is_found(text: str, value: str) -> None:
    row = said(text)
    found = check(row)
    assert found.keys() <= {"secrets", "possible-secrets"} and found
    assert value not in after(row, MaskSecrets)[1]


@pytest.mark.parametrize(
    "text",
    [
        "password = request.form['password']",
        "token = tokenizer.next_token(stream)",
        'api_key = "your_api_key_here_123"',
        "api_key=${OPENAI_API_KEY} or os.environ['KEY']",
        "The secret is: three tablespoons of sugar.",
        "postgres://user:password@localhost/db",
        "max_tokens: 4096, token: str, tokens=128",
        "token = aaaaaaaa11111111, token: k3y5x7z9",
        "task-list risk-ant-eater sk-learn skip-forward",
        "AKIA is the prefix of access keys",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "https://example.com/a?b=c:d@e",
    ],
)
def test_talk_of_secrets_is_no_secret(text: str) -> None:
    assert check(said(text)) == {}


# --- personal data --------------------------------------------------------------------------------------

PERSONAL = {
    "ann.lee+x@mail.acme.co.uk": "email",
    "+44 20 7946 0958": "phone",
    "+1 (212) 867-5309": "phone",
    "+4915123456789": "phone",
    "0049 30 1234567": "phone",
    "(212) 867-5309": "phone",
    "212-867-5309": "phone",
    "020 7946 0958": "phone",
    "06 12 34 56 78": "phone",
    "010-2345-6789": "phone",
    "09061701461": "phone",
    "4111 1111 1111 1111": "card",
    "5500-0055-5555-5559": "card",
    "378282246310005": "card",
    "DE89 3704 0044 0532 0130 00": "bank-account",
    "GB29NWBK60161331926819": "bank-account",
    "NL91 ABNA 0417 1643 00": "bank-account",
    "FR14 2004 1010 0505 0001 3M02 606": "bank-account",
    "219-09-9999": "social-security-number",
    "81.2.69.142": "ip-address",
    "2a00:1450:4009:81f::200e": "ip-address",
}


@pytest.mark.parametrize("value", PERSONAL)
def test_personal_data_are_found_with_their_kind_and_masked_whole(value: str) -> None:
    row = said(f"It is {value}, thanks.")
    found = check(row)["personal-data"]
    assert found.facts == {"kinds": {PERSONAL[value]: 1}}
    assert after(row)[1] == f"It is [{PERSONAL[value].upper().replace('-', '_')}_1], thanks."
    assert check(mended(row, MaskPersonalData)) == {}
    assert DropPersonalData(CONTEXT).apply(row) is None


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com, git@github.com:a/b.git, you@yourdomain.com, noreply@acme.org",
        "@decorator\ndef f(x): return a@b",
        "It was 2023-01-15 10:30:00, or 15/01/2023, or 01-02-2003 10:30. On 01-02-2003 15 came.",
        "48+24 = 72 and 12345678901 and 1,234,567.89 and 0.123456789 and 3.14159265358979",
        "version 81.2.69.142, Chrome/120.0.0.0, see 3.1.2.4, 10.0.0.1, 192.168.1.20, 300.1.2.3",
        "4111 1111 1111 1112",  # the check digit is wrong
        "1234 5678 9012 3456 7890",
        "DE89 3704 0044 0532 0130 01",
        "ISBN 978-3-16-148410-0, order 0000123456, UUID 123e4567-e89b-12d3-a456-426614174000",
        "555-867-5309 and (212) 555-0123",  # reserved for films
        "0123456789 and 0987654321",
        "for (i = 0; i < 1000000; i++) { x[i] = 1e-10; }",
        "GB12 ABCD 1234 5678 9012 34",
        "std::vector<int>::iterator 10:30:45",
        "lat 51.5073509, lon -0.1277583; 2 (15531.185 eV)",
    ],
)
def test_other_numbers_and_addresses_are_nobodys(text: str) -> None:
    assert check(said(text)) == {}


def test_the_same_value_has_the_same_placeholder_in_all_texts_of_a_row() -> None:
    row = ChatExample(
        id="a:1",
        messages=(
            Message(role="user", content="I am ann@acme.org, not bob@acme.org. [EMAIL_2] was masked before."),
            Message(role="assistant", content="Thanks, ann@acme.org."),
        ),
    )
    assert after(row) == [
        "I am [EMAIL_1], not [EMAIL_3]. [EMAIL_2] was masked before.",
        "Thanks, [EMAIL_1].",
    ]


def test_arguments_of_calls_stay_json_when_a_number_is_masked() -> None:
    arguments = '{"card": 4111111111111111, "to": "ann@acme.org", "amount": 7}'
    call = ToolCall(id="1", name="pay", arguments=arguments)
    row = ChatExample(id="a:1", messages=(Message(role="assistant", tool_calls=(call,)),))
    masked = json.loads(after(row)[1])
    assert masked == {"card": "[CARD_1]", "to": "[EMAIL_1]", "amount": 7}


def test_references_of_graders_are_masked_with_the_conversation() -> None:
    row = PromptExample(
        id="a:1",
        messages=(Message(role="user", content="Who is it? ann@acme.org"),),
        reference={"answer": "ann@acme.org", "all": [{"mail": "bob@acme.org"}]},
    )
    masked = mended(row, MaskPersonalData)
    assert isinstance(masked, PromptExample)
    assert masked.reference == {"answer": "[EMAIL_1]", "all": [{"mail": "[EMAIL_2]"}]}


# --- reports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*SECRETS.values(), *PERSONAL])
def test_no_finding_shows_a_value(value: str) -> None:
    for finding in check(said(f"It is {value}!")).values():
        shown = json.dumps(finding.to_dict()) + str(finding)
        assert value not in shown
        pieces = [piece for piece in value.replace("-", " ").split() if len(piece) > 3 and piece.isalnum()]
        assert not any(piece in shown for piece in pieces if piece not in ("BEGIN", "PRIVATE", "xoxb"))
        assert all(len(place.evidence) <= 40 for place in finding.places)


def test_fixes_hide_what_they_take_away_and_say_why_a_row_was_left_out() -> None:
    assert all(fix.hides and fix.safety == "lossy" for fix in FIXES)
    row = said("ann@acme.org and +44 20 7946 0958")
    assert DropPersonalData(CONTEXT).reason(row) == "holds email, phone"


# --- detectors of the host --------------------------------------------------------------------------------


def names(text: str) -> Iterable[Sensitive]:
    """A detector that knows one name, and takes placeholders for one too, as models do."""
    for name in ("Ann Lee", "EMAIL_1"):
        at = text.find(name)
        if at >= 0:
            yield Sensitive("person", at, at + len(name))


def test_a_detector_adds_to_what_patterns_find() -> None:
    context = CheckContext(find_personal_data=names)
    row = said("Ann Lee <ann@acme.org>")
    assert check(row, context=context)["personal-data"].facts == {"kinds": {"person": 1, "email": 1}}
    masked = mended(row, MaskPersonalData, context)
    assert [text for _, text, _ in texts(masked)] == ["What?", "[PERSON_1] <[EMAIL_1]>"]
    assert check(masked, context=context) == {}


# --- everything -----------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *PERSONAL,
        *SECRETS.values(),
        "[EMAIL_1]",
        "[PHONE_1]",
        "password=",
        "https://u:",
        "@acme.org",
        "+",
        "@",
        "::",
        ".",
    ]
) | st.text(string.digits + "+-. ()@:/[]aAZ_", max_size=12)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=6), st.sampled_from(["", " ", "+", "-", "\n"]))
def test_masking_twice_is_masking_once_and_nothing_is_left(pieces: list[str], between: str) -> None:
    row = said(between.join(pieces), prompt=between.join(reversed(pieces)))
    for fix, codes in (
        (MaskSecrets, ("secrets", "possible-secrets")),
        (MaskPersonalData, ("personal-data",)),
    ):
        assert not any(code in check(mended(row, fix)) for code in codes)


@settings(max_examples=40)
@given(example())
def test_rows_of_every_kind_without_anything_stay_the_same_object(row: Example) -> None:
    if not check(row):
        assert all(fix(CONTEXT).apply(row) is row for fix in FIXES)


@pytest.mark.parametrize(
    "piece", ["a", "@", "1", "1 ", "1.", "+1", "a@", "a@a.", "eyJa.", "-----BEGIN RSA PRIVATE KEY-----"]
)
@pytest.mark.parametrize("tail", ["", "@", "!"])
@pytest.mark.timeout(10)
def test_hostile_texts_are_quick(piece: str, tail: str) -> None:
    text = piece * (100_000 // len(piece)) + tail
    secrets.find(text)
    secrets.find("password=" + text)
    personal.find(text)


@pytest.mark.parametrize("key", ["AKIA" + "Q2ERTY7IOPASDFGH", "sk-proj-" + RANDOM[:40], "hf_" + RANDOM[:34]])
def test_no_other_finding_shows_a_key_either(key: str) -> None:
    asked, after = (
        Message(role="user", content=f"{key} is my key"),
        Message(role="user", content=f"{key}\u200b"),
    )
    answers = [Message(role="assistant", content=f"So it is in {n}, {key}") for n in range(4)]
    chats = [ChatExample(messages=(asked, answer, after), id="a:1") for answer in answers]
    pairs = [CompletionExample(prompt=f"{key} {n}", completion=f"All of it: {key}") for n in range(40)]
    for rows in (chats, pairs, pairs[:1] * 12):
        report = Dataset(rows).check(against=Dataset(rows[:1]))
        shown = json.dumps([found.to_dict() for found in report])
        assert len(report) > 3
        assert key[8:24].casefold() not in shown.casefold()
