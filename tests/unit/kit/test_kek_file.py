"""The key-encryption key: which files are accepted, and what a wrapped thing opens under."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.strict import b64url_encode
from passport_shared.service.kek import Kek, KekError, create_kek_file, derive

KEY = bytes(range(32))


def kek_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "kek"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_made_file_is_private_and_loads(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "kek"
    made = create_kek_file(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Kek.load(file).unwrap(made.wrap(b"secret", context="c"), context="c") == b"secret"
    with pytest.raises(FileExistsError):
        create_kek_file(file)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_modes_that_keep_others_out_are_accepted(tmp_path: Path, mode: int) -> None:
    Kek.load(kek_file(tmp_path, b64url_encode(KEY).encode(), mode))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o610, 0o644, 0o666, 0o777])
def test_modes_that_let_others_in_are_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KekError, match="open to others"):
        Kek.load(kek_file(tmp_path, b64url_encode(KEY).encode(), mode))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b64url_encode(KEY[:31]).encode(),
        b64url_encode(KEY + b"x").encode(),
        KEY,
        KEY.hex().encode(),
        b64url_encode(KEY).encode() + b"=",
        b64url_encode(KEY).encode() + b"\n" + b64url_encode(KEY).encode(),
        b64url_encode(bytes(32)).encode(),
        b64url_encode(b"\xff" * 32).encode(),
        "ключ".encode(),
        b"A" * 1_000_000,
    ],
)
def test_other_contents_are_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KekError) as refusal:
        Kek.load(kek_file(tmp_path, content))
    assert b64url_encode(KEY)[:20] not in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(KekError):
            Kek.load(path)


def test_a_device_is_refused() -> None:
    with pytest.raises(KekError, match="not a file"):
        Kek.load(Path("/dev/zero"))


def test_a_wrapped_thing_opens_only_under_its_key_context_and_version() -> None:
    wrapped = Kek(KEY).wrap(b"secret", context="kid|credential")
    assert Kek(KEY).unwrap(wrapped, context="kid|credential") == b"secret"
    others = [
        (Kek(KEY[::-1]), "kid|credential", wrapped),
        (Kek(KEY, version=2), "kid|credential", wrapped),
        (Kek(KEY), "kid|status", wrapped),
        (Kek(KEY), "kid|credential", wrapped[:-1]),
        (Kek(KEY), "kid|credential", wrapped + b"\0"),
        (Kek(KEY), "kid|credential", b""),
        (Kek(KEY), "kid|credential", wrapped[:12]),
    ]
    for kek, context, data in others:
        with pytest.raises(KekError):
            kek.unwrap(data, context=context)


@settings(max_examples=60)
@given(plaintext=st.binary(max_size=200), position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_every_changed_bit_is_noticed(plaintext: bytes, position: int, bit: int) -> None:
    kek = Kek(KEY)
    wrapped = bytearray(kek.wrap(plaintext, context="c"))
    wrapped[position % len(wrapped)] ^= 1 << bit
    with pytest.raises(KekError):
        kek.unwrap(bytes(wrapped), context="c")


def test_nothing_is_wrapped_twice_alike() -> None:
    kek = Kek(KEY)
    assert len({kek.wrap(b"secret", context="c") for _ in range(100)}) == 100


def test_a_kek_does_not_show_itself() -> None:
    assert repr(Kek(KEY)) == "Kek(version=1)"


def test_derived_secrets_differ_by_purpose_and_root() -> None:
    found = {derive(root, purpose) for root in (b"a" * 32, b"b" * 32) for purpose in ("tx_code", "nonce", "")}
    assert len(found) == 6
    assert all(len(secret) == 32 for secret in found)
    assert derive(b"a" * 32, "nonce") == derive(b"a" * 32, "nonce")


OTHER = bytes(range(32, 64))


def test_a_file_of_several_keys_wraps_with_the_first_and_opens_with_all(tmp_path: Path) -> None:
    old = Kek.load(kek_file(tmp_path, b64url_encode(KEY).encode()))
    before = old.wrap(b"secret", context="c")
    one, two = b64url_encode(KEY), f"2 {b64url_encode(OTHER)}"
    # First the next key only opens, then it wraps; at every step all replicas open everything.
    reading = Kek.load(kek_file(tmp_path, f"{one}\n{two}\n".encode()))
    writing = Kek.load(kek_file(tmp_path, f"{two}\n{one}\n".encode()))
    after = writing.wrap(b"secret", context="c")
    assert (reading.version, writing.version) == (1, 2)
    for kek in (reading, writing):
        assert [kek.unwrap(wrapped, context="c") for wrapped in (before, after)] == [b"secret", b"secret"]
    assert writing.wrapped_by_first(after, context="c")
    assert not writing.wrapped_by_first(before, context="c")
    with pytest.raises(KekError):
        old.unwrap(after, context="c")
    done = Kek.load(kek_file(tmp_path, two.encode()))
    assert done.unwrap(after, context="c") == b"secret"
    with pytest.raises(KekError):
        done.unwrap(before, context="c")


@pytest.mark.parametrize(
    "lines",
    [
        [b64url_encode(KEY), b64url_encode(OTHER)],
        [f"1 {b64url_encode(KEY)}", b64url_encode(OTHER)],
        [f"x {b64url_encode(KEY)}"],
        [f"-1 {b64url_encode(KEY)}"],
        [f"99999999 {b64url_encode(KEY)}"],
        [f"{number} {b64url_encode(bytes([number, *range(31)]))}" for number in range(1, 6)],
    ],
    ids=["same version", "same version said", "no number", "negative", "too large", "too many"],
)
def test_files_of_several_keys_that_are_none(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(KekError):
        Kek.load(kek_file(tmp_path, "\n".join(lines).encode()))
