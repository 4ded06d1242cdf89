"""The HTTP API of a running daemon, asked over its Unix socket by several users of the machine."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.stories import demo
from tests.stories.installation import BIN, STRANGER, Installation, await_
from tests.stories.test_story import approve, proposed
from trust_store.exchange.bundle import open_bundle
from trust_store.instance_key import public_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket
ASK = """
import http.client, json, os, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
connection = Connection("localhost")
connection.request("POST", "/v1/check", json.dumps({"path": sys.argv[2], "vendor": "dten"}), {"Content-Type": "application/json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""
LIAR = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    while True:
        peer, _ = server.accept()
        with peer:
            peer.recv(65536)
            body = sys.argv[2].encode()
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
"""


@pytest.fixture
def place(folder: Path) -> Iterator[Installation]:
    """A daemon with the vendor's root proposed; ended afterwards."""
    made = Installation(folder / "place", vendors={"dten": demo.vendor_file("dten", "DTEN")})
    made.configure()
    yield made
    made.stop()


@pytest.fixture
def package(pki: VendorPKI, folder: Path) -> Path:
    """A signed upgrade."""
    path = folder / "upgrade.zip"
    path.write_bytes(vendor_bundle(pki, {"firmware.bin": b"firmware"}))
    return path


def client(place: Installation) -> httpx.Client:
    """An HTTP client on the daemon's socket."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(place.folder / "api.sock")), base_url="http://localhost")


def as_user(place: Installation, path: Path, uid: int) -> tuple[int, dict[str, Any]]:
    """What a user of that uid is answered about a path."""
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*user, "/usr/bin/python3", "-c", ASK, str(place.folder / "api.sock"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    status, _, body = done.stdout.partition(" ")
    return int(status), json.loads(body)


def test_the_answer_follows_the_decision(place: Installation, pki: VendorPKI, package: Path) -> None:
    """Unknown root before, passed after the approvals, for bytes sent, for a path and for the digest alone; the same as the command."""
    anchor = proposed(place, pki, place.proposer)
    dropped = place.drop(package, "dten")
    with client(place) as http:
        sent = http.post(
            "/v1/check", params={"vendor": "dten", "name": "upgrade.zip"}, content=package.read_bytes(),
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        assert (sent.status_code, sent.json()["reason"]) == (200, "unknown_root")
        digest = sent.json()["package"]["sha256"]
        assert http.get(f"/v1/packages/{digest}", params={"vendor": "dten"}).json()["reason"] == "unknown_root"
        for person in place.people:
            approve(place, anchor, pki, person, 0)
        asked = [
            http.get(f"/v1/packages/{digest}", params={"vendor": "dten"}).json(),
            http.post("/v1/check", json={"path": str(dropped), "vendor": "dten"}).json(),
            place.check(dropped, vendor="dten", expected=(0,)),
        ]
        assert [a["outcome"] for a in asked] == ["passed"] * 3
        volatile = ("checked_at", "validation_time", "valid_until")
        path, command = ({k: v for k, v in a.items() if k not in volatile} for a in asked[1:])
        assert path == command
        unknown = http.get(f"/v1/packages/{'a' * 64}", params={"vendor": "dten"})
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


def test_what_a_gate_may_not_choose_is_refused(place: Installation, pki: VendorPKI, package: Path) -> None:
    """Without a vendor, with anchors or a time, with an unknown key, type or vendor: a problem document with 4xx, no verdict."""
    proposed(place, pki, place.proposer)
    path = str(place.drop(package, "dten"))
    with client(place) as http:
        answers = [
            http.post("/v1/check", json={"path": path}),
            http.post("/v1/check", json={"path": path, "vendor": "nobody"}),
            http.post("/v1/check", json={"path": path, "vendor": "dten", "anchors": ["x"]}),
            http.post("/v1/check", json={"path": path, "vendor": "dten", "at": "2026-01-01T00:00:00Z"}),
            http.post("/v1/check?only_anchors=1", json={"path": path, "vendor": "dten"}),
            http.post("/v1/check", json={"path": path, "vendor": "dten", "more": 1}),
            http.post("/v1/check", json=["x"]),
            http.post("/v1/check", content=b"{", headers={"Content-Type": "application/json"}),
            http.post("/v1/check", content=b"[" * 70_000, headers={"Content-Type": "application/json"}),
            http.post("/v1/check?vendor=dten", content=b"", headers={"Content-Type": "application/octet-stream"}),
            http.post("/v1/check?vendor=dten", content=b"x", headers={"Content-Type": "text/plain"}),
            http.get(f"/v1/packages/{'a' * 64}"),
            http.get("/v1/packages/abc", params={"vendor": "dten"}),
            http.get("/v1/anchors", params={"state": "wished"}),
            http.get("/v1/nothing"),
            http.delete("/v1/anchors"),
        ]
        for number, answer in enumerate(answers):
            assert 400 <= answer.status_code < 500, (number, answer.text)
            assert answer.headers["content-type"] == "application/problem+json", number
            assert {"type", "title", "status", "detail"} <= set(answer.json())
            assert "outcome" not in answer.json()


def test_a_path_is_read_only_for_who_may_read_it(
    place: Installation, pki: VendorPKI, package: Path, folder: Path
) -> None:
    """Outside the folders, through a link, with ``..``, a folder, a pipe, somebody else's file: no answer tells whether it exists."""
    proposed(place, pki, place.proposer)
    incoming = place.incoming / "dten"
    dropped = place.drop(package, "dten")
    secret = place.drop(package.rename(folder / "secret.zip"), "dten")
    secret.chmod(0o600)
    (incoming / "link.zip").symlink_to(dropped)
    (incoming / "up").symlink_to(folder)
    os.mkfifo(incoming / "pipe.zip")
    refused = [
        folder / "secret.zip", incoming / "link.zip", incoming / "up/secret.zip", incoming / "../../../secret.zip",
        incoming, incoming / "pipe.zip", incoming / "absent.zip", incoming,
    ]  # fmt: skip
    with client(place) as http:
        for path in refused:
            answer = http.post("/v1/check", json={"path": str(path), "vendor": "dten"})
            assert answer.status_code in (403, 404), (path, answer.text)
    if not place.one_person:
        assert as_user(place, dropped, 61003)[0] == 404  # the folder itself is not his to enter
        place.incoming.chmod(0o755)
        incoming.chmod(0o755)
        assert as_user(place, dropped, 61003)[1]["reason"] == "unknown_root"
        assert as_user(place, secret, 61003)[0] == 404
        assert as_user(place, secret, 0)[0] == 200


def test_keys_anchors_and_health(place: Installation, pki: VendorPKI) -> None:
    """A key awaiting decision is not found by its fingerprint and its fingerprint is withheld; decided, both are told."""
    anchor = proposed(place, pki, place.proposer)
    with client(place) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/readyz").json()["store_revision"] > 0
        assert http.get(f"/v1/keys/{pki.root_sha256}").status_code == 404
        listed = http.get("/v1/anchors", params={"vendor": "dten", "state": "pending"})
        assert [a["id"] for a in listed.json()["anchors"]] == [anchor]
        assert pki.root_sha256[:16] not in listed.text
        for person in place.people:
            approve(place, anchor, pki, person, 0)
        assert http.get(f"/v1/keys/{pki.root_sha256.upper()}").json()["anchors"][0]["state"] == "valid"
        paths = http.get("/v1/openapi.json").json()["paths"]
        assert {
            "/v1/check",
            "/v1/packages/{sha256}",
            "/v1/keys/{identifier}",
            "/v1/anchors",
            "/v1/bundle",
            "/healthz",
        } <= set(paths)


def test_the_bundle_is_signed_and_cached(place: Installation, pki: VendorPKI) -> None:
    """The bundle opens with the instance's public key, holds the approved root, and is not sent twice to who has it."""
    anchor = proposed(place, pki, place.proposer)
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    with client(place) as http:
        first = http.get("/v1/bundle")
        again = http.get("/v1/bundle", headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        key = bytes.fromhex(public_key(place.folder / "state/rootwarden.db"))
        opened = open_bundle(first.content, [key], at=datetime.now(UTC), least_revision=lambda _: 0)
        assert [a.id for a in opened.anchors] == [anchor]


def test_the_command_says_the_same_with_the_daemon_and_without(
    place: Installation, pki: VendorPKI, package: Path
) -> None:
    """What the daemon knows it answers, what it does not know the command finds out; both lines are the same but for their times."""
    anchor = proposed(place, pki, place.proposer)
    dropped = place.drop(package, "dten")
    digest = hashlib.sha256(dropped.read_bytes()).hexdigest()
    with client(place) as http:
        await_("the package to be taken in", lambda: http.get(f"/v1/packages/{digest}?vendor=dten").status_code == 200)
        for code, people in ((3, ()), (0, place.people)):
            for person in people:
                approve(place, anchor, pki, person, 0)
            asked = place.check(dropped, vendor="dten", expected=(code,))
            (place.folder / "api.sock").rename(place.folder / "away.sock")
            alone = place.check(dropped, vendor="dten", expected=(code,))
            (place.folder / "away.sock").rename(place.folder / "api.sock")
            volatile = ("checked_at", "validation_time", "valid_until")
            assert {k: v for k, v in asked.items() if k not in volatile} == {
                k: v for k, v in alone.items() if k not in volatile
            }
        dropped.write_bytes(dropped.read_bytes()[:-1])
        assert place.check(dropped, vendor="dten", expected=(10,))["outcome"] == "failed"


def test_facts_put_into_the_database_pass_nothing(
    place: Installation, pki: VendorPKI, package: Path, folder: Path
) -> None:
    """Good facts copied under another digest: no verdict from the API, the command finds out by itself, the walk names them."""
    anchor = proposed(place, pki, place.proposer)
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    evil = folder / "evil.zip"
    evil.write_bytes(b"PK\x05\x06" + b"\0" * 18)
    good, bad = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (package, evil))
    with client(place) as http:
        assert http.post("/v1/check", json={"path": str(place.drop(package, "dten")), "vendor": "dten"}).is_success
        with closing(sqlite3.connect(place.folder / "state/rootwarden.db")) as forger, forger:
            forger.execute(
                "INSERT INTO package SELECT ?, size, format, first_seen_at, last_seen_at FROM package", (bad,)
            )
            names = [row[1] for row in forger.execute("PRAGMA table_info(fact_set)")]
            told = {"id": "'facts_forged'", "package_sha256": "?2", "facts": "replace(facts, ?1, ?2)"}
            chosen = ", ".join(told.get(name, name) for name in names)
            forger.execute(f"INSERT INTO fact_set SELECT {chosen} FROM fact_set", (good, bad))  # noqa: S608 - of this test
        answer = http.get(f"/v1/packages/{bad}", params={"vendor": "dten"})
    assert (answer.status_code, "facts_forged" in answer.json()["detail"]) == (503, True)
    asked = place.check(evil, vendor="dten", expected=(3, 10))
    assert asked["outcome"] != "passed"
    place.check(package, vendor="dten", expected=(0,))
    assert "facts_forged" in place.run("audit", "verify", expected=(4,)).stderr


def test_who_may_not_read_the_store_is_answered_by_the_daemon(
    place: Installation, pki: VendorPKI, package: Path
) -> None:
    """Any user of the machine gets the verdict on a package that the daemon has seen, from the command, without any right on the store."""
    anchor = proposed(place, pki, place.proposer)
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    with client(place) as http:
        http.post("/v1/check", json={"path": str(place.drop(package, "dten")), "vendor": "dten"})
    package.chmod(0o644)
    (place.folder / "state").chmod(0o700)
    asked = ("check", "--json", "--vendor", "dten", str(package))
    done = place.run(*asked, person=STRANGER, expected=(0,))
    assert json.loads(done.stdout)["outcome"] == "passed"
    place.stop()
    if not place.one_person:
        place.run(*asked, person=STRANGER, expected=(4,))


def test_what_nobody_has_seen_is_sent_to_the_daemon(place: Installation, pki: VendorPKI, folder: Path) -> None:
    """Who may not read the store has a package with its detached signature judged by the daemon, as text and as JSON; changed, it fails."""
    anchor = proposed(place, pki, place.proposer)
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    package, signature = folder / 'odd "na\\me.bin', folder / 'odd "na\\me.bin.p7s'
    package.write_bytes(b"firmware" * 100_000)
    signature.write_bytes(pki.sign(package.read_bytes()))
    who = None if place.one_person else STRANGER
    told = place.run("check", "--vendor", "dten", str(package), person=who, expected=(0,)).stdout
    assert "passed / trusted" in told
    said = json.loads(place.run("check", "--json", "--vendor", "dten", str(package), person=who, expected=(0,)).stdout)
    assert (said["package"]["path"], said["signatures"][0]["anchor"]["id"]) == (str(package), anchor)
    assert (said["package"]["name"], said["signatures"][0]["file"]["name"]) == (package.name, signature.name)
    package.write_bytes(b"malware!" * 100_000)
    place.run("check", "--vendor", "dten", str(package), person=who, expected=(10,))
    signature.unlink()
    place.run("check", "--vendor", "dten", str(package), person=who, expected=(3,))
    sent = list((place.folder / "state/uploads").iterdir())
    assert sent == []


FORMS = (
    b"", b"--x--\r\n", b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="signature"; filename="a.asc"\r\n\r\nabc\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="package"; filename="a"\r\n\r\n\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="package"; filename="a"\r\n\r\nabc', b"garbage" * 1000,
    b"--x\r\n" + b"A" * 9000 + b": b\r\n\r\nabc\r\n--x--\r\n", b"--x\r\n" + b"a: b\r\n" * 40 + b"\r\nabc\r\n--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="package"; filename="a"\r\n\r\nabc\r\n' * 2 + b"--x--\r\n",
)  # fmt: skip


def test_a_strange_form_is_refused(place: Installation) -> None:
    """No package, twice a package, an empty one, one cut short, headers without end: 400 or 413 and a problem document."""
    place.start()
    with client(place) as http:
        for form in FORMS:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = http.post("/v1/check?vendor=dten", content=form, headers=kind)
            found = (answer.status_code, answer.headers["content-type"])
            assert found == (400, "application/problem+json"), (form[:80], answer.text)
        bare = http.post("/v1/check?vendor=dten", content=b"x", headers={"Content-Type": "multipart/form-data"})
        assert bare.status_code == 400


def test_a_stranger_at_the_socket_is_not_believed(place: Installation, package: Path) -> None:
    """Whoever puts a socket where the daemon's was and says ``passed`` is asked nothing, unless he owns the store."""
    if place.one_person:
        uid, expected = os.geteuid(), None
    else:
        uid, expected = 61003, 3
    place.start()
    place.stop()
    (place.folder / "api.sock").unlink(missing_ok=True)
    lie = json.dumps({
        "schema": "rootwarden/verdict/1", "outcome": "passed", "reason": "trusted", "vendor": {"id": "dten"},
        "package": {"sha256": hashlib.sha256(package.read_bytes()).hexdigest()}, "basis": {"store_id": "x", "store_revision": 999},
    })  # fmt: skip
    place.folder.chmod(0o777)
    server = subprocess.Popen(
        [*(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if os.geteuid() == 0 else []),
         "/usr/bin/python3", "-c", LIAR, str(place.folder / "api.sock"), lie],
    )  # fmt: skip
    try:
        await_("the liar's socket", (place.folder / "api.sock").exists)
        done = place.run("check", "--json", "--vendor", "dten", str(package))
        assert expected is None or done.returncode == expected
    finally:
        server.kill()
        server.wait()


def test_a_bundle_answers_where_there_is_no_store(
    place: Installation, pki: VendorPKI, package: Path, folder: Path
) -> None:
    """With the public key the bundle lets the same package pass; with another key, altered, or an older one, it is refused with 4."""
    anchor = proposed(place, pki, place.proposer)
    old, new = folder / "old.bundle", folder / "new.bundle"
    place.run("bundle", "create", "--out", str(old), expected=(0,))
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    place.run("bundle", "create", "--out", str(new), expected=(0,))
    key = place.folder / "state/instance.pub"
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "elsewhere")}

    def check(bundle: Path, *more: str, key_file: Path = key) -> tuple[int, str, str]:
        command = [
            str(BIN / "rootwarden"), "--config", "/nonexistent", "check", "--json", "--bundle", str(bundle), "--bundle-key",
            str(key_file), "--vendor", "dten", *more, str(package),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return done.returncode, done.stdout, done.stderr

    assert check(old)[0] == 3
    code, said, _ = check(new)
    verdict = json.loads(said)
    assert (code, verdict["outcome"], verdict["basis"]["trust"]) == (0, "passed", "bundle")
    assert (verdict["basis"]["decision"], verdict["signatures"][0]["anchor"]["id"]) == ("called", anchor)
    assert (check(old)[0], "revision" in check(old)[2]) == (4, True)
    altered = folder / "altered.bundle"
    altered.write_bytes(new.read_bytes().replace(b'"payload":"', b'"payload":"AAAA', 1))
    assert check(altered)[0] == 4
    stranger = folder / "stranger.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(folder / "s.pem")], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(folder / "s.pem"), "-pubout", "-out", str(stranger)], check=True)
    assert check(new, key_file=stranger)[0] == 4
    assert check(new, "--anchors", str(key))[0] == 2
    assert check(new, "--as-known-at", "2026-01-01T00:00:00Z")[0] == 2
    shown = json.loads(place.run("bundle", "show", str(new), "--key", str(key), "--json", expected=(0,)).stdout)
    assert (shown["store_id"], shown["anchors"]) == (verdict["basis"]["store_id"], {"valid": 1})
