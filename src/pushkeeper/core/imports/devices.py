"""Devices of imports: what all vendors' tokens, statuses and environments have in common. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.devices import tokens
from pushkeeper.core.imports.row import Skip, SkipReason
from pushkeeper.core.model import Platform, TokenShape, token_shape

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportedDevice, ImportOptions


def status_of(*, valid: bool) -> LastStatus:
    """The status of a device by whether the vendor still sent to it."""
    return LastStatus.UNUSED if valid else LastStatus.SUPPRESSED


def checked(given: ImportedDevice, options: ImportOptions, *, field: str) -> ImportedDevice:
    """A phone as its record has it, with what the options add; `field` is where the record has the token.

    `Skip` where it has no token or one that can't be one, the vendor no longer sent to it, or nobody says which of
    Apple's environments its token is of.
    """
    if not given.token:
        raise Skip(SkipReason.NO_TOKEN, field)
    token = tokens.token_of(given.token)
    if flaw := tokens.flaw(token):
        raise Skip(SkipReason.BAD_TOKEN, field, flaw)
    if given.status is LastStatus.SUPPRESSED and not options.keep_status:
        raise Skip(SkipReason.INVALID_AT_SOURCE)
    environment = None
    if given.platform is Platform.IOS:
        environment = given.environment or options.environment
        if environment is None and token_shape(given.platform, token) is not TokenShape.FCM:
            raise Skip(SkipReason.ENVIRONMENT_UNKNOWN, field, "say --environment production or sandbox")
    return msgspec.structs.replace(
        given,
        token=token.value,
        app=given.app or options.app,
        environment=environment,
        status=given.status if options.keep_status else LastStatus.UNUSED,
        failure_reason=given.failure_reason if options.keep_status else None,
    )
