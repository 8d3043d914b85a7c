"""API clients: token endpoint and callers (skeleton)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Column, Index, MetaData, Table, Text

from passport_shared.formats.clock import Clock
from passport_shared.service.client_directory import ClientDirectory
from passport_shared.service.db import Database, UtcDateTime
from passport_shared.service.keys import KeyStore
from passport_shared.wire.clients import ClientKind


@dataclass(frozen=True)
class AuthTables:
    """Table of used assertions."""

    assertions: Table


def tables(metadata: MetaData) -> AuthTables:
    """Define the table of used assertions."""
    assertions = Table(
        "used_client_assertions",
        metadata,
        Column("client_id", Text, primary_key=True),
        Column("jti", Text, primary_key=True),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index("ix_used_client_assertions_expires_at", assertions.c.expires_at)
    return AuthTables(assertions)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: from a verified access token."""

    client_id: str
    kind: ClientKind
    organisation: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The person who acts: the person client itself, or whom a machine client asserts."""

    ref: str
    client_id: str
    kind: ClientKind
    asserted: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form for audit entries."""
        return {"ref": self.ref, "client_id": self.client_id, "kind": self.kind, "asserted": self.asserted}


class Authenticator:
    """Gives access tokens to API clients and recognises them; kept at `app.state.authenticator`."""

    def __init__(
        self,
        *,
        service_url: str,
        clients: ClientDirectory,
        keys: KeyStore,
        db: Database,
        tables: AuthTables,
        clock: Clock,
        scopes: Collection[str],
    ) -> None:
        raise NotImplementedError

    async def grant(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a token request; ProtocolError otherwise."""
        raise NotImplementedError

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of a management request, from its Authorization header."""
        raise NotImplementedError

    async def purge(self) -> int:
        """Forget assertions that have expired."""
        raise NotImplementedError


def token_routes(auth: Authenticator) -> APIRouter:
    """`POST /oauth2/token`."""
    raise NotImplementedError


def require(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """FastAPI dependency: a caller whose token has `scope`; 401 and 403 otherwise."""
    raise NotImplementedError


def authorise_organisation(caller: Caller, ods: str) -> None:
    """Refuse another organisation's things with 404."""
    raise NotImplementedError


def actor_of(caller: Caller, asserted: str | None) -> Actor:
    """The actor of an act that needs a person."""
    raise NotImplementedError
