"""Files of imports, however they are written: every record with its line, and what is wrong with one costs that one."""

import csv
import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pushkeeper.core.imports.records import MAX_RECORD_BYTES, BadFile, records
from pushkeeper.core.imports.row import Skip

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ROWS = st.lists(st.fixed_dictionaries({"token": TEXT, "a b": TEXT, "näme": TEXT}), min_size=1, max_size=8)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])


def read(content):
    return list(records(io.BytesIO(content)))


def found(content):
    return [numbered.record for numbered in read(content)]


def outcome(content):
    """The records; the reason where the file can't be read on."""
    try:
        return read(content)
    except BadFile as refused:
        return refused.problem


def problems(content):
    return [(n.line, n.record.detail) for n in read(content) if isinstance(n.record, Skip)]


def as_csv(rows, **how):
    text = io.StringIO()
    writer = csv.DictWriter(text, ["token", "a b", "näme"], **how)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@given(
    rows=ROWS,
    encoding=ENCODINGS,
    zipped=st.booleans(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_whatever_csv_holds_is_read_as_it_was_written(rows, encoding, zipped, delimiter, end, quoting):
    # Python's writer does not quote a lone carriage return, which ends a line for its reader.
    assume(quoting == csv.QUOTE_ALL or not any("\r" in value for row in rows for value in row.values()))
    content = as_csv(rows, delimiter=delimiter, lineterminator=end, quoting=quoting).encode(encoding)
    assert found(gzip.compress(content) if zipped else content) == rows


@given(rows=ROWS, encoding=ENCODINGS, zipped=st.booleans(), shape=st.integers(0, 4), ascii_only=st.booleans())
def test_whatever_json_holds_is_read_as_it_was_written(rows, encoding, zipped, shape, ascii_only):
    def one(value, indent=None):
        return json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    text = [
        lambda: "".join(one(row) + "\n" for row in rows),
        lambda: one(rows),
        lambda: one(rows, 2),
        lambda: one({"Endpoints": rows, "NextToken": "x"}, 4),
        lambda: "".join(one({"results": [row]}) + "\n" for row in rows),
    ][shape]()
    content = text.encode(encoding)
    assert found(gzip.compress(content) if zipped else content) == rows


def test_a_record_is_named_by_the_line_on_which_it_begins():
    content = b'token,name\na,"one\ntwo\nthree"\nb,x\n\nc,y,z\nd,"e"f\ng,h\n'
    assert [numbered.line for numbered in read(content)] == [2, 5, 7, 8, 9]
    assert problems(content) == [
        (7, "has 3 cells, and the header 2"),
        (8, "is not CSV: ',' expected after '\"'"),
    ]
    array = b'[\n {"token": "a"},\n {"token":\n  "b"},\n 3\n]\n'
    assert [numbered.line for numbered in read(array)] == [2, 3, 5]
    assert problems(array) == [(5, "is not an object")]


def test_what_is_wrong_with_one_line_costs_that_line():
    long = b'{"token": "' + b"x" * MAX_RECORD_BYTES + b'"}\n'
    lines = b'{"token": "a"}\nnonsense\n' + long + b'{"token": "\xff"}\n[1]\n{"token": "b"}'
    assert [record for record in found(lines) if not isinstance(record, Skip)] == [
        {"token": "a"},
        {"token": "b"},
    ]
    assert [line for line, _ in problems(lines)] == [2, 3, 4, 5]
    table = b"token,name\na," + b"x" * 3 * MAX_RECORD_BYTES + b"\nb,\xfe\nc,d\n"
    assert [record for record in found(table) if not isinstance(record, Skip)] == [
        {"token": "c", "name": "d"}
    ]
    assert [line for line, _ in problems(table)] == [2, 3]


def test_a_list_of_tokens_has_no_header():
    token = "c" * 11 + ":APA91b" + "x" * 130
    assert found(f"{token}\n\n  {token}2\r\n".encode()) == [{"token": token}, {"token": f"{token}2"}]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"", 0, "is empty"),
        (b"\xef\xbb\xbf  \n", 0, "is empty"),
        (b"token,token\na,b\n", 1, "has two columns 'token'"),
        (b'[{"token": "a"}, {"token"', 1, "is not JSON"),
        (b'[{"token": "a"},\n' + b"[" * 200_000, 2, "is nested too deeply"),
        (gzip.compress(b"token\n" * 9_000, mtime=0)[:60], 0, "is compressed, and its compression is damaged"),
        (
            gzip.compress(b"token\nx\n", mtime=0)[:-8] + bytes(8),
            0,
            "is compressed, and its compression is damaged",
        ),
    ],
    ids=["empty", "blank", "columns", "array", "depth", "short", "checksum"],
)
def test_a_file_that_cannot_be_read_on_says_why(content, line, problem):
    with pytest.raises(BadFile) as refused:
        read(content)
    assert refused.value.line == line
    assert refused.value.problem.startswith(problem)


@given(content=st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_records_or_a_reason(content):
    assert isinstance(outcome(content), list) or outcome(content)


@given(content=ROWS.map(as_csv).map(str.encode), cut=st.integers(0, 400), put=st.binary(max_size=4))
def test_a_damaged_file_is_records_or_a_reason(content, cut, put):
    damaged = content[:cut] + put + content[cut:]
    assert isinstance(outcome(damaged), list) or outcome(damaged)


def test_memory_does_not_grow_with_what_a_file_decompresses_to():
    row = b'{"token": "' + b"a" * 1_000 + b'"}\n'
    bomb = gzip.compress(row * 60_000)
    assert len(bomb) < 300_000
    tracemalloc.start()
    count = sum(1 for _ in records(io.BytesIO(bomb)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 8_000_000
