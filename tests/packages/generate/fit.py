"""U-Boot image trees, compiled and signed by mkimage (with dtc); changes that it does not make are made to its bytes."""

from __future__ import annotations

from tests.packages.generate.firmware_signers import Signers, changed
from tests.packages.generate.writing import Workshop
from tests.packages.pki import issue

KERNEL, DEVICE_TREE = b"kernel " * 30, b"device tree " * 10
_IMAGE = """
  {name} {{ description = "{name}"; data = /incbin/("{file}"); type = "{kind}"; arch = "arm64"; os = "linux"; compression = "none";
   load = <0x80000>; entry = <0x80000>; {hashes} }};"""
_HASH = 'hash-1 { algo = "sha256"; };'


def image(name: str, file: str = "kernel.bin", kind: str = "kernel", hashes: str = _HASH) -> str:
    """One image node."""
    return _IMAGE.format(name=name, file=file, kind=kind, hashes=hashes)


BOTH = image("kernel-1") + image("fdt-1", "tree.dtb", "flat_dt")


def configuration(
    name: str = "conf-1",
    key: str = "leaf",
    algorithm: str = "sha256,rsa2048",
    more: str = "",
    images: str = '"kernel", "fdt"',
) -> str:
    """One configuration with a signature to be made by ``key``; none where that is empty."""
    signature = f"""
   signature-1 {{ algo = "{algorithm}"; key-name-hint = "{key}"; sign-images = {images}; {more} }};"""
    return f"""
  {name} {{ kernel = "kernel-1"; fdt = "fdt-1";{signature if key else ""} }};"""


def source(images: str = BOTH, configurations: str = "") -> bytes:
    """The whole tree as dtc reads it."""
    return f"""/dts-v1/;
/ {{
 description = "Fixture image"; #address-cells = <1>;
 images {{{images}
 }};
 configurations {{ default = "conf-1";{configurations or configuration()}
 }};
}};
""".encode()


def make(shop: Workshop, text: bytes, *options: str) -> bytes:
    """What mkimage makes of it."""
    shop.work("kernel.bin", KERNEL)
    shop.work("tree.dtb", DEVICE_TREE)
    shop.work("image.its", text)
    shop.run("mkimage", *options, "-f", "image.its", "-k", ".", "image.itb")
    return (shop.keys / "image.itb").read_bytes()


def main() -> None:
    """Make all of them."""
    with Workshop("fit") as shop:
        signers = Signers.make(shop)
        for name, one in (("leaf", signers.pki.leaf), ("expired", signers.expired), ("revoked", signers.revoked)):
            shop.work(f"{name}.crt", one.pem)
            shop.write(f"{name}.pem", one.pem)
        shop.write("intermediate.pem", signers.pki.intermediate.pem)
        shop.write("leaf.pub", signers.pki.leaf.public_pem)
        _valid(shop, signers)
        _broken(shop)


def _valid(shop: Workshop, signers: Signers) -> None:
    fields = {"form": "fit", "anchors": ["leaf.pub"]}
    good = shop.write("rsa.itb", make(shop, source()))
    shop.passed("valid", good, mutate=True, **fields)
    shop.passed("valid_external", shop.write("external.itb", make(shop, source(), "-E")), mutate=True, **fields)
    shop.passed("valid_position", shop.write("position.itb", make(shop, source(), "-E", "-p", "4096")), **fields)
    pss = source(configurations=configuration(more='padding = "pss";'))
    shop.passed("valid_pss", shop.write("pss.itb", make(shop, pss)), **fields)
    p256 = issue("P-256 Signer", kind="p256")
    shop.work("p256.pem", p256.key_pem)
    anchor = shop.write("p256.pub", p256.public_pem)
    ecdsa = make(shop, source(configurations=configuration(key="p256", algorithm="sha256,ecdsa256")))
    shop.passed("valid_ecdsa", shop.write("ecdsa.itb", ecdsa), mutate=True, form="fit", anchors=[anchor])
    two = source(configurations=configuration() + configuration("conf-2"))
    shop.passed("valid_two_configurations", shop.write("two.itb", make(shop, two)), **fields)
    shop.work("stranger.crt", signers.other.leaf.pem)
    mixed = source(configurations=configuration() + configuration("conf-2", "stranger"))
    shop.unknown("stranger_signs_one_of_two", shop.write("mixed.itb", make(shop, mixed)), **fields)
    second = '}; signature-2 { algo = "sha256,rsa2048"; key-name-hint = "stranger"; sign-images = "kernel", "fdt";'
    either = source(configurations=configuration(more=second) + configuration("conf-2"))
    shop.passed("valid_two_signatures_of_one", shop.write("either.itb", make(shop, either)), **fields)
    chain = {"anchors": ["root.pem"], "untrusted": ["leaf.pem", "intermediate.pem"]}
    shop.passed("valid_by_certificate", good, form="fit", **chain)
    shop.unknown("unknown_root", good, form="fit")
    shop.unknown("unknown_root_other_key", good, form="fit", anchors=["other.pem"])
    shop.unknown("intact_but_untrusted", good, form="fit", untrusted=["leaf.pub"])
    shop.write("stranger.pem", signers.other.leaf.pem)
    for name, reason in (("expired", "expired"), ("revoked", "revoked")):
        made = shop.write(f"{name}.itb", make(shop, source(configurations=configuration(key=name))))
        known = {"anchors": ["root.pem"], "untrusted": [f"{name}.pem", "intermediate.pem"]}
        crls = ["revoked.crl"] if name == "revoked" else None
        shop.case(name, made, "failed" if crls else "indeterminate", reason, form="fit", crls=crls, **known)


