"""Chains and exchanges count where they stand as the place of an event, and only there."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.entities import Place, Places, find_chain, find_exchange
from tgecrawler.domain.matching import Found, Span, Vocabulary

PLACES = Places.of(
    {
        "chains": [
            *("Ethereum", "Ethereum Mainnet", "Solana", "Base", "Near", "Terra", "Terra Classic"),
            *("BNB Chain", "TON", "Monad"),
        ],
        "exchanges": ["Binance", "Binance US", "Coinbase", "Gate.io", "Gate", "Crypto.com", "MEXC"],
        "launchpads": ["CoinList", "Binance Launchpool", "Pump.fun", "Echo"],
        "everyday_places": ["Base", "Near", "Terra", "TON", "Gate", "Echo"],
    }
)
VOCABULARY = Vocabulary(
    rules={"event": ["airdrop", "launches", "listing", "listed", "lists", "sale"]},
    sets={},
    names={},
)


def read(text: str) -> tuple[Found, list[Span]]:
    found = VOCABULARY.find(text)
    return found, found.rules["event"]


def check(place: Place | None, text: str) -> str:
    """Return the place's words, having checked that they stand where it says."""
    if place is None:
        return ""
    assert text[place.start : place.end] == place.text
    return place.text


def chain(text: str, project: str = "") -> str:
    return check(find_chain(*read(text), PLACES, project), text)


def exchange(text: str) -> str:
    return check(find_exchange(*read(text), PLACES), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme launches its token on Solana", "Solana"),
        ("Acme launches its token on the Ethereum mainnet", "Ethereum mainnet"),
        ("The Solana-based Acme launches a token", "Solana"),
        ("Acme, a Solana‑native game, launches", "Solana"),
        ("Acme airdrop goes live on Base: claim now", "Base"),
        ("acme airdrop goes live on solana", "solana"),
        ("Acme launches within the Solana blockchain", "Solana"),
        ("Acme token comes to BNB Chain after its sale", "BNB Chain"),
        ("Coinbase lists Solana meme coins", "Solana"),
        ("Acme lists on Ethereum and Solana", "Ethereum"),
        ("Built on Ethereum, Acme holds its sale on Base", "Base"),
    ],
)
def test_a_chain_as_a_place(text: str, expected: str) -> None:
    assert chain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The Solana airdrop opens",
        "Solana launches a token",
        "Solana's airdrop opens",
        "Traders bet on Solana after the listing",
        "The listing comes on Ethereum ETF news",
        "Acme lists on Ethereum's oldest exchange",
        "Acme airdrop: on base salary",
        "Is the sale near? On near-term plans",
        "A sale. To Ethereum",
        "Acme launches in Ethereum",
        "Acme launches at https://solana.example/on-solana",
        "",
    ],
)
def test_a_chain_that_is_no_place(text: str) -> None:
    assert chain(text) == ""


def test_the_project_is_not_its_own_place() -> None:
    text = "Near Protocol launches an airdrop on the Near network"
    assert chain(text) == "Near"
    assert chain(text, "Near Protocol") == ""
    assert chain("Acme launches on Terra Classic", "Terra") == "Terra Classic"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme is now listed on Binance", "Binance"),
        ("Acme is now listed on Binance.US", "Binance.US"),
        ("acme is listed at gate.io", "gate.io"),
        ("Acme token sale via CoinList", "CoinList"),
        ("Acme gets listed by crypto exchange Coinbase", "Coinbase"),
        ("Acme listing confirmed for @MEXC_Global", "MEXC_Global"),
        ("Coinbase to list Acme", "Coinbase"),
        ("Binance lists Acme", "Binance"),
        ("Binance's listing of Acme went live", "Binance"),
        ("Binance is thrilled to announce the listing of Acme", "Binance"),
        ("Acme jumps upon Binance listing", "Binance"),
        ("Binance launches Acme on Binance Launchpool", "Binance"),
        ("Acme sale on Binance Launchpool opens", "Binance Launchpool"),
        ("Pump.fun token sale sells out", "Pump.fun"),
        ("The Acme sale is on Echo", "Echo"),
        ("Acme left Binance. Coinbase lists it", "Coinbase"),
        ("Acme, listed on Coinbase in May, sees a sale on CoinList", "Coinbase"),
    ],
)
def test_an_exchange_that_lists_or_sells(text: str, expected: str) -> None:
    assert exchange(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Binance CEO hints at a listing",
        "Binance-backed Acme launches a token",
        "Former Binance executive launches a token",
        "Acme launches like Binance",
        "Binance Labs adds Acme",
        "Acme beats Uniswap and Binance",
        "Acme beats Binance's airdrop",
        "Acme holders echo a launch at the gate",
        "Acme exchange listing",
        "Binance. A listing of Acme",
        "",
    ],
)
def test_an_exchange_that_does_neither(text: str) -> None:
    assert exchange(text) == ""


def test_without_events_the_first_place_is_taken() -> None:
    found, _ = read("Acme is on Solana. Beta is on Base.")
    place = find_chain(found, [], PLACES)
    assert place is not None
    assert place.text == "Solana"


def test_an_event_in_the_same_sentence_counts_most() -> None:
    assert chain("Acme is on Solana. Beta launches its very own new token on Base.") == "Base"


WORDS = (
    "on Solana Solana's -based Base near the Binance lists @Binance_Global . \n ’s to list airdrop"
)


@given(st.lists(st.sampled_from(WORDS.split(" ")), max_size=20), st.sampled_from(["", " "]))
def test_any_words(words: list[str], gap: str) -> None:
    text = gap.join(words)
    chain(text)
    exchange(text)


@given(st.text())
def test_any_text(text: str) -> None:
    chain(text, text)
    exchange(text)


@pytest.mark.parametrize("piece", ["a", "Solana ", "Binance lists ", "on ", ".", "@", "\n"])
def test_time_is_bounded(piece: str) -> None:
    found, events = read(piece * (1_000_000 // len(piece)))
    started_at = perf_counter()
    find_chain(found, events, PLACES)
    find_exchange(found, events, PLACES)
    assert perf_counter() - started_at < 0.5  # it takes 10 ms
