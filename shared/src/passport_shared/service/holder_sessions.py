"""Holder sessions: a staff app proves that it holds a key and acts for its person for 15 minutes (design §6).

The app asks for a challenge, presents any credential of this organisation with a key binding over it, and
proves the same key by DPoP (RFC 9449). It gets an opaque token bound to that key; every use carries a fresh
proof. Which credentials open a session, and whose it is, the service decides: it gives the ``subject``.

A challenge is stateless (random, expiry, HMAC) and consumed once, a proof's ``jti`` is used once, a token is
stored hashed. These tokens are good below ``<EID>/holder`` of one organisation and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Index, MetaData, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from passport_shared.formats import jose, sd_jwt_structure
from passport_shared.formats.clock import Clock
from passport_shared.formats.credential_rejected import CredentialRejected
from passport_shared.formats.dpop import REMEMBERED, DpopError, DpopProof, read_dpop_proof
from passport_shared.formats.jose import JoseError, PublicKey
from passport_shared.formats.key_binding import KeyBindingPolicy, check_key_binding
from passport_shared.formats.sd_jwt_structure import SdJwt, SdJwtError
from passport_shared.formats.strict import b64url_encode
from passport_shared.service.columns import UtcDateTime
from passport_shared.service.db import Database
from passport_shared.service.keys import KeyStore
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.once import insert_once

SECRET = "holders"  # noqa: S105 - the secret's purpose
CHALLENGE_LIFE = timedelta(minutes=5)
SESSION_LIFE = timedelta(minutes=15)
MAX_PRESENTATION_BYTES = 65_536
MAX_TOKEN_CHARS = 200
CHALLENGES = 'DPoP algs="ES256"'
_EXPIRY = re.compile(r"[0-9a-f]{1,12}")


class HandleConvertor(Convertor[str]):
    """An id in the path of a session's resource: what cannot be one names nothing, whoever asks."""

    regex = "[A-Za-z0-9_-]{1,64}"

    def convert(self, value: str) -> str:
        """The id as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it stands."""
        return value


register_url_convertor("handle", HandleConvertor())


@dataclass(frozen=True)
class HolderTables:
    """Tables of sessions and of what was used once."""

    sessions: Table
    used: Table


