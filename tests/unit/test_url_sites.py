from __future__ import annotations

import pytest

from tgecrawler.domain.url_sites import fold_site
from tgecrawler.domain.urls import canonicalize_url

FORMS = {
    "https://x.com/i/status/1790000000000000001": [
        "https://x.com/acme/status/1790000000000000001",
        "https://x.com/ACME/status/1790000000000000001?s=20&t=AbC",
        "https://x.com/another/status/1790000000000000001",
        "https://twitter.com/acme/status/1790000000000000001",
        "http://www.twitter.com/acme/statuses/1790000000000000001",
        "https://mobile.twitter.com/acme/status/1790000000000000001",
        "https://mobile.x.com/acme/status/1790000000000000001",
        "https://m.x.com/acme/status/1790000000000000001",
        "https://fxtwitter.com/acme/status/1790000000000000001/en",
        "https://vxtwitter.com/acme/status/1790000000000000001",
        "https://nitter.net/acme/status/1790000000000000001#m",
        "https://x.com/i/web/status/1790000000000000001",
        "https://x.com/acme/status/1790000000000000001/photo/1",
        "https://x.com/acme/status/1790000000000000001/?ref_src=twsrc%5Etfw",
        "https://x.com/amp/status/1790000000000000001",
    ],
    "https://x.com/acme": ["https://twitter.com/acme", "https://mobile.twitter.com/acme/"],
    "https://youtube.com/watch?v=aB-_efghijk": [
        "https://www.youtube.com/watch?v=aB-_efghijk",
        "https://m.youtube.com/watch?v=aB-_efghijk&t=42s&list=PL1&feature=share",
        "https://youtube.com/watch?app=desktop&v=aB-_efghijk",
        "https://music.youtube.com/watch?v=aB-_efghijk",
        "https://youtu.be/aB-_efghijk",
        "https://youtu.be/aB-_efghijk?si=AbC&t=42",
        "https://www.youtube.com/shorts/aB-_efghijk",
        "https://www.youtube.com/live/aB-_efghijk?feature=share",
        "https://www.youtube.com/embed/aB-_efghijk?autoplay=1",
        "https://www.youtube-nocookie.com/embed/aB-_efghijk",
    ],
    "https://t.me/acme_news/12": [
        "https://t.me/s/acme_news/12",
        "https://t.me/Acme_News/12?single",
        "https://t.me/acme_news/12?embed=1&mode=tme",
        "https://telegram.me/acme_news/12",
        "https://telegram.dog/s/acme_news/12",
    ],
    "https://t.me/acme_news": ["https://t.me/s/Acme_News", "https://telegram.me/acme_news/"],
    "https://news.google.com/articles/CBMiAbC": [
        "https://news.google.com/rss/articles/CBMiAbC?oc=5",
        "https://news.google.com/read/CBMiAbC?hl=en-US&gl=US&ceid=US%3Aen",
        "https://news.google.com/__i/rss/rd/articles/CBMiAbC",
    ],
}


@pytest.mark.parametrize(
    ("url", "expected"), [(url, known) for known, urls in FORMS.items() for url in (known, *urls)]
)
def test_one_post_has_one_spelling(url: str, expected: str) -> None:
    assert canonicalize_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://x.com/acme/status",
        "https://x.com/acme/status/12a",
        "https://x.com/search?q=acme&t=1",
        "https://x.com/acme/likes",
        "https://other.example/acme/status/12",
        "https://youtu.be/short",
        "https://youtube.com/embed/videoseries?list=PL1",
        "https://youtube.com/embed/live_stream?channel=UC1",
        "https://youtube.com/watch?list=PL1",
        "https://youtube.com/playlist?list=PL1",
        "https://youtube.com/abcdefghijk",
        "https://t.me/c/1234/12",
        "https://t.me/+AbCdEf",
        "https://t.me/joinchat/AbCdEf",
        "https://t.me/Acme_bot?start=AbC",
        "https://t.me/s/acme_news?before=12",
        "https://t.me/acme_news/12/34",
        "https://news.google.com/topics/CAAq",
    ],
)
def test_what_is_no_post_stays(url: str) -> None:
    assert canonicalize_url(url) == url


def test_other_sites_are_left_as_they_are() -> None:
    assert fold_site("e.example", "/a/status/1", "s=20") == ("e.example", "/a/status/1", "s=20")
