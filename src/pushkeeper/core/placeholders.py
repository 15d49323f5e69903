"""Placeholders: what programs send instead of a missing value. Pure.

As an ID, such a word would be shared by everybody whose app had no ID, and collect all their devices; as a token it
is no phone.
"""

from __future__ import annotations

import re

# Each with its origin. Compared ignoring case and the blanks, invisible characters, brackets and quotes around it.
PLACEHOLDERS = {
    "undefined": "JavaScript's missing value",
    "null": "JSON's and Java's missing value",
    "(null)": "Objective-C's and C's missing value, printed",
    "<null>": "NSNull, printed",
    "nil": "Swift's, Ruby's and Go's missing value",
    "<nil>": "Go's missing value, printed",
    "Optional(nil)": "Swift's missing value, printed",
    "None": "Python's missing value",
    "NaN": "not a number",
    "[object Object]": "a JavaScript object, printed",
    "[object Undefined]": "JavaScript's missing value, printed",
    "[object Null]": "JavaScript's missing value, printed",
    "{}": "an empty object",
    "[]": "an empty list",
    "true": "a condition in place of a value",
    "false": "a condition in place of a value",
    "-1": "not found, as a number",
    "-": "no value",
    "N/A": "no value",
    "#N/A": "a spreadsheet's missing value",
    "unknown": "no value",
    "anonymous": "everybody who is not logged in",
    "guest": "everybody who is not logged in",
    "not_authenticated": "everybody who is not logged in",
    "id": "the name of a field in place of its value",
    "email": "the name of a field in place of its value",
    "userId": "the name of a field in place of its value",
    "user_id": "the name of a field in place of its value",
    "distinct_id": "the name of a field in place of its value",
    "distinctId": "the name of a field in place of its value",
}
ZERO = "0"  # any text of zeros only, such as a UUID of zeros
TEMPLATE = "{{…}}"  # an unfilled template: `{{customer.id}}`, `${userId}`

_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_AROUND = _BLANKS + _INVISIBLE + "<>()[]{}\"'`"
_ZEROS = re.compile(r"[-.]?0[-.0]*")
_TEMPLATE = re.compile(r"\{\{.*\}\}|\$\{.*\}", re.DOTALL)


def _bare(text: str) -> str:
    return text.strip(_AROUND).casefold()


_WORDS = {_bare(word): word for word in reversed(PLACEHOLDERS)}


def meaning(word: str) -> str:
    """The origin of a placeholder that `placeholder` returned."""
    return {ZERO: "only zeros", TEMPLATE: "an unfilled template"}.get(word) or PLACEHOLDERS[word]


def placeholder(text: str) -> str | None:
    """The placeholder that a text is: a key of PLACEHOLDERS, ZERO or TEMPLATE; None for any other or blank text."""
    trimmed = text.strip()
    if not trimmed:
        return None
    if _TEMPLATE.fullmatch(trimmed):
        return TEMPLATE
    bare = _bare(text)
    return ZERO if _ZEROS.fullmatch(bare) else _WORDS.get(bare)
