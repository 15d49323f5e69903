"""Who may what, and which names and passwords are none."""

from __future__ import annotations

import pytest

from pushkeeper.core import roles
from pushkeeper.core.roles import Failures, Role


def test_each_role_may_what_the_one_before_may_and_no_more() -> None:
    allowed = {(one, other) for one in Role for other in Role if one.includes(other)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER),
        (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMIN, Role.VIEWER),
        (Role.ADMIN, Role.OPERATOR),
        (Role.ADMIN, Role.ADMIN),
    }


@pytest.mark.parametrize("other", ["ANN@example.com", " ann@Example.COM ", "\uff41\uff4e\uff4e@example.com"])
def test_a_name_is_the_same_in_any_case_and_width(other: str) -> None:
    assert roles.key_of(other) == roles.key_of("ann@example.com")


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\0b", "a\u202eb"])
def test_a_name_that_cannot_be_read_is_none(name: str) -> None:
    assert roles.name_fault(name)


def test_a_name_may_hold_what_people_are_called_by() -> None:
    assert roles.name_fault("Zoë <zoë@example.com>") is None


@pytest.mark.parametrize("password", ["short", "", "aaaaaaaaaaaa", "Ann@example.com", "x1" * 501])
def test_what_is_guessed_at_once_or_too_long_is_no_password(password: str) -> None:
    assert roles.password_fault(password, "ann@example.com")


def test_a_few_words_are_a_password() -> None:
    assert roles.password_fault("correct horse battery", "ann@example.com") is None


@pytest.mark.parametrize(
    ("of_both", "of_address", "of_name", "too_many"),
    [(4, 4, 4, False), (5, 5, 5, True), (0, 60, 0, True), (0, 0, 60, True), (4, 59, 59, False)],
)
def test_somebody_who_guesses_has_fewer_guesses_than_an_office_or_a_name(
    of_both: int, of_address: int, of_name: int, *, too_many: bool
) -> None:
    failures = Failures(of_both=of_both, of_address=of_address, of_name=of_name)
    assert failures.are_too_many is too_many