def _broken(shop: Workshop) -> None:
    fields = {"form": "fit", "anchors": ["leaf.pub"]}
    good = make(shop, source())
    data = good.index(KERNEL)
    shop.failed("tampered", shop.write("tampered.itb", changed(good, data + 5)), "invalid_signature", **fields)
    load = good.index(b"\0\x08\0\0")
    shop.failed("tampered_address", shop.write("address.itb", changed(good, load)), "invalid_signature", **fields)
    unsigned = make(shop, source(configurations=configuration(key="")))
    shop.unknown("unsigned", shop.write("unsigned.itb", unsigned), "unsigned", **fields)
    one = make(shop, source(configurations=configuration() + configuration("conf-2", key="")))
    shop.failed("downgrade", shop.write("one-of-two.itb", one), "uncovered_content", **fields)
    loose = make(shop, source(BOTH + image("kernel-2")))
    shop.failed("image_of_no_configuration", shop.write("loose.itb", loose), "uncovered_content", **fields)
    part = make(shop, source(configurations=configuration(images='"kernel"')))
    shop.failed("image_not_signed", shop.write("part.itb", part), "uncovered_content", **fields)
    crc = image("kernel-1", hashes='hash-1 { algo = "crc32"; };') + image("fdt-1", "tree.dtb", "flat_dt")
    shop.failed(
        "image_with_weak_digest", shop.write("crc32.itb", make(shop, source(crc))), "uncovered_content", **fields
    )
    node = image("kernel-1") + image("fdt-1", "tree.dtb", "flat_dt", _HASH + "extra { a = <1>; };")
    shop.failed("unsigned_node", shop.write("node.itb", make(shop, source(node))), "uncovered_content", **fields)
    weak = make(shop, source(configurations=configuration(algorithm="sha1,rsa2048")))
    shop.failed("weak", shop.write("sha1.itb", weak), "weak_algorithm", **fields)
    only = image("kernel-1", hashes=_HASH + 'signature-1 { algo = "sha256,rsa2048"; key-name-hint = "leaf"; };')
    images = make(shop, source(only + image("fdt-1", "tree.dtb", "flat_dt"), configuration(key="")))
    shop.failed("only_an_image_signed", shop.write("image-only.itb", images), "uncovered_content", **fields)
    shop.failed("truncated", shop.write("truncated.itb", good[:-600]), "malformed", **fields)
    shop.failed("appended", shop.write("appended.itb", good + b"appended"), "uncovered_content", **fields)
    same = make(shop, source(BOTH + image("kernal-1"))).replace(b"\0\0\0\1kernal-1\0", b"\0\0\0\1kernel-1\0")
    shop.failed("duplicate_entries", shop.write("twice.itb", same), "malformed", **fields)
    unit = good.replace(b"\0\0\0\1fdt-1\0", b"\0\0\0\1fdt@1\0")
    shop.failed("unit_address", shop.write("unit.itb", unit), "malformed", **fields)
    two = make(shop, source(BOTH + image("kernel-2")))
    listed = two.replace(b"/images/fdt-1/hash-1\0", b"/images/kernel-2\0\0\0\0\0", 1)
    shop.failed("other_nodes_listed", shop.write("listed.itb", listed), "malformed", **fields)
    gap = make(shop, source(), "-E")
    inside = gap[: gap.index(DEVICE_TREE)] + b"more" + gap[gap.index(DEVICE_TREE) + 4 :]
    shop.failed("tampered_external", shop.write("external-tampered.itb", inside), "invalid_signature", **fields)


if __name__ == "__main__":
    main()
