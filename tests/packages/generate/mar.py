"""Mozilla archives, made and verified by Mozilla's ``mar`` (``pip install mar``; MAR names the command); others are made of its bytes."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime

from tests.packages.generate.firmware_signers import Signers, changed
from tests.packages.generate.writing import Workshop
from tests.packages.pki import Issued, issue, revocation_list

FILES = {"updatev3.manifest": b'type "complete"\n', "firefox/application.ini": b"[App]\nVersion=140.0\n" * 20}
MAR = os.environ.get("MAR", "mar")


def _archive(shop: Workshop, signer: str | None = "leaf") -> bytes:
    """``mar`` takes SHA-384 for a key of 4096 bits and SHA-1 for one of 2048."""
    for name, data in FILES.items():
        path = shop.keys / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    made = shop.keys / "made.mar"
    made.unlink(missing_ok=True)
    product = ("-V", "140.0", "-H", "fixture-release") if signer else ()
    signed = ("-k", f"{signer}.key") if signer else ()
    shop.run(MAR, "-c", made, *product, *signed, *FILES)
    if signer:
        shop.run(MAR, "-v", made, "-k", f"{signer}.pub")
    return made.read_bytes()


def signed_twice(archive: bytes, first: Issued, second: Issued) -> bytes:
    """The archive with a signature by each of the two, algorithm 2; laid out as the format's description says."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    size = struct.unpack(">I", archive[24:28])[0]
    added = 8 + size
    body = bytearray(archive[28 + size :])
    index = struct.unpack(">I", archive[4:8])[0] - (28 + size)
    position = index + 4
    while position < len(body):
        offset = struct.unpack_from(">I", body, position)[0]
        struct.pack_into(">I", body, position, offset + added)
        position = body.index(b"\0", position + 12) + 1
    head = b"MAR1" + struct.pack(">IQI", index + 28 + size + added, len(archive) + added, 2)
    entry = struct.pack(">II", 2, size)
    values = [
        one.key.sign(head + entry + entry + bytes(body), padding.PKCS1v15(), hashes.SHA384()) for one in (first, second)
    ]
    return head + b"".join(entry + value for value in values) + bytes(body)


def main() -> None:
    """Make all of them."""
    with Workshop("mar") as shop:
        signers = Signers.make(shop)
        past = datetime(2021, 1, 1, tzinfo=UTC)
        leaf, stranger, revoked = (issue(name, signers.pki.intermediate, kind="rsa4096") for name in ("A", "B", "C"))
        expired = issue("Expired", signers.pki.intermediate, kind="rsa4096", end=past)
        small = issue("Small", signers.pki.intermediate)
        lists = revocation_list(signers.pki.intermediate, revoked) + revocation_list(signers.pki.root)
        shop.write("revoked.crl", lists)
        for name, one in (
            ("leaf", leaf), ("stranger", stranger), ("expired", expired), ("revoked", revoked), ("small", small),
        ):  # fmt: skip
            one.write(shop.keys, name)
            shop.work(f"{name}.pub", one.public_pem)
            shop.write(f"{name}.pub", one.public_pem)
            shop.write(f"{name}.pem", one.pem)
        shop.write("intermediate.pem", signers.pki.intermediate.pem)
        fields = {"form": "mar", "anchors": ["leaf.pub"]}
        good = _archive(shop)
        shop.passed("valid", shop.write("good.mar", good), mutate=True, **fields)
        by_chain = {"form": "mar", "anchors": ["root.pem"]}
        shop.passed("valid_by_certificate", "good.mar", untrusted=["leaf.pem", "intermediate.pem"], **by_chain)
        both = signed_twice(good, leaf, stranger)
        two = shop.write("two.mar", both)
        shop.passed("valid_two_signatures", two, mutate=True, form="mar", anchors=["leaf.pub", "stranger.pub"])
        shop.unknown("one_of_two_known", two, **fields)
        shop.unknown("unknown_root", "good.mar", form="mar")
        shop.unknown("unknown_root_other_key", "good.mar", form="mar", anchors=["stranger.pub"])
        shop.unknown("intact_but_untrusted", "good.mar", form="mar", untrusted=["leaf.pub"])
        for name, reason in (("expired", "expired"), ("revoked", "revoked")):
            made = shop.write(f"{name}.mar", _archive(shop, name))
            crls = ["revoked.crl"] if name == "revoked" else None
            known = [f"{name}.pem", "intermediate.pem"]
            shop.case(name, made, "failed" if crls else "indeterminate", reason, crls=crls, untrusted=known, **by_chain)
        weak = shop.write("sha1.mar", _archive(shop, "small"))
        shop.failed("weak", weak, "weak_algorithm", form="mar", anchors=["small.pub"])
        _broken(shop, good)


def _broken(shop: Workshop, good: bytes) -> None:
    fields = {"form": "mar", "anchors": ["leaf.pub"]}
    content = good.index(b"[App]")
    shop.failed("tampered", shop.write("tampered.mar", changed(good, content)), "invalid_signature", **fields)
    mode = good.rindex(b"updatev3") - 1
    shop.failed("tampered_index", shop.write("index.mar", changed(good, mode)), "invalid_signature", **fields)
    version = good.replace(b"140.0\0", b"139.0\0")
    shop.failed("downgrade", shop.write("version.mar", version), "invalid_signature", **fields)
    shop.unknown("unsigned", shop.write("unsigned.mar", _archive(shop, None)), "unsigned", **fields)
    old = b"MAR1" + struct.pack(">I", 8 + 4) + b"data" + struct.pack(">IIII", 12 + 2, 8, 4, 0o644) + b"a\0"
    shop.unknown("unsigned_older_form", shop.write("older.mar", old), "unsigned", **fields)
    shop.failed("truncated", shop.write("truncated.mar", good[:-20]), "malformed", **fields)
    shop.failed("appended", shop.write("appended.mar", good + b"appended"), "malformed", **fields)
    twice = good.replace(b"firefox/application.ini\0", b"updatev3.manifest\0").replace(
        b"updatev3.manifest\0", b"updatev3.manifest\0"
    )
    index = struct.unpack(">I", good[4:8])[0]
    shrunk = len(good) - len(twice)
    size = struct.unpack_from(">I", twice, index)[0] - shrunk
    twice = twice[:index] + struct.pack(">I", size) + twice[index + 4 :]
    twice = twice[:8] + struct.pack(">Q", len(twice)) + twice[16:]
    shop.failed("duplicate_entries", shop.write("twice.mar", twice), "malformed", **fields)


if __name__ == "__main__":
    main()
