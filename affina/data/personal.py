"""Where a text holds personal data that a pattern and a checksum can tell: addresses, numbers, codes."""

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import phonenumbers
from stdnum import iban, luhn
from stdnum.it import codicefiscale, iva


class Found(NamedTuple):
    """The characters [start, stop) are personal data of a kind."""

    start: int
    stop: int
    kind: str


EMAIL = re.compile(
    r"(?<![\w.+%-])[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:\w(?:[\w-]{0,61}\w)?\.)+(?P<end>[^\W\d_]{2,24})"
    r"(?![\w-]|\.\w)"
)
SPELT = re.compile(
    r"(?<![\w.])[\w.+-]+\s?[\[({<]\s?(?:at|chiocciola|@)\s?[\])}>]\s?\w[\w-]*(?:\s?(?:\.|[\[({<]\s?(?:dot|punto|\.)\s?[\])}>])\s?\w[\w-]*)*"
    r"\s?(?:\.|[\[({<]\s?(?:dot|punto|\.)\s?[\])}>])\s?[^\W\d_]{2,24}(?!\w)",
    re.IGNORECASE,
)
FILES = frozenset(re.findall(r"\w+", "png jpg jpeg gif svg webp css js ts html htm json yml yaml py txt pdf mp4 min"))
"""What ends the name of a file (`logo@2x.png`), never an address."""
URL = re.compile(r"\b(?:[a-z][a-z0-9+.-]{1,15})://[^\s<>\"'`]+", re.IGNORECASE)
SECRETS = re.compile(
    r"(?:^|[_-])(?:access|auth|api|jwt|key|apikey|pass|password|passwd|pwd|secret|session|sessionid|sid|sig|signature"
    r"|token|code|otp|ticket|credential|invite|reset)(?:$|[_-])|token|apikey|password|secret|sessionid",
    re.IGNORECASE,
)
TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]{20,}")
IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?=(?:[ -]?[A-Z0-9]){11})", re.IGNORECASE)
CARD = re.compile(r"(?<![\d.,€$£-])(?<!\d )\d(?:[ -]?\d){11,18}(?![\d])(?![.,]\d)")
NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d+|3[47]\d{13}"
    r"|(?:30[0-5]|36|3[89])\d{12,17}|35(?:2[89]|[3-8]\d)\d{12}|(?:6011|65|64[4-9]|62)\d{12,17}|(?:50|5[6-9]|6[37])\d{10,17}"
)
"""Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Maestro: first digits and lengths."""
TAX_CODE = re.compile(
    r"(?<![A-Z0-9])[A-Z]{3} ?[A-Z]{3} ?[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2} ?"
    r"[A-Z][0-9LMNPQRSTUV]{3} ?[A-Z](?![A-Z0-9])",
    re.IGNORECASE,
)
VAT = re.compile(r"(?<![\w.,-])(?:IT ?)?\d{11}(?![\w-])(?![.,]\d)", re.IGNORECASE)
VAT_SAID = re.compile(r"p\.? ?iva|partita iva|\bvat\b|cod(?:ice|\.)? ?fisc|c\.? ?f\.?\b|\bP\.I\.", re.IGNORECASE)
IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
VERSION = re.compile(r"(?:\bv|version[ei]?|release|rev|ver\.?|build|firmware|art\.|§)\s*$", re.IGNORECASE)
PHONE_SAID = re.compile(
    r"\btel|cell|phone|fax|mobil|chiam|call|whats|sms|numero|recapit|contatt|contact|\bring\b|text(?:o|s)?\b|\bn[.°]|dial",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"ordin|order|fattura|invoice|pratica|protocollo|ticket|codice|\bcod\b|\bid\b|ref\b|rif\b|n\. doc", re.I
)
DATE = re.compile(r"\d{4}[-/ .]\d{4}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{2}|\d{4})(?:\D.*)?")
UNSIGNED = re.compile(r"(?<![\w+.,€$£-])(?:39 ?3|44 ?7)(?: ?\d){9}(?![\w-]|[.,]\d)")
"""Mobile numbers of Italy and Britain with their country's prefix and no plus."""
BARE = {"IT": (9, "03"), "GB": (10, "0")}
"""From how many digits on, and with which first one, a bare run of them is a number where no word says so."""
SIX_DIGITS = re.compile(r"\d(?:\D{0,3}\d){5}")
BEFORE = 28
"""Characters before a number in which a word can say what it is."""


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Addresses of mail, written plainly or with the signs spelt out."""
    if "@" in text:
        for found in EMAIL.finditer(text):
            if found["end"].lower() not in FILES:
                yield found.span()
    if re.search(r"[\[({<]\s?(?:at|chiocciola|@)", text, re.IGNORECASE):
        yield from (found.span() for found in SPELT.finditer(text))


def secret_urls(text: str) -> Iterator[tuple[int, int]]:
    """Addresses on the web that let in whoever has them: with a password, a token, a signature."""
    if "://" not in text:
        return
    for found in URL.finditer(text):
        address = found[0].rstrip(".,;:!?)]}'\"")
        if _lets_in(address):
            yield found.start(), found.start() + len(address)


def _lets_in(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that opens no IPv6 address: no address at all
        return False
    if "@" in parts.netloc and ":" in parts.netloc.partition("@")[0]:
        return True
    named = [*parse_qsl(parts.query), *parse_qsl(parts.fragment)]
    if any(len(value) >= 4 and SECRETS.search(name) for name, value in named):
        return True
    values = [value for _, value in named] + parts.path.split("/")
    return any(_random(piece) for value in values for piece in TOKEN.findall(value))


def _random(piece: str) -> bool:
    """Whether a run of characters looks drawn by a machine: letters and digits mixed, 3.5 bits a character or more."""
    if not (re.search(r"\d", piece) and re.search(r"[A-Za-z]", piece)) or re.fullmatch(
        r"[\d-]+\w?|[a-z0-9]+(?:[-_.][a-z0-9]+)+", piece
    ):
        return False
    entropy = -sum(share * log2(share) for share in (piece.count(each) / len(piece) for each in set(piece)))
    return entropy >= 3.5 or bool(re.fullmatch(r"[0-9a-f]{32,}", piece))


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Bank accounts: as long as their country's are, with the right check digits (ISO 13616)."""
    for found in IBAN.finditer(text):
        at, compact, longest = found.start(), "", 0
        for place in range(at, min(len(text), at + 45)):
            if text[place] in " -":
                continue
            if not (text[place].isascii() and text[place].isalnum()) or len(compact) == 34:
                break
            compact += text[place]
            ends = not (text[place + 1 : place + 2].isalnum())
            if len(compact) >= 15 and ends and _mod97(compact) == 1 and iban.is_valid(compact):
                longest = place + 1
        if longest:
            yield at, longest


