"""What of a text tells its event."""

from __future__ import annotations

import pytest

from tgecrawler.domain.event_traits import (
    ANYWHERE,
    DERIVATIVES,
    HEADLINE_CHARS,
    KEY_CHARS,
    MAIN,
    MIGRATION,
    MOST_SEASONS,
    SALE,
    keys_of,
    project_key,
    token_key,
    traits_of,
)
from tgecrawler.items import Assessment, EventTraits


def judged(**fields) -> Assessment:
    return Assessment(score=0.9, relevant=True, **({"project": "Quillon"} | fields))


def track(title: str, kind: str, exchange: str = "", summary: str = "") -> str:
    return traits_of(title, summary, "", judged(kind=kind, exchange=exchange)).track


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", ""),
        ("  @ !", ""),
        ("🚀", ""),
        ("Quillon", "quillon"),
        ("QUILLON", "quillon"),
        ("@Quillon", "quillon"),
        ("Quillon Foundation", "quillon"),
        ("Quillon Token Foundation", "quillon"),
        ("QuillonLabs", "quillon"),
        ("@QuillonXYZ", "quillon"),
        ("Quillon.io", "quillon"),
        ("Quillon's", "quillon"),
        ("Quillon’s", "quillon"),
        ("Marrows’", "marrows"),
        ("Velum Layer", "velumlayer"),
        ("VelumLayer", "velumlayer"),
        ("Velum-Layer", "velumlayer"),
        ("velumxyz", "velumxyz"),  # no capital tells where the name ends
        ("Network", "network"),  # a name is never all tail
        ("Labs Network", "labs"),
        ("Network Quillon", "networkquillon"),
        ("Ｑｕｉｌｌｏｎ", "quillon"),
        ("Zoe\u0308 Chain", "zoë"),
        ("Квиллон Protocol", "квиллон"),
        ("Quillon 2", "quillon2"),
        ("q" * (KEY_CHARS + 1), "q" * KEY_CHARS),
    ],
)
def test_project_key(name, key):
    assert project_key(name) == key


@pytest.mark.parametrize(
    ("token", "key"),
    [
        ("", ""),
        ("$", ""),
        ("$QLN", "QLN"),
        (" qln ", "QLN"),
        ("$1qln", "1QLN"),
        ("ｑｌｎ", "QLN"),
        ("Q" * (KEY_CHARS + 1), "Q" * KEY_CHARS),
    ],
)
def test_token_key(token, key):
    assert token_key(token) == key


def test_keys_of_names_leave_out_nothing():
    assert keys_of(["Gateway Exchange", "GATEWAY", "", "🚀"]) == {"gateway"}


@pytest.mark.parametrize(
    ("title", "kind", "exchange", "expected"),
    [
        ("Quillon opens its airdrop", "airdrop", "", MAIN),
        ("", "none", "", MAIN),
        ("Hexbay lists Quillon (QLN)", "listing", "Hexbay", "listing:hexbay"),
        ("Hexbay Exchange lists Quillon", "listing", "Hexbay Exchange", "listing:hexbay"),
        ("QLN now trades on Hexbay", "listing", "Hexbay", "listing:hexbay"),
        ("QLN now trades", "listing", "🚀", ANYWHERE),
        ("Quillon token launch: airdrop live, Hexbay confirmed", "listing", "Hexbay", MAIN),
        ("Quillon TGE done, trades on Hexbay", "listing", "Hexbay", MAIN),
        ("Hexbay lists Quillon after its airdrop", "listing", "Hexbay", "listing:hexbay"),
        ("News: Hexbay lists QLN after the airdrop", "listing", "Hexbay", "listing:hexbay"),
        ("Today — hexbay lists QLN after the TGE", "listing", "Hexbay", "listing:hexbay"),
        ("Hexbays list QLN after the TGE", "listing", "Hexbay", MAIN),
        ("Quillon is listed", "listing", "", ANYWHERE),
        ("Quillon perpetuals are listed", "listing", "", DERIVATIVES),
        ("QLN futures open", "listing", "", DERIVATIVES),
        ("Futuresque Quillon is listed", "listing", "", ANYWHERE),
        ("Quillon raises a lot", "token_sale", "", SALE),
        ("Quillon sets the presale", "token_launch", "", SALE),
        ("Quillon: community sale on Monday", "token_launch", "", SALE),
        ("Quillon IDO on Hexbay", "token_launch", "Hexbay", SALE),
        ("Quillon airdrop for those of the presale", "airdrop", "", MAIN),
        ("Presale and airdrop of Quillon", "token_sale", "", SALE),
        ("Quillon videos are out", "token_launch", "", MAIN),
        ("Quillon migrates to a new token", "tokenomics", "", MIGRATION),
        ("QLN 1:1 for old holders", "tokenomics", "", MIGRATION),
        ("Quillon migrates to a new token", "airdrop", "", MAIN),
        ("Quillon burns tokens", "tokenomics", "", MAIN),
        ("Hexbay airdrops QLN to its users", "airdrop", "Hexbay", "listing:hexbay"),
        ("Hexbay welcomes Quillon", "token_launch", "Hexbay", "listing:hexbay"),
        ("Quillon airdrop for users of Hexbay", "airdrop", "Hexbay", MAIN),
        ("Hexbay burns QLN", "tokenomics", "Hexbay", MAIN),
    ],
)
def test_track(title, kind, exchange, expected):
    assert track(title, kind, exchange) == expected


