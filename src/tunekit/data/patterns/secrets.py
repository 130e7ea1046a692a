"""Keys, tokens and passwords in texts: their published forms, and what is assigned to a name such as `api_key`.

Every expression is linear: it begins where no token character stands before, and repeats at most so often. The forms
are those that the issuers document; `hint` is a substring without which there is no match, looked for first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tunekit.data.patterns.sensitive import NOT_AFTER, NOT_BEFORE, Sensitive, apart


class _Form(NamedTuple):
    kind: str
    hint: str
    pattern: re.Pattern[str]


def _form(kind: str, hint: str, pattern: str) -> _Form:
    return _Form(
        kind, hint, re.compile(f"{NOT_AFTER}(?<![A-Za-z0-9_-])(?:{pattern})(?![A-Za-z0-9_-]){NOT_BEFORE}")
    )


_FORMS = (
    _form("aws-access-key", "AKIA", "AKIA[A-Z2-7]{16}"),
    _form("aws-access-key", "ASIA", "ASIA[A-Z2-7]{16}"),
    _form("google-api-key", "AIza", "AIza[0-9A-Za-z_-]{35}"),
    _form("google-oauth-token", "ya29.", r"ya29\.[0-9A-Za-z_-]{20,500}"),
    _form("google-client-secret", "GOCSPX-", "GOCSPX-[0-9A-Za-z_-]{28}"),
    *(_form("github-token", f"gh{sort}_", f"gh{sort}_[0-9A-Za-z]{{36,255}}") for sort in "opsur"),
    _form("github-token", "github_pat_", "github_pat_[0-9A-Za-z_]{22,255}"),
    _form("gitlab-token", "glpat-", "glpat-[0-9A-Za-z_-]{20,64}"),
    _form("openai-key", "sk-", "sk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{32,200}|sk-[0-9A-Za-z]{48}"),
    _form("anthropic-key", "sk-ant-", "sk-ant-[a-z]{3,8}[0-9]{2}-[0-9A-Za-z_-]{80,200}"),
    _form("openrouter-key", "sk-or-", "sk-or-v1-[0-9a-f]{64}"),
    _form("huggingface-token", "hf_", "hf_[0-9A-Za-z]{34,40}"),
    _form("slack-token", "xox", "xox[abeoprs]-[0-9A-Za-z-]{20,250}"),
    _form(
        "slack-webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/services/T[0-9A-Z]{8,12}/B[0-9A-Z]{8,12}/[0-9A-Za-z]{20,30}",
    ),
    _form("stripe-key", "k_live_", "[rs]k_live_[0-9A-Za-z]{16,200}"),
    _form("stripe-key", "k_test_", "[rs]k_test_[0-9A-Za-z]{16,200}"),
    _form("stripe-webhook-secret", "whsec_", "whsec_[0-9A-Za-z]{32,64}"),
    _form("npm-token", "npm_", "npm_[0-9A-Za-z]{36}"),
    _form("pypi-token", "pypi-AgE", "pypi-AgE[0-9A-Za-z_-]{50,500}"),
    _form("sendgrid-key", "SG.", r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    _form("telegram-token", ":AA", "[0-9]{8,10}:AA[0-9A-Za-z_-]{33}"),
    _form("azure-storage-key", "AccountKey=", "AccountKey=[0-9A-Za-z+/]{86}=="),
    _form(
        "json-web-token", "eyJ", r"eyJ[0-9A-Za-z_-]{8,2000}\.eyJ[0-9A-Za-z_-]{8,8000}\.[0-9A-Za-z_-]{16,2000}"
    ),
    # Up to its end, or to the next line of dashes where it was cut off.
    _Form(
        "private-key",
        "-----BEGIN",
        re.compile(
            "-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,20000}"
            "(?:-----END [A-Z ]{8,40}-----)?"
        ),
    ),
)

# Looking for one seldom character takes a tenth of the time of looking for a hint.
_SELDOM = "_=JKz9:/GS-x"


def _seldom(hint: str) -> str:
    return next(character for character in _SELDOM if character in hint)


_BY_CHARACTER = tuple(
    (character, tuple(form for form in _FORMS if _seldom(form.hint) == character)) for character in _SELDOM
)

_URL = re.compile(
    "(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://"
    r"""[^\s/:@"'<>\[\]]{0,100}:([^\s/:@"'<>\[\]]{4,200})@"""
)

ASSIGNED = "assigned-secret"
"""Kind of what is a secret by its name only."""
_VALUE = re.compile(
    r"""[A-Za-z_-]{0,12}["']?\s{0,3}(?:=>?|:=?|\bis\b)\s{0,3}["']?([^\s"'`,;<>(){}\[\]]{8,200})"""
)
MIN_PASSWORD_CHARS = 8
MIN_TOKEN_CHARS = 16
_NAMES = {
    "passw": MIN_PASSWORD_CHARS,
    "pwd": MIN_PASSWORD_CHARS,
    "secret": MIN_TOKEN_CHARS,
    "token": MIN_TOKEN_CHARS,
    "apikey": MIN_TOKEN_CHARS,
    "api_key": MIN_TOKEN_CHARS,
    "api-key": MIN_TOKEN_CHARS,
    "access_key": MIN_TOKEN_CHARS,
    "private_key": MIN_TOKEN_CHARS,
}
MIN_BITS = 3.0
"""Entropy per character of what is assigned: random letters and digits have more, a word with a number less."""
# What documents put where a secret goes.
_STAND_IN = re.compile(
    r"x{4}|\*{3}|\.{3}|\$|%|your|example|sample|dummy|placeholder|change|redacted|test|1234|abcd|secret|token|key"
    r"|^pass|password|[a-z]{3}[._/][a-z]{3}",
    re.IGNORECASE,
)


def find(text: str) -> tuple[Sensitive, ...]:
    """Secrets of known forms, and what is assigned to the name of a secret and looks random.

    Examples:
        >>> find("AKIA" + "QWERTYUIOPASDFGH")
        (Sensitive(kind='aws-access-key', start=0, end=20),)
        >>> find("api_key = 'q8Zt31LmX0bRw7Vd'; token = request.token")
        (Sensitive(kind='assigned-secret', start=11, end=27),)
    """
    found: list[Sensitive] = []
    for character, forms in _BY_CHARACTER:
        if character in text:
            for kind, hint, pattern in forms:
                if hint in text:
                    found += [Sensitive(kind, *match.span()) for match in pattern.finditer(text)]
    if "@" in text and "://" in text:
        found += _url_passwords(text)
    found += _assigned(text)
    return apart(found) if found else ()


def _url_passwords(text: str) -> Iterator[Sensitive]:
    for match in _URL.finditer(text):
        if _STAND_IN.search(match[1]) is None:
            yield Sensitive("url-password", *match.span(1))


def _assigned(text: str) -> Iterator[Sensitive]:
    lowered = text.lower()
    if len(lowered) != len(text):  # a Turkish İ becomes two characters; then names in small letters must do
        lowered = text
    for name, fewest in _NAMES.items():
        at = lowered.find(name)
        while at >= 0:
            at += len(name)
            match = _VALUE.match(text, at)
            if match and len(match[1]) >= fewest and _looks_random(match[1]):
                yield Sensitive(ASSIGNED, *match.span(1))
            at = lowered.find(name, at)


def _looks_random(value: str) -> bool:
    mixed = not value.isalpha() and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return mixed and _STAND_IN.search(value) is None and _bits(value) >= MIN_BITS


def _bits(value: str) -> float:
    """Shannon's entropy of the characters, in bits for each."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
