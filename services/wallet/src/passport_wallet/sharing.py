"""Showing a passport: OpenID4VP 1.0 with HAIP, as the wallet's side of it.

`read_request` fetches and proves the request: signed under a leaf the network pins for this verifier, nothing
asked beyond what its mark allows, the answer going to its own registered address. It returns what a person
needs to decide: who asks, for what purpose, which details. Only `share` reveals anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passport_shared.formats import dcql, jose, jwe, sd_jwt, strict, trust, x5c
from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import PublicKey
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.trust_mark import Organisation
from passport_shared.outbound import Outbound, OutboundError, Response
from passport_shared.wire import catalogue
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.network import entity_above
from passport_wallet.vault import HeldCredential, Vault

REQUEST_SCHEMES = ("openid4vp", "haip-vp")
REQUEST_TYP = "oauth-authz-req+jwt"
REQUEST_MEDIA_TYPE = "application/oauth-authz-req+jwt"
SELF_ISSUED = "https://self-issued.me/v2"
X509_HASH = "x509_hash:"
PURPOSE_FORMAT = "staff_passport_purpose"
MAX_REQUEST_BYTES = 262_144
MIN_NONCE_CHARS = 22  # 128 bits in base64url


@dataclass(frozen=True)
class AskedRecord:
    """One record that is asked for; `required` when it is not held and nothing can be answered without it."""

    query_id: str
    vct: str
    name: str
    details: tuple[str, ...]
    required: bool
    held: HeldCredential | None
    paths: tuple[tuple[str | int | None, ...], ...]


@dataclass(frozen=True)
class Request:
    """A proven request: what the person decides on."""

    verifier: str
    verifier_name: str
    purpose: str
    purpose_text: str
    records: tuple[AskedRecord, ...]
    client_id: str = field(repr=False)
    nonce: str = field(repr=False)
    state: str | None = field(repr=False)
    response_uri: str
    encryption_key: PublicKey = field(repr=False)
    encryption_kid: str = field(repr=False)
    enc: str = field(repr=False)
    sandbox: bool = False
    """Whether who asks exists for practice: only sandbox records are offered to it."""

    @property
    def missing(self) -> tuple[AskedRecord, ...]:
        """Records that are not held and without which the request cannot be met."""
        return tuple(record for record in self.records if record.required)


async def read_request(
    link: str, snapshot: Snapshot, vault: Vault, outbound: Outbound, clock: Clock, *, locale: str = "en-GB"
) -> Request:
    """Fetch the request object a link names, and prove it against the network before showing it.

    Args:
        link: `openid4vp://?client_id=…&request_uri=…[&request_uri_method=post]`.
        snapshot: of the network the verifier must belong to.
        vault: what is held.
        outbound: fetches the request from a known verifier's address only.
        clock: the time at which authority is judged.
        locale: of labels and purpose, en-GB or cy.

    Raises:
        WalletError: BAD_REQUEST, UNKNOWN_VERIFIER, OVER_ASKING, VERIFIER_UNREACHABLE, VERIFIER_ANSWERED.
    """
    query = _query(link)
    verifier = _verifier_above(query["request_uri"], snapshot)
    token, wallet_nonce = await _fetch(query, outbound)
    claims, who = _proven(token, query["client_id"], verifier, snapshot, clock.now())
    if wallet_nonce is not None and claims.get("wallet_nonce") != wallet_nonce:
        raise WalletError(Refusal.BAD_REQUEST, "The request does not repeat our nonce.")
    return _understood(claims, verifier, who, snapshot, vault, clock.now(), locale)


async def share(request: Request, vault: Vault, outbound: Outbound, clock: Clock) -> str | None:
    """Answer with exactly what was asked and is held; returns where to send the browser, if anywhere.

    Raises:
        WalletError: NOT_HELD, VERIFIER_UNREACHABLE, VERIFIER_ANSWERED.
    """
    if request.missing:
        names = ", ".join(record.name for record in request.missing)
        raise WalletError(Refusal.NOT_HELD, f"Not in this passport: {names}.")
    vp_token = {
        record.query_id: [_presentation(record, record.held, request, vault, clock.now())]
        for record in request.records
        if record.held is not None
    }
    payload: dict[str, Any] = {"vp_token": vp_token}
    if request.state is not None:
        payload["state"] = request.state
    encrypted = jwe.encrypt(
        strict.dumps(payload), request.encryption_key, kid=request.encryption_kid, enc=request.enc
    )
    return await _deliver(request, {"response": encrypted}, outbound)


async def decline(request: Request, outbound: Outbound) -> None:
    """Tell the verifier that the person said no; nothing else."""
    form = {"error": "access_denied"}
    if request.state is not None:
        form["state"] = request.state
    await _deliver(request, form, outbound)


def _query(link: str) -> dict[str, str]:
    try:
        parts = urlsplit(link.strip())
        fields = parse_qs(parts.query, max_num_fields=8)
    except ValueError as error:  # brackets without an address between them, or more fields than any link has
        raise WalletError(Refusal.BAD_REQUEST, "This is not a request link.") from error
    if parts.scheme not in REQUEST_SCHEMES:
        raise WalletError(Refusal.BAD_REQUEST, "This is not a request link (openid4vp://…).")
    values = {name: found[0] for name, found in fields.items() if len(found) == 1}
    if not {"client_id", "request_uri"} <= values.keys():
        raise WalletError(Refusal.BAD_REQUEST, "The link names no verifier or no request.")
    if values.get("request_uri_method", "get") not in ("get", "post"):
        raise WalletError(Refusal.BAD_REQUEST, "The link asks for a way of fetching that we do not know.")
    return values


def _verifier_above(uri: str, snapshot: Snapshot) -> str:
    """The known entity below whose identifier the request lies: nothing else is contacted."""
    verifier = entity_above(uri, snapshot)
    if verifier is None:
        raise WalletError(Refusal.UNKNOWN_VERIFIER, "No trust in the network asks from this address.")
    return verifier


async def _fetch(query: Mapping[str, str], outbound: Outbound) -> tuple[bytes, str | None]:
    uri = query["request_uri"]
    wallet_nonce = random_token() if query.get("request_uri_method") == "post" else None
    try:
        if wallet_nonce is None:
            response = await outbound.get(uri, accept=REQUEST_MEDIA_TYPE, max_bytes=MAX_REQUEST_BYTES)
        else:
            response = await outbound.post(
                uri,
                form={"wallet_nonce": wallet_nonce},
                accept=REQUEST_MEDIA_TYPE,
                max_bytes=MAX_REQUEST_BYTES,
            )
    except OutboundError as error:
        raise _unreachable(error) from error
    if response.status != 200:
        raise WalletError(
            Refusal.VERIFIER_ANSWERED,
            "The request is no longer open. Ask for a new link.",
            code=_code(response),
        )
    return response.body, wallet_nonce


def _proven(
    token: bytes, client_id: str, verifier: str, snapshot: Snapshot, now: datetime
) -> tuple[dict[str, Any], Organisation]:
    """The request's claims, once its signer is the verifier the network knows; and whose verifier it is."""
    try:
        parsed = jose.parse(token, max_bytes=MAX_REQUEST_BYTES)
        leaf = x5c.verify_chain(_strings(parsed.header.get("x5c")), snapshot.roots, at=now)
        verified = jose.verify(parsed, leaf.public, typ=REQUEST_TYP, max_bytes=MAX_REQUEST_BYTES)
    except (jose.JoseError, x5c.ChainError) as error:
        raise WalletError(
            Refusal.BAD_REQUEST, f"The request is not properly signed ({error.reason})."
        ) from error
    claims = dict(verified.claims)
    if client_id != X509_HASH + x5c.x509_hash(leaf.der) or claims.get("client_id") != client_id:
        raise WalletError(Refusal.BAD_REQUEST, "The request is not signed by the verifier in the link.")
    authority = trust.authority(
        snapshot, leaf, iss=verifier, use="request", action="ask", vct=None, iat=now, at=now, sandbox=None
    )
    if authority.finding is not trust.Finding.AUTHORISED or authority.mark is None:
        raise WalletError(
            Refusal.UNKNOWN_VERIFIER,
            f"The network does not stand behind who asks: {authority.finding}.",
            code=authority.finding,
        )
    return claims, authority.mark.organisation


