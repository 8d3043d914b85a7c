"""What must not go well: a lapsed registration, a doubtful issuer, a stranger, two people in one answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from deploy.demo import issuing, moving, people
from deploy.demo.holder import Holder, WalletRefused
from deploy.demo.moving import BASE, HOST_HR, Decided
from deploy.demo.onboarding import OPERATOR
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE
from deploy.dev import register
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack
from passport_shared.outbound import Outbound
from passport_shared.service.clock import SystemClock
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet


def registration_lapses(story: Story, stack: Stack, hr: ManagementClient, first: Decided) -> None:
    """The register shows a lapsed registration; judging the same decision again says so."""
    verifier = stack.services["verifier"].url
    moving.look_up(stack, hr, first.movement_id, first.person, "LAPSED", licence=False)
    again = hr.post(verifier, f"{BASE}/decisions/{first.decision['id']}/recheck", {"actor": HOST_HR})
    moving.tell(story, again)
    story.expect(again["result"]["outcome"] == "NOT_READY", "the same decision, judged again, is NOT_READY")
    story.expect(again["recheck_of"] == first.decision["id"], "and both stay on record, linked")


def issuer_suspended(story: Story, stack: Stack, operator: ManagementClient, holder: Holder) -> None:
    """An integrity suspension reaches the host within a minute; a new decision needs a person."""
    registry = stack.services["registry"].url
    entity = f"/api/v1/organisations/{CHRISTIE.ods}/entities/ISSUER"
    operator.post(
        registry,
        f"{entity}/suspend",
        {
            "kind": "INTEGRITY",
            "reason": "Invented: a signing machine was found open",
            "review_on": people.today().isoformat(),
            "actor": OPERATOR,
        },
    )
    register.published(stack, operator)
    movement_id = moving.movement(stack, operator)
    moving.look_up(stack, operator, movement_id, people.SURGEON, "REGISTERED", licence=True)
    request = moving.ask(stack, operator, movement_id)
    holder.run("present", request["links"]["deep_link"], "--yes")
    decision = moving.settled(stack, operator, request["id"])
    decision = operator.post(
        stack.services["verifier"].url,
        f"{BASE}/decisions/{decision['id']}/person-confirmation",
        {"method": "DOCUMENT_ON_CALL", "actor": HOST_HR},
    )
    moving.tell(story, decision)
    story.expect(decision["result"]["outcome"] == "REFER", "a new decision is REFER: a named role decides")
    story.expect(not decision["result"]["verified"], "and nothing is called verified meanwhile")
    operator.post(
        registry, f"{entity}/reinstate", {"reason": "Invented: nothing was touched", "actor": OPERATOR}
    )
    register.published(stack, operator)
    story.say("The suspension is lifted again.")


def stranger(story: Story, stack: Stack, holder: Holder) -> None:
    """Somebody outside the network asks, and somebody inside asks under another's name."""
    somebody = "openid4vp://?client_id=x509_hash%3A" + "A" * 43 + "&request_uri="
    with story.refused(WalletRefused, "a stranger's request is refused before anything is sent to them"):
        holder.run(
            "present",
            somebody + "https%3A%2F%2Fstaff-passport.example%2FR0A%2Foid4vp%2Frequests%2F1",
            "--yes",
        )
    with story.refused(WalletRefused, "so is one at the verifier's address for a trust that never joined"):
        other = f"{stack.services['verifier'].url}/RM3/oid4vp/requests/1".replace(":", "%3A").replace(
            "/", "%2F"
        )
        holder.run("present", somebody + other, "--yes")


def two_people(story: Story, stack: Stack, hr: ManagementClient, holder: Holder) -> None:
    """A second colleague's records are put beside the surgeon's, and shown as one person's."""
    other = issuing.collect(story, stack, hr, people.OTHER, "other")
    movement_id = moving.movement(stack, hr)
    moving.look_up(stack, hr, movement_id, people.SURGEON, "REGISTERED", licence=True)
    request = moving.ask(stack, hr, movement_id)
    refusal = asyncio.run(_show_mixed(stack, holder, other, request["links"]["deep_link"]))
    story.expect(
        refusal is not None and refusal.code == "invalid_request",
        "two people's records in one answer are refused",
    )
    seen = hr.get(stack.services["verifier"].url, f"{BASE}/presentation-requests/{request['id']}")
    story.expect(seen["last_refusal"] == "identity_mismatch", "host HR learns why: identity mismatch")
    story.expect(seen["decision_id"] is None, "and nothing was decided or kept about either of them")


async def _show_mixed(stack: Stack, holder: Holder, other: Holder, link: str) -> WalletError | None:
    """Open both wallets with the library and answer with records of both."""
    allowed = frozenset(f"localhost:{service.port}" for service in stack.services.values())
    vault, theirs = _opened(holder), _opened(other)
    async with Outbound(ca_file=Path(stack.tls.ca), allow=allowed) as outbound:
        try:
            mine = [c for c in vault.contents.credentials if c.configuration_id != "DbsOutcome_1"]
            added = [c for c in theirs.contents.credentials if c.configuration_id == "DbsOutcome_1"]
            vault.contents = replace(
                vault.contents,
                credentials=(*mine, *added),
                keys={**vault.contents.keys, **theirs.contents.keys},
            )
            wallet = Wallet(vault, holder.home, outbound, SystemClock())
            await wallet.share(await wallet.read_request(link))
        except WalletError as refusal:
            return refusal if refusal.reason is Refusal.VERIFIER_ANSWERED else None
        finally:
            vault.close()
            theirs.close()
    return None


def _opened(holder: Holder) -> Vault:
    return Vault.open(holder.home / "wallet.json", holder.passphrase)
