"""The status list itself: packing, compression, bounds, and the reference in a credential."""

from __future__ import annotations

import base64
import resource
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import status_list
from passport_shared.formats.status_list import (
    INVALID,
    SUSPENDED,
    VALID,
    StatusList,
    StatusListError,
    StatusListReason,
    StatusReference,
    status_reference,
)
from passport_shared.formats.strict import b64url_decode, b64url_encode

R = StatusListReason


def refused(call: Any, *arguments: Any, **named: Any) -> StatusListReason:
    with pytest.raises(StatusListError) as caught:
        call(*arguments, **named)
    return caught.value.reason


def test_the_published_list_of_one_bit() -> None:
    decoded = StatusList.decode("eNrbuRgAAhcBXQ", 1)
    assert decoded.packed == bytes.fromhex("b9a3")
    expected = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert [decoded.get(idx) for idx in range(len(decoded))] == expected


def test_the_published_list_of_two_bits() -> None:
    decoded = StatusList.decode("eNo76fITAAPfAgc", 2)
    assert decoded.packed == bytes.fromhex("c944f9")
    assert [decoded.get(idx) for idx in range(len(decoded))] == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]


def test_a_new_list_is_full_sized_and_valid() -> None:
    fresh = StatusList()
    assert (len(fresh), fresh.bits, len(fresh.packed)) == (131_072, 2, 32_768)
    assert {fresh.get(idx) for idx in (0, 1, 65_536, 131_071)} == {VALID}


def test_setting_one_entry_leaves_its_neighbours() -> None:
    held = StatusList(bits=2, size=8)
    held.set(3, SUSPENDED)
    held.set(4, INVALID)
    assert held.packed == bytes([0b1000_0000, 0b0000_0001])
    held.set(3, VALID)
    assert [held.get(idx) for idx in range(8)] == [0, 0, 0, 0, 1, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_set_is_read_back_after_encoding(data: st.DataObject) -> None:
    bits = data.draw(st.sampled_from([1, 2, 4, 8]))
    size = data.draw(st.integers(1, 40)) * 8
    held = StatusList(bits, size)
    model = [0] * size
    changes = st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, (1 << bits) - 1)), max_size=60)
    for idx, status in data.draw(changes):
        held.set(idx, status)
        model[idx] = status
    decoded = StatusList.decode(held.encode(), bits)
    assert [decoded.get(idx) for idx in range(size)] == model
    assert decoded == held
    assert StatusList.from_packed(held.packed, bits) == held


@pytest.mark.parametrize("level", range(10))
def test_every_zlib_level_is_read(level: int) -> None:
    raw = bytes(range(256)) * 8
    decoded = StatusList.decode(b64url_encode(zlib.compress(raw, level)), 8)
    assert decoded.packed == raw


@pytest.mark.parametrize("window", range(9, 16))
def test_every_zlib_window_is_read(window: int) -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, window)
    lst = b64url_encode(compressor.compress(b"\x01\x02") + compressor.flush())
    assert StatusList.decode(lst, 8).packed == b"\x01\x02"


@pytest.mark.parametrize("idx", [-1, 16, 2**40, True, 1.0, "1", None])
def test_an_index_outside_the_list_is_refused(idx: Any) -> None:
    held = StatusList(bits=1, size=16)
    assert refused(held.get, idx) is R.INDEX_OUT_OF_RANGE
    assert refused(held.set, idx, 0) is R.INDEX_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("bits", "status"), [(1, 2), (2, 4), (4, 16), (8, 256), (2, -1), (2, True), (2, 1.0)]
)
def test_a_status_that_does_not_fit_is_refused(bits: int, status: Any) -> None:
    assert refused(StatusList(bits, 8).set, 0, status) is R.VALUE_OUT_OF_RANGE


