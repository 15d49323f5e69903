"""Cells: whatever two of them make begins otherwise, and a proxy tells them apart by that beginning alone."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pushkeeper.core import cell
from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.identity import cio_id, person_of_cio_id
from pushkeeper.core.model import PersonId, Secret, Token, WorkspaceId, device_id, uuid7

if TYPE_CHECKING:
    from uuid import UUID

BEGINNINGS = {one: number for number in range(cell.MOST + 1) for one in cell.beginnings(number)}
IDS = DeliveryIds(Secret(bytes(range(32))))

cells = st.integers(0, cell.MOST)
rows = st.integers(0, cell.last_number(0) - 1)
message_ids = st.builds(
    uuid7, st.integers(1_577_836_800_000, 4_102_444_800_000), st.binary(min_size=10, max_size=10)
)


def begun_by(text: str) -> list[int]:
    """The cells to which a proxy would send it."""
    return [BEGINNINGS[text[:n]] for n in range(len(text)) if text[:n] in BEGINNINGS]


def number(of: int, row: int) -> int:
    return cell.first_number(of) + row


@given(cells, rows)
@example(cell.MOST, cell.last_number(0) - 1)
def test_every_number_of_a_cell_says_which_it_is(of: int, row: int) -> None:
    made = number(of, row)
    assert cell.first_number(of) <= made <= cell.last_number(of)
    assert cell.of_number(made) == of
    assert 0 < made < 1 << 53, "JavaScript reads it"
    assert person_of_cio_id(cio_id(PersonId(made))) == made


@given(cells, cells, rows, rows, message_ids, st.text(min_size=1))
def test_two_cells_never_make_the_same_number_device_or_delivery_id(
    one: int, other: int, row: int, another: int, message: UUID, token: str
) -> None:
    """Not even for the same phone, and a message of the same id."""
    assume(one != other)
    a, b = WorkspaceId(number(one, row)), WorkspaceId(number(other, another))
    assert a != b
    assert device_id(a, Token(token)) != device_id(b, Token(token))
    person = PersonId(number(one, another))
    assert IDS.text(a, message, person) != IDS.text(b, message, person)


def test_no_beginning_is_the_beginning_of_another() -> None:
    assert len(BEGINNINGS) == 3 * (cell.MOST + 1) - 1, "each once, and none for the keys of cell 0"
    assert not any(later.startswith(one) for one, later in itertools.pairwise(sorted(BEGINNINGS)))


@given(cells, st.binary(min_size=10, max_size=20))
def test_a_key_begins_with_its_cell_and_with_no_other(of: int, random: bytes) -> None:
    key = cell.key_prefix(of) + random.hex()
    assert cell.of_key(key) == of
    assert cell.prefix_of(key) == cell.key_prefix(of)
    assert key.isalnum()
    assert key == key.lower()
    assert begun_by(key) == ([of] if of else []), "keys of cell 0 are what begins with nothing"


@pytest.mark.parametrize(
    "text",
    ["", "k", "k000" + "a" * 40, "k01" + "a" * 40, "k1000" + "a" * 40, "K001" + "a" * 40, "x" * 40, "ü" * 40],
)
def test_what_is_no_key_names_no_cell(text: str) -> None:
    assert cell.of_key(text) is None


@given(cells, rows, rows, message_ids)
def test_a_delivery_id_begins_with_its_cell_and_with_no_other(
    of: int, row: int, person: int, message: UUID
) -> None:
    text = IDS.text(WorkspaceId(number(of, row)), message, PersonId(number(of, person)))
    assert cell.of_delivery_id(text) == of
    assert begun_by(text) == [of]


@given(message_ids, rows)
def test_a_delivery_id_of_release_0_1_begins_with_no_cell(message: UUID, person: int) -> None:
    text = urlsafe_b64encode(message.bytes + number(0, person).to_bytes(8, "big")).decode()
    assert cell.of_delivery_id(text) is None
    assert begun_by(text) == []


@given(st.text() | st.from_regex(r"[A-Za-z0-9_\-=]{56}", fullmatch=True))
@example("=" * 56)
@example("ü" * 56)
def test_what_is_no_delivery_id_names_no_cell_or_one_that_there_can_be(text: str) -> None:
    found = cell.of_delivery_id(text)
    assert found is None or text.startswith(cell.id_prefix(found))


@given(cells)
def test_the_numbers_of_a_cell_end_where_those_of_the_next_begin(of: int) -> None:
    assert cell.last_number(of) + 2 == cell.first_number(of + 1)
    assert cell.of_number(cell.last_number(of)) == of
    assert cell.of_number(cell.first_number(of + 1)) == of + 1


def test_there_are_a_thousand_cells() -> None:
    last, none = WorkspaceId(cell.first_number(999)), WorkspaceId(cell.first_number(1_000))
    message = uuid7(1_793_527_200_000, bytes(10))
    assert cell.of_delivery_id(IDS.text(last, message, PersonId(1))) == cell.MOST == 999
    assert cell.of_delivery_id(IDS.text(none, message, PersonId(1))) is None
    assert cell.of_delivery_id(IDS.text(last, message, PersonId(1))[:-1]) is None, "a cut id is none"
    assert cell.prefix_of("xk001") == "", "a key names its cell by its beginning"