def _check_current(claims: Mapping[str, Any], now: datetime) -> None:
    """A request that ran out is not answered; one that says nothing of its end may be (RFC 9101 §4)."""
    try:
        jose.check_times(claims, now=now, require=())
    except jose.JoseError as error:
        raise WalletError(Refusal.BAD_REQUEST, f"The request is not current ({error.reason}).") from error


def _understood(
    claims: Mapping[str, Any],
    verifier: str,
    who: Organisation,
    snapshot: Snapshot,
    vault: Vault,
    now: datetime,
    locale: str,
) -> Request:
    _check_protocol(claims, verifier)
    _check_current(claims, now)
    purpose, text = _purpose(claims.get("verifier_info"), locale)
    try:
        query = dcql.parse_query(claims.get("dcql_query"))
    except dcql.DcqlError as error:
        raise WalletError(Refusal.BAD_REQUEST, f"What is asked cannot be read ({error.reason}).") from error
    for entry in query.credentials:
        _check_may_ask(entry, verifier, who.name, purpose, snapshot, now, locale)
    selection = dcql.select(query, _held(vault, snapshot, now, sandbox=who.sandbox))
    records = tuple(_asked(entry, selection, snapshot, vault, locale) for entry in query.credentials)
    key, kid, enc = _encryption(claims.get("client_metadata"))
    return Request(
        verifier=verifier,
        verifier_name=who.name,
        purpose=purpose,
        purpose_text=text,
        records=records,
        client_id=claims["client_id"],
        nonce=claims["nonce"],
        state=claims.get("state"),
        response_uri=claims["response_uri"],
        encryption_key=key,
        encryption_kid=kid,
        enc=enc,
        sandbox=who.sandbox,
    )


