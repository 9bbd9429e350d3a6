"""The article pages of the demo world, with what surrounds an article on the web."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tgecrawler.demo.world import Site, Story

WALL = "<p>We value your privacy. Accept all cookies to continue to this page.</p>"


def render_page(story: Story) -> str:
    """Return a story's page; where it is behind a wall, the wall."""
    site = story.site
    body = WALL if story.page == "wall" else _article(story)
    return (
        f'<!doctype html>\n<html lang="{site.lang}"><head><meta charset="utf-8">'
        f"<title>{escape(story.title)} | {escape(site.name)}</title>"
        f'<link rel="canonical" href="{story.url}">\n{_declared(story)}</head>\n'
        f"<body>{_header(site)}\n<main>{body}</main>\n{_footer(site)}</body></html>\n"
    )


def _declared(story: Story) -> str:
    if story.entry == "undated":
        return ""
    if story.site.tier == 1:
        data = {
            "@context": "https://schema.org",
            "@type": "NewsArticle",
            "headline": story.title,
            "datePublished": story.at.isoformat(),
            "author": {"@type": "Person", "name": story.author or story.site.name},
        }
        return f'<script type="application/ld+json">{json.dumps(data)}</script>'
    return f'<meta property="article:published_time" content="{story.at.isoformat()}">'


def _article(story: Story) -> str:
    paragraphs = "\n".join(f"<p>{escape(part)}</p>" for part in story.paragraphs)
    byline = f'<p class="byline">By {escape(story.author)}</p>' if story.author else ""
    return f"<article><h1>{escape(story.title)}</h1>{byline}\n{paragraphs}</article>"


def _header(site: Site) -> str:
    links = "".join(f'<a href="/{name}">{name.title()}</a> ' for name in ("news", "about", "mail"))
    return f"<header><b>{escape(site.name)}</b><nav>{links}</nav></header>"


def _footer(site: Site) -> str:
    more = "".join(f"<li><a href='/{n}'>Read also: story {n}</a></li>" for n in range(1, 6))
    extra = "<p>Subscribe to our letter.</p>" if site.boilerplate else ""
    return f"<aside><ul>{more}</ul></aside><footer>{extra}<p>© {escape(site.name)}</p></footer>"
