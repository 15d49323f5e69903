"""What we use of the driver, and nothing else: so that its types stay in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = Mapping[str, Any]


class Connection(Protocol):
    """What we use of the driver's connection."""

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> list[Row]: ...  # noqa: ASYNC109 - the driver's own parameter
    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Row | None: ...  # noqa: ASYNC109 - likewise
    async def fetchval(self, query: str, *args: object) -> Any: ...  # noqa: ANN401 - a column has any type
    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str: ...  # noqa: ASYNC109 - the driver's own parameter
