"""The feeds, sitemaps and listing of the demo world, in every format and with every fault."""

from __future__ import annotations

import gzip
import json
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tgecrawler.demo.world import Site, Story

XML = '<?xml version="1.0" encoding="utf-8"?>\n'
CONTENT_TYPES = {"atom": "application/atom+xml", "json": "application/feed+json"}


def render_feed(site: Site, stories: Sequence[Story], elsewhere: Sequence[Story] = ()) -> bytes:
    """Return a site's feed; `elsewhere` are stories of other hosts that it links to."""
    listed = [*stories, *elsewhere]
    text = {"atom": _atom, "json": _json, "rdf": _rdf}.get(site.format, _rss)(site, listed)
    if site.fault == "html":
        text = f"<!doctype html><html><body><h1>{site.name}</h1><p>We moved.</p></body></html>"
    if site.fault == "malformed":
        text = text.replace("&amp;", "&").replace("Sponsored", "Sponsored&nbsp;")
        text = text[: text.rindex("</item>")]
    if site.fault == "cp1252":
        return text.encode("cp1252", "xmlcharrefreplace")
    content = text.encode()
    return gzip.compress(content, mtime=0) if site.fault == "gzip" else content


def link_of(site: Site, story: Story) -> str:
    """Return the address under which a feed links to a story."""
    if story.entry == "script_link":
        return "javascript:alert(3)"
    if story.entry == "relative":
        return story.path
    return f"{story.url}?{site.tracking}" if site.tracking else story.url


def _rss(site: Site, stories: Sequence[Story]) -> str:
    version = "0.92" if site.format == "rss092" else "2.0"
    spaces = (
        "" if version == "0.92" else ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    )
    items = "".join(f"<item>{''.join(_rss_parts(site, story))}</item>\n" for story in stories)
    return (
        f'{XML}<rss version="{version}"{spaces}><channel><title>{escape(site.name)}</title>'
        f"<link>{site.home}</link><description>{escape(site.name)}</description>"
        f"<language>{site.lang}</language>\n{items}</channel></rss>\n"
    )


def _rss_parts(site: Site, story: Story) -> Iterator[str]:
    yield f"<title>{escape(story.title)}</title><link>{escape(link_of(site, story))}</link>"
    yield f"<description>{escape(story.summary)}</description>"
    if story.entry != "undated":
        yield f"<pubDate>{format_datetime(story.at)}</pubDate>"
    if site.full_text:
        body = "".join(f"<p>{escape(part)}</p>" for part in story.paragraphs)
        yield f"<content:encoded><![CDATA[{body}]]></content:encoded>"


def _rdf(site: Site, stories: Sequence[Story]) -> str:
    items = "".join(
        f'<item rdf:about="{story.url}"><title>{escape(story.title)}</title>'
        f"<link>{link_of(site, story)}</link><description>{escape(story.summary)}</description>"
        f"<dc:date>{story.at.isoformat()}</dc:date></item>\n"
        for story in stories
    )
    return (
        f'{XML}<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<channel rdf:about="{site.home}"><title>{site.name}</title><link>{site.home}</link>'
        f"<description>{site.name}</description></channel>\n{items}</rdf:RDF>\n"
    )


def _atom(site: Site, stories: Sequence[Story]) -> str:
    entries = "".join(
        f"<entry><title>{escape(story.title)}</title><id>{story.url}</id>"
        f'<link rel="alternate" type="text/html" href="{escape(link_of(site, story))}"/>'
        f"<published>{story.at.isoformat()}</published><updated>{story.at.isoformat()}</updated>"
        f"<author><name>{escape(story.author or site.name)}</name></author>"
        f'<summary type="html">{escape(f"<p>{escape(story.summary)}</p>")}</summary></entry>\n'
        for story in stories
    )
    return (
        f'{XML}<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{site.lang}">'
        f"<title>{site.name}</title><id>{site.home}</id>"
        f'<link rel="alternate" href="{site.home}"/>\n{entries}</feed>\n'
    )


def _json(site: Site, stories: Sequence[Story]) -> str:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": site.name,
        "home_page_url": site.home,
        "items": [
            {
                "id": story.url,
                "url": link_of(site, story),
                "title": story.title,
                "summary": story.summary,
                "date_published": story.at.isoformat(),
            }
            for story in stories
        ],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1)


def render_sitemaps(site: Site, stories: Sequence[Story]) -> dict[str, bytes]:
    """Return an index with a news sitemap (the newest two) and one of all other pages."""
    news = "".join(
        f"<url><loc>{story.url}</loc><news:news><news:publication_date>{story.at.isoformat()}"
        f"</news:publication_date><news:title>{escape(story.title)}</news:title>"
        f"<news:language>en</news:language></news:news></url>\n"
        for story in stories[:2]
    )
    rest = "".join(f"<url><loc>{story.url}</loc></url>\n" for story in stories[2:])
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    news_space = 'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
    children = "".join(
        f"<sitemap><loc>{site.home}{name}.xml</loc></sitemap>" for name in ("news", "pages")
    )
    return {
        site.entrance: f"{XML}<sitemapindex {space}>{children}</sitemapindex>\n".encode(),
        f"{site.home}news.xml": f"{XML}<urlset {space} {news_space}>\n{news}</urlset>\n".encode(),
        f"{site.home}pages.xml": f"{XML}<urlset {space}>\n{rest}</urlset>\n".encode(),
    }


def render_listing(site: Site, stories: Sequence[Story]) -> bytes:
    """Return a page that lists notes, with their dates."""
    items = "".join(
        f'<li class="note"><a href="{story.path}">{escape(story.title)}</a> '
        f'<time datetime="{story.at.isoformat()}">{story.at:%d.%m.}</time></li>\n'
        for story in stories
    )
    page = f"<!doctype html><html><body><h1>{site.name}</h1><ul>{items}</ul></body></html>"
    return page.encode()
