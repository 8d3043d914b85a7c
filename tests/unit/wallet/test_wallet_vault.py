from __future__ import annotations

import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.jose import SigningKey
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Contents, HeldCredential, HeldNetwork, Vault

FAST = 2**14  # the least the vault accepts; the default is for people, not for tests


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "wallet.json"


def held(number: int = 1) -> HeldCredential:
    return HeldCredential(
        id=f"c{number}",
        network="https://registry.example",
        issuer="https://issuer.example/RBV",
        vct="https://registry.example/vct/StaffIdentity/1",
        configuration_id="StaffIdentity_1",
        kid="kid",
        received_at="2026-11-21T10:00:00Z",
        sd_jwt="canary-credential~",
    )


def refusal(act) -> Refusal:
    with pytest.raises(WalletError) as caught:
        act()
    return caught.value.reason


def test_what_was_saved_is_there_after_opening_again(path):
    key = SigningKey.generate()
    vault = Vault.create(path, "correct horse", scrypt_n=FAST)
    network = HeldNetwork("https://registry.example", "{}", 7, "ab")
    vault.save(Contents(credentials=(held(),), networks=(network,)).with_key(key))
    vault.close()
    again = Vault.open(path, "correct horse")
    assert again.contents.credentials == (held(),)
    assert again.contents.networks == (network,)
    assert again.contents.key(key.kid).to_der() == key.to_der()


def test_the_file_tells_nothing_and_only_its_owner_reads_it(path):
    vault = Vault.create(path, "correct horse", scrypt_n=FAST)
    vault.save(Contents(credentials=(held(),)))
    raw = path.read_bytes()
    assert b"canary" not in raw
    assert b"RBV" not in raw
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_wrong_passphrase_opens_nothing(path):
    Vault.create(path, "correct horse", scrypt_n=FAST).close()
    assert refusal(lambda: Vault.open(path, "Correct horse")) is Refusal.WRONG_PASSPHRASE


def test_the_same_contents_are_encrypted_differently_each_time(path):
    vault = Vault.create(path, "correct horse", scrypt_n=FAST)
    first = json.loads(path.read_text())
    vault.save(vault.contents)
    second = json.loads(path.read_text())
    assert first["nonce"] != second["nonce"]
    assert first["ciphertext"] != second["ciphertext"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["kdf"].update(n=2**13),
        lambda d: d["kdf"].update(n=2**21),
        lambda d: d["kdf"].update(n=FAST + 1),
        lambda d: d["kdf"].update(n="16384"),
        lambda d: d["kdf"].update(r=1024),
        lambda d: d["kdf"].update(salt="AAAA"),
        lambda d: d["kdf"].update(name="pbkdf2"),
        lambda d: d.update(format="staff-passport-wallet/2"),
        lambda d: d.update(nonce="AAAA"),
        lambda d: d.pop("ciphertext"),
        lambda d: d.pop("kdf"),
    ],
)
def test_a_file_of_another_shape_is_refused_before_any_work(path, damage):
    Vault.create(path, "correct horse", scrypt_n=FAST).close()
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    assert refusal(lambda: Vault.open(path, "correct horse")) is Refusal.VAULT_DAMAGED


def test_parameters_are_bound_to_the_ciphertext(path):
    Vault.create(path, "correct horse", scrypt_n=FAST).close()
    document = json.loads(path.read_text())
    document["kdf"]["n"] = FAST * 2
    path.write_text(json.dumps(document))
    assert refusal(lambda: Vault.open(path, "correct horse")) is Refusal.WRONG_PASSPHRASE


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_and_nothing_else_is_raised(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("vault") / "wallet.json"
    path.write_bytes(content)
    assert refusal(lambda: Vault.open(path, "x")) is Refusal.VAULT_DAMAGED


def test_a_second_program_is_kept_out_until_the_first_closes(path):
    vault = Vault.create(path, "correct horse", scrypt_n=FAST)
    assert refusal(lambda: Vault.open(path, "correct horse")) is Refusal.VAULT_IN_USE
    vault.close()
    Vault.open(path, "correct horse").close()


def test_a_failed_opening_lets_go_of_the_wallet(path):
    Vault.create(path, "correct horse", scrypt_n=FAST).close()
    assert refusal(lambda: Vault.open(path, "wrong")) is Refusal.WRONG_PASSPHRASE
    Vault.open(path, "correct horse").close()


def test_an_existing_wallet_is_never_overwritten(path):
    Vault.create(path, "correct horse", scrypt_n=FAST).close()
    before = path.read_bytes()
    assert refusal(lambda: Vault.create(path, "other", scrypt_n=FAST)) is Refusal.VAULT_EXISTS
    assert path.read_bytes() == before


def test_no_wallet_says_how_to_make_one(path):
    assert refusal(lambda: Vault.open(path, "x")) is Refusal.NO_VAULT


def test_a_crash_while_writing_leaves_the_old_contents(path, monkeypatch):
    vault = Vault.create(path, "correct horse", scrypt_n=FAST)
    vault.save(Contents(credentials=(held(1),)))

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        vault.save(Contents(credentials=(held(1), held(2))))
    monkeypatch.undo()
    vault.close()
    assert Vault.open(path, "correct horse").contents.credentials == (held(1),)
