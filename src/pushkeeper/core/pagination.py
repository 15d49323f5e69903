"""A page of a listing, and where the next one begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

R = TypeVar("R")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Page(Generic[R, K]):
    """Rows in their order, and the key to continue after; None on the last page.

    `whole`: the page is full or the last one; otherwise time ran out, and there may be more.
    """

    rows: Sequence[R]
    following: K | None
    whole: bool
