"""Imports the files that were uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store import jobs

if TYPE_CHECKING:
    from pushkeeper.services.imports.service import Imports
    from pushkeeper.store.jobs import Claim


class Importer:
    """How a file is imported."""

    kind = jobs.IMPORT

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    async def do(self, claim: Claim) -> None:
        await self._imports.run(claim)

    async def aclose(self) -> None:
        """Nothing is held."""
