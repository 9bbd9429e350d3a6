"""Claim links in texts and pages, and which of them are the project's own."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.claim_link import (
    MAX_LINKS,
    ClaimLink,
    Verdict,
    count_edits,
    find_claim_link,
    find_links,
    judge_link,
)

DOMAINS = ["caldera.xyz"]


def links(text: str) -> list[str]:
    found = find_links(text)
    for link in found:
        assert link.url.endswith(text[link.start : link.end])
        assert link.url.startswith(("http://", "https://", "HTTPS://"))
    return [text[link.start : link.end] for link in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Claim: https://claim.caldera.xyz/now.", ["https://claim.caldera.xyz/now"]),
        ("[here](https://caldera.xyz/a_(b))", ["https://caldera.xyz/a_(b)"]),
        ("**HTTPS://caldera.xyz**", ["HTTPS://caldera.xyz"]),
        ("领取：https://caldera.xyz/领取", ["https://caldera.xyz/"]),
        ("a http://a.example, b http://b.example", ["http://a.example", "http://b.example"]),
        ("claim at claim.caldera.xyz.", ["claim.caldera.xyz"]),
        ("Claim your tokens at caldera.xyz!", ["caldera.xyz"]),
        ("go to caldera.xyz/start, friends", ["caldera.xyz/start"]),
        ("go to app.caldera.xyz:8443/start", ["app.caldera.xyz:8443/start"]),
        ("see caldera.site/claim", ["caldera.site/claim"]),
        ("airdrop at clаim.caldera.xyz", ["clаim.caldera.xyz"]),  # a Cyrillic letter
        ("https://user@caldera.xyz/claim", ["https://user@caldera.xyz/claim"]),
    ],
)
def test_addresses_in_a_text(text: str, expected: list[str]) -> None:
    assert links(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "claim at hxxp://claim.caldera.xyz/now",
        "claim at claim[.]caldera[.]xyz or caldera[.]xyz",
        "claim: write to claim@caldera.xyz",
        "about caldera.xyz and its rollups",
        "Claim your airdrop, says Crypto.com, as does Gate.io",
        "Claim your tokens.To do so, wait. e.g. this",
        "claim version 2.10.xyz1",
        "a claim and/or a mint",
        "xhttps://caldera.xyz",
        "https://",
    ],
)
def test_no_addresses(text: str) -> None:
    assert links(text) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://caldera.xyz",
        "https://claim.caldera.xyz/now?a=1#b",
        "claim.caldera.xyz/now",
        "HTTP://WWW.CALDERA.XYZ",
        "https://caldera.xyz:8443/",
        "https://claim.caldera.xyz./",
        "https://ｃａｌｄｅｒａ.xyz/",  # full-width: a browser opens caldera.xyz
        "https://caldera。xyz/",
        "https://cal\u00addera.xyz/",
        "https://caldera.xyz\\@evil.example/",  # a browser reads "\" as "/"
    ],
)
def test_official_addresses(url: str) -> None:
    assert judge_link(url, DOMAINS) == Verdict(True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://caldera.xyz.evil.example/", "in front of another domain, evil.example"),
        ("https://caldera.xyz%2eevil.example/", "in front of another domain, evil.example"),
        ("https://caldera.evil.co.uk/", "in front of another domain, evil.co.uk"),
        ("https://caldera.xyz@evil.example/", "opens evil.example"),
        ("https://caldera.xyz:claim@evil.example/", "opens evil.example"),
        ("https://evilcaldera.xyz/", "something added"),
        ("https://caldera-xyz.com/", "something added"),
        ("https://caldera-claim.xyz/", "something added"),
        ("https://claimcaldera.com/", "something added"),
        ("https://claim.mycaldera.app/", "something added"),
        ("https://caldera.io/", "another ending"),
        ("https://caldera.vercel.app/", "another ending"),
        ("https://cаldera.xyz/", "“cаldera” looks like caldera.xyz, letter for letter"),  # Cyrillic
        ("https://xn--cldera-3nf.xyz/", "“cаldera” looks like caldera.xyz, letter for letter"),
        ("https://caldeгa.xyz/", "letter for letter"),  # Cyrillic
        ("https://cαldera.xyz/", "letter for letter"),  # Greek
        ("https://càldera.xyz/", "letter for letter"),
        ("https://ca1dera.xyz/", "letter for letter"),
        ("https://caIdera.xyz/", "letter for letter"),
        ("https://calclera.xyz/", "letter for letter"),
        ("https://cal-dera.xyz/", "letter for letter"),
        ("https://claim-cаldera.xyz/", "something added"),  # Cyrillic
        ("https://claderа.xyz/", "misspelt"),  # Cyrillic, and swapped
        ("https://cladera.xyz/", "misspelt"),
        ("https://calderra.xyz/", "misspelt"),
        ("https://claim-calera.com/", "misspelt"),
        ("https://claim.caldora.xyz/", "misspelt"),
    ],
)
def test_addresses_that_only_look_official(url: str, reason: str) -> None:
    verdict = judge_link(url, DOMAINS)
    assert verdict.official is False
    assert reason in verdict.suspect


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/caldera.xyz",
        "https://evil.example/?to=caldera.xyz",
        "https://www.binance.com/caldera",
        "https://coinlist.co/",
        "https://calendar.xyz/",  # two letters off, in a name of seven
        "https://127.0.0.1/",
    ],
)
def test_addresses_of_others_are_not_suspect(url: str) -> None:
    assert judge_link(url, DOMAINS) == Verdict(False)


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "https://xyz/", "hxxps://caldera.xyz", "https://a b.xyz"]
)
def test_what_is_no_address_is_not_official(url: str) -> None:
    assert judge_link(url, DOMAINS) == Verdict(False, "it is no web address")


@pytest.mark.parametrize("domains", [[], ["xyz"], ["vercel.app"], ["co.uk"], [""]])
def test_without_a_domain_nothing_is_known(domains: list[str]) -> None:
    assert judge_link("https://claim.caldera.xyz", domains) == Verdict(None)


def test_every_domain_of_a_company_counts() -> None:
    domains = ["caldera.xyz", "acme.vercel.app", "münze.example"]
    assert judge_link("https://acme.vercel.app/claim", domains).official is True
    assert judge_link("https://other.vercel.app/claim", domains).official is False
    assert judge_link("https://xn--mnze-0ra.example", domains).official is True


@pytest.mark.parametrize(
    ("url", "suspect"),
    [
        ("https://ink.example/", True),
        ("https://inkclaim.com/", True),
        ("https://claim-ink.com/", True),
        ("https://inc.com/", False),
        ("https://linkedin.com/", False),
        ("https://think.com/", False),
    ],
)
def test_a_short_name_must_stand_whole(url: str, suspect: bool) -> None:
    assert bool(judge_link(url, ["ink.xyz"]).suspect) is suspect


def test_a_name_inside_another_word() -> None:
    assert judge_link("https://history.com", ["story.foundation"]).suspect == ""
    assert judge_link("https://storyclaims.com", ["story.foundation"]).suspect != ""
    assert judge_link("https://promocalderapromo.com", DOMAINS).suspect != ""


def test_digits_without_end_are_added_in_time() -> None:
    started_at = process_time()
    judge_link(f"https://ink{'1' * 55}x.com", ["ink.xyz"])
    assert process_time() - started_at < 0.1


def test_a_long_name_may_have_two_letters_wrong() -> None:
    assert "misspelt" in judge_link("https://berachian.io", ["berachain.com"]).suspect
    assert "misspelt" in judge_link("https://hyperlqiuidd.xyz", ["hyperliquid.xyz"]).suspect
    assert judge_link("https://hyperfluid.net", ["hyperliquid.xyz"]).suspect != ""
    assert judge_link("https://hyperlane.xyz", ["hyperliquid.xyz"]).suspect == ""


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("caldera", "cladera", 1), ("abc", "ca", 3)],
)
def test_count_edits(one: str, other: str, edits: int) -> None:
    assert count_edits(one, other) == count_edits(other, one) == edits


def choose(text: str, *anchors: tuple[str, str], domains: list[str] | None = None) -> str:
    link = find_claim_link([("text", text)], anchors, domains or [], "https://news.example/story")
    return "" if link is None else link.url


def test_the_claim_link_is_the_one_that_words_of_a_claim_speak_of() -> None:
    assert choose("Read https://caldera.xyz/blog more.\nClaim at https://caldera.xyz/c") == (
        "https://caldera.xyz/c"
    )
    assert choose("Read https://caldera.xyz/blog, or https://caldera.xyz/claim") == (
        "https://caldera.xyz/claim"
    )
    assert choose("Read https://caldera.xyz/blog") == ""
    assert choose("") == ""


def test_evidence_is_the_place_in_the_field() -> None:
    text = "Claim at claim.caldera.xyz now"
    assert find_claim_link([("title", ""), ("summary", text)]) == ClaimLink(
        "https://claim.caldera.xyz", "summary", 9, 26, "claim.caldera.xyz"
    )
    anchors = [("https://caldera.xyz/x", "Claim here")]
    assert find_claim_link([], anchors) == ClaimLink(anchors[0][0], None, 0, 0, "Claim here")


def test_links_of_a_page_count_by_their_words() -> None:
    assert choose("", ("https://caldera.xyz/x", "Docs"), ("https://caldera.xyz/y", "Claim")) == (
        "https://caldera.xyz/y"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://news.example/claim",
        "https://www.news.example/claim",
        "https://x.com/caldera/claim",
        "https://t.co/claim",
        "https://other.example/how-to-claim-the-caldera-airdrop",
        "javascript:claim",
        "mailto:claim@caldera.xyz",
        "tel:1-claim",
        "https://exchange.example/account/register",
    ],
)
def test_links_where_nothing_is_claimed(url: str) -> None:
    assert choose("", (url, "more")) == ""


def test_an_official_address_wins_over_an_equal_one() -> None:
    anchors = [("https://caldera-claim.xyz/", "Claim"), ("https://caldera.xyz/claim", "Claim")]
    assert choose("", *anchors) == "https://caldera-claim.xyz/"
    assert choose("", *anchors, domains=DOMAINS) == "https://caldera.xyz/claim"


PIECES = st.sampled_from(
    ["https://", "caldera", ".", "xyz", "/", "@", ":", "xn--", "claim", " ", "-", "[", "%2e", "а"]
)
ANY = st.text() | st.lists(PIECES, max_size=12).map("".join)


@given(ANY, ANY)
def test_any_text_and_any_address(text: str, domain: str) -> None:
    links(text)
    for verdict in (judge_link(text, [domain]), judge_link(domain, DOMAINS)):
        assert not (verdict.official and verdict.suspect)
    find_claim_link([("text", text)], [(text, domain)], [domain], text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_edits_are_a_distance(one: str, other: str) -> None:
    edits = count_edits(one, other)
    assert (edits == 0) is (one == other)
    assert abs(len(one) - len(other)) <= edits <= max(len(one), len(other))
    assert edits == count_edits(other, one)


@pytest.mark.parametrize(
    "piece",
    ["a", ".", "a.", "-", "/", "(", ".xyz", "a.xyz ", "https://", "claim a.xyz ", "1.", "@"],
)
def test_time_is_bounded(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started_at = process_time()
    found = find_links(text)
    find_claim_link([("text", text)], [(text, text)], DOMAINS)
    judge_link(text, [text, *DOMAINS])
    assert process_time() - started_at < 3  # of the processor; it takes 20 ms
    assert len(found) <= 2 * MAX_LINKS


def test_many_domains_are_judged_in_time() -> None:
    domains = [f"{'a' * 40}{at}.xyz" for at in range(200)]
    started_at = process_time()
    judge_link(f"https://{'b' * 41}.xyz", domains)
    assert process_time() - started_at < 3  # of the processor