def tables(metadata: MetaData) -> HolderTables:
    """Define the tables."""
    sessions = Table(
        "holder_sessions",
        metadata,
        Column("token_hash", Text, primary_key=True),
        Column("ods", Text, nullable=False),
        Column("jkt", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index("ix_holder_sessions_subject", sessions.c.subject)
    Index("ix_holder_sessions_expires_at", sessions.c.expires_at)
    used = Table(
        "holder_used_values",
        metadata,
        # A challenge or a proof's jti, hashed with the key it belongs to.
        Column("value_hash", Text, primary_key=True),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index("ix_holder_used_values_expires_at", used.c.expires_at)
    return HolderTables(sessions, used)


@dataclass(frozen=True, kw_only=True)
class HolderSession:
    """A running session: whose (`subject`, in the service's words), at which organisation, with which key."""

    ods: str
    subject: str
    jkt: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Presented:
    """A presentation whose key binding and proof were checked: `holder` holds the key, nothing more is said.

    That the credential inside is genuine and of use here is the service's to check.
    """

    sd_jwt: SdJwt
    issuer_jwt_sha256: str
    holder: PublicKey
    proof: DpopProof
    challenge: str


@dataclass(frozen=True, kw_only=True)
class OpenedSession:
    """What the app gets."""

    access_token: str
    expires_in: int


class HolderSessions:
    """The holder sessions of one service.

    Args:
        keys: holds the secret that seals challenges, the same on every replica.
        public_url: the service's base URL, which every `htu` must begin with.
    """

    def __init__(
        self, db: Database, tables: HolderTables, clock: Clock, *, keys: KeyStore, public_url: str
    ) -> None:
        self._db = db
        self._tables = tables
        self._clock = clock
        self._keys = keys
        self._secret: bytes | None = None
        self._public_url = public_url

    async def challenge(self, ods: str) -> str:
        """A fresh challenge of an organisation; nothing is stored."""
        expires = int((self._clock.now() + CHALLENGE_LIFE).timestamp())
        return await self._sealed(ods, b64url_encode(secrets.token_bytes(16)), expires)

    async def presented(self, ods: str, entity_id: str, presentation: str, proof: DpopProof) -> Presented:
        """Check what an app presents: the challenge is ours, the key binding is over it, one key throughout.

        Raises:
            ProtocolError: ``invalid_grant`` with the reason.
        """
        try:
            sd_jwt = sd_jwt_structure.parse(presentation)
            holder = _holder_key(sd_jwt)
            challenge = _nonce(sd_jwt)
            if not await self._is_ours(ods, challenge):
                raise refused("the nonce is no challenge of this organisation, or its time is over")
            policy = KeyBindingPolicy(aud=entity_id, nonce=challenge, now=self._clock.now())
            check_key_binding(sd_jwt, holder, policy)
        except SdJwtError as error:
            raise refused(f"the presentation is malformed ({error.reason.value})") from None
        except CredentialRejected as error:
            raise refused(f"the key binding is refused ({error.reason.value})") from None
        if proof.jkt != holder.thumbprint:
            raise refused("the DPoP key is not the key the credential is bound to")
        digest = hashlib.sha256(sd_jwt.issuer_jwt.compact.encode("ascii")).hexdigest()
        return Presented(
            sd_jwt=sd_jwt, issuer_jwt_sha256=digest, holder=holder, proof=proof, challenge=challenge
        )

    async def open(self, ods: str, presented: Presented, subject: str) -> OpenedSession:
        """Open a session for a subject; challenge and proof are consumed with it.

        Raises:
            ProtocolError: ``invalid_grant`` or ``invalid_dpop_proof``: one of them was used before.
        """
        now, token = self._clock.now(), b64url_encode(secrets.token_bytes(32))
        async with self._db.write() as conn:
            if not await self._use(conn, f"challenge|{presented.challenge}", now + CHALLENGE_LIFE):
                raise refused("the challenge was used before")
            if not await self._use_proof(conn, presented.proof):
                raise _bad_proof("replayed", status=400)
            await conn.execute(
                insert(self._tables.sessions).values(
                    token_hash=_token_hash(token),
                    ods=ods,
                    jkt=presented.holder.thumbprint,
                    subject=subject,
                    created_at=now,
                    expires_at=now + SESSION_LIFE,
                )
            )
        return OpenedSession(access_token=token, expires_in=int(SESSION_LIFE.total_seconds()))

    def proof_of(self, request: Request, *, access_token: str | None = None, status: int = 401) -> DpopProof:
        """The request's one DPoP proof, checked for this method and address.

        Raises:
            ProtocolError: ``invalid_dpop_proof``.
        """
        values = request.headers.getlist("dpop")
        if len(values) != 1:
            raise _bad_proof("one DPoP header is needed", status=status)
        try:
            return read_dpop_proof(
                values[0],
                htm=request.method,
                htu=f"{self._public_url}{request.url.path}",
                now=self._clock.now(),
                access_token=access_token,
            )
        except DpopError as error:
            raise _bad_proof(error.reason.value, status=status) from None

    async def session_of(self, request: Request, ods: str) -> HolderSession:
        """The session a request is made in; its proof is consumed.

        Raises:
            ProtocolError: ``invalid_token`` or ``invalid_dpop_proof``, 401 with the DPoP challenge.
        """
        token = _token(request)
        proof = self.proof_of(request, access_token=token)
        sessions, now = self._tables.sessions, self._clock.now()
        query = select(sessions).where(
            sessions.c.token_hash == _token_hash(token), sessions.c.ods == ods, sessions.c.expires_at > now
        )
        async with self._db.read() as conn:
            row = (await conn.execute(query)).mappings().one_or_none()
        if row is None:
            raise _bad_token("the access token is unknown, over, or of another organisation")
        if not hmac.compare_digest(str(row["jkt"]), proof.jkt):
            raise _bad_token("the access token is bound to another key")
        async with self._db.write() as conn:
            if not await self._use_proof(conn, proof):
                raise _bad_proof("replayed")
        return HolderSession(ods=ods, subject=row["subject"], jkt=row["jkt"], expires_at=row["expires_at"])

    async def end_all(self, conn: AsyncConnection, ods: str, subject: str) -> int:
        """End every session of a subject, in the caller's transaction; how many."""
        sessions = self._tables.sessions
        ended = await conn.execute(
            delete(sessions).where(sessions.c.ods == ods, sessions.c.subject == subject)
        )
        return ended.rowcount

    async def purge(self) -> int:
        """Forget sessions that are over and values that could not be used again; how many."""
        now, gone = self._clock.now(), 0
        async with self._db.write() as conn:
            for table in (self._tables.sessions, self._tables.used):
                gone += (await conn.execute(delete(table).where(table.c.expires_at <= now))).rowcount
        return gone

    async def _use_proof(self, conn: AsyncConnection, proof: DpopProof) -> bool:
        return await self._use(conn, f"proof|{proof.jkt}|{proof.jti}", proof.iat + REMEMBERED)

    async def _use(self, conn: AsyncConnection, value: str, until: datetime) -> bool:
        digest = hashlib.sha256(value.encode("utf-8")).hexdigest()
        return await insert_once(conn, self._tables.used, {"value_hash": digest, "expires_at": until})

    async def _sealed(self, ods: str, value: str, expires: int) -> str:
        if self._secret is None:
            self._secret = await self._keys.secret(SECRET)
        message = f"holder|{ods}|{value}|{expires:x}".encode()
        tag = hmac.new(self._secret, message, hashlib.sha256).digest()[:16]
        return f"{value}.{expires:x}.{b64url_encode(tag)}"

    async def _is_ours(self, ods: str, challenge: str) -> bool:
        value, _, rest = challenge.partition(".")
        expires, _, _ = rest.partition(".")
        if len(challenge) > 100 or not challenge.isascii() or not _EXPIRY.fullmatch(expires):
            return False
        same = hmac.compare_digest(await self._sealed(ods, value, int(expires, 16)), challenge)
        return same and self._clock.now().timestamp() < int(expires, 16)


def refused(description: str) -> ProtocolError:
    """A presentation that opens no session (RFC 6749 §5.2)."""
    return ProtocolError("invalid_grant", description)


def _holder_key(sd_jwt: SdJwt) -> PublicKey:
    """The key the credential is bound to, UNVERIFIED: whose credential it is follows from other checks."""
    cnf = sd_jwt.issuer_jwt.claims.get("cnf")
    jwk = cnf.get("jwk") if isinstance(cnf, Mapping) else None
    if not isinstance(jwk, Mapping):
        raise refused("the credential is bound to no key")
    try:
        return PublicKey.from_jwk(jwk)
    except JoseError:
        raise refused("the credential is bound to no key that can be used") from None


def _nonce(sd_jwt: SdJwt) -> str:
    """The nonce a key binding names, before anything of it is believed."""
    if sd_jwt.key_binding is None:
        raise refused("the presentation carries no key binding")
    try:
        nonce = jose.parse(sd_jwt.key_binding, max_bytes=16_384).claims.get("nonce")
    except JoseError:
        raise refused("the key binding is malformed") from None
    if not isinstance(nonce, str):
        raise refused("the key binding names no nonce")
    return nonce


def _token(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, value = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "dpop" or not 0 < len(value) <= MAX_TOKEN_CHARS or not value.isascii():
        raise ProtocolError(
            "invalid_token",
            "an access token of the DPoP scheme is needed",
            status=401,
            headers={"WWW-Authenticate": CHALLENGES},
        )
    return value


def _token_hash(token: str) -> str:
    # 256 random bits need no salt.
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def session_over(description: str) -> ProtocolError:
    """A session that has ended before its time (RFC 6750 §3.1): the app opens another, or cannot."""
    return _bad_token(description)


def _bad_token(description: str) -> ProtocolError:
    told = {"WWW-Authenticate": f'{CHALLENGES}, error="invalid_token"'}
    return ProtocolError("invalid_token", description, status=401, headers=told)


def _bad_proof(description: str, *, status: int = 401) -> ProtocolError:
    told = {"WWW-Authenticate": f'{CHALLENGES}, error="invalid_dpop_proof"'} if status == 401 else {}
    return ProtocolError(
        "invalid_dpop_proof", f"the proof is refused: {description}", status=status, headers=told
    )
