"""Fetches the files that are to be imported from where they are, and imports those that are there."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, assert_never

from pushkeeper.services.imports.fetching import CustomerioPeople, UrlFile
from pushkeeper.store import jobs
from pushkeeper.worker.jobs.customerio_people import CustomerioApi
from pushkeeper.worker.jobs.remote_files import RemoteFiles

if TYPE_CHECKING:
    from pushkeeper.core.destination import Destinations
    from pushkeeper.services.imports.probing import Asker
    from pushkeeper.services.imports.service import Imports
    from pushkeeper.store.jobs import Claim


class Importer:
    """How a file is imported."""

    kind = jobs.IMPORT

    def __init__(self, imports: Imports, asker: Asker, *, destinations: Destinations) -> None:
        self._imports = imports
        self._asker = asker
        self._files = RemoteFiles(destinations, "url", at_once=self.kind.at_once)
        self._customerio = CustomerioApi(destinations)

    async def do(self, claim: Claim) -> None:
        fetch, place = await self._imports.to_fetch(claim)
        match fetch:
            case None:
                pass
            case UrlFile(url=url):
                async with aclosing(self._files.read(url)) as content:
                    await self._imports.fetch_whole(claim, content)
            case CustomerioPeople():
                async with aclosing(self._customerio.pages(fetch, place)) as pages:
                    await self._imports.fetch_pages(claim, pages)
            case _:
                assert_never(fetch)
        await self._imports.run(claim, self._asker)

    async def aclose(self) -> None:
        """Close the connections to where files are."""
        await self._files.aclose()
        await self._customerio.aclose()
