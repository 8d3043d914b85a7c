"""A whole network in memory: anchor, roots, trusts, marks, status lists, and the snapshot that carries them.

`TrustRegistrySimulator` speaks domain acts: enrol, suspend, reinstate, close, withdraw, rotate, compromise,
roll the anchor's key, publish. It signs everything for real. `publish(edit=...)` is a registry that publishes
something wrong under a right signature; changing a `Published` afterwards is a stranger on the way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from passport_shared.formats import federation, freshness, strict
from passport_shared.formats.federation import (
    Authorization,
    ClaimPath,
    MarkRole,
    MarkStatusReference,
    Organisation,
    PinnedKey,
    PinState,
    StatusLists,
)
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.formats.snapshot import (
    Manifest,
    Snapshot,
    TrustFile,
    build_manifest,
    build_part,
    manifest_hash,
    next_sequence,
    verify_manifest,
)
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID, StatusList, sign_token
from passport_shared.formats.x5c import encode_x5c, x509_hash
from passport_testkit.certificates import Authority, Issued, LeafSpec
from passport_testkit.clock import FrozenClock

ANCHOR = "https://registry.example"
VCT_BASE = f"{ANCHOR}/vct"
CHRISTIE = "https://issuer.example/RBV"
MANCHESTER = "https://verifier.example/R0A"
SIGNING_WINDOW = timedelta(days=365)
YEAR_S = 31_536_000

Documents = dict[str, dict[str, Any]]


def vct(name: str, version: int = 1) -> str:
    """The identifier of a credential type of this network."""
    return f"{VCT_BASE}/{name}/{version}"


@dataclass
class NetworkEntity:
    """One entity with its keys; the tests' issuers and verifiers sign with these."""

    entity_id: str
    organisation: Organisation
    role: MarkRole
    federation_key: SigningKey
    leaves: dict[str, Issued]
    pins: list[PinnedKey]
    authorizations: list[Authorization]
    status_idx: int
    jti: str = field(default_factory=new_id)

    def issued(self, use: str) -> Issued:
        """The current leaf of a purpose with its key and x5c."""
        return self.leaves[use]


@dataclass(frozen=True)
class Published:
    """What the registry serves: one manifest and its parts by name."""

    manifest: str
    parts: dict[str, bytes]