def _check_protocol(claims: Mapping[str, Any], verifier: str) -> None:
    nonce, state = claims.get("nonce"), claims.get("state")
    sound = (
        claims.get("response_type") == "vp_token"
        and claims.get("response_mode") == "direct_post.jwt"
        # design: one response address per verifier, also in its statement; never another host
        and claims.get("response_uri") == f"{verifier}/oid4vp/response"
        and "redirect_uri" not in claims
        and claims.get("aud", SELF_ISSUED) == SELF_ISSUED
        and isinstance(nonce, str)
        and len(nonce) >= MIN_NONCE_CHARS
        and (state is None or isinstance(state, str))
    )
    if not sound:
        raise WalletError(Refusal.BAD_REQUEST, "The request does not follow the protocol.")
    if "transaction_data" in claims:
        # OpenID4VP 1.0 §8.4: a wallet that does not know it must not answer.
        raise WalletError(Refusal.BAD_REQUEST, "The request carries a transaction this wallet does not know.")


def _purpose(verifier_info: object, locale: str) -> tuple[str, str]:
    """The purpose and its words; a request without one is not answered."""
    for entry in verifier_info if isinstance(verifier_info, list) else []:
        data = (
            entry.get("data") if isinstance(entry, dict) and entry.get("format") == PURPOSE_FORMAT else None
        )
        if (
            isinstance(data, dict)
            and isinstance(data.get("purpose"), str)
            and isinstance(data.get("text"), dict)
        ):
            text = data["text"].get(locale, data["text"].get("en-GB"))
            if isinstance(text, str):
                return data["purpose"], text
    raise WalletError(Refusal.BAD_REQUEST, "The request does not say what it is for.")


def _check_may_ask(
    entry: dcql.CredentialQuery,
    verifier: str,
    name: str,
    purpose: str,
    snapshot: Snapshot,
    now: datetime,
    locale: str,
) -> None:
    """Everything the query names must be covered, whatever of it this wallet would answer."""
    paths = [claim.path for claim in entry.claims]
    for vct in entry.vct_values or ("",):
        found = trust.may_ask(snapshot, verifier, vct, paths, purpose, now)
        if found.finding is not trust.Finding.AUTHORISED:
            beyond = ", ".join(".".join(str(step) for step in path) for path in found.too_much)
            raise WalletError(
                Refusal.OVER_ASKING,
                f"{name} asks for more than the network allows: {_name(vct, snapshot, locale)}"
                + (f" ({beyond})." if beyond else f" ({found.detail})."),
                code=found.detail,
            )


