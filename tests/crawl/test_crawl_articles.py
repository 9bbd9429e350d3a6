"""`scrapy crawl articles` against a real server on loopback."""

from __future__ import annotations

import pytest

from harness import Project, Web
from newsroom import AIRDROP, LAUNCH, PROJECTS, WIDOW, Story, launch_of, page, sources

pytestmark = pytest.mark.slow

URLSET = '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"{more}>{urls}</urlset>'
INDEX = '<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</sitemapindex>'
NEWS = ' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
OLD = Story("/old", "Quillon announces launch of its token", LAUNCH.text, hours_old=24 * 40)


def use(project: Project, *sites: str) -> None:
    project.settings["TGE_SOURCES"] = str(project.write("sources.yaml", sources({}, sites)))


def test_an_index_a_sitemap_and_a_news_sitemap(project: Project, web: Web) -> None:
    news = "".join(
        f"<url><loc>{{base}}{story.path}</loc><news:news><news:publication_date>"
        f"{story.published_at.isoformat()}</news:publication_date>"
        f"<news:title>{story.title}</news:title></news:news></url>"
        for story in (LAUNCH, WIDOW)
    )
    web.serve("/news.xml", URLSET.replace("{more}", NEWS).replace("{urls}", news))
    urls = f"<url><loc>{{base}}{AIRDROP.path}</loc></url><url><loc>{{base}}/old</loc></url>"
    web.serve("/pages.xml", URLSET.replace("{more}", "").replace("{urls}", urls))
    children = "".join(
        f"<sitemap><loc>{{base}}/{name}.xml</loc></sitemap>" for name in ("news", "pages", "gone")
    )
    web.serve("/sitemap.xml", INDEX.replace("{urls}", children))
    for story in (LAUNCH, AIRDROP, WIDOW, OLD):
        web.serve(story.path, page(story))
    use(project, f"{{slug: desk, sitemap: '{web.base}/sitemap.xml'}}")

    report = project.crawl("articles")
    assert report["entries_seen"] == 4
    assert report["outcomes"]["stored"] == 2
    assert report["outcomes"]["too_old"] == 1, "its page dates it"
    assert report["outcomes"]["filtered_early"] == 1, "the news sitemap told its title"
    titles = project.rows("select title from mentions order by title")
    assert titles == [(LAUNCH.title,), (AIRDROP.title,)]

    asked = len(web.asked)
    report = project.crawl("articles")
    assert report["outcomes"]["stored"] == 0
    assert not {"/launch", "/airdrop", "/old"} & set(web.asked[asked:])

    report = project.crawl("articles", "-a", "since=2020-01-01")
    assert report["outcomes"]["stored"] == 1, "back-fill goes further back"


def test_a_listing_page(project: Project, web: Web) -> None:
    items = "".join(
        f"<li class='post'><a href='{story.path}'>{story.title}</a></li>"
        for story in (LAUNCH, WIDOW)
    )
    web.serve("/blog", f"<html><body><ul>{items}</ul><a href='/about'>About</a></body></html>")
    for story in (LAUNCH, WIDOW):
        web.serve(story.path, page(story))
    use(project, f"{{slug: desk, listing: '{web.base}/blog', item: 'li.post'}}")
    report = project.crawl("articles")
    assert report["entries_seen"] == 2
    assert report["outcomes"]["stored"] == 1
    assert "/about" not in web.asked


def test_the_rest_of_a_large_site_waits_for_the_next_run(project: Project, web: Web) -> None:
    stories = [launch_of(f"/s{n}", name) for n, name in enumerate(PROJECTS[:5])]
    for story in stories:
        web.serve(story.path, page(story))
    urls = "".join(f"<url><loc>{{base}}{story.path}</loc></url>" for story in stories)
    web.serve("/sitemap.xml", URLSET.replace("{more}", "").replace("{urls}", urls))
    use(project, f"{{slug: desk, sitemap: '{web.base}/sitemap.xml'}}")
    first = project.crawl("articles", "-s", "TGE_SITE_MAX_PAGES=3")
    assert (first["outcomes"]["stored"], first["outcomes"]["pending"]) == (3, 2)
    second = project.crawl("articles", "-s", "TGE_SITE_MAX_PAGES=3")
    assert (second["outcomes"]["stored"], second["outcomes"]["duplicate"]) == (2, 3)


def test_a_site_that_names_itself_ends(project: Project, web: Web) -> None:
    web.serve(
        "/sitemap.xml", INDEX.replace("{urls}", "<sitemap><loc>{base}/sitemap.xml</loc></sitemap>")
    )
    use(project, f"{{slug: desk, sitemap: '{web.base}/sitemap.xml'}}")
    report = project.crawl("articles")
    assert report["entries_seen"] == 0
    assert web.asked.count("/sitemap.xml") <= 3
