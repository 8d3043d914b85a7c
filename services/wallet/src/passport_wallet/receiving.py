"""Collecting a passport: OpenID4VCI 1.0 with a pre-authorized code, as the wallet's side of it.

The order is the point. Before anything is fetched the offer names its issuer, and an issuer the network does
not know, or one that may not issue what it offers, is refused. What arrives is verified like a verifier would
(signature, chain, authority on the day, our key) and kept on the disk before the issuer is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passport_shared.formats import jose, sd_jwt_vc, strict, trust
from passport_shared.formats.clock import Clock, epoch_s, from_epoch_s
from passport_shared.formats.ids import new_id
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.trust_mark import rfc3339
from passport_shared.outbound import Outbound, OutboundError, Response
from passport_shared.wire import catalogue
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.network import entity_above
from passport_wallet.vault import HeldCredential, Vault

OFFER_SCHEMES = ("openid-credential-offer", "haip-vci")
PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PROOF_TYP = "openid4vci-proof+jwt"
JSON = "application/json"
MAX_METADATA_BYTES = 1_048_576
MAX_CREDENTIAL_BYTES = 262_144
MAX_TYPES = 32
HOLDER_KEY_PARAMETER = "staff_passport_holder_jkt"
"""Member of an offer that only one of our keys can collect: a placement, for the passport that was shared."""


@dataclass(frozen=True)
class Offer:
    """An offer whose issuer the network knows and allows."""

    network: str
    issuer: str
    issuer_name: str
    configuration_ids: tuple[str, ...]
    code: str
    needs_pin: bool
    pin_length: int | None
    holder_jkt: str | None = None


@dataclass(frozen=True)
class _Endpoints:
    token: str
    nonce: str
    credential: str
    notification: str | None
    vct_of: Mapping[str, str]


async def read_offer(link: str, snapshot: Snapshot, outbound: Outbound, clock: Clock) -> Offer:
    """Read an offer by value or by reference and check its issuer against the network.

    Args:
        link: `openid-credential-offer://?credential_offer=…` or `…?credential_offer_uri=…`.
        snapshot: of the network the offer must belong to.
        outbound: fetches an offer by reference, from a known issuer's address only.
        clock: the time at which authority is judged.

    Raises:
        WalletError: BAD_OFFER, UNKNOWN_ISSUER, TYPE_NOT_AUTHORISED, ISSUER_UNREACHABLE, ISSUER_ANSWERED.
    """
    query = _query(link)
    if "credential_offer_uri" in query:
        offer = await _fetched_offer(query["credential_offer_uri"], snapshot, outbound)
    else:
        offer = _object(query["credential_offer"], Refusal.BAD_OFFER, "The offer is not valid JSON.")
    return _checked(offer, snapshot, clock)


async def collect(
    offer: Offer, pin: str | None, vault: Vault, snapshot: Snapshot, outbound: Outbound, clock: Clock
) -> list[HeldCredential]:
    """Collect everything on offer, keep it, and tell the issuer what was kept.

    Under one new key; a placement under the key of the passport that was shared with the host, as it asks.

    Raises:
        WalletError: ISSUER_UNREACHABLE, ISSUER_ANSWERED (with the issuer's error code), CREDENTIAL_REFUSED,
            BAD_OFFER where it is for a key we do not have.
    """
    key = _key(offer, vault)
    talk = _Talk(outbound, offer)
    endpoints = await talk.endpoints()
    token = await talk.token(endpoints, pin)
    vault.save(vault.contents.with_key(key))
    kept: list[HeldCredential] = []
    for configuration_id, asked in _datasets(offer, token):
        answer = await talk.credential(endpoints, token.value, asked, key, clock)
        notification_id = answer.get("notification_id")
        try:
            held = [
                _verified(entry, configuration_id, endpoints, offer, key, snapshot, clock)
                for entry in _credentials(answer)
            ]
        except WalletError:
            await talk.notify(endpoints, token.value, notification_id, "credential_failure")
            raise
        vault.save(_with(vault, held, kept))
        kept += held
        await talk.notify(endpoints, token.value, notification_id, "credential_accepted")
    return kept


def _key(offer: Offer, vault: Vault) -> SigningKey:
    if offer.holder_jkt is None:
        return SigningKey.generate()
    if offer.holder_jkt not in vault.contents.keys:
        raise WalletError(
            Refusal.BAD_OFFER, "This is for another wallet: collect it with the one you shared from."
        )
    return vault.contents.key(offer.holder_jkt)


def _datasets(offer: Offer, token: _Token) -> list[tuple[str, dict[str, str]]]:
    """What to ask for, one by one: by identifier where the token names some (OpenID4VCI 1.0 §8.2)."""
    if not token.identifiers:
        return [(name, {"credential_configuration_id": name}) for name in offer.configuration_ids]
    return [
        (name, {"credential_identifier": identifier})
        for name in offer.configuration_ids
        for identifier in token.identifiers.get(name, ())
    ]


def _with(vault: Vault, held: Sequence[HeldCredential], kept: Sequence[HeldCredential]) -> Any:
    """The vault's contents with these credentials in place of older ones of the same type and issuer.

    What this collection kept already stays: a person with two posts has two records of one type.
    """
    fresh, now = {(c.issuer, c.vct) for c in held}, {c.id for c in kept}
    others = tuple(c for c in vault.contents.credentials if c.id in now or (c.issuer, c.vct) not in fresh)
    return replace(vault.contents, credentials=(*others, *held))


@dataclass(frozen=True)
class _Token:
    """An access token and, where the issuer names them, the datasets it grants, by configuration."""

    value: str = field(repr=False)
    identifiers: Mapping[str, Sequence[str]]


class _Talk:
    """The HTTP side: one issuer, one offer."""

    def __init__(self, outbound: Outbound, offer: Offer) -> None:
        self._outbound = outbound
        self._offer = offer

    async def endpoints(self) -> _Endpoints:
        issuer = self._offer.issuer
        metadata = await self._metadata("openid-credential-issuer")
        if metadata.get("credential_issuer") != issuer:
            raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer's metadata speak for somebody else.")
        servers = metadata.get("authorization_servers", [issuer])
        if not isinstance(servers, list) or issuer not in servers:
            raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer sends us to another authorization server.")
        server = await self._metadata("oauth-authorization-server")
        if server.get("issuer") != issuer:
            raise WalletError(Refusal.ISSUER_ANSWERED, "The authorization server speaks for somebody else.")
        supported = metadata.get("credential_configurations_supported")
        supported = supported if isinstance(supported, dict) else {}
        return _Endpoints(
            token=self._own(server, "token_endpoint"),
            nonce=self._own(metadata, "nonce_endpoint"),
            credential=self._own(metadata, "credential_endpoint"),
            notification=self._own(metadata, "notification_endpoint")
            if "notification_endpoint" in metadata
            else None,
            vct_of={
                name: entry["vct"]
                for name, entry in supported.items()
                if isinstance(entry, dict) and isinstance(entry.get("vct"), str)
            },
        )

    async def token(self, endpoints: _Endpoints, pin: str | None) -> _Token:
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": self._offer.code}
        if pin is not None:
            form["tx_code"] = pin
        answer = await self._post(endpoints.token, form=form)
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer gave no access token.")
        return _Token(token, _identifiers(answer.get("authorization_details", [])))

    async def credential(
        self, endpoints: _Endpoints, token: str, asked: Mapping[str, str], key: SigningKey, clock: Clock
    ) -> dict[str, Any]:
        nonce = (await self._post(endpoints.nonce)).get("c_nonce")
        if not isinstance(nonce, str) or not nonce:
            raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer gave no nonce to prove the key with.")
        proof = jose.sign(
            {"aud": self._offer.issuer, "iat": epoch_s(clock.now()), "nonce": nonce},
            key,
            typ=PROOF_TYP,
            kid=False,
            headers={"jwk": dict(key.public.jwk)},
        )
        body = {**asked, "proofs": {"jwt": [proof]}}
        return await self._post(endpoints.credential, json=body, token=token)

    async def notify(self, endpoints: _Endpoints, token: str, notification_id: object, event: str) -> None:
        """Tell the issuer; a failure to tell changes nothing that we keep."""
        if endpoints.notification is None or not isinstance(notification_id, str):
            return
        body = {"notification_id": notification_id, "event": event}
        try:
            await self._outbound.post(endpoints.notification, json=body, headers=_bearer(token))
        except OutboundError:
            return

    def _own(self, document: Mapping[str, Any], name: str) -> str:
        """An endpoint that lies below the issuer's own identifier: no other host gets our code or proof."""
        value = document.get(name)
        if not isinstance(value, str) or not value.startswith(self._offer.issuer + "/"):
            raise WalletError(Refusal.ISSUER_ANSWERED, f"The issuer's {name} is missing or not its own.")
        return value

    async def _metadata(self, kind: str) -> dict[str, Any]:
        parts = urlsplit(self._offer.issuer)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/{kind}{parts.path}"
        try:
            response = await self._outbound.get(url, accept=JSON, max_bytes=MAX_METADATA_BYTES)
        except OutboundError as error:
            raise _unreachable(error) from error
        return _answer(response, max_bytes=MAX_METADATA_BYTES)

    async def _post(
        self,
        url: str,
        *,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        try:
            response = await self._outbound.post(
                url,
                json=json,
                form={} if json is None and form is None else form,
                headers=_bearer(token) if token else {},
                max_bytes=MAX_CREDENTIAL_BYTES,
            )
        except OutboundError as error:
            raise _unreachable(error) from error
        return _answer(response, max_bytes=MAX_CREDENTIAL_BYTES)


def _identifiers(details: object) -> dict[str, list[str]]:
    """The credential_identifiers of a token answer, by configuration (OpenID4VCI 1.0 §6.2)."""
    found: dict[str, list[str]] = {}
    for entry in details if isinstance(details, list) else [None]:
        name = entry.get("credential_configuration_id") if isinstance(entry, dict) else None
        identifiers = entry.get("credential_identifiers") if isinstance(entry, dict) else None
        if (
            not isinstance(name, str)
            or not isinstance(identifiers, list)
            or not 0 < len(identifiers) <= MAX_TYPES
            or not all(isinstance(identifier, str) for identifier in identifiers)
        ):
            raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer's token names records we cannot read.")
        found.setdefault(name, []).extend(identifiers)
    return found


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _unreachable(error: OutboundError) -> WalletError:
    return WalletError(Refusal.ISSUER_UNREACHABLE, f"Your trust's issuer cannot be reached ({error.reason}).")


def _answer(response: Response, *, max_bytes: int) -> dict[str, Any]:
    document = _object(
        response.body, Refusal.ISSUER_ANSWERED, "The issuer's answer is not valid JSON.", max_bytes=max_bytes
    )
    if not 200 <= response.status < 300:
        code = document.get("error")
        code = code if isinstance(code, str) else f"HTTP {response.status}"
        text = document.get("error_description")
        raise WalletError(
            Refusal.ISSUER_ANSWERED, str(text) if text else f"The issuer answered {code}.", code=code
        )
    return document


def _object(content: str | bytes, reason: Refusal, text: str, *, max_bytes: int = 65_536) -> dict[str, Any]:
    try:
        return strict.loads_object(content, max_bytes=max_bytes)
    except strict.StrictError as error:
        raise WalletError(reason, text) from error


def _query(link: str) -> dict[str, str]:
    try:
        parts = urlsplit(link.strip())
        fields = parse_qs(parts.query, max_num_fields=8)
    except ValueError as error:  # brackets without an address between them, or more fields than any offer has
        raise WalletError(Refusal.BAD_OFFER, "This is not an offer link.") from error
    if parts.scheme not in OFFER_SCHEMES:
        raise WalletError(Refusal.BAD_OFFER, "This is not an offer link (openid-credential-offer://…).")
    values = {
        name: found[0]
        for name, found in fields.items()
        if len(found) == 1 and name in ("credential_offer", "credential_offer_uri")
    }
    if len(values) != 1:
        raise WalletError(Refusal.BAD_OFFER, "The link must carry exactly one offer.")
    return values


async def _fetched_offer(uri: str, snapshot: Snapshot, outbound: Outbound) -> dict[str, Any]:
    """Fetch an offer by reference, but only below the identifier of an issuer the network lists."""
    if entity_above(uri, snapshot) is None:
        raise WalletError(Refusal.UNKNOWN_ISSUER, "The offer lies at an address no trust in the network has.")
    try:
        response = await outbound.get(uri, accept=JSON)
    except OutboundError as error:
        raise _unreachable(error) from error
    return _answer(response, max_bytes=65_536)


def _checked(offer: Mapping[str, Any], snapshot: Snapshot, clock: Clock) -> Offer:
    issuer, ids, grants = (
        offer.get("credential_issuer"),
        offer.get("credential_configuration_ids"),
        offer.get("grants"),
    )
    grant = grants.get(PRE_AUTHORIZED) if isinstance(grants, dict) else None
    if (
        not isinstance(issuer, str)
        or not isinstance(ids, list)
        or not 0 < len(ids) <= MAX_TYPES
        or not all(isinstance(entry, str) for entry in ids)
        or len(set(ids)) != len(ids)
        or not isinstance(grant, dict)
        or not isinstance(grant.get("pre-authorized_code"), str)
    ):
        raise WalletError(
            Refusal.BAD_OFFER, "The offer is incomplete, or of a kind this wallet cannot collect."
        )
    if issuer not in snapshot.entity_ids:
        raise WalletError(Refusal.UNKNOWN_ISSUER, f"No trust in the network issues as {issuer}.")
    names = {_allowed(configuration_id, issuer, snapshot, clock) for configuration_id in ids}
    tx_code = grant.get("tx_code")
    length = tx_code.get("length") if isinstance(tx_code, dict) else None
    return Offer(
        network=snapshot.registry,
        issuer=issuer,
        issuer_name=names.pop(),
        configuration_ids=tuple(ids),
        code=grant["pre-authorized_code"],
        needs_pin=tx_code is not None,
        pin_length=length if isinstance(length, int) else None,
        holder_jkt=_holder_jkt(offer),
    )


def _holder_jkt(offer: Mapping[str, Any]) -> str | None:
    value = offer.get(HOLDER_KEY_PARAMETER)
    if value is not None and not isinstance(value, str):
        raise WalletError(Refusal.BAD_OFFER, "The offer names the key it is for in a form we cannot read.")
    return value


def _allowed(configuration_id: str, issuer: str, snapshot: Snapshot, clock: Clock) -> str:
    """The issuing organisation's name, once the network lets it issue this type now."""
    kind = catalogue.type_for_configuration(configuration_id)
    vct = catalogue.vct(snapshot.trust_file.vct_base, kind.name, kind.version) if kind else ""
    found = trust.issuer_may_issue(snapshot, issuer, vct, clock.now())
    if found.finding is not trust.Finding.AUTHORISED or found.mark is None:
        raise WalletError(
            Refusal.TYPE_NOT_AUTHORISED,
            f"The network does not let {issuer} issue {configuration_id} ({found.finding}).",
            code=found.finding,
        )
    return found.mark.organisation.name


def _credentials(answer: Mapping[str, Any]) -> list[str]:
    entries = answer.get("credentials")
    if not isinstance(entries, list) or len(entries) != 1:
        raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer did not send exactly one credential.")
    credential = entries[0].get("credential") if isinstance(entries[0], dict) else None
    if not isinstance(credential, str):
        raise WalletError(Refusal.ISSUER_ANSWERED, "The issuer sent a credential this wallet cannot read.")
    return [credential]


def _counts_at(token: str, now: datetime) -> datetime:
    """When a credential is looked at: a placement is collected before its first day (``nbf``)."""
    try:
        begins = jose.parse(token.partition("~")[0], max_bytes=MAX_CREDENTIAL_BYTES).claims.get("nbf")
        return max(now, from_epoch_s(strict.numeric_date(begins))) if begins is not None else now
    except ValueError:
        return now  # what is wrong with it is said by who verifies it


def _verified(
    token: str,
    configuration_id: str,
    endpoints: _Endpoints,
    offer: Offer,
    key: SigningKey,
    snapshot: Snapshot,
    clock: Clock,
) -> HeldCredential:
    now = clock.now()
    try:
        found = sd_jwt_vc.inspect(token, roots=snapshot.roots, at=_counts_at(token, now))
    except sd_jwt_vc.CredentialRejected as error:
        raise WalletError(
            Refusal.CREDENTIAL_REFUSED, f"The credential is not valid: {error.reason}.", code=error.reason
        ) from error
    expected = endpoints.vct_of.get(configuration_id)
    if found.iss != offer.issuer or found.vct != expected:
        raise WalletError(Refusal.CREDENTIAL_REFUSED, "The credential is not the one that was offered.")
    if found.holder_thumbprint != key.kid:
        raise WalletError(Refusal.CREDENTIAL_REFUSED, "The credential is bound to somebody else's key.")
    authority = trust.authority(
        snapshot,
        found.leaf,
        iss=found.iss,
        use="credential",
        action="issue",
        vct=found.vct,
        iat=found.iat,
        exp=found.exp,
        at=now,
        sandbox=None,
    )
    if authority.finding is not trust.Finding.AUTHORISED:
        raise WalletError(
            Refusal.CREDENTIAL_REFUSED,
            f"The network does not stand behind this credential: {authority.finding}.",
            code=authority.finding,
        )
    return HeldCredential(
        id=new_id(),
        network=snapshot.registry,
        issuer=found.iss,
        vct=found.vct,
        configuration_id=configuration_id,
        kid=key.kid,
        received_at=rfc3339(now),
        sd_jwt=token,
    )
