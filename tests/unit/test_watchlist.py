"""Companies: what a watchlist takes, and where it says no."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tgecrawler.domain.watchlist import Company, Watchlist


def watchlist(*companies: dict[str, Any]) -> Watchlist:
    return Watchlist.model_validate({"version": 1, "companies": companies})


def faults(*companies: dict[str, Any]) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as raised:
        watchlist(*companies)
    return [
        (error["loc"], error["msg"].removeprefix("Value error, "))
        for error in raised.value.errors()
    ]


def test_only_the_name_is_required() -> None:
    assert watchlist({"name": "Acme"}).companies == (
        Company(
            name="Acme",
            aliases=(),
            symbols=(),
            exclusions=(),
            priority="medium",
            status="pre_token",
            x_handle="",
            domains=(),
        ),
    )


def test_a_watchlist_cannot_be_changed() -> None:
    company = watchlist({"name": "Acme"}).companies[0]
    with pytest.raises(ValidationError):
        company.name = "Borealis"  # type: ignore[misc]


def test_spaces_are_folded_and_domains_are_lower_case() -> None:
    company = Company(name=" Acme \n Labs", domains=("Acme.EXAMPLE",))
    assert (company.name, company.domains) == ("Acme Labs", ("acme.example",))


def test_a_company_may_repeat_its_own_name() -> None:
    watchlist({"name": "Acme", "aliases": ["ACME", "Acme", "acme"]})


def test_names_are_compared_without_case() -> None:
    assert faults({"name": "Straße"}, {"name": "STRASSE"}) == [
        (("companies", 1, "name"), "the company 'STRASSE' is listed twice; merge the two")
    ]


def test_every_repeated_name_is_a_fault_at_its_place() -> None:
    assert faults(
        {"name": "Acme", "aliases": ["Acme Labs"]},
        {"name": "Acme labs", "aliases": ["Borealis", "ACME"]},
    ) == [
        (
            ("companies", 1, "name"),
            "'Acme labs' names 'Acme' already; a name belongs to one company",
        ),
        (
            ("companies", 1, "aliases", 1),
            "'ACME' names 'Acme' already; a name belongs to one company",
        ),
    ]


@pytest.mark.parametrize("symbol", ["A", "CAL", "SP1", "2024", "ABCDEFGHIJKL"])
def test_symbols(symbol: str) -> None:
    assert Company(name="Acme", symbols=(symbol,)).symbols == (symbol,)


@pytest.mark.parametrize(
    ("symbol", "sentence"),
    [
        ("$CAL", "write CAL, not $CAL"),
        ("$cal", "write CAL, not $cal"),
        ("cal", "write CAL, not cal"),
        ("$", "a symbol is 1 to 12 of A-Z and 0-9, such as CAL, not '$'"),
        ("", "a symbol is 1 to 12 of A-Z and 0-9, such as CAL, not ''"),
        ("CAL\n", "a symbol is 1 to 12 of A-Z and 0-9, such as CAL, not 'CAL\\n'"),
        ("ДУК", "a symbol is 1 to 12 of A-Z and 0-9, such as CAL, not 'ДУК'"),
    ],
)
def test_wrong_symbols(symbol: str, sentence: str) -> None:
    assert faults({"name": "Acme", "symbols": [symbol]}) == [
        (("companies", 0, "symbols", 0), sentence)
    ]


@pytest.mark.parametrize("domain", ["acme.example", "a.b-c.acme.example", "xn--80ak6a.example"])
def test_domains(domain: str) -> None:
    assert Company(name="Acme", domains=(domain,)).domains == (domain,)


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("https://acme.example", "acme.example"),
        ("http://www.acme.example/claim?a=1", "acme.example"),
        ("acme.example/", "acme.example"),
        ("acme.example:8080", "acme.example"),
        ("acme.example\n", "acme.example"),
    ],
)
def test_an_address_is_no_domain(domain: str, meant: str) -> None:
    sentence = f"a domain has no scheme, port or path: write {meant}"
    assert faults({"name": "Acme", "domains": [domain]})[0][1] == sentence


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "acme",
        ".example",
        "acme..example",
        "-acme.example",
        "acme.example-",
        "ac me.example",
        "*.acme.example",
        "192.0.2.10",
        "https://[",
        "a" * 64 + ".example",
    ],
)
def test_wrong_domains(domain: str) -> None:
    assert "a domain is a bare host name" in faults({"name": "Acme", "domains": [domain]})[0][1]


@pytest.mark.parametrize("handle", ["@", "acme!", "a" * 16, "https://x.example/acme", "акме"])
def test_wrong_handles(handle: str) -> None:
    assert "a handle is 1 to 15" in faults({"name": "Acme", "x_handle": handle})[0][1]


@pytest.mark.parametrize("name", ["", "  ", "\n", "Ac\x00me", "Ac\u200bme", "A" * 254])
@pytest.mark.parametrize("field", ["aliases", "exclusions"])
def test_names_that_match_nothing(field: str, name: str) -> None:
    assert faults({"name": "Acme", field: [name]})[0][0] == ("companies", 0, field, 0)
    assert faults({"name": name})[0][0] == ("companies", 0, "name")


def test_a_list_of_names_has_an_end() -> None:
    many = [f"Acme {at}" for at in range(201)]
    assert faults({"name": "Acme", "aliases": many})[0][0] == ("companies", 0, "aliases")