class TrustRegistrySimulator:
    """The registry of a network that exists only in this test."""

    def __init__(
        self, clock: FrozenClock | None = None, *, anchor: str = ANCHOR, authority: Authority | None = None
    ) -> None:
        self.clock = clock or FrozenClock()
        self.anchor = anchor
        self.authority = authority or Authority.create()
        self.key = SigningKey.generate()
        self.client_directory_key = SigningKey.generate()
        self.other_published_keys: list[PublicKey] = []
        self.entities: dict[str, NetworkEntity] = {}
        self.agreements: list[dict[str, Any]] = []
        self.types: dict[str, str] = {}
        self.status_list = StatusList(bits=2, size=1_024)
        self.status_uri = f"{anchor}/statuslists/{random_token()}"
        self.last_manifest: str | None = None
        self.last_sequence: int | None = None
        self.status_leaf = self.authority.leaf(
            entity_id=anchor,
            ods_code="X26",
            organisation="Invented Regional Registry",
            role="registry status",
            dns=(_host(anchor),),
            not_before=self.clock.now() - timedelta(days=1),
        )
        self._next_idx = 0
        self.trust_file = self._pinned_trust()

    # -- members -------------------------------------------------------------------------------------------

    def enrol_issuer(
        self,
        entity_id: str = CHRISTIE,
        *,
        name: str = "The Christie NHS Foundation Trust",
        types: Iterable[str] = ("StaffIdentity", "Employment"),
    ) -> NetworkEntity:
        """A trust that may issue these types from now for a year."""
        grants = [self.authorization("issue", self.vct(kind), max_validity_s=YEAR_S) for kind in types]
        return self._enrol(entity_id, name, MarkRole.CREDENTIAL_ISSUER, ("credential", "status"), grants)

    def enrol_verifier(
        self,
        entity_id: str = MANCHESTER,
        *,
        name: str = "Manchester University NHS Foundation Trust",
        asks: dict[str, Sequence[ClaimPath]] | None = None,
        purposes: tuple[str, ...] = ("SERVICE_NEED_URGENT",),
    ) -> NetworkEntity:
        """A trust that may ask for these claims by type name for these movement types."""
        asked = asks or {"StaffIdentity": [("given_names",), ("family_name",), ("birthdate",)]}
        grants = [
            self.authorization("ask", self.vct(kind), claims=tuple(map(tuple, paths)), purposes=purposes)
            for kind, paths in asked.items()
        ]
        return self._enrol(entity_id, name, MarkRole.CREDENTIAL_VERIFIER, ("request",), grants)

    def vct(self, name: str, version: int = 1) -> str:
        """The identifier of a credential type of this registry's network."""
        return f"{self.trust_file.vct_base}/{name}/{version}"

    def authorization(self, action: str, kind: str, **more: Any) -> Authorization:
        """A permission from yesterday for a year."""
        start = self.clock.now() - timedelta(days=1)
        members: dict[str, Any] = {"valid_from": start, "valid_until": start + timedelta(days=365)}
        return Authorization(id=new_id(), action=action, vct=kind, **{**members, **more})

    def grant(self, entity_id: str, authorizations: Sequence[Authorization]) -> None:
        """Replace what an entity may do; a new mark follows."""
        self._renew(entity_id).authorizations = list(authorizations)

    def agree(self, *parties: str, **more: Any) -> dict[str, Any]:
        """An agreement between organisations, in force since yesterday."""
        agreement = {
            "id": new_id(),
            "type": "MOU",
            "version": "1",
            "parties": list(parties),
            "movement_types": ["SERVICE_NEED_URGENT"],
            "staff_groups": [],
            "max_days": 90,
            "effective": (self.clock.now() - timedelta(days=1)).date().isoformat(),
            "expires": None,
            **more,
        }
        self.agreements.append(agreement)
        return agreement

    # -- standing ------------------------------------------------------------------------------------------

    def make_sandbox(self, entity_id: str) -> None:
        """The entity's organisation exists for practice."""
        entity = self._renew(entity_id)
        entity.organisation = replace(entity.organisation, sandbox=True)

    def suspend(self, entity_id: str) -> None:
        """Suspend for integrity: the current mark's status."""
        self.status_list.set(self.entities[entity_id].status_idx, SUSPENDED)

    def reinstate(self, entity_id: str) -> None:
        """Take the suspension back."""
        self.status_list.set(self.entities[entity_id].status_idx, VALID)

    def revoke_mark(self, entity_id: str) -> None:
        """Set the current mark's status to INVALID without replacing it."""
        self.status_list.set(self.entities[entity_id].status_idx, INVALID)

    def close(self, entity_id: str) -> None:
        """Suspend administratively: nothing new is issued or asked, what was signed stays usable."""
        entity = self._renew(entity_id)
        now = self.clock.now()
        entity.authorizations = [replace(entry, issue_until=now) for entry in entity.authorizations]

    def withdraw(self, entity_id: str) -> None:
        """Make an issuer a former one: authorisations closed, credential pins retired."""
        self.close(entity_id)
        entity = self.entities[entity_id]
        entity.role = MarkRole.FORMER_CREDENTIAL_ISSUER
        entity.pins = [self._retired(pin) if pin.use == "credential" else pin for pin in entity.pins]

    def compromise(self, entity_id: str, use: str = "credential") -> None:
        """Say that the current leaf of a purpose is in other hands."""
        entity = self._renew(entity_id)
        current = _x5t(entity.leaves[use])
        entity.pins = [
            replace(pin, state=PinState.COMPROMISED.value) if pin.x5t_s256 == current else pin
            for pin in entity.pins
        ]

    def rotate(self, entity_id: str, use: str = "credential") -> Issued:
        """Give an entity a new leaf for a purpose; the old pin is retired as of now."""
        entity = self._renew(entity_id)
        current = _x5t(entity.leaves[use])
        entity.pins = [self._retired(pin) if pin.x5t_s256 == current else pin for pin in entity.pins]
        return self._add_leaf(entity, use)

    def leave(self, entity_id: str) -> None:
        """Drop an entity from the network altogether."""
        del self.entities[entity_id]

    # -- the anchor's keys ---------------------------------------------------------------------------------

    def announce_next_key(self) -> SigningKey:
        """First step of a key roll: publish the next key, go on signing with the old one."""
        following = SigningKey.generate()
        self.other_published_keys.append(following.public)
        return following

    def switch_key(self, following: SigningKey) -> None:
        """Second step: sign with the announced key, keep the old one published."""
        kept = [key for key in self.other_published_keys if key.thumbprint != following.kid]
        self.other_published_keys = [*kept, self.key.public]
        self.key = following

    def drop_old_keys(self) -> None:
        """Third step: publish only the key in use."""
        self.other_published_keys = []

    # -- publishing ----------------------------------------------------------------------------------------

    def anchor_configuration(self) -> str:
        """The anchor's entity configuration as of now."""
        now = self.clock.now()
        return federation.anchor_configuration(
            entity_id=self.anchor,
            iat=now,
            exp=now + freshness.STATEMENT_LIFETIME,
            key=self.key,
            organization_name="Invented Regional Registry",
            contacts=["registry@example.nhs.uk"],
            status_key=self.status_leaf.key.public,
            client_directory_key=self.client_directory_key.public,
            next_keys=self.other_published_keys,
        )

    def statement(self, entity_id: str) -> str:
        """The subordinate statement about an entity as of now."""
        entity = self.entities[entity_id]
        now = self.clock.now()
        verifier = entity.role is MarkRole.CREDENTIAL_VERIFIER
        return federation.subordinate_statement(
            iss=self.anchor,
            sub=entity_id,
            iat=now,
            exp=now + freshness.STATEMENT_LIFETIME,
            jwks=federation.public_jwks([entity.federation_key.public]),
            key=self.key,
            source_endpoint=f"{self.anchor}/federation/fetch",
            metadata=federation.verifier_metadata(entity_id)
            if verifier
            else federation.issuer_metadata([entity.issued("credential").key.public]),
            metadata_policy={} if verifier else federation.issuer_policy(entity_id),
        )

    def mark(self, entity_id: str, **changes: Any) -> str:
        """The entity's current trust mark as of now; keyword arguments spoil single members."""
        entity = self.entities[entity_id]
        now = self.clock.now()
        issuer = entity.role is not MarkRole.CREDENTIAL_VERIFIER
        members: dict[str, Any] = {
            "iss": self.anchor,
            "sub": entity_id,
            "role": entity.role,
            "organisation": entity.organisation,
            "authorizations": entity.authorizations,
            "keys": entity.pins,
            "status": MarkStatusReference(uri=self.status_uri, idx=entity.status_idx),
            "iat": now,
            "exp": now + freshness.STATEMENT_LIFETIME,
            "jti": entity.jti,
            "key": self.key,
            "status_lists": StatusLists(
                aggregation=f"{entity_id}/statuslists", prefix=f"{entity_id}/statuslists/"
            )
            if issuer
            else None,
        }
        return federation.trust_mark(**{**members, **changes})

    def configuration(self, entity_id: str) -> str:
        """The entity's own configuration, as its service would serve it."""
        entity = self.entities[entity_id]
        now = self.clock.now()
        role = entity.role is MarkRole.CREDENTIAL_VERIFIER
        metadata: dict[str, Any] = (
            {"openid_credential_verifier": {"client_registration_types": ["automatic"]}}
            if role
            else {
                "openid_credential_issuer": {
                    "credential_issuer": entity_id,
                    "client_registration_types_supported": ["automatic"],
                }
            }
        )
        return federation.entity_configuration(
            entity_id=entity_id,
            iat=now,
            exp=now + freshness.ENTITY_CONFIGURATION_LIFETIME,
            key=entity.federation_key,
            metadata=metadata,
            authority_hints=[self.anchor],
            trust_marks=[self.mark(entity_id)],
        )

    def status_token(self, **changes: Any) -> str:
        """The registry's status list token as of now; keyword arguments spoil single members."""
        now = self.clock.now()
        members: dict[str, Any] = {
            "uri": self.status_uri,
            "key": self.status_leaf.key,
            "x5c": self.status_leaf.x5c,
            "iat": now,
            "exp": now + freshness.REGISTRY_STATUS_LIST_LIFETIME,
            "ttl": timedelta(seconds=300),
        }
        return sign_token(self.status_list, **{**members, **changes})

    def documents(self) -> Documents:
        """The content of the four parts as of now."""
        return {
            "entities": {
                "trust_anchor": self.anchor_configuration(),
                "entities": [
                    {
                        "entity_id": entity_id,
                        "statement": self.statement(entity_id),
                        "trust_marks": [self.mark(entity_id)],
                        "organisation": entity.organisation.as_claims(),
                    }
                    for entity_id, entity in self.entities.items()
                ],
            },
            "status": {"status_lists": [{"uri": self.status_uri, "token": self.status_token()}]},
            "types": {"types": [{"vct": kind, "sha256": digest} for kind, digest in self.types.items()]},
            "agreements": {"agreements": copy.deepcopy(self.agreements)},
        }

    def publish(self, *, edit: Callable[[Documents], None] | None = None, **changes: Any) -> Published:
        """Publish now; `edit` changes the documents before they are hashed, `changes` the manifest."""
        documents = self.documents()
        if edit is not None:
            edit(documents)
        parts = {name: strict.dumps(document) for name, document in documents.items()}
        return self.publish_parts(parts, **changes)

    def publish_parts(self, parts: dict[str, bytes], **changes: Any) -> Published:
        """Publish these bytes under a new manifest."""
        now = self.clock.now()
        base = f"{self.anchor}/federation/parts"
        members: dict[str, Any] = {
            "iss": self.anchor,
            "iat": now,
            "exp": now + freshness.SNAPSHOT_LIFETIME,
            "sequence": next_sequence(self.last_sequence, now),
            "prev": None if self.last_manifest is None else manifest_hash(self.last_manifest),
            "x509_anchors": [self.authority.root_der, self.authority.issuing_der],
            "parts": [build_part(name, content, base_uri=base) for name, content in parts.items()],
            "key": self.key,
        }
        members.update(changes)
        manifest = build_manifest(**members)
        self.last_manifest, self.last_sequence = manifest, members["sequence"]
        return Published(manifest, parts)

    def verify(self, published: Published, now: datetime | None = None, **last: Any) -> Manifest:
        """Verify a published manifest as a reader with the trust file would."""
        return verify_manifest(published.manifest, self.trust_file, now=now or self.clock.now(), **last)

    def snapshot(
        self, published: Published | None = None, *, trust_file: TrustFile | None = None
    ) -> Snapshot:
        """Publish if need be, verify and load: what every service and wallet does."""
        published = published or self.publish()
        trust = trust_file or self.trust_file
        manifest = verify_manifest(published.manifest, trust, now=self.clock.now())
        return Snapshot.load(manifest, published.parts, trust)

    # -- inside --------------------------------------------------------------------------------------------

    def _pinned_trust(self) -> TrustFile:
        return TrustFile(
            entity_id=self.anchor,
            jwks=federation.public_jwks([self.key.public]),
            x509_roots=tuple(encode_x5c(self.authority.roots)),
            snapshot_uri=f"{self.anchor}/federation/snapshot",
            vct_base=f"{self.anchor}/vct",
        )

    def _enrol(
        self, entity_id: str, name: str, role: MarkRole, uses: tuple[str, ...], grants: list[Authorization]
    ) -> NetworkEntity:
        entity = NetworkEntity(
            entity_id=entity_id,
            organisation=Organisation(ods_code=entity_id.rsplit("/", 1)[-1], name=name),
            role=role,
            federation_key=SigningKey.generate(),
            leaves={},
            pins=[],
            authorizations=grants,
            status_idx=self._allocate(),
        )
        for use in uses:
            self._add_leaf(entity, use)
        self.entities[entity_id] = entity
        return entity

    def _add_leaf(self, entity: NetworkEntity, use: str) -> Issued:
        now = self.clock.now()
        issued = self.authority.leaf(
            spec=LeafSpec(
                entity_id=entity.entity_id,
                ods_code=entity.organisation.ods_code,
                organisation=entity.organisation.name,
                role=use,
                dns=(_host(entity.entity_id),),
                not_before=now - timedelta(days=1),
                not_after=now + timedelta(days=1125),
            )
        )
        entity.leaves[use] = issued
        entity.pins.append(
            PinnedKey(
                use=use,
                x5t_s256=_x5t(issued),
                jkt=issued.key.kid,
                not_before=now - timedelta(days=1),
                not_after_signing=now + SIGNING_WINDOW,
            )
        )
        return issued

    def _renew(self, entity_id: str) -> NetworkEntity:
        """Every change publishes a new mark: new jti, new status index, the old index INVALID."""
        entity = self.entities[entity_id]
        self.status_list.set(entity.status_idx, INVALID)
        entity.status_idx = self._allocate()
        entity.jti = new_id()
        return entity

    def _retired(self, pin: PinnedKey) -> PinnedKey:
        if pin.state != PinState.ACTIVE:
            return pin
        return replace(pin, state=PinState.RETIRED.value, not_after_signing=self.clock.now())

    def _allocate(self) -> int:
        self._next_idx += 1
        return self._next_idx


def _host(entity_id: str) -> str:
    return urlsplit(entity_id).hostname or ""


def _x5t(issued: Issued) -> str:
    return x509_hash(issued.der)
