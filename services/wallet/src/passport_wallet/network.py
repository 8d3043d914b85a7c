"""The networks this wallet trusts: a trust file once, then signed snapshots, fetched whole.

The newest sequence and manifest hash are kept inside the encrypted vault, so that nobody who can write files
can take the wallet back to an older state. The snapshot itself is public; it lies beside the vault as a cache
and is verified every time it is read. Asking about one verifier would tell the registry who presents where,
therefore everything is fetched or nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from passport_shared.formats import strict
from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import Freshness, freshness
from passport_shared.formats.snapshot import (
    MANIFEST_MEDIA_TYPE,
    Manifest,
    Snapshot,
    SnapshotError,
    TrustFile,
    TrustFileError,
    part_name,
    verify_manifest,
)
from passport_shared.outbound import Outbound, OutboundError
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import HeldNetwork, Vault

MAX_TRUST_FILE_BYTES = 65_536
MAX_MANIFEST_BYTES = 262_144
MAX_PART_BYTES = 32 * 1024 * 1024
MAX_CACHE_BYTES = 64 * 1024 * 1024
JSON = "application/json"


class Networks:
    """Trust files and snapshots of one vault."""

    def __init__(self, vault: Vault, cache: Path, outbound: Outbound, clock: Clock) -> None:
        self._vault = vault
        self._cache = cache
        self._outbound = outbound
        self._clock = clock

    async def add(self, trust_file: bytes) -> Snapshot:
        """Trust a network from now on, and fetch its first snapshot.

        Raises:
            WalletError: BAD_TRUST_FILE, REGISTRY_UNREACHABLE, SNAPSHOT_REFUSED.
        """
        trusted = _parsed(trust_file)
        known = self._network(trusted.entity_id)
        network = (
            replace(known, trust_file=trust_file.decode())
            if known
            else HeldNetwork(trusted.entity_id, trust_file.decode())
        )
        return await self._refresh(network)

    async def current(self, entity_id: str | None = None) -> Snapshot:
        """A fresh snapshot, or the kept one while it may still be relied on.

        Args:
            entity_id: which network, where the wallet trusts several.

        Raises:
            WalletError: NO_NETWORK, REGISTRY_STALE, SNAPSHOT_REFUSED.
        """
        network = self._network(entity_id)
        if network is None:
            raise WalletError(
                Refusal.NO_NETWORK, "This wallet trusts no network yet. Add a trust file first."
            )
        try:
            return await self._refresh(network)
        except WalletError as error:
            if error.reason is not Refusal.REGISTRY_UNREACHABLE:
                raise
            return self._kept(network, error)

    def _network(self, entity_id: str | None) -> HeldNetwork | None:
        for network in self._vault.contents.networks:
            if entity_id in (None, network.entity_id):
                return network
        return None

    async def _refresh(self, network: HeldNetwork) -> Snapshot:
        trusted = _parsed(network.trust_file.encode())
        token = await self._fetch(trusted.snapshot_uri, MANIFEST_MEDIA_TYPE, MAX_MANIFEST_BYTES)
        manifest = _verified(token, trusted, network, self._clock.now())
        kept = self._read_parts(network)
        parts: dict[str, bytes] = {}
        for part in manifest.parts:
            content = kept.get(part.sha256)
            # Parts come from the registry and from nowhere else, whatever a manifest says.
            if content is None and not part.uri.startswith(f"{trusted.entity_id}/"):
                raise WalletError(
                    Refusal.SNAPSHOT_REFUSED,
                    "The network's register sent something wrong (part_elsewhere).",
                    code="part_elsewhere",
                )
            if content is None:
                content = await self._fetch(part.uri, JSON, min(part.bytes, MAX_PART_BYTES))
            parts[part.name] = content
        snapshot = _loaded(manifest, parts, trusted)
        self._keep(network, snapshot, parts)
        return snapshot

    async def _fetch(self, url: str, accept: str, max_bytes: int) -> bytes:
        try:
            response = await self._outbound.get(url, accept=accept, max_bytes=max_bytes)
        except OutboundError as error:
            raise WalletError(
                Refusal.REGISTRY_UNREACHABLE, f"The network's register cannot be reached ({error.reason})."
            ) from error
        if response.status != 200:
            raise WalletError(
                Refusal.REGISTRY_UNREACHABLE, f"The network's register answered {response.status}."
            )
        return response.body

    def _kept(self, network: HeldNetwork, unreachable: WalletError) -> Snapshot:
        trusted = _parsed(network.trust_file.encode())
        try:
            token = self._file(network).with_suffix(".jwt").read_bytes()
        except OSError:
            raise unreachable from None
        manifest = _verified(token, trusted, network, self._clock.now())
        kept = self._read_parts(network)
        snapshot = _loaded(manifest, {p.name: kept.get(p.sha256, b"") for p in manifest.parts}, trusted)
        if freshness(snapshot.age(self._clock.now())) is Freshness.REFUSE:
            raise WalletError(Refusal.REGISTRY_STALE, "What this wallet knows of the network is too old.")
        return snapshot

    def _keep(self, network: HeldNetwork, snapshot: Snapshot, parts: dict[str, bytes]) -> None:
        """Public data to the cache first, then the sequence that says we have seen it."""
        self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        contents = {part_name(content): content.decode() for content in parts.values()}
        self._file(network).with_suffix(".json").write_bytes(strict.dumps(contents))
        self._file(network).with_suffix(".jwt").write_text(snapshot.manifest.compact)
        seen = HeldNetwork(
            network.entity_id,
            snapshot.trust_file.as_bytes().decode(),
            snapshot.manifest.sequence,
            snapshot.manifest.hash,
        )
        if seen not in self._vault.contents.networks:
            others = tuple(n for n in self._vault.contents.networks if n.entity_id != network.entity_id)
            self._vault.save(replace(self._vault.contents, networks=(*others, seen)))

    def _file(self, network: HeldNetwork) -> Path:
        return self._cache / hashlib.sha256(network.entity_id.encode()).hexdigest()

    def _read_parts(self, network: HeldNetwork) -> dict[str, bytes]:
        try:
            raw = self._file(network).with_suffix(".json").read_bytes()
            kept = strict.loads_object(raw, max_bytes=MAX_CACHE_BYTES)
        except (OSError, strict.StrictError):
            return {}
        return {
            name: content.encode()
            for name, content in kept.items()
            if isinstance(content, str) and part_name(content.encode()) == name
        }


def entity_above(uri: str, snapshot: Snapshot) -> str | None:
    """The listed entity whose identifier is a path prefix of this address: whose address it is."""
    at = uri.rfind("/")
    while at > len("https://"):
        if uri[:at] in snapshot.entity_ids:
            return uri[:at]
        at = uri.rfind("/", 0, at)
    return None


def _parsed(trust_file: bytes) -> TrustFile:
    if len(trust_file) > MAX_TRUST_FILE_BYTES:
        raise WalletError(Refusal.BAD_TRUST_FILE, "This is not a trust file.")
    try:
        return TrustFile.parse(trust_file)
    except TrustFileError as error:
        raise WalletError(Refusal.BAD_TRUST_FILE, f"This is not a trust file ({error.reason}).") from error


def _verified(token: bytes, trusted: TrustFile, network: HeldNetwork, now: datetime) -> Manifest:
    try:
        return verify_manifest(
            token.decode("ascii", "replace"),
            trusted,
            now=now,
            last_sequence=network.sequence,
            last_hash=network.manifest_sha256,
        )
    except SnapshotError as error:
        raise WalletError(
            Refusal.SNAPSHOT_REFUSED,
            f"The network's register sent something wrong ({error.reason}).",
            code=error.reason,
        ) from error


def _loaded(manifest: Manifest, parts: dict[str, bytes], trusted: TrustFile) -> Snapshot:
    try:
        return Snapshot.load(manifest, parts, trusted)
    except SnapshotError as error:
        raise WalletError(
            Refusal.SNAPSHOT_REFUSED,
            f"The network's register sent something wrong ({error.reason}).",
            code=error.reason,
        ) from error
