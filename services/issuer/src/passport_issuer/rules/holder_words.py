"""What a staff app says to its person about passport and moves, in English and Welsh (domain model, §10h).

The words are for the person alone; the specification's words stay in code and protocol. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from passport_issuer.rules.passports import PassportState
from passport_issuer.rules.releases import CaseState

Words = Mapping[str, str]

_BEGUN = {
    "en-GB": "{trust} has begun your staff passport. Collect it at your appointment.",
    "cy": "Mae {trust} wedi dechrau eich pasbort staff. Casglwch ef yn eich apwyntiad.",
}
PASSPORT: Mapping[PassportState, Words] = MappingProxyType(
    {
        PassportState.INVITED: _BEGUN,
        PassportState.IDENTITY_PENDING: _BEGUN,
        PassportState.ACTIVE: {
            "en-GB": "Your staff passport is in use.",
            "cy": "Mae eich pasbort staff yn cael ei ddefnyddio.",
        },
        PassportState.ON_HOLD: {
            "en-GB": "Your staff passport is on hold: contact {trust}.",
            "cy": "Mae eich pasbort staff wedi'i atal dros dro: cysylltwch â {trust}.",
        },
        PassportState.CLOSED: {
            "en-GB": "Your staff passport is no longer valid.",
            "cy": "Nid yw eich pasbort staff yn ddilys mwyach.",
        },
    }
)
RELEASE: Mapping[CaseState, Words] = MappingProxyType(
    {
        CaseState.REQUESTED: {
            "en-GB": "{host} has asked your trust. Your trust has not answered yet.",
            "cy": "Mae {host} wedi gofyn i'ch ymddiriedolaeth. Nid yw eich ymddiriedolaeth wedi ateb eto.",
        },
        CaseState.AGREED: {
            "en-GB": "Your trust agrees to this move.",
            "cy": "Mae eich ymddiriedolaeth yn cytuno i'r symudiad hwn.",
        },
        CaseState.AGREED_WITH_LIMITS: {
            "en-GB": "Your trust agrees to this move, with limits.",
            "cy": "Mae eich ymddiriedolaeth yn cytuno i'r symudiad hwn, gyda therfynau.",
        },
        CaseState.DECLINED: {
            "en-GB": "Your trust does not agree to this move.",
            "cy": "Nid yw eich ymddiriedolaeth yn cytuno i'r symudiad hwn.",
        },
        CaseState.WITHDRAWN: {
            "en-GB": "This move is no longer agreed.",
            "cy": "Nid yw'r symudiad hwn wedi'i gytuno mwyach.",
        },
        CaseState.EXPIRED: {
            "en-GB": "Your trust did not answer in time. {host} can ask again.",
            "cy": "Ni atebodd eich ymddiriedolaeth mewn pryd. Gall {host} ofyn eto.",
        },
    }
)


def said(words: Words, **names: str) -> dict[str, str]:
    """A sentence by language, with the names of trusts put in."""
    return {locale: text.format(**names) for locale, text in words.items()}