def test_a_summary_tells_a_migration_and_no_sale():
    assert track("Quillon news", "tokenomics", summary="Holders swap one for one") == MIGRATION
    assert track("Quillon news", "token_launch", summary="The presale begins") == MAIN


def test_an_exchange_with_signs_of_patterns_in_its_name():
    assert track("Hex+Bay (Pro) lists QLN", "listing", "Hex+Bay (Pro)") == "listing:hexbaypro"
    assert track("HexxBay lists QLN in an airdrop", "listing", "Hex+Bay") == MAIN


@pytest.mark.parametrize(
    ("title", "season"),
    [
        ("", 0),
        ("Quillon airdrop", 0),
        ("Quillon season 2 airdrop", 2),
        ("QUILLON SEASON #3", 3),
        ("Quillon Phase two", 2),
        ("Quillon wave 12 opens", 12),
        ("Quillon epoch 4", 4),
        ("second airdrop of Quillon", 2),
        ("2nd QLN airdrop", 2),
        ("third big QLN drop", 3),
        ("third big new QLN drop", 0),  # two words may stand between
        ("eighth season", 8),
        ("seventh round", 7),
        ("Quillon S2 opens", 2),
        ("Quillon S&P 500", 0),
        ("S5&P", 0),
        ("Quillon Airdrop #2", 2),
        ("Quillon airdrop 3", 3),
        ("first season", 0),
        ("season one", 0),
        ("season 1", 0),
        ("season 0", 0),
        (f"phase {MOST_SEASONS}", MOST_SEASONS),
        (f"phase {MOST_SEASONS + 1}", 0),
        ("phase 2024", 0),
        ("preseason 2", 0),
    ],
)
def test_season(title, season):
    assert traits_of(title, "", "", judged()).season == season


def test_all_of_a_text():
    found = traits_of(
        "Quillon Labs opens presale, season 2",
        "",
        "",
        judged(kind="token_sale", project="Quillon Labs", token="$qln"),
    )
    assert found == EventTraits("quillon", "QLN", SALE, 2)


def test_of_a_post_its_text_is_the_headline():
    assert traits_of("", "", "Presale, season 2", judged())[2:] == (SALE, 2)
    assert traits_of("Quillon news", "", "Presale, season 2", judged())[2:] == (MAIN, 0)
    assert traits_of("", "Presale, season 2", "", judged())[2:] == (MAIN, 0)
    late = "x" * HEADLINE_CHARS + " presale, season 2"
    assert traits_of("", "", late, judged())[2:] == (MAIN, 0)


@pytest.mark.parametrize(
    ("fields", "project"),
    [
        ({"project": "Hexbay", "token": "QLN"}, ""),
        ({"project": "Hexbay"}, "hexbay"),  # nothing else names the event
        ({"project": "Hexbay", "token": "$"}, "hexbay"),
        ({"project": "Quillon", "token": "QLN"}, "quillon"),
        ({"project": "Marrow", "companies": ("Quillon", "Velum")}, "quillon"),
        ({"companies": ("Hexbay",), "token": "QLN"}, "hexbay"),  # the watchlist asks for it
        ({"project": ""}, ""),
    ],
)
def test_whose_event(fields, project):
    assert traits_of("News", "", "", judged(**fields), frozenset({"hexbay"})).project == project