def _mod97(compact: str) -> int:
    """The check of ISO 7064 that an account's number must leave 1 in."""
    return int("".join(str(int(each, 36)) for each in compact[4:] + compact[:4])) % 97


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Payment cards: a network's first digits and length, Luhn's check digit (ISO/IEC 7812)."""
    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if len(set(digits)) > 1 and NETWORKS.fullmatch(digits) and luhn.is_valid(digits) and _grouped(found[0]):
            yield found.span()


def _grouped(number: str) -> bool:
    groups = [len(each) for each in re.split(r"[ -]", number)]
    return (
        len(groups) == 1
        or (all(size == 4 for size in groups[:-1]) and groups[-1] <= 7)
        or groups in ([4, 6, 5], [4, 6, 4])
    )


def tax_codes(text: str) -> Iterator[tuple[int, int]]:
    """The Italian codice fiscale of a person, by its date and check letter."""
    for found in TAX_CODE.finditer(text):
        if codicefiscale.is_valid(found[0].replace(" ", "")):
            yield found.span()


def vat_numbers(text: str) -> Iterator[tuple[int, int]]:
    """The Italian partita IVA, by its check digit, where IT stands before it or a word says so: by chance one number
    of 11 digits in ten has the right digit."""
    for found in VAT.finditer(text):
        said = found[0][:2].upper() == "IT" or VAT_SAID.search(text, max(0, found.start() - BEFORE), found.start())
        if said and iva.is_valid(found[0].upper().removeprefix("IT").strip()):
            yield found.span()


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Machines on the internet (IPv4, IPv6), but for those that mean no machine: loopback, masks, versions."""
    for found in IPV4.finditer(text):
        if not VERSION.search(text, max(0, found.start() - BEFORE), found.start()) and _machine(found[0]):
            yield found.span()
    for found in IPV6.finditer(text):
        if (
            len([each for each in found[0].split(":") if each]) >= 3
            and re.search(r"\d", found[0])
            and _machine(found[0])
        ):
            yield found.span()


def _machine(address: str) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (known.is_loopback or known.is_unspecified or known.is_multicast or address.startswith(("255.", "0.")))


def phones(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Telephone numbers that a region's plan has (libphonenumber): international, written in groups, or after a word
    that says so. A bare run of digits is one as BARE and UNSIGNED say, where no word makes it another number."""
    if not SIX_DIGITS.search(text):
        return
    for region in regions:
        for found in phonenumbers.PhoneNumberMatcher(text, region):
            if _rings(text, found, region):
                yield found.start, found.end
    for bare in UNSIGNED.finditer(text):
        if not NUMBERED.search(text, max(0, bare.start() - BEFORE), bare.start()):
            yield bare.span()


def _rings(text: str, found: phonenumbers.PhoneNumberMatch, region: str) -> bool:
    before = text[max(0, found.start - BEFORE) : found.start]
    if re.search(r"[\w.,/€$£=#]$", before) or re.match(r"[\w%]|[.,/]\d", text[found.end : found.end + 2]):
        return False
    if DATE.fullmatch(found.raw_string):
        return False
    if found.raw_string.startswith(("+", "00")) or PHONE_SAID.search(before):
        return True
    if NUMBERED.search(before):
        return False
    digits = re.sub(r"\D", "", found.raw_string)
    if digits != found.raw_string:
        return len(digits) >= 8
    least, first = BARE.get(region, (0, ""))
    return digits[0] in first and len(digits) >= least


Finder = Callable[[str], Iterator[tuple[int, int]]]
KINDS: Mapping[str, Finder] = {
    "url": secret_urls,
    "email": emails,
    "iban": ibans,
    "card": cards,
    "codice_fiscale": tax_codes,
    "partita_iva": vat_numbers,
    "ip": addresses,
}
"""What is looked for beside telephone numbers; where two claim the same characters, the first has them."""


def personal(text: str, kinds: Sequence[str], regions: Sequence[str]) -> list[Found]:
    """What a text holds of these kinds, in order, none touching another's characters."""
    found = [Found(*span, kind) for kind, finder in KINDS.items() if kind in kinds for span in finder(text)]
    if "phone" in kinds:
        found += [Found(*span, "phone") for span in phones(text, regions)]
    return apart(found)


def apart(found: Sequence[Found]) -> list[Found]:
    """In order, without those that touch what came earlier in the list."""
    kept: list[Found] = []
    for each in found:
        place = bisect_left(kept, each)
        before, after = kept[place - 1 : place] if place else [], kept[place : place + 1]
        if all(other.stop <= each.start for other in before) and all(each.stop <= other.start for other in after):
            kept.insert(place, each)
    return kept