def _held(vault: Vault, snapshot: Snapshot, now: datetime, *, sandbox: bool) -> list[dcql.Credential]:
    """What may be offered: nothing real to a sandbox, nothing of a sandbox to a trust."""
    return [
        dcql.Credential(key=held.id, vct=held.vct, claims=sd_jwt.process(sd_jwt.parse(held.sd_jwt)))
        for held in vault.contents.credentials
        if held.network == snapshot.registry and trust.of_sandbox(snapshot, held.issuer, now=now) is sandbox
    ]


def _asked(
    entry: dcql.CredentialQuery, selection: dcql.Selection, snapshot: Snapshot, vault: Vault, locale: str
) -> AskedRecord:
    chosen = next(iter(selection.chosen.get(entry.id, ())), None)
    held = next((c for c in vault.contents.credentials if chosen and c.id == chosen.key), None)
    vct = held.vct if held else next(iter(entry.vct_values), "")
    paths = chosen.paths if chosen else tuple(claim.path for claim in entry.claims)
    kind = catalogue.type_for_vct(vct, snapshot.trust_file.vct_base)
    words = [[step for step in path if isinstance(step, str)] for path in paths]
    return AskedRecord(
        query_id=entry.id,
        vct=vct,
        name=_name(vct, snapshot, locale),
        details=tuple(kind.label(path, locale) if kind else ".".join(path) for path in words),
        required=entry.id in selection.missing,
        held=held,
        paths=paths,
    )


def _name(vct: str, snapshot: Snapshot, locale: str) -> str:
    kind = catalogue.type_for_vct(vct, snapshot.trust_file.vct_base)
    return kind.display[locale]["name"] if kind else vct


def _encryption(client_metadata: object) -> tuple[PublicKey, str, str]:
    metadata = client_metadata if isinstance(client_metadata, dict) else {}
    jwks = metadata.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    offered = metadata.get("encrypted_response_enc_values_supported", ["A128GCM"])
    enc = next((value for value in jwe.ENC if isinstance(offered, list) and value in offered), None)
    for key in keys if isinstance(keys, list) and enc is not None else []:
        if isinstance(key, dict) and key.get("alg") == jwe.ALG and isinstance(key.get("kid"), str):
            try:
                return PublicKey.from_jwk(key, purpose="enc"), key["kid"], str(enc)
            except jose.JoseError:
                continue
    raise WalletError(Refusal.BAD_REQUEST, "The request offers no key to encrypt the answer to.")


def _presentation(
    record: AskedRecord, held: HeldCredential, request: Request, vault: Vault, now: datetime
) -> str:
    revealed = sd_jwt.present(held.sd_jwt, record.paths)
    return sd_jwt.add_key_binding(
        revealed, vault.contents.key(held.kid), aud=request.client_id, nonce=request.nonce, iat=now
    )


async def _deliver(request: Request, form: Mapping[str, str], outbound: Outbound) -> str | None:
    try:
        response = await outbound.post(request.response_uri, form=form)
    except OutboundError as error:
        raise _unreachable(error) from error
    if response.status != 200:
        code = _code(response)
        raise WalletError(
            Refusal.VERIFIER_ANSWERED, f"The answer was not accepted ({code or response.status}).", code=code
        )
    redirect = _body(response).get("redirect_uri")
    return redirect if isinstance(redirect, str) else None


def _body(response: Response) -> dict[str, Any]:
    try:
        return strict.loads_object(response.body)
    except strict.StrictError:
        return {}


def _code(response: Response) -> str | None:
    code = _body(response).get("error")
    return code if isinstance(code, str) else None


def _unreachable(error: OutboundError) -> WalletError:
    return WalletError(Refusal.VERIFIER_UNREACHABLE, f"The other trust cannot be reached ({error.reason}).")


def _strings(value: object) -> Sequence[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
