"""Secrets at rest: opened only with the key and for the row that they were sealed with and for."""

from __future__ import annotations

import subprocess
import sys
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured
from pushkeeper.store.admin.vault import Vault, key_of_folder, read_key

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = Vault(Secret(bytes(32))), Vault(Secret(bytes([1]) * 32))

AGREE_ON_A_KEY = """
import sys
from pathlib import Path
from pushkeeper.store.admin.vault import key_of_folder
sys.stdin.readline()
print(key_of_folder(Path(sys.argv[1])).value.hex())
"""


@given(st.binary(), st.text())
def test_what_is_sealed_is_opened_again_and_not_seen_in_between(value: bytes, label: str) -> None:
    sealed = ONE.seal(Secret(value), label)
    assert ONE.open(sealed, label) == Secret(value)
    assert len(value) < 4 or value not in sealed
    assert sealed != ONE.seal(Secret(value), label)


def test_another_key_does_not_open_it_and_the_error_says_what_to_do() -> None:
    sealed = ONE.seal(Secret(b"a private key"), "credential 1")
    with pytest.raises(
        Misconfigured, match=r"credential 1 was encrypted with another key.*PUSHKEEPER_SECRET_KEY"
    ) as said:
        OTHER.open(sealed, "credential 1")
    assert "a private key" not in said.value.message


def test_what_was_sealed_for_one_row_is_not_opened_for_another() -> None:
    sealed = ONE.seal(Secret(b"a private key"), "credential 1")
    with pytest.raises(Misconfigured, match="credential 2"):
        ONE.open(sealed, "credential 2")


@given(st.integers(0, 40), st.integers(0, 7))
def test_one_changed_bit_is_noticed(at: int, bit: int) -> None:
    sealed = bytearray(ONE.seal(Secret(b"a private key"), "row"))
    assert len(sealed) == 41
    sealed[at] ^= 1 << bit
    with pytest.raises(Misconfigured):
        ONE.open(bytes(sealed), "row")


@pytest.mark.parametrize("length", range(30))
def test_what_is_too_short_to_be_sealed_is_refused_as_any_other(length: int) -> None:
    with pytest.raises(Misconfigured):
        ONE.open(bytes(length), "row")


@given(
    key=st.binary(min_size=32, max_size=32),
    dress=st.sampled_from(["{}", " {}\n", "\t{}"]),
    padded=st.booleans(),
)
def test_a_key_is_read_with_and_without_its_padding(key: bytes, dress: str, *, padded: bool) -> None:
    text = urlsafe_b64encode(key).decode()
    assert read_key(dress.format(text if padded else text.rstrip("="))) == Secret(key)


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 42, "ü" * 43, urlsafe_b64encode(bytes(31)).decode(), "A" * 64]
)
def test_anything_else_is_not_a_key_and_is_not_repeated(text: str) -> None:
    with pytest.raises(Misconfigured, match="PUSHKEEPER_SECRET_KEY: expected 32 bytes") as said:
        read_key(text)
    assert not text or text not in said.value.message


def test_a_folder_gets_a_key_of_its_own_for_its_owner_alone(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    key = key_of_folder(here)
    assert key_of_folder(here) == key
    assert key_of_folder(there) != key
    assert [file.name for file in here.iterdir()] == ["secret.key"]
    assert (here / "secret.key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AGREE_ON_A_KEY, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert keys == {key_of_folder(tmp_path).value.hex()}


def test_a_key_file_that_holds_something_else_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("not a key")
    with pytest.raises(Misconfigured, match=f"{tmp_path}/secret.key"):
        key_of_folder(tmp_path)
    assert (tmp_path / "secret.key").read_text() == "not a key"


def test_a_folder_that_cannot_hold_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(Misconfigured, match=f"data folder: {tmp_path}/file/data"):
        key_of_folder(tmp_path / "file" / "data")
