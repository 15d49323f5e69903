"""The three named profiles of the simulator, and how single switches of them are set by name."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from pushkeeper.simulator.apns import APNS_CONNECTION, ApnsRules
from pushkeeper.simulator.exchange import Profile  # noqa: TC001 - a dataclass's field
from pushkeeper.simulator.fcm import FCM_CONNECTION, FcmRules
from pushkeeper.simulator.push_service import PUSH_CONNECTION, PushRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the services behave where that is a choice; the defaults are what is documented, or else was observed."""

    fcm: FcmRules = field(default_factory=FcmRules)
    fcm_connection: Profile = FCM_CONNECTION
    apns: ApnsRules = field(default_factory=ApnsRules)
    apns_connection: Profile = APNS_CONNECTION
    webpush: PushRules = field(default_factory=PushRules)
    webpush_connection: Profile = PUSH_CONNECTION


class UnknownFlag(Exception):
    """A switch does not exist, or cannot have this value."""


DOCUMENTED = Behaviour()

# No limits, for trying things out and for benchmarks.
FRIENDLY = Behaviour(
    fcm=FcmRules(project_per_min=None, device_per_min=None, device_per_h=None, expires_after_days=None),
    fcm_connection=replace(
        FCM_CONNECTION, excess_debug=None, idle_timeout_s=None, max_age_s=None, idle_pings=None, data_frames=1
    ),
    apns=ApnsRules(expired_token_wedges=False),
    apns_connection=replace(APNS_CONNECTION, opening_streams=None),
)

# The most hostile that is plausible, of everything at once.
HOSTILE = Behaviour(
    fcm=FcmRules(
        unknown_token_form="token_field",  # noqa: S106 - the name of a form, not a secret
        dry_run_finds_unregistered=True,
        names_the_quota=False,
        retry_after="mixed",
        unavailable_share=0.02,
    ),
    fcm_connection=replace(
        FCM_CONNECTION,
        streams=20,
        max_age_s=5.0,
        idle_timeout_s=2.0,
        idle_pings=1,
        max_requests=200,
        refused_share=0.02,
        lost_share=0.01,
        latency_ms=5.0,
    ),
    apns=ApnsRules(
        streams_after_rejection=1,
        device_per_min=60,
        bad_tokens_in_a_row=10,
        unavailable_share=0.02,
    ),
    apns_connection=replace(
        APNS_CONNECTION,
        streams=100,
        max_age_s=5.0,
        idle_timeout_s=2.0,
        max_requests=200,
        refused_share=0.02,
        lost_share=0.01,
        latency_ms=5.0,
    ),
    webpush=PushRules(device_per_min=60, retry_after="mixed", unavailable_share=0.02),
    webpush_connection=replace(
        PUSH_CONNECTION,
        streams=20,
        max_age_s=5.0,
        idle_timeout_s=2.0,
        max_requests=200,
        refused_share=0.02,
        lost_share=0.01,
        latency_ms=5.0,
    ),
)

PROFILES: Mapping[str, Behaviour] = {"friendly": FRIENDLY, "documented": DOCUMENTED, "hostile": HOSTILE}


def flags() -> Iterator[tuple[str, str]]:
    """Every switch by its name (`fcm.retry_after`), with what it says."""
    for group in fields(Behaviour):
        kind = type(getattr(DOCUMENTED, group.name))
        text = inspect.getdoc(kind) or ""
        said = re.findall(r"^    ((?:\w+, )*\w+): (.+(?:\n        .+)*)$", text, re.MULTILINE)
        for names, sentence in said:
            for name in names.split(", "):
                if _is_settable(kind, name):
                    yield f"{group.name}.{name}", re.sub(r"\s+", " ", sentence)


def value(behaviour: Behaviour, flag: str) -> Any:  # noqa: ANN401 - a switch is of any type
    """What a switch is set to."""
    group, _, name = flag.partition(".")
    return getattr(getattr(behaviour, group), name)


def changed(behaviour: Behaviour, flag: str, text: str) -> Behaviour:
    """The same with one switch set, from what a person wrote; `none` is None.

    Raises:
        UnknownFlag: it does not exist, or it cannot have this value.
    """
    group, _, name = flag.partition(".")
    if flag not in dict(flags()):
        raise UnknownFlag(f"{flag}: there is no such switch; docs/reference/simulator.md lists them")
    rules = getattr(behaviour, group)
    hint = get_type_hints(type(rules), include_extras=True)[name]
    kinds = getattr(hint, "__args__", (hint,))
    try:
        if text == "none" and type(None) in kinds:
            converted = None
        else:
            converted = text.encode() if bytes in kinds else msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        raise UnknownFlag(f"{flag}: {str(error).lower()}") from None
    return replace(behaviour, **{group: replace(rules, **{name: converted})})


def _is_settable(kind: type, name: str) -> bool:
    return name != "settings" and name in {field.name for field in fields(kind)}
