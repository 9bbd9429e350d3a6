"""Pages of news as the benchmark's server gives them: made, deterministic, as heavy as real ones.

Sizes follow the 181 pages of the public extraction benchmark: 174,000 bytes, of which
9,000 are words; up to 3,000 tags, 270 links; the rest is scripts and styles.
"""

from __future__ import annotations

import json
import random

EVENT_EVERY = 20  # pages: one announces a token event
LINKS = 250
PARAGRAPHS = 30
RULES = 900
SCRIPT_LINES = 900  # in each of two scripts

_PEOPLE = ("The council", "A spokesman", "The museum", "Her coach", "One resident", "The farmers")
_VERBS = ("said", "explained", "found", "reported", "agreed", "feared", "denied", "hoped")
_CLAUSES = (
    "that the bridge over the river would stay closed until spring",
    "that visitors had doubled since the new hall opened",
    "that the harvest was late after a wet and cold summer",
    "that the second half was the best of the season",
    "that nobody had asked the people who live there",
    "that the old railway station needs a roof before winter",
    "that the choir will travel to the coast in May",
    "that prices of bread and milk had risen again",
    "that the vaccine works in most of the patients",
    "that the painting had hung in a kitchen for forty years",
)
_TOPICS = ("Bridge", "Museum", "Harvest", "Derby", "Railway", "Choir", "Bakery", "Clinic")
_TURNS = (
    "stays shut until spring",
    "draws record crowd",
    "divides the town",
    "ends in a draw",
    "gets a new roof",
    "wins prize in the capital",
    "raises prices again",
)
_NAMES = ("Aldermoor", "Brindlecot", "Carrowby", "Dunsel", "Elverfoot", "Farrowick", "Gantley")
_EVENTS = (
    "{name} announces airdrop of its {token} token",
    "{name} sets date for {token} token generation event",
    "{name} opens public sale of {token} token",
)
_EVENT_BODY = (
    "{name} will launch its {token} token on Friday, with an airdrop to early users. The token"
    " generation event follows a testnet of two years, and claims open at noon UTC. "
)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{title} | The Daily</title>
<meta property="og:title" content="{title}"><meta property="og:site_name" content="The Daily">
<meta property="article:published_time" content="{published}">{metas}
<script type="application/ld+json">{declared}</script><style>{style}</style>
<script>{script}</script></head><body><header><nav>{menu}</nav></header><main><article>
<h1>{title}</h1><div class="byline"><span>By <a href="/by/1">A. Writer</a></span></div>
{body}</article><aside>{aside}</aside></main><footer>{footer}</footer>
<script>{script}</script></body></html>
"""


def make_page(number: int, published: str) -> str:
    """Return page ``number``; the same number and date give the same page."""
    dice = random.Random(number)
    title, lead = _event(dice, number) if number % EVENT_EVERY == 0 else (_title(dice, number), "")
    declared = {"@type": "NewsArticle", "headline": title, "datePublished": published}
    return _PAGE.format(
        title=title,
        published=published,
        declared=json.dumps(declared),
        metas="".join(
            f'<meta name="x-{at}" content="{dice.randrange(10**9)}">' for at in range(30)
        ),
        style="".join(f".c{at}{{margin:{dice.randrange(99)}px}}" for at in range(RULES)),
        script=_script(dice),
        menu=_links(dice, LINKS // 2),
        body="".join(f"<p>{lead if at == 0 else ''}{_told(dice)}</p>" for at in range(PARAGRAPHS)),
        aside=_links(dice, LINKS // 2),
        footer=_links(dice, 20),
    )


def _title(dice: random.Random, number: int) -> str:
    return f"{dice.choice(_TOPICS)} {dice.choice(_TURNS)}, part {number}"


def _event(dice: random.Random, number: int) -> tuple[str, str]:
    name = dice.choice(_NAMES)
    token = f"{name[:3].upper()}{number % 1000}"
    told = dice.choice(_EVENTS), _EVENT_BODY
    return told[0].format(name=name, token=token), told[1].format(name=name, token=token)


def _told(dice: random.Random) -> str:
    """Return three sentences of everyday news."""
    sentences = (
        f"{dice.choice(_PEOPLE)} {dice.choice(_VERBS)} <em>today</em> {dice.choice(_CLAUSES)}. "
        for _ in range(3)
    )
    return "".join(sentences)


def _links(dice: random.Random, count: int) -> str:
    return "".join(
        f'<div class="card c{at % 7}"><a class="card__link" href="/{dice.randrange(10**6)}/{at}">'
        f"<span>{dice.choice(_TOPICS)}</span> {dice.choice(_TURNS)}</a></div>\n"
        for at in range(count)
    )


def _script(dice: random.Random) -> str:
    return "".join(
        f'window.q.push({{"id":{dice.randrange(10**9)},"kind":"slot","size":[300,{at}]}});'
        for at in range(SCRIPT_LINES)
    )
