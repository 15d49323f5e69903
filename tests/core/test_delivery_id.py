"""Delivery ids: nobody makes one without the key, and each says one thing only."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pushkeeper.core.delivery import delivery_id
from pushkeeper.core.delivery.delivery_id import DeliveryIds, UnsignedId, read_unsigned
from pushkeeper.core.model import PersonId, Secret, WorkspaceId, message_day, uuid7

if TYPE_CHECKING:
    from uuid import UUID

IDS = DeliveryIds(Secret(bytes(range(32))))
OTHERS = DeliveryIds(Secret(bytes(32)))

numbers = st.integers(1, (1 << 63) - 1)
workspaces = numbers.map(WorkspaceId)
people = numbers.map(PersonId)
message_ids = st.builds(uuid7, st.integers(0, 4_102_444_800_000), st.binary(min_size=10, max_size=10))


@given(workspaces, message_ids, people)
def test_an_id_is_56_url_safe_characters_and_reads_as_what_it_was_made_of(
    workspace: WorkspaceId, message: UUID, person: PersonId
) -> None:
    made = IDS.of(workspace, message, person)
    assert (made.workspace_id, made.message_id, made.person_id) == (workspace, message, person)
    assert IDS.read(str(made)) == made
    assert len(str(made)) == delivery_id.CHARACTERS
    assert str(made).replace("-", "").replace("_", "").isalnum()
    assert str(made).isascii()


@given(workspaces, message_ids, people)
def test_an_id_is_made_as_former_releases_made_it(
    workspace: WorkspaceId, message: UUID, person: PersonId
) -> None:
    """Phones report for weeks under the ids that they were sent (docs/decisions/0017-delivery-ids.md)."""
    said = workspace.to_bytes(8, "big") + message.bytes + person.to_bytes(8, "big")
    code = blake2b(said, digest_size=10, key=bytes(range(32)), person=b"delivery id").digest()
    assert DeliveryIds(Secret(bytes(range(32)))).text(workspace, message, person) == (
        urlsafe_b64encode(said + code).decode()
    )


@given(workspaces, message_ids, people)
def test_another_installation_reads_none_of_ours(
    workspace: WorkspaceId, message: UUID, person: PersonId
) -> None:
    assert OTHERS.read(IDS.text(workspace, message, person)) is None


@given(workspaces, message_ids, people, st.data())
def test_nobody_can_derive_another_id_from_one(
    workspace: WorkspaceId, message: UUID, person: PersonId, data: st.DataObject
) -> None:
    """Any other bytes before the authentication code of an id, and any other code behind its bytes, are read as nothing."""
    raw = urlsafe_b64decode(IDS.text(workspace, message, person))
    at = data.draw(st.integers(0, len(raw) - 1))
    flipped = raw[at] ^ data.draw(st.integers(1, 255))
    forged = raw[:at] + bytes([flipped]) + raw[at + 1 :]
    assert IDS.read(urlsafe_b64encode(forged).decode()) is None


@given(message_ids, people, people, st.sampled_from([1, 8, 16, 24]))
def test_the_code_of_one_person_is_not_that_of_another(
    message: UUID, ours: PersonId, theirs: PersonId, kept: int
) -> None:
    assume(ours != theirs)
    one = urlsafe_b64decode(IDS.text(WorkspaceId(1), message, ours))
    other = urlsafe_b64decode(IDS.text(WorkspaceId(1), message, theirs))
    assert one[-10:] != other[-10:]
    assert IDS.read(urlsafe_b64encode(other[:kept] + one[kept:]).decode()) in {
        IDS.of(WorkspaceId(1), message, ours),
        None,
    }


@given(st.text() | st.from_regex(r"[A-Za-z0-9_\-]{56}", fullmatch=True))
@example("")
@example("A" * 55 + "\n")
@example("ü" * 56)
def test_what_anybody_makes_up_is_read_as_nothing(text: str) -> None:
    assert IDS.read(text) is None


@given(workspaces, message_ids, people, st.integers(0, 55), st.sampled_from("!\n ü="))
def test_an_id_with_a_stray_character_is_not_read(
    workspace: WorkspaceId, message: UUID, person: PersonId, at: int, stray: str
) -> None:
    text = IDS.text(workspace, message, person)
    assert IDS.read(text[:at] + stray + text[at:]) is None
    assert IDS.read(f"{text}{stray}") is None


@given(workspaces, workspaces, message_ids, people)
def test_a_caller_with_a_key_reads_its_own_workspaces_ids_of_any_release(
    own: WorkspaceId, other: WorkspaceId, message: UUID, person: PersonId
) -> None:
    assume(own != other)
    former = urlsafe_b64encode(message.bytes + person.to_bytes(8, "big")).decode()
    assert IDS.read_of(own, former) == IDS.of(own, message, person)
    assert IDS.read_of(own, IDS.text(own, message, person)) == IDS.of(own, message, person)
    assert IDS.read_of(own, IDS.text(other, message, person)) is None
    assert IDS.read(former) is None


@given(message_ids, people)
def test_an_id_of_release_0_1_reads_as_what_it_was_made_of(message: UUID, person: PersonId) -> None:
    text = urlsafe_b64encode(message.bytes + person.to_bytes(8, "big")).decode()
    assert read_unsigned(text) == UnsignedId(message, person)


LAST_DAY_MS = 253_402_214_400_000  # of dates


@pytest.mark.parametrize(
    ("unix_ms", "person", "is_one"),
    [
        (LAST_DAY_MS, (1 << 63) - 1, True),
        (LAST_DAY_MS, 1 << 63, False),
        (LAST_DAY_MS, (1 << 64) - 1, False),
        (LAST_DAY_MS + 86_400_000, 7, False),
        ((1 << 48) - 1, 7, False),
    ],
)
def test_an_id_of_release_0_1_names_a_day_and_a_person_that_there_can_be(
    unix_ms: int, person: int, *, is_one: bool
) -> None:
    message = uuid7(unix_ms, bytes(range(10)))
    text = urlsafe_b64encode(message.bytes + person.to_bytes(8, "big")).decode()
    assert read_unsigned(text) == (UnsignedId(message, PersonId(person)) if is_one else None)
    assert (IDS.read_of(WorkspaceId(1), text) is not None) == is_one


def test_a_caller_with_a_key_names_nothing_by_what_is_no_id() -> None:
    for text in ("", "A" * 32, "A" * 56, "an id"):
        assert IDS.read_of(WorkspaceId(1), text) is None


@given(st.text() | st.from_regex(r"[A-Za-z0-9_\-]{32}", fullmatch=True))
@example("+" * 32)
@example("A" * 31 + "\n")
@example("-" * 32)
@example("")
def test_what_is_read_as_an_id_of_release_0_1_has_a_day(text: str) -> None:
    found = read_unsigned(text)
    if found is not None:
        assert urlsafe_b64encode(found.message_id.bytes + found.person_id.to_bytes(8, "big")).decode() == text
        assert found.message_id.version == 7
        assert message_day(found.message_id).year >= 1970
