"""Reason codes: what is stored and counted by them outlives every release, so that none changes its name unseen."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from pushkeeper.core.delivery import decision_table, reason_codes
from pushkeeper.core.delivery.eligibility import SkipReason
from pushkeeper.core.delivery.reason_codes import MEANINGS, OWN, STRIKES
from support.reason_codes import FORMER
from support.sources import nodes

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "pushkeeper"
# A code may be added, to this list and to the documentation; what is here is never renamed nor taken away.
OF_BROWSERS = {
    "webpush_accepted",
    "webpush_bad_keys",
    "webpush_endpoint_not_allowed",
    "webpush_invalid_credentials",
    "webpush_invalid_message",
    "webpush_key_mismatch",
    "webpush_payload_too_large",
    "webpush_too_many_requests",
    "webpush_unavailable",
    "webpush_unrecognized_response",
    "webpush_unregistered",
}
OF_ANSWERS = {*FORMER.values(), *OF_BROWSERS}
OF_OURS = {
    "cancelled",
    "channel_off",
    "deleted",
    "dry_run",
    "expired",
    "malformed",
    "moved",
    "no_content",
    "no_device",
    "no_keys",
    "no_permission",
    "no_route",
    "not_understood",
    "other_platform",
    "same_phone",
    "suppressed",
    "template",
    "too_large",
    "unreadable",
    "unrecordable",
    "unsendable",
    "unsubscribed",
}


def test_the_codes_are_those_of_former_releases() -> None:
    assert {row.code for row in decision_table.TABLE} == OF_ANSWERS
    assert set(OWN) == OF_OURS
    assert set(MEANINGS) == OF_ANSWERS | OF_OURS


def test_each_code_is_one_rows_or_ours() -> None:
    counted = Counter([row.code for row in decision_table.TABLE] + list(OWN))
    assert set(counted.values()) == {1}


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_a_code_is_a_word_with_a_meaning(code: str) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]*", code)
    assert MEANINGS[code]


def test_every_reason_to_skip_is_a_code() -> None:
    assert {reason.value for reason in SkipReason} <= set(OWN)


def test_the_codes_of_strikes_are_those_that_may_strike() -> None:
    strike = {row.code for row in decision_table.TABLE if row.device is decision_table.Effect.STRIKE}
    # When a 410 was is not kept; what Apple said by way of FCM may strike, too.
    assert set(STRIKES) == strike - {"apns_unregistered_unclear"} | {"fcm_apns_error"}
    assert reason_codes.similar("apns_bad_token") == "apns_bad_device_token"
    assert reason_codes.similar("F6") is None


# What makes a reason of a push, and which of its arguments it is.
MAKERS = {
    "Verdict": "code",
    "Meaning": 0,
    "_credentials": 0,
    "_outage": 0,
    "our_fault": 0,
    "Unrenderable": 0,
    "NotSent": 3,
}


def test_every_reason_that_is_written_is_a_code() -> None:
    written: dict[str, str] = {}
    for path in [*SRC.glob("providers/**/*.py"), *SRC.glob("worker/**/*.py"), *SRC.glob("core/**/*.py")]:
        for node in nodes(path):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            at = MAKERS.get(node.func.id)
            given = [word.value for word in node.keywords if word.arg == at]
            given += [node.args[at]] if isinstance(at, int) and len(node.args) > at else []
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    written[value.value] = str(path)
    assert len(written) > 40
    assert {code: path for code, path in written.items() if code not in MEANINGS} == {}


def statements() -> list[tuple[str, str]]:
    """Every query, by its file and name."""
    found = []
    for path in SRC.rglob("*.sql"):
        if "migrations" not in path.parts:
            for query in path.read_text(encoding="utf-8").split("-- name: ")[1:]:
                name, _, text = query.partition("\n")
                found.append((f"{path.relative_to(SRC)}: {name}", re.sub(r"--.*", "", text)))
    return found


def test_no_statement_reads_the_reason_of_a_push_as_it_is_stored() -> None:
    """What is stored may be of an earlier release, or nothing at all: `push_reason` says what it is."""
    reads = [(name, text) for name, text in statements() if re.search(r"(from|join) pushes\b", text)]
    assert len(reads) > 10
    for name, text in reads:
        rest = re.sub(
            r"push_(reason|metric)\([^()]*\)|insert into pushes \([^()]*\)|as reason\b|'reason'", "", text
        )
        assert not re.search(r"(?<![a-z_])reason\b", rest), name


def test_nothing_is_called_by_the_number_of_a_row() -> None:
    """Where earlier releases wrote `P5`: in the code, the pages, the rules of alerts and the documentation."""
    number = re.compile(r"(?<![\w#%-])(F([1-9]|1\d|2[0-3])|P([1-9]|1\d|2[01])|N[1-7])(?![\w%-])")
    texts = [
        path
        for suffix in ("py", "sql", "html", "md", "yml", "json")
        for folder in (SRC, ROOT / "docs", ROOT / "deploy")
        for path in folder.rglob(f"*.{suffix}")
        if "static" not in path.parts
        and path.name
        not in {"0031_reason_codes_and_skip_reason.sql", "functions.sql", "0047-reason-codes.md"}
    ]
    assert len(texts) > 400
    assert [str(path) for path in texts if number.search(path.read_text(encoding="utf-8"))] == []
