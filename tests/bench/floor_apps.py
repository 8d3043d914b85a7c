"""The floors over HTTP: what any service must do at least, with the same server, database and cryptography.

``python -m tests.bench.floor_apps NAME CONFIG FD`` serves one: ``presentation`` (FastAPI and ``Form``,
one decryption by joserfc with a cached key, two raw verifications with cached keys, one committed insert of
300 bytes), ``credential`` (one raw verification, one signature, two committed transactions of one insert
each) or ``stored`` (Starlette, fixed bytes). They check nothing else; what they do check they refuse.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from fastapi import Body, FastAPI, Form, HTTPException
from joserfc import jwe  # noqa: TID251 - the floor is the library itself
from joserfc.errors import JoseError  # noqa: TID251
from joserfc.jwk import ECKey  # noqa: TID251
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, event, insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service.database_url import driver_url
from tests.bench.floor import ALGORITHM, MESSAGE
from tests.bench.serving import serve

ROW = b"x" * 300
_METADATA = MetaData()
FLOOR = Table(
    "floor_rows",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)


def engine_of(url: str) -> AsyncEngine:
    """The engine the services use: durable, no transaction of the driver's own on SQLite."""
    target = driver_url(url)
    if target.get_backend_name() != "sqlite":
        return create_async_engine(target, pool_size=10, max_overflow=10)
    engine = create_async_engine(target, pool_size=1, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _app(engine: AsyncEngine) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as conn:
            await conn.run_sync(_METADATA.create_all)
        yield
        await engine.dispose()

    return FastAPI(lifespan=lifespan)


async def _insert(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await conn.execute(insert(FLOOR).values(body=ROW))


def presentation(config: Mapping[str, str]) -> FastAPI:
    """``POST /response``: decrypt, verify twice, insert. The plaintext starts with both signatures."""
    engine = engine_of(config["database_url"])
    app = _app(engine)
    recipient = ECKey.import_key(_bytes(config["recipient_der"]))
    issuer, holder = (_public(config[name]) for name in ("issuer_der", "holder_der"))

    @app.post("/response")
    async def receive(response: Annotated[str, Form()]) -> dict[str, str]:
        try:
            plaintext = jwe.decrypt_compact(response, recipient, registry=_REGISTRY).plaintext or b""
            first, second, *_ = plaintext.split(b".", 2)
            issuer.verify(_raw(first), MESSAGE, ALGORITHM)
            holder.verify(_raw(second), MESSAGE, ALGORITHM)
        except (InvalidSignature, JoseError, ValueError):
            raise HTTPException(400) from None
        await _insert(engine)
        return {}

    return app


def credential(config: Mapping[str, str]) -> FastAPI:
    """``POST /credential``: verify, insert, sign, insert."""
    engine = engine_of(config["database_url"])
    app = _app(engine)
    holder = _public(config["holder_der"])
    issuer = load_der_private_key(_bytes(config["issuer_private_der"]), None)

    @app.post("/credential")
    async def issue(proof: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        try:
            holder.verify(_raw(proof.encode()), MESSAGE, ALGORITHM)
        except (InvalidSignature, ValueError):
            raise HTTPException(400) from None
        await _insert(engine)
        signature = issuer.sign(MESSAGE, ALGORITHM)  # type: ignore[union-attr,call-arg,arg-type]
        await _insert(engine)
        return {"credential": base64.urlsafe_b64encode(signature).decode()}

    return app


def stored(config: Mapping[str, str]) -> Starlette:
    """``GET /list``: these bytes with this entity tag, or 304."""
    body, etag = Path(config["file"]).read_bytes(), config["etag"]

    async def answer(request: Request) -> Response:
        headers = {"ETag": etag, "Cache-Control": "max-age=60"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/statuslist+jwt", headers=headers)

    return Starlette(routes=[Route("/list", answer)])


def _raw(text: bytes) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _public(text: str) -> Any:
    return load_der_public_key(_bytes(text))


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = 262_144


_REGISTRY = _Registry(algorithms=["ECDH-ES", "A128GCM", "A256GCM"], strict_check_header=False)
APPS: Mapping[str, Callable[[Mapping[str, str]], FastAPI | Starlette]] = {
    "presentation": presentation,
    "credential": credential,
    "stored": stored,
}


def main() -> None:
    """Serve the floor that is named."""
    name, config, listener = sys.argv[1:4]
    serve(APPS[name](json.loads(Path(config).read_text())), int(listener))


if __name__ == "__main__":
    main()
