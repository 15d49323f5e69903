"""What a receipt keeps about its person."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.identifier_hash import IdentifierHashes
from pushkeeper.core.model import Secret, WorkspaceId

KEY = bytes(range(32))
workspaces = st.integers(1, (1 << 63) - 1).map(WorkspaceId)
kinds = st.sampled_from(["id", "email", "token"])


@given(workspaces, kinds, st.text(st.characters(codec="utf-8")))
def test_a_hash_is_made_as_former_releases_made_it(workspace: WorkspaceId, kind: str, key: str) -> None:
    """Receipts are kept for years, and are found by it."""
    said = workspace.to_bytes(8, "big") + kind.encode() + b"\0" + key.encode()
    expected = blake2b(said, digest_size=16, key=KEY, person=b"identifier").digest()
    assert IdentifierHashes(Secret(KEY)).of(workspace, kind, key) == expected


@given(
    st.tuples(workspaces, kinds, st.text()),
    st.tuples(workspaces, kinds, st.text()),
)
def test_two_identifiers_have_one_hash_only_if_they_are_the_same(
    one: tuple[WorkspaceId, str, str], other: tuple[WorkspaceId, str, str]
) -> None:
    hashes = IdentifierHashes(Secret(KEY))
    assert (hashes.of(*one) == hashes.of(*other)) == (one == other)
    assert hashes.of(*one) != IdentifierHashes(Secret(bytes(32))).of(*one), "who has no key makes none"


def test_half_a_character_has_a_hash() -> None:
    assert len(IdentifierHashes(Secret(KEY)).of(WorkspaceId(1), "id", "\ud800")) == 16