@pytest.mark.parametrize("bits", [0, 3, 5, 16, -1, True, 2.0, "2", None])
def test_other_widths_are_refused(bits: Any) -> None:
    assert refused(StatusList, bits, 8) is R.BITS_NOT_ALLOWED
    assert refused(StatusList.decode, "eNrbuRgAAhcBXQ", bits) is R.BITS_NOT_ALLOWED
    assert refused(StatusList.decode, "!", bits) is R.BITS_NOT_ALLOWED  # before anything is inflated
    assert refused(StatusList.from_packed, b"\0", bits) is R.BITS_NOT_ALLOWED


@pytest.mark.parametrize("size", [0, -8, 3, 2**31, 8.0, True])
def test_a_list_that_fills_no_whole_bytes_is_refused(size: Any) -> None:
    assert refused(StatusList, 1, size) is R.SIZE_NOT_ALLOWED


def test_an_empty_or_huge_packed_list_is_refused() -> None:
    assert refused(StatusList.from_packed, b"", 1) is R.LIST_EMPTY
    assert refused(StatusList.from_packed, bytes(1_048_577), 1) is R.LIST_TOO_LARGE


GOOD = zlib.compress(bytes(64))


@pytest.mark.parametrize(
    ("compressed", "reason"),
    [
        (zlib.compress(bytes(64))[2:-4], R.LIST_NOT_ZLIB),
        (zlib.compress(b"\x01" * 64, wbits=31), R.LIST_NOT_ZLIB),
        (b"\x78\x9c" + b"\xff" * 20, R.LIST_NOT_ZLIB),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), R.LIST_NOT_ZLIB),
        (b"not zlib at all", R.LIST_NOT_ZLIB),
        (GOOD[:-1], R.LIST_TRUNCATED),
        (GOOD[:5], R.LIST_TRUNCATED),
        (b"\x78", R.LIST_TRUNCATED),
        (GOOD + b"\0", R.LIST_TRAILING_BYTES),
        (GOOD + GOOD, R.LIST_TRAILING_BYTES),
        (zlib.compress(b""), R.LIST_EMPTY),
        (zlib.compress(bytes(1_048_577)), R.LIST_TOO_LARGE),
    ],
    ids=[
        "raw_deflate",
        "gzip",
        "rubbish_after_header",
        "wrong_checksum",
        "text",
        "checksum_cut",
        "cut_short",
        "one_byte",
        "trailing_byte",
        "two_streams",
        "empty",
        "one_byte_too_long",
    ],
)
def test_only_one_whole_zlib_stream_is_read(compressed: bytes, reason: StatusListReason) -> None:
    assert refused(StatusList.decode, b64url_encode(compressed), 1) is reason


def test_a_preset_dictionary_is_refused() -> None:
    compressor = zlib.compressobj(zdict=b"0123456789")
    lst = b64url_encode(compressor.compress(b"0123456789") + compressor.flush())
    assert refused(StatusList.decode, lst, 8) is R.LIST_NOT_ZLIB


def test_the_largest_list_is_read() -> None:
    decoded = StatusList.decode(b64url_encode(zlib.compress(bytes(1_048_576))), 8)
    assert len(decoded) == 1_048_576


def test_a_decompression_bomb_is_not_inflated() -> None:
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(bytes(1_048_576)) for _ in range(256)) + compressor.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(StatusList.decode, b64url_encode(bomb), 1) is R.LIST_TOO_LARGE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


@pytest.mark.parametrize(
    "lst",
    [
        "",
        "eNrbuRgAAhcBXQ==",
        "eNrbuRgAAhcBXQ\n",
        " eNrbuRgAAhcBXQ",
        "eNrbuRgAAhcBXR",
        base64.b64encode(zlib.compress(b"\xfb\xef" * 50, 0)).decode(),
        "é",
    ],
)
def test_only_canonical_base64url_is_read(lst: str) -> None:
    assert refused(StatusList.decode, lst, 1) is R.LIST_NOT_BASE64URL


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_a_list_or_a_reason(data: bytes) -> None:
    for compressed in (data, b"\x78\x9c" + data, GOOD[: len(data)] + data):
        try:
            decoded = StatusList.decode(b64url_encode(compressed), 1)
        except StatusListError:
            continue
        assert zlib.decompress(compressed) == decoded.packed


