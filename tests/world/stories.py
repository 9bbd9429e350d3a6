"""What the feeds of the simulated world tell: token events, and everything else."""

from __future__ import annotations

import random
from dataclasses import dataclass

HEADS = "Vel Tar Mor Quin Bres Lun Kor Fen Zar Ost Pel Dra Nim Sel Gar Hov Jun Wex Yar Cal"
MIDDLES = "a o i e u ar on el ir um"
TAILS = "dex lo vik ra stra mint gos thys bel quo rim dan zell fyr nox"

ANNOUNCEMENTS = (
    (
        "{name} announces launch of its {token} token on October {day}",
        "The {field} names the day of its token generation event after {years} years of testing.",
        "{name} will launch its native token, {token}, on October {day} at 14:00 UTC, the team "
        "behind the {field} said. The token generation event ends a test phase that began {years} "
        "years ago and drew some {thousand} thousand operators. A tenth of the supply goes to "
        "those operators, with no lock. The rest is released over four years. {person} of {name} "
        "confirmed that two audits had been finished. No public sale is planned.",
    ),
    (
        "{name} opens {token} airdrop claims for {thousand} thousand wallets",
        "Early users of the {field} can claim {token} tokens until the end of November.",
        "{name} opened the claim portal of its token airdrop. Wallets that used the {field} before "
        "the snapshot of August {day} can claim {token} until November 30; what is left goes back "
        "to the treasury. About {thousand} thousand addresses are eligible, according to figures "
        "that {name} published with the portal. {person} warned of sites that imitate it. It will "
        "send no messages and ask for no recovery phrase.",
    ),
    (
        "{name} token sale: {token} public sale starts on October {day}",
        "{name} sells {thousand} million tokens at 25 cents, with a lottery if demand is high.",
        "{name} will sell {thousand} million {token} tokens, six per cent of the supply, in a "
        "public token sale on October {day}. The price is fixed at 25 cents. Registration for the "
        "sale opens a week before and takes a proof of residence. Buyers receive half of their "
        "tokens on the first day and the rest over six months, {person} said. The {field} has been "
        "audited twice in {years} years.",
    ),
)
OTHERS = (
    (  # worth a look at its page, and no event after all
        "Token of {name} up {years}% as traders eye resistance",
        "The token of {name} rose by {years} per cent; analysts see resistance near two dollars.",
        "The token of {name} rose by {years} per cent on Tuesday. Analysts see resistance near two "
        "dollars and expect a correction once the market cools. {person} counts {thousand} funds "
        "that sold. Volumes doubled in a day, most of it on derivatives exchanges; funding rates "
        "turned positive for once this month.",
    ),
    (
        "{name} hires {person} as head of engineering",
        "She comes from a maker of payment terminals and will lead {thousand} developers.",
        "{person} joins {name} as head of engineering next month. She spent {years} years at a "
        "maker of payment terminals. The {field} has {thousand} developers in four cities and "
        "wants to move its support closer to its users.",
    ),
    (
        "Court hears appeal of {person} over mining noise",
        "Neighbours of the plant near {name} have waited {years} years for a ruling.",
        "The regional court heard the appeal of {person} against the operator of a plant near "
        "{name}. Neighbours complain of the noise of {thousand} fans at night. The judges want to "
        "visit the site before they rule, which may take until spring.",
    ),
    (
        "{name} reports an outage of {years} hours",
        "A faulty update stopped the {field}; no funds were at risk.",
        "A faulty update stopped the {field} {name} for {years} hours. {person} apologised and "
        "promised a report within a week. About {thousand} users had written to the support desk "
        "by noon. No funds were at risk, and withdrawals work again.",
    ),
    (
        "What {person} learned in {years} years of writing about markets",
        "A talk on patience, sources and being wrong in public.",
        "{person} has written about markets for {years} years, most of them at {name}. Asked what "
        "stayed, the answer is patience. {thousand} letters from readers fill a cupboard, and half "
        "of them were right. The rest were at least polite.",
    ),
    (
        "{name} and a railway test tickets without paper",
        "{thousand} commuters take part in the trial, which ends after {years} months.",
        "Commuters can now board with a telephone alone. {name} and the railway test tickets "
        "without paper with {thousand} volunteers. {person} says that the {field} holds no names. "
        "The trial ends after {years} months, and a report will follow.",
    ),
)
FIELDS = (
    "storage network",
    "lending protocol",
    "data marketplace",
    "rendering network",
    "bridge",
    "insurance pool",
    "naming service",
    "identity protocol",
)
PEOPLE = ("Ines Okafor", "Tomas Reyl", "Mirela Santo", "Ada Verne", "Jon Abel", "Lea Brandt")


@dataclass(frozen=True, slots=True)
class Story:
    """A story; `announces` where it tells of a token event of `name`."""

    title: str
    summary: str
    text: str
    name: str
    announces: bool


class Storyteller:
    """Tells stories, each of a project with a name of its own, the same for the same `dice`."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._names = [
            head + middle + tail
            for head in HEADS.split()
            for middle in MIDDLES.split()
            for tail in TAILS.split()
        ]
        dice.shuffle(self._names)

    def tell(self, *, announces: bool) -> Story:
        template = self._dice.choice(ANNOUNCEMENTS if announces else OTHERS)
        # names of announcements are never told of twice, so that no two are one event
        name = self._names.pop() if announces else self._dice.choice(self._names[:200])
        words = {
            "name": name,
            "token": name[:5].upper(),
            "field": self._dice.choice(FIELDS),
            "person": self._dice.choice(PEOPLE),
            "day": self._dice.randint(9, 28),
            "years": self._dice.randint(2, 9),
            "thousand": self._dice.randint(11, 99),
        }
        title, summary, text = (part.format(**words) for part in template)
        return Story(title, summary, text, name, announces)
