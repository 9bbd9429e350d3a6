"""Sites where one post has addresses of several forms: X, YouTube, Telegram, Google News."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Other hosts of one site, without www., m. and mobile. Every path is the same page on both.
_ALIASES = {
    **dict.fromkeys(
        (
            *("twitter.com", "fxtwitter.com", "vxtwitter.com", "fixupx.com", "fixvx.com"),
            *("nitter.net", "xcancel.com"),
        ),
        "x.com",
    ),
    **dict.fromkeys(("telegram.me", "telegram.dog"), "t.me"),
    "youtube-nocookie.com": "youtube.com",
}


@dataclass(frozen=True, slots=True)
class _Post:
    """One form of a post's address: a pattern of ``/path?query``, and what its groups make."""

    pattern: re.Pattern[str]
    form: str
    ignores_case: bool = False  # names of channels do, ids of videos do not


# as long as an id, and none: a playlist, and whatever a channel shows right now
_VIDEO = r"((?!videoseries|live_stream)[\w-]{11})"
_CHANNEL = r"([A-Za-z]\w{3,31})"

_YOUTUBE = (
    _Post(re.compile(rf"/watch\?(?:.*&)?v={_VIDEO}(?:&.*)?", re.ASCII), "youtube.com/watch?v={}"),
    _Post(
        re.compile(rf"/(?:shorts|live|embed|v)/{_VIDEO}\?.*", re.ASCII),
        "youtube.com/watch?v={}",
    ),
)
_POSTS = {
    # X sends any name in front of a post's number to the author's, so the name says nothing.
    # All parameters go: `s` and `t` tell who shared it from where.
    "x.com": (
        _Post(
            re.compile(r"/(?:\w+|i/web)/status(?:es)?/(\d+)(?:/[^?]*)?\?.*", re.ASCII | re.I),
            "x.com/i/status/{}",
        ),
    ),
    "youtube.com": _YOUTUBE,
    "music.youtube.com": _YOUTUBE,
    "youtu.be": (_Post(re.compile(rf"/{_VIDEO}\?.*", re.ASCII), "youtube.com/watch?v={}"),),
    # /s/ is the preview for a browser; `single`, `embed` and `comment` show the same post
    "t.me": (
        _Post(re.compile(rf"/(?:s/)?{_CHANNEL}/(\d+)\?.*", re.ASCII), "t.me/{}/{}", True),
        _Post(re.compile(rf"/(?:s/)?{_CHANNEL}\?", re.ASCII), "t.me/{}", True),
    ),
    # Where the article's own address cannot be read from the name; the parameters choose a language
    "news.google.com": (
        _Post(
            re.compile(
                r"/(?:rss/|__i/rss/rd/)?(?:articles|read)/([\w-]+)={0,2}\?.*",
                re.ASCII,
            ),
            "news.google.com/articles/{}",
        ),
    ),
}
# The first part of a path is a name here: x.com/amp/status/1 is by @amp, and no AMP page
NAMES_FIRST = frozenset((*_ALIASES, *_POSTS, "github.com", "gitlab.com", "medium.com"))


def fold_site(host: str, path: str, query: str) -> tuple[str, str, str]:
    """Return host, path and query as the site itself writes them; other sites' as they are."""
    host = _ALIASES.get(host, host)
    for post in _POSTS.get(host, ()):
        match = post.pattern.fullmatch(f"{path}?{query}")
        if match:
            address = post.form.format(*match.groups())
            host, _, rest = (address.lower() if post.ignores_case else address).partition("/")
            path, _, query = f"/{rest}".partition("?")
            break
    return host, path, query