def test_lists_differ_by_width_or_content_and_are_not_hashable() -> None:
    assert StatusList(1, 16) == StatusList(1, 16)
    assert StatusList(1, 16) != StatusList(2, 8)
    assert StatusList(1, 16) != "list"
    with pytest.raises(TypeError):
        hash(StatusList(1, 8))


# the reference in a credential

URI = "https://issuer.example/RBV/statuslists/1"


def test_a_reference_is_read_and_written() -> None:
    claims = {"status": {"status_list": {"idx": 0, "uri": URI, "more": 1}, "other": {}}}
    assert status_reference(claims) == StatusReference(URI, 0)
    assert StatusReference(URI, 7).as_claim() == {"status_list": {"idx": 7, "uri": URI}}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, R.REFERENCE_MISSING),
        ("x", R.REFERENCE_MALFORMED),
        ([], R.REFERENCE_MALFORMED),
        ({}, R.REFERENCE_MALFORMED),
        ({"status_list": None}, R.REFERENCE_MALFORMED),
        ({"status_list": [0, URI]}, R.REFERENCE_MALFORMED),
        *[
            ({"status_list": {"idx": idx, "uri": URI}}, R.INDEX_MALFORMED)
            for idx in (-1, 1.0, "1", True, None, [1], 2**53 + 1)
        ],
        ({"status_list": {"uri": URI}}, R.INDEX_MALFORMED),
        *[
            ({"status_list": {"idx": 0, "uri": uri}}, R.URI_MALFORMED)
            for uri in (
                None,
                1,
                "",
                "statuslists/1",
                "http://issuer.example/1",
                "HTTPS://issuer.example/1",
                "https:///1",
                "https://",
                "https://user@issuer.example/1",
                "https://user:pw@issuer.example/1",
                "https://@issuer.example/1",
                "https://issuer.example/1#part",
                "https://issuer.example/1#",
                "https://issuer.example/ 1",
                "https://issuer.example/\n1",
                "https://issuer.example\\@evil.example/1",
                "https://issuer.example:99999/1",
                "https://issuer.example:x/1",
                "https://[::1/1",
                "https://issüer.example/1",
                "https://issuer.example/" + "x" * 2_048,
                "file:///etc/passwd",
                "data:,x",
            )
        ],
    ],
)
def test_a_malformed_reference_is_refused(status: Any, reason: StatusListReason) -> None:
    assert refused(status_reference, {"status": status}) is reason


def test_a_missing_reference_is_refused() -> None:
    assert refused(status_reference, {}) is R.REFERENCE_MISSING


# aggregation


def test_an_aggregation_document_is_written_and_read() -> None:
    uris = [f"{URI}{number}" for number in range(3)]
    document = status_list.aggregation(uris)
    assert document == f'{{"status_lists":["{uris[0]}","{uris[1]}","{uris[2]}"]}}'.encode()
    assert status_list.read_aggregation(document) == tuple(uris)
    assert status_list.read_aggregation(b'{"status_lists":[],"more":1}') == ()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"status_lists":null}',
        b'{"status_lists":"https://x.example"}',
        b'{"status_lists":[1]}',
        b'{"status_lists":["http://x.example/1"]}',
        b'{"status_lists":["https://x.example/1"],"status_lists":[]}',
        status_list.aggregation([URI] * 10_001),
    ],
    ids=range(10),
)
def test_a_malformed_aggregation_document_is_refused(document: bytes) -> None:
    assert refused(status_list.read_aggregation, document) is R.AGGREGATION_MALFORMED


def test_encoded_lists_decode_with_plain_zlib() -> None:
    held = StatusList(2, 1_024)
    held.set(513, SUSPENDED)
    assert zlib.decompress(b64url_decode(held.encode())) == held.packed
