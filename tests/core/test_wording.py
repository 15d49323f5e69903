"""What a message says to one person."""

from __future__ import annotations

import pytest

from pushkeeper.core.messages.personalize import (
    BadContent,
    MessageRenderer,
    PersonalizedContent,
    RenderContext,
    RenderError,
    WhenUndefined,
    check,
    liquid_texts,
)
from pushkeeper.core.model import Content, Platform

ANN = RenderContext(
    person={"first_name": "Ann", "language": "de-AT"}, device={"platform": "ios"}, data={"seat": "4A"}
)
HELLO = Content(
    title="Hello {{ customer.first_name }}", message="Seat {{ trigger.seat }}, {{ trigger.gate }}"
)


def test_a_content_is_rendered_wherever_there_is_a_text() -> None:
    content = Content(
        title="{{ customer.first_name }}",
        link="app://{{ device.platform }}",
        custom_data={"deep": [{"a": "{{ trigger.seat }}", "n": 7}, "as it is"], "plain": True},
        custom_payload={"ios": {"aps": {"alert": "{{ trigger.gate }}", "badge": 1}}},
    )
    said = MessageRenderer(content, PersonalizedContent(data={"gate": "B"})).say(ANN, Platform.IOS)
    assert said == Content(
        title="Ann",
        link="app://ios",
        custom_data={"deep": [{"a": "4A", "n": 7}, "as it is"], "plain": True},
        custom_payload={"ios": {"aps": {"alert": "B", "badge": 1}}},
    )


def test_data_of_one_person_overrides_data_of_all() -> None:
    said = MessageRenderer(HELLO, PersonalizedContent(data={"seat": "any", "gate": "B"})).say(
        ANN, Platform.IOS
    )
    assert (said.title, said.message) == ("Hello Ann", "Seat 4A, B")


@pytest.mark.parametrize(
    ("chosen", "persons", "title"),
    [
        (None, "de", "Hallo"),
        (None, "de-AT", "Hallo"),
        (None, "DE", "Hallo"),
        (None, "fr", "Hello"),
        (None, None, "Hello"),
        (None, 7, "Hello"),
        ("fr-CA", "de", "Salut"),
        ("de", "fr-CA", "Hallo"),
        ("it", "de", "Hello"),
    ],
)
def test_the_language_is_the_senders_or_the_persons(chosen: str | None, persons: object, title: str) -> None:
    wording = PersonalizedContent(
        translations={"de": Content(title="Hallo"), "fr-CA": Content(title="Salut")}, language=chosen
    )
    reader = RenderContext(person={} if persons is None else {"language": persons}, device={})
    assert MessageRenderer(Content(title="Hello"), wording).say(reader, Platform.IOS).title == title


def test_who_lacks_a_value_is_told_nothing_or_told_without_it() -> None:
    stranger = RenderContext(person={}, device={})
    content = Content(title="Hello {{ customer.first_name }}")
    with pytest.raises(RenderError, match="first_name"):
        MessageRenderer(content, PersonalizedContent()).say(stranger, Platform.IOS)
    lenient = PersonalizedContent(when_undefined=WhenUndefined.EMPTY)
    assert MessageRenderer(content, lenient).say(stranger, Platform.IOS).title == "Hello "


def test_a_content_without_liquid_is_the_same_object_to_everybody() -> None:
    content = Content(title="Hello", custom_data={"a": ["b"]})
    speaker = MessageRenderer(content, PersonalizedContent())
    assert speaker.say(ANN, Platform.IOS) is content
    assert not liquid_texts(content)
    assert liquid_texts(HELLO) == [HELLO.title, HELLO.message]
    assert liquid_texts(Content(title="x", custom_data={"a": [{"b": "{{ c }}"}]}))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (Content(title="{{ a"), "title"),
        (Content(title="a", custom_data={"a": [{"b": "{% x %}"}]}), "custom_data"),
        (Content(title="a", custom_payload={"ios": {"aps": {"alert": "{{ a"}}}), "custom_payload"),
    ],
)
def test_what_is_no_liquid_names_its_field(content: Content, field: str) -> None:
    with pytest.raises(BadContent) as refused:
        check(content)
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: line 1, column ")
