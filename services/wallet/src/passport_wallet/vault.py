"""The wallet's file: keys and credentials, encrypted under a passphrase.

One JSON file: the key-derivation parameters in the clear, everything else in one AES-256-GCM ciphertext whose
associated data are those parameters. A change writes a new file beside the old one, flushes it to the disk
and renames it, so that a crash leaves the old or the new, never a mixture. One process at a time.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from passport_shared.formats import strict
from passport_shared.formats.jose import SigningKey
from passport_wallet.errors import Refusal, WalletError

FORMAT = "staff-passport-wallet/1"
MAX_FILE_BYTES = 16 * 1024 * 1024
SALT_BYTES = 16
NONCE_BYTES = 12
# scrypt at 2^17 x 8 x 1 takes 128 MiB and some tenths of a second: what OWASP asks of a passphrase.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
# A file from elsewhere may not make us spend more than this.
SCRYPT_N_LIMITS = (2**14, 2**20)


@dataclass(frozen=True)
class HeldCredential:
    """A credential as the issuer sent it, every disclosure with it."""

    id: str
    network: str
    issuer: str
    vct: str
    configuration_id: str
    kid: str
    received_at: str
    sd_jwt: str = field(repr=False)


@dataclass(frozen=True)
class HeldNetwork:
    """A network this wallet trusts, and the newest of its snapshots that it has seen."""

    entity_id: str
    trust_file: str
    sequence: int | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True)
class Contents:
    """What the vault holds."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: tuple[HeldCredential, ...] = ()
    networks: tuple[HeldNetwork, ...] = ()

    def key(self, kid: str) -> SigningKey:
        """The holder key with this thumbprint."""
        return SigningKey.from_der(base64.b64decode(self.keys[kid]))

    def with_key(self, key: SigningKey) -> Contents:
        """The same with one key more."""
        return replace(self, keys={**self.keys, key.kid: base64.b64encode(key.to_der()).decode()})


class Vault:
    """An open vault; `contents` changes only through `save`."""

    def __init__(
        self, path: Path, key: bytes, parameters: dict[str, Any], contents: Contents, lock: int
    ) -> None:
        self._path = path
        self._key = key
        self._parameters = parameters
        self._lock = lock
        self.contents = contents

    @classmethod
    def create(cls, path: Path, passphrase: str, *, scrypt_n: int = SCRYPT_N) -> Vault:
        """Make a new, empty vault.

        Raises:
            WalletError: VAULT_EXISTS, VAULT_IN_USE.
        """
        if path.exists():
            raise WalletError(Refusal.VAULT_EXISTS, f"There is a wallet at {path} already.")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt = base64.b64encode(secrets.token_bytes(SALT_BYTES)).decode()
        parameters = {"name": "scrypt", "n": scrypt_n, "r": SCRYPT_R, "p": SCRYPT_P, "salt": salt}
        vault = cls(path, _derive(passphrase, parameters), parameters, Contents(), _take_lock(path))
        vault.save(Contents())
        return vault

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Vault:
        """Decrypt an existing vault.

        Raises:
            WalletError: NO_VAULT, VAULT_IN_USE, VAULT_DAMAGED, WRONG_PASSPHRASE.
        """
        if not path.exists():
            raise WalletError(Refusal.NO_VAULT, f"There is no wallet at {path}. Make one with: init")
        lock = _take_lock(path)
        try:
            parameters, nonce, ciphertext = _read(path)
            key = _derive(passphrase, parameters)
            try:
                plain = AESGCM(key).decrypt(nonce, ciphertext, strict.canonical(_bound(parameters)))
            except InvalidTag:
                raise WalletError(
                    Refusal.WRONG_PASSPHRASE, "The passphrase is wrong, or the file was changed."
                ) from None
            return cls(path, key, parameters, _contents(plain), lock)
        except BaseException:
            os.close(lock)
            raise

    def save(self, contents: Contents) -> None:
        """Replace what the vault holds; returns when it is on the disk."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(
            nonce, _plain(contents), strict.canonical(_bound(self._parameters))
        )
        document = {
            **_bound(self._parameters),
            "nonce": base64.b64encode(nonce).decode(),
            "ciphertext": base64.b64encode(sealed).decode(),
        }
        _write_whole(self._path, strict.dumps(document))
        self.contents = contents

    def close(self) -> None:
        """Let another process open it."""
        os.close(self._lock)


def _bound(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the ciphertext is bound to: a file with other parameters does not decrypt."""
    return {"format": FORMAT, "kdf": parameters}


def _derive(passphrase: str, parameters: dict[str, Any]) -> bytes:
    kdf = Scrypt(
        salt=base64.b64decode(parameters["salt"]),
        length=32,
        n=parameters["n"],
        r=parameters["r"],
        p=parameters["p"],
    )
    return kdf.derive(passphrase.encode())


def _read(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    try:
        document: Any = strict.loads_object(path.read_bytes(), max_bytes=MAX_FILE_BYTES)
        kdf = document["kdf"]
        lowest, highest = SCRYPT_N_LIMITS
        n = kdf["n"]
        sound = (
            document["format"] == FORMAT
            and kdf["name"] == "scrypt"
            and isinstance(n, int)
            and lowest <= n <= highest
            and n & (n - 1) == 0
            and (kdf["r"], kdf["p"]) == (SCRYPT_R, SCRYPT_P)
            and len(base64.b64decode(kdf["salt"], validate=True)) == SALT_BYTES
        )
        nonce = base64.b64decode(document["nonce"], validate=True)
        ciphertext = base64.b64decode(document["ciphertext"], validate=True)
    except (ValueError, KeyError, TypeError):
        sound, kdf, nonce, ciphertext = False, {}, b"", b""
    if not sound or len(nonce) != NONCE_BYTES:
        raise WalletError(Refusal.VAULT_DAMAGED, f"{path} is not a wallet of this version.")
    return kdf, nonce, ciphertext


def _plain(contents: Contents) -> bytes:
    return strict.dumps(
        {
            "keys": dict(contents.keys),
            "credentials": [vars(credential) for credential in contents.credentials],
            "networks": [vars(network) for network in contents.networks],
        }
    )


def _contents(plain: bytes) -> Contents:
    document: Any = strict.loads_object(plain, max_bytes=MAX_FILE_BYTES)
    return Contents(
        keys=document["keys"],
        credentials=tuple(HeldCredential(**entry) for entry in document["credentials"]),
        networks=tuple(HeldNetwork(**entry) for entry in document["networks"]),
    )


def _take_lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise WalletError(Refusal.VAULT_IN_USE, "Another program has this wallet open.") from None
    return descriptor


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
