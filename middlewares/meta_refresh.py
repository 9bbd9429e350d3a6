"""Follows a page that is there only to lead to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.downloadermiddlewares.redirect import MetaRefreshMiddleware

from middlewares.redirect import WithoutReferrer

if TYPE_CHECKING:
    from scrapy import Request, Spider
    from scrapy.http import Response

# Scrapy reads the first 4,096 characters: no encoding of the web takes more than four bytes for one
_LOOKED_AT_BYTES = 4 * 4096


class QuickMetaRefreshMiddleware(WithoutReferrer, MetaRefreshMiddleware):
    """Stands in the place of MetaRefreshMiddleware (580), and does what it does.

    Scrapy's own decodes each page as a whole to look for the tag in its beginning.
    Most pages do not have the word there, and that the bytes tell; where they are not
    those of ASCII (UTF-16), Scrapy looks.
    """

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        beginning = response.body[:_LOOKED_AT_BYTES]
        if b"refresh" not in beginning.lower() and b"\x00" not in beginning:
            return response
        return super().process_response(request, response)
