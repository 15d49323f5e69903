"""Who is meant by identifiers, and who gets which: Customer.io's tables, row by row, and what holds of every plan."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.core import identity
from pushkeeper.core.identity import (
    Create,
    Drop,
    Identifier,
    IdentifierKind,
    Known,
    Plan,
    Update,
    of_path,
    plan,
)
from pushkeeper.core.model import PersonId

ID, EMAIL, CIO_ID = IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID
ANNA, BEN = PersonId(1), PersonId(2)

Person = dict[IdentifierKind, set[str]]


def known(people: dict[PersonId, Person]) -> Known:
    owners = {(CIO_ID.value, identity.cio_id(person)): person for person in people}
    for person, has in people.items():
        for kind, values in has.items():
            owners.update({Identifier(kind, value).key: person for value in values})
    return Known(owners, {person: frozenset(has) for person, has in people.items()})


def an_id(value: str) -> Identifier:
    return Identifier(ID, value)


def an_email(value: str) -> Identifier:
    return Identifier(EMAIL, value)


def cio_id_of(person: PersonId) -> Identifier:
    return Identifier(CIO_ID, identity.cio_id(person))


@pytest.mark.parametrize(
    ("segment", "kind", "value"),
    [
        ("cio_0300010001ab", CIO_ID, "0300010001ab"),
        ("cio_", CIO_ID, ""),
        ("anna@example.com", EMAIL, "anna@example.com"),
        ("Anna+news@Mail.Example.co.uk", EMAIL, "Anna+news@Mail.Example.co.uk"),
        ("42", ID, "42"),
        ("+4915112345678", ID, "+4915112345678"),
        ("anna@localhost", ID, "anna@localhost"),
        ("@example.com", ID, "@example.com"),
        ("anna @example.com", ID, "anna @example.com"),
        ("anna@example.com ben", ID, "anna@example.com ben"),
        ("a@b@example.com", ID, "a@b@example.com"),
        ("CIO_0300010001ab", ID, "CIO_0300010001ab"),
        ("ein/schrägstrich", ID, "ein/schrägstrich"),
    ],
)
def test_what_a_path_segment_means(segment: str, kind: IdentifierKind, value: str) -> None:
    assert of_path(segment) == Identifier(kind, value)


def test_emails_compare_without_case_and_ids_with_it() -> None:
    assert an_email("Anna@Example.com").key == an_email("anna@example.COM").key
    assert an_id("Anna").key != an_id("anna").key


ONLY_ANNA = {ANNA: {ID: {"anna"}, EMAIL: {"anna@example.com"}}}
ANNA_BY_EMAIL = {ANNA: {EMAIL: {"anna@example.com"}}}
ANNA_AND_BEN = {ANNA: {ID: {"anna"}}, BEN: {ID: {"ben"}, EMAIL: {"ben@example.com"}}}


@pytest.mark.parametrize(
    ("people", "path", "others", "expected"),
    [
        pytest.param(ONLY_ANNA, an_id("anna"), (), Update(ANNA, adds=()), id="known: update"),
        pytest.param(
            ANNA_BY_EMAIL,
            an_email("ANNA@example.com"),
            (an_id("anna"),),
            Update(ANNA, adds=(an_id("anna"),)),
            id="known by an email of another case: update, and set what she does not have",
        ),
        pytest.param(
            ANNA_BY_EMAIL,
            an_id("anna"),
            (an_email("anna@example.com"),),
            Update(ANNA, adds=(an_id("anna"),)),
            id="unknown, but the body names somebody: they get the path's identifier",
        ),
        pytest.param(
            ANNA_BY_EMAIL,
            an_id("anna"),
            (an_email("anna@example.com"), an_id("other")),
            Update(ANNA, adds=(an_id("anna"),)),
            id="the path's id comes before the body's",
        ),
        pytest.param(
            ANNA_AND_BEN,
            an_id("anna"),
            (an_email("ben@example.com"),),
            Update(ANNA, adds=()),
            id="path and body name different people: not applied",
        ),
        pytest.param(
            ONLY_ANNA,
            an_id("somebody"),
            (an_email("anna@example.com"),),
            Create(adds=(an_id("somebody"),)),
            id="the body names somebody who has another id: a person of their own, without the email",
        ),
        pytest.param({}, cio_id_of(ANNA), (an_id("anna"),), Drop(), id="unknown cio_id: dropped"),
        pytest.param(
            {},
            an_id("anna"),
            (an_email("anna@example.com"),),
            Create(adds=(an_id("anna"), an_email("anna@example.com"))),
            id="nobody matches: create",
        ),
        pytest.param(
            ONLY_ANNA,
            an_email("anna@example.com"),
            (an_id("changed"),),
            Update(ANNA, adds=()),
            id="an id that is set is not changed by email",
        ),
        pytest.param(
            ONLY_ANNA,
            an_id("anna"),
            (an_email("changed@example.com"),),
            Update(ANNA, adds=()),
            id="an email that is set is not changed by id",
        ),
        pytest.param(
            ONLY_ANNA,
            cio_id_of(ANNA),
            (an_id("changed"), an_email("changed@example.com")),
            Update(ANNA, adds=(), replaces=(an_id("changed"), an_email("changed@example.com"))),
            id="both are changed by cio_id",
        ),
        pytest.param(
            ANNA_BY_EMAIL,
            cio_id_of(ANNA),
            (an_email("changed@example.com"), an_id("anna")),
            Update(ANNA, adds=(an_id("anna"),), replaces=(an_email("changed@example.com"),)),
            id="by cio_id what she lacks is added, and what she has is changed",
        ),
        pytest.param(
            ANNA_BY_EMAIL,
            an_id("anna"),
            (an_email("changed@example.com"), an_email("anna@example.com")),
            Update(ANNA, adds=(an_id("anna"),)),
            id="whom the body names, it changes in nothing that is set",
        ),
        pytest.param(
            ANNA_AND_BEN,
            cio_id_of(ANNA),
            (an_id("ben"),),
            Update(ANNA, adds=()),
            id="not even by cio_id to somebody else's",
        ),
    ],
)
def test_whom_a_call_means_and_what_they_get(
    people: dict[PersonId, Person], path: Identifier, others: tuple[Identifier, ...], expected: Plan
) -> None:
    assert plan(path, others, known(people)) == expected


@pytest.mark.parametrize(
    ("people", "expected"),
    [({}, Drop()), (ANNA_BY_EMAIL, Update(ANNA, adds=(an_id("anna"),)))],
)
def test_an_update_only_call_creates_nobody(people: dict[PersonId, Person], expected: Plan) -> None:
    assert plan(an_id("anna"), [an_email("anna@example.com")], known(people), create=False) == expected


def test_a_cio_id_is_twelve_hexadecimal_digits() -> None:
    assert identity.cio_id(PersonId(0x1AB)) == "0000000001ab"


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("0" * 12, None),
        ("0" * 11 + "1", 1),
        ("7" + "f" * 15, (1 << 63) - 1),
        ("8" + "0" * 15, None),
        ("0000000001abzz", None),
    ],
)
def test_a_cio_id_names_what_the_database_can_hold(text: str, person: int | None) -> None:
    assert identity.person_of_cio_id(text) == person
    assert Identifier(CIO_ID, text).person_id == person
    assert Identifier(ID, text).person_id is None, "an id that looks like one is an id"


@pytest.mark.parametrize(
    ("path", "others", "left"),
    [
        (an_id("anna"), (an_id("anna"), an_email("new@example.com")), ()),
        (an_id("anna"), (an_email("ben@example.com"),), (an_email("ben@example.com"),)),
        (an_email("ben@example.com"), (an_id("another"),), (an_id("another"),)),
        (an_email("ben@example.com"), (an_id("ben"), cio_id_of(ANNA)), ()),
        (cio_id_of(ANNA), (an_id("changed"), an_id("ben")), (an_id("ben"),)),
        (an_id("somebody"), (an_email("ben@example.com"),), (an_email("ben@example.com"),)),
        (an_id("somebody"), (an_email("new@example.com"), cio_id_of(BEN)), ()),
        (cio_id_of(PersonId(3)), (an_id("ben"),), ()),
    ],
)
def test_what_a_call_does_not_apply_is_somebody_elses_or_set_otherwise(
    path: Identifier, others: tuple[Identifier, ...], left: tuple[Identifier, ...]
) -> None:
    who = known(ANNA_AND_BEN)
    assert identity.not_applied(plan(path, others, who), others, who) == left


def test_another_id_than_the_one_she_has_is_not_applied_to_the_first_person() -> None:
    who = known({ANNA: {ID: {"anna"}}})
    other = an_id("other")
    assert identity.not_applied(plan(an_id("anna"), [other], who), [other], who) == (other,)


@given(st.integers(1, (1 << 63) - 1).map(PersonId))
def test_a_cio_id_names_its_person(person: PersonId) -> None:
    assert identity.person_of_cio_id(identity.cio_id(person)) == person


@given(st.from_regex(r"[0-9a-fA-F]{11,17}", fullmatch=True) | st.text())
@example("0000000000000001")
@example("000000000000")
@example("00000000000A")
def test_no_other_text_names_a_person(text: str) -> None:
    person = identity.person_of_cio_id(text)
    assert person is None or identity.cio_id(person) == text


kinds = st.sampled_from(IdentifierKind)
values = st.sampled_from(["x", "X", "y", "z@example.com", "Z@example.com"])
identifiers = st.builds(Identifier, kinds.filter(lambda kind: kind is not CIO_ID), values) | st.builds(
    cio_id_of, st.integers(1, 4).map(PersonId)
)


@st.composite
def crowds(draw: st.DrawFn) -> dict[PersonId, Person]:
    """Up to three people, of whom no two share an identifier and none has two of a kind."""
    people: dict[PersonId, Person] = {PersonId(n): {} for n in range(1, draw(st.integers(0, 3)) + 1)}
    taken: set[tuple[str, str]] = set()
    for has in people.values():
        for identifier in draw(st.lists(identifiers, max_size=3)):
            if identifier.kind not in {CIO_ID, *has} and identifier.key not in taken:
                taken.add(identifier.key)
                has[identifier.kind] = {identifier.value}
    return people


def carried_out(
    made: Plan, people: dict[PersonId, Person]
) -> dict[PersonId, Counter[tuple[IdentifierKind, str]]]:
    """What everybody has once the plan is carried out, by a reading of the plan that is as plain as can be."""
    result = {
        person: Counter((kind, value) for kind, values in has.items() for value in values)
        for person, has in people.items()
    }
    match made:
        case Update():
            has = result[made.person_id]
            for new in made.replaces:
                for kind, value in list(has):
                    if kind is new.kind:
                        del has[kind, value]
            has.update((new.kind, new.value) for new in chain(made.adds, made.replaces))
        case Create():
            result[PersonId(99)] = Counter((new.kind, new.value) for new in made.adds)
        case Drop():
            pass
    return result


Call = tuple[dict[PersonId, Person], Identifier, list[Identifier], bool]
calls: st.SearchStrategy[Call] = st.tuples(
    crowds(), identifiers, st.lists(identifiers, max_size=4), st.booleans()
)


@given(calls)
def test_no_identifier_is_taken_from_another_person_or_given_to_two(call: Call) -> None:
    people, path, others, create = call
    after = carried_out(plan(path, others, known(people), create=create), people)
    owners = Counter(Identifier(kind, value).key for has in after.values() for kind, value in has.elements())
    assert set(owners.values()) <= {1}
    meant = plan(path, others, known(people), create=create)
    for person, has in people.items():
        if not (isinstance(meant, Update) and meant.person_id == person):
            assert after[person] == Counter((kind, value) for kind, values in has.items() for value in values)


@given(calls)
def test_nobody_ever_has_two_ids_or_two_emails(call: Call) -> None:
    people, path, others, create = call
    for has in carried_out(plan(path, others, known(people), create=create), people).values():
        held = Counter(kind for kind, _ in has.elements())
        assert held[ID] <= 1
        assert held[EMAIL] <= 1


@given(calls)
def test_a_cio_id_is_never_given(call: Call) -> None:
    people, path, others, create = call
    for has in carried_out(plan(path, others, known(people), create=create), people).values():
        assert not any(kind is CIO_ID for kind, _ in has)


@given(calls)
def test_the_resolved_person_is_found_by_the_path_from_then_on(call: Call) -> None:
    people, path, others, create = call
    made = plan(path, others, known(people), create=create)
    if isinstance(made, Drop):
        return
    person = made.person_id if isinstance(made, Update) else PersonId(99)
    has = carried_out(made, people)[person]
    found = path.person_id == person or any(Identifier(kind, value).key == path.key for kind, value in has)
    assert found


@given(calls)
def test_an_identifier_that_is_set_changes_only_through_the_cio_id(call: Call) -> None:
    people, path, others, create = call
    made = plan(path, others, known(people), create=create)
    if isinstance(made, Update) and made.replaces:
        assert path == cio_id_of(made.person_id)


@given(calls)
def test_nobody_is_created_by_a_call_that_may_not_or_that_goes_by_cio_id(call: Call) -> None:
    people, path, others, create = call
    if not create or path.kind is CIO_ID:
        assert not isinstance(plan(path, others, known(people), create=create), Create)


@given(calls)
def test_the_same_call_again_means_the_same_person_and_gives_nothing_new(call: Call) -> None:
    people, path, others, _ = call
    first = plan(path, others, known(people))
    if isinstance(first, Drop):
        return
    after: dict[PersonId, Person] = {}
    for person, has in carried_out(first, people).items():
        after[person] = {}
        for kind, value in has:
            after[person].setdefault(kind, set()).add(value)
    person = first.person_id if isinstance(first, Update) else PersonId(99)
    assert plan(path, others, known(after)) == Update(person, adds=())
