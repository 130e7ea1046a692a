"""Personal data in texts: e-mail addresses, phone numbers, bank accounts, cards, IP addresses, US tax numbers.

Numbers count only with what tells them from other numbers: a country code, the grouping of a national form, a check
digit. So local numbers without any are missed: a false alarm in every table would be worse. Names and postal
addresses need a model (`tunekit.data.detectors`). Expressions are linear, as in `secrets`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from tunekit.data.patterns.sensitive import NOT_AFTER, NOT_BEFORE, Sensitive, apart


def _standing_alone(pattern: str) -> re.Pattern[str]:
    return re.compile(f"{NOT_AFTER}(?:{pattern}){NOT_BEFORE}")


# All numbers below, bank accounts too, have a digit, five or more digits and separators, and a digit.
_NUMERIC = re.compile("[0-9][0-9 .()/-]{5,}[0-9]")

_EMAIL = _standing_alone(
    "(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9@_-])"
)
# Domains of RFC 2606, and accounts of machines.
_NOBODYS = re.compile(
    r"^(?:git|no-?reply)@|[@.](?:(?:example|(?:your-?|my-?)?(?:domain|company))(?:\.[a-z]+)?|test|invalid|localhost)$",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"://[^\s/]*$")


def _is_someones(text: str, match: re.Match[str]) -> bool:
    # In "https://user:password@host" the address is none, and the password is for `secrets`.
    before = text[max(0, match.start() - 200) : match.start()]
    return _NOBODYS.search(match[0]) is None and _IN_URL.search(before) is None


# A number among numbers is a part of something longer.
_NOT_AFTER_NUMBER, _NOT_BEFORE_NUMBER = "(?<![0-9][ -])", "(?! [0-9])"
_INTERNATIONAL = _standing_alone(
    rf"(?<![\w+./-])(?:\+|{_NOT_AFTER_NUMBER}00(?=[1-9][0-9]{{0,2}}[ -]))[1-9][0-9]{{0,2}}[ .-]?"
    rf"(?:\([0-9]{{1,4}}\)[ .-]?)?(?:[0-9][ ./-]?){{5,11}}[0-9](?![\w-]|[.,][0-9]){_NOT_BEFORE_NUMBER}"
)
_NORTH_AMERICAN = _standing_alone(
    r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-]|[.,][0-9])"
)
_WITH_TRUNK_ZERO = _standing_alone(
    rf"(?<![\w.,+/:-]){_NOT_AFTER_NUMBER}0[1-9](?:[ ()/-]{{0,2}}[0-9]){{7,9}}(?![\w/:-]|[.,][0-9]){_NOT_BEFORE_NUMBER}"
)
_DATE = re.compile("[0-9]{2}[ /-][0-9]{2}[ /-](?:19|20)[0-9]{2}")
_COUNTING = "01234567890 0987654321"


def _is_international(_: str, match: re.Match[str]) -> bool:
    digits = _digits(match[0]).lstrip("0")
    # The two codes of one digit have numbers of one length.
    return len(digits) == 11 if digits[0] in "17" else 9 <= len(digits) <= 13


def _is_north_american(_: str, match: re.Match[str]) -> bool:
    digits = _digits(match[0])
    return "555" not in (digits[-10:-7], digits[-7:-4])  # nobody's: these are for films and examples


def _has_trunk_zero(_: str, match: re.Match[str]) -> bool:
    return _DATE.match(match[0]) is None and _digits(match[0]) not in _COUNTING


_CARD = _standing_alone(
    "(?<![A-Za-z0-9.+-])[2-6][0-9]{3}"
    "(?:[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|[ -]?[0-9]{6}[ -]?[0-9]{5})(?![A-Za-z0-9-]|[.,][0-9])"
)
# Visa, Mastercard, American Express, Discover, JCB.
_BRAND = re.compile(
    "(?:4[0-9]{15}|(?:5[1-5]|2[2-7])[0-9]{14}|3[47][0-9]{13}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|35[0-9]{14})$"
)


def _is_card(_: str, match: re.Match[str]) -> bool:
    digits = _digits(match[0])
    return _BRAND.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0


_IBAN = _standing_alone("(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
# Lengths by country: the registry of SWIFT, 2025.
_IBAN_CHARS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def _iban_end(match: re.Match[str]) -> int | None:
    """Where the account number ends, which its country says, if its check digits are right."""
    found = match[0]
    length, seen = _IBAN_CHARS.get(found[:2], 0), 0
    for end, char in enumerate(found, start=1):
        seen += char != " "
        if seen == length:
            compact = found[:end].replace(" ", "")
            number = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4])
            return match.start() + end if int(number) % 97 == 1 else None
    return None


_SOCIAL_SECURITY = _standing_alone(
    "(?<![A-Za-z0-9-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![A-Za-z0-9-])"
)

_IPV4 = _standing_alone(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
# What must not stand before comes after the first character: a search for one of two characters is quick.
_IPV6 = re.compile(
    rf"[23](?<![A-Za-z0-9:.][23])(?<![0-9]\][23])[0-9a-fA-F]{{3}}:[0-9a-fA-F:]{{3,34}}(?![A-Za-z0-9:]){NOT_BEFORE}"
)
_VERSION = re.compile(r"(?:version|section|chapter|release|build)\W{0,3}$", re.IGNORECASE)
# Private, shared, documentation and multicast networks (RFC 6890).
_RESERVED = re.compile(
    r"0|10\.|127\.|169\.254|172\.(?:1[6-9]|2[0-9]|3[01])\.|192\.(?:0\.[02]|168)\.|198\.(?:1[89]|51\.100)\."
    r"|203\.0\.113|22[4-9]|2[3-5][0-9]"
)


def _is_public(text: str, match: re.Match[str]) -> bool:
    octets = [int(octet) for octet in match[0].split(".")]
    # Numbers of sections and versions have small parts; an address that ends in 0 is a network.
    plausible = max(octets) <= 255 and max(octets) >= 20 and octets[3] != 0
    before = text[max(0, match.start() - 12) : match.start()]
    return plausible and _RESERVED.match(match[0]) is None and _VERSION.search(before) is None


def _is_ipv6(_: str, match: re.Match[str]) -> bool:
    try:
        address = ipaddress.IPv6Address(match[0])
    except ValueError:
        return False
    return not address.exploded.startswith("2001:0db8")  # for documentation


_NUMBERS: tuple[tuple[str, re.Pattern[str], Callable[[str, re.Match[str]], bool]], ...] = (
    ("phone", _INTERNATIONAL, _is_international),
    ("phone", _NORTH_AMERICAN, _is_north_american),
    ("phone", _WITH_TRUNK_ZERO, _has_trunk_zero),
    ("card", _CARD, _is_card),
    ("social-security-number", _SOCIAL_SECURITY, lambda _, match: match[0] != "123-45-6789"),
    ("ip-address", _IPV4, _is_public),
)


def find(text: str) -> tuple[Sensitive, ...]:
    """Personal data of forms that can be told from other text.

    Examples:
        >>> find("Call +44 20 7946 0958 or write to ann@acme.org, order 12345678")
        (Sensitive(kind='phone', start=5, end=21), Sensitive(kind='email', start=34, end=46))
    """
    found: list[Sensitive] = []
    if "@" in text:
        found += _matches("email", _EMAIL, text, _is_someones)
    colons = text.count(":")
    if colons >= 7 or (colons > 1 and "::" in text):
        found += _matches("ip-address", _IPV6, text, _is_ipv6)
    for near in _NUMERIC.finditer(text):
        found += _numbers(text, *near.span())
    return apart(found) if found else ()


def _numbers(text: str, start: int, end: int) -> Iterator[Sensitive]:
    """What a stretch of digits and separators may be, with a sign before it and what must not follow."""
    for kind, pattern, is_one in _NUMBERS:
        yield from _matches(kind, pattern, text, is_one, start - 2, end + 3)
    # In a bank account other digits and letters stand before such a stretch, and may stand after it.
    for match in _IBAN.finditer(text, max(0, start - 16), end + 40):
        account_end = _iban_end(match)
        if account_end:
            yield Sensitive("bank-account", match.start(), account_end)


def _matches(
    kind: str,
    pattern: re.Pattern[str],
    text: str,
    is_one: Callable[[str, re.Match[str]], bool],
    start: int = 0,
    end: int | None = None,
) -> Iterator[Sensitive]:
    for match in pattern.finditer(text, max(0, start), len(text) if end is None else end):
        if is_one(text, match):
            yield Sensitive(kind, *match.span())


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
