"""What each example of the help and the manual stands on and answers: nothing is shown to people that no test ran."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """``code`` is the exit code, ``says`` stands in the output; ``anchor`` is what ``anchor_01J...`` stands for.

    ``prepare`` is what is done before, ``answers`` what is typed. ``why`` says why an exit code other than 0 is right.
    """

    code: int = 0
    says: str = ""
    anchor: str = "valid"
    prepare: str | None = None
    answers: str = ""
    why: str = ""


SUBSTITUTIONS: tuple[tuple[str, str], ...] = (
    ("AB:CD:...", "{fingerprint}"),
    ("3f2a 91c0 ...", "{digest}"),
    ("alert_01J...", "{alert}"),
    ("anchor_01K...", "{successor}"),
    ("baseline_01J...", "{baseline}"),
    ("decision_01J...", "{decision}"),
    ("ratchet_7Z...", "{ratchet}"),
    ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "{package}"),
    ("9f86d081884c7d65...", "{package}"),
    ("9f86d081...", "{package}"),
    ("--revision 12", "--revision {revision}"),
    ("--at 2026-11-25T12:00:00Z", "--at {now}"),
    ("--until 2026-06-01", "--until {soon}"),
    # Places outside of the test's folder.
    ("/etc/apt/keyrings", "keyrings"),
    ("/etc/rootwarden/rootwarden.toml", "rootwarden.toml"),
    ("/mnt/elsewhere/", "elsewhere/"),
    ("/run/rootwarden/api.sock", "api.sock"),
    ("/srv/upgrades/upgrade.zip", "{folder}/incoming/dten/Full-upgrade-package-dten.zip"),
    ("/srv/www/", "www/"),
    ("/tmp/new/rootwarden.toml", "rootwarden.toml"),  # noqa: S108 - it is what the help shows
    ("$FINGERPRINT", "{root}"),
    ("~/.config", "home/.config"),
    # Other machines' answers and tools.
    ("upgrade-tool --install", "sha256sum"),
    ("curl -s https://vendor.example/blog/key", "cat announcement.md"),
    ("journalctl -u rootwarden -o cat", "cat kept-journal.txt"),
)
"""Text of an example -> what stands there when it runs; ``{name}`` is an id of the prepared installation."""

NOT_RUN: dict[str, str] = {
    "make demo": "plays for half a minute; tests/stories run the story",
    "rootwarden --config ./run/rootwarden.toml run": "serves until it is stopped; tests/stories start the daemon",
    "rootwarden demo --keep": "plays for half a minute; tests/stories run the story",
    "systemctl start rootwarden": "needs systemd; make test-system does it",
}
"""Example -> why it is not run here."""

_CALLED = '--spoke-with "Ada, product security" --called "+1 555 0100" --ticket SEC-42'
_APPROVE = 'rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..."'
_BLOCK = 'rootwarden package block 9f86d081... --vendor dten --reason "withdrawn by the vendor, SEC-77"'
_ALLOW = 'rootwarden package allow 9f86d081... --vendor dten --reason "SEC-78" --until 2026-06-01'
_UNKNOWN_THEN = "nothing was known at that time"

CASES: dict[str, Case] = {
    "rootwarden alert acknowledge alert_01J...": Case(),
    "rootwarden alert list": Case(says="Full-upgrade-package-dten-5.zip"),
    "rootwarden alert list --all --json": Case(),
    'rootwarden alert resolve alert_01J... --because "not our package, deleted"': Case(),
    'rootwarden alert resolve alert_01J... --because "vendor re-issued the package, case 4711"': Case(),
    "rootwarden alert show alert_01J...": Case(),
    "rootwarden analyse announcement.md": Case(says="rotat"),
    "rootwarden analyse --explain thread.html": Case(),
    "curl -s https://vendor.example/blog/key | rootwarden analyse --json -": Case(),
    "rootwarden analyse --batch < documents.jsonl > answers.jsonl": Case(),
    "rootwarden anchor approve anchor_01J... --dry-run": Case(says="Full-upgrade-package-dten-5.zip", anchor="pending"),
    f"{_APPROVE} {_CALLED}": Case(says="valid", anchor="pending"),
    f'{_APPROVE} --without-call --reason "printed in the manual, page 3"': Case(
        says="stays pending until", anchor="pending", prepare="hold_down"
    ),
    f'{_APPROVE} --break-glass --reason "plant 2 is down until the fix is in"': Case(says="1 of 2", anchor="pending"),
    "rootwarden anchor approve-policy dten": Case(says="counts now", prepare="weaker_policy"),
    "rootwarden anchor approve-policy --approvers": Case(says="counts now", prepare="new_approver"),
    "rootwarden anchor constrain anchor_01J... --dedicated": Case(anchor="pending"),
    'rootwarden anchor constrain anchor_01J... --signer-subject "O=Example Inc" --signer-subject "OU=Firmware"': Case(
        anchor="pending"
    ),
    'rootwarden anchor constrain anchor_01J... --product "camera-*.zip" --format zip --valid-until 2027-01-01T00:00:00Z': (
        Case()
    ),
    "rootwarden anchor constrain anchor_01J... --distrust-after 2026-03-01T00:00:00Z": Case(),
    'rootwarden anchor distrust anchor_01J... --reason "used by somebody else"': Case(),
    'rootwarden anchor distrust anchor_01J... --reason "sold with the company" --effective-from 2026-03-01T00:00:00Z': Case(),
    "rootwarden anchor export pem --vendor dten --out dten-roots.pem": Case(),
    "rootwarden anchor export apt-keyring --out /etc/apt/keyrings": Case(),
    "rootwarden anchor export json --purpose timestamp --out anchors.json": Case(),
    "rootwarden anchor forecast": Case(),
    "rootwarden anchor forecast --vendor dten --days 365": Case(),
    "rootwarden anchor forecast --days 30 --json": Case(),
    "rootwarden anchor import vendor-root.pem --vendor dten": Case(),
    "rootwarden anchor import truststore.p12 --password-file pass.txt --vendor dten --dedicated": Case(),
    "rootwarden anchor import ~/.config/notation/truststore --vendor dten": Case(),
    'rootwarden anchor import stolen-key.asc --vendor dten --distrust --reason "key was stolen"': Case(),
    "rootwarden anchor import --baseline roots.pem keyring.gpg --vendor dten --dedicated": Case(),
    "rootwarden anchor import --baseline roots.pem --vendor dten --dedicated": Case(),
    "rootwarden anchor lineage anchor_01J...": Case(),
    "rootwarden anchor lineage anchor_01J... --json": Case(),
    "rootwarden anchor link anchor_01J... anchor_01K... --proof cross-certificate.pem": Case(says="cryptographic"),
    "rootwarden anchor link anchor_01J... anchor_01K... --reference https://vendor.example/rotation": Case(
        says="asserted"
    ),
    "rootwarden anchor list --vendor dten": Case(),
    "rootwarden anchor list --state pending": Case(),
    "rootwarden anchor list --state pending --state valid --json": Case(),
    "rootwarden anchor preview anchor_01J... --to valid": Case(
        says="Full-upgrade-package-dten-5.zip", anchor="pending"
    ),
    "rootwarden anchor preview anchor_01J... --to revoked --because superseded --json": Case(),
    'rootwarden anchor reject anchor_01J... --because disowned --spoke-with Ada --called "+1 555 0100" --ticket SEC-42': Case(
        anchor="pending"
    ),
    "rootwarden anchor reject anchor_01J... --because disowned": Case(anchor="pending"),
    "rootwarden anchor reject anchor_01J... --because unconfirmed": Case(anchor="pending"),
    'rootwarden anchor remove anchor_01J... --reason "product retired"': Case(),
    'rootwarden anchor revoke anchor_01J... --reason "retired with the plant" --ticket SEC-79': Case(),
    "rootwarden anchor revoke anchor_01J... --dry-run": Case(),
    "rootwarden anchor revoke anchor_01J... --because key-compromise --effective-from 2026-03-01T00:00:00Z": Case(),
    "rootwarden anchor show anchor_01J...": Case(),
    "rootwarden anchor show anchor_01J... --json": Case(anchor="pending"),
    'rootwarden anchor supersede anchor_01J... --successor anchor_01K... --reason "rotated in May" --ticket SEC-80': Case(),
    "rootwarden audit accept-restored --revision 12": Case(prepare="older_store"),
    "rootwarden audit checkpoint --json | jq -r .line": Case(),
    "rootwarden audit checkpoint >> /mnt/elsewhere/checkpoints": Case(prepare="mounted"),
    'rootwarden audit rekey --reason "disk failure, the backup had no instance.key (SEC-77)"': Case(prepare="lost_key"),
    "rootwarden audit show --limit 20": Case(),
    "rootwarden audit show --after 100 --json": Case(),
    "rootwarden audit verify": Case(),
    "rootwarden audit verify --json": Case(),
    "rootwarden audit verify --checkpoint /mnt/elsewhere/checkpoints": Case(prepare="kept_checkpoints"),
    "journalctl -u rootwarden -o cat > journal.txt; rootwarden audit verify --checkpoint journal.txt": Case(
        prepare="kept_checkpoints"
    ),
    'rootwarden baseline approve baseline_01J... --digest-read "3f2a 91c0 ..."': Case(says="valid"),
    "rootwarden baseline list": Case(),
    "rootwarden baseline list --vendor dten --json": Case(),
    'rootwarden baseline reject baseline_01J... --reason "an old bundle"': Case(),
    "rootwarden baseline show baseline_01J...": Case(),
    "rootwarden baseline show baseline_01J... --json": Case(),
    "rootwarden bundle create --out trust.bundle": Case(),
    "rootwarden bundle create --out /srv/www/trust.bundle --days 2": Case(),
    "rootwarden bundle show trust.bundle --key instance.pub": Case(says="revision", prepare="sealed"),
    "rootwarden check --bundle trust.bundle --bundle-key instance.pub --vendor dten upgrade.zip": Case(
        says="passed", prepare="sealed"
    ),
    "rootwarden check --compare --vendor dten Full-upgrade-package-dten.zip": Case(says="passed"),
    "rootwarden check --compare --vendor dten app.apk": Case(says="passed", prepare="android_package"),
    "rootwarden check --vendor dten Full-upgrade-package-dten.zip": Case(says="passed"),
    "rootwarden check --vendor dten firmware.bin --signature SHA256SUMS --signature SHA256SUMS.minisig": Case(
        says="passed", prepare="minisigned_list"
    ),
    "rootwarden check --vendor dten tool.tar.gz --signature tool.tar.gz.sigstore.json"
    " --certificate-identity dev@dten.example --certificate-oidc-issuer https://accounts.dten.example": Case(
        says="passed", prepare="sigstore_bundle"
    ),
    "rootwarden check --json --vendor dten firmware.bin --signature firmware.bin.asc": Case(says="trusted"),
    "rootwarden check --vendor dten --at 2026-05-03T12:00:00Z --as-known-at 2026-05-03T12:00:00Z firmware.zip": Case(
        3, says="unknown_root", why=_UNKNOWN_THEN
    ),
    "rootwarden check --only-anchors --anchors root.pem firmware.bin": Case(says="passed"),
    "rootwarden check --batch < requests.jsonl": Case(says="passed"),
    "rootwarden check --json --vendor dten *.zip | jq -r '.outcome + \" \" + .reason'": Case(
        3, says="passed trusted", why="one of the files has a root that is pending"
    ),
    "rootwarden config check": Case(),
    "rootwarden --config /tmp/new/rootwarden.toml config check --json": Case(),
    "rootwarden --config /etc/rootwarden/rootwarden.toml config check": Case(),
    "rootwarden doctor": Case(),
    "rootwarden doctor --json | jq 'select(.level != \"ok\")'": Case(),
    "rootwarden gate --vendor dten Full-upgrade-package-dten.zip -- upgrade-tool --install {}": Case(
        says="passed", prepare="roots_own"
    ),
    "rootwarden --config ./run/rootwarden.toml init --starter": Case(),
    "rootwarden init": Case(),
    _ALLOW: Case(),
    _BLOCK: Case(),
    "rootwarden package decisions": Case(),
    "rootwarden package decisions --vendor dten": Case(),
    "rootwarden package decisions --vendor dten --json": Case(),
    "rootwarden package show 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --vendor dten": Case(),
    "rootwarden package show 9f86d081884c7d65... --vendor dten": Case(),
    "rootwarden package show 9f86d081... --vendor dten": Case(),
    "rootwarden package show 9f86d081... --vendor dten --json | jq -r .outcome": Case(says="passed"),
    "rootwarden package show 9f86d081... --vendor dten --at 2026-05-03T12:00:00Z --as-known-at 2026-05-04T00:00:00Z": Case(
        3, why=_UNKNOWN_THEN
    ),
    'rootwarden package withdraw decision_01J... --reason "the vendor confirmed the package"': Case(),
    "rootwarden path validate --leaf signer.pem --anchors root.pem --purpose code-signing --at 2026-11-25T12:00:00Z": Case(),
    "rootwarden path validate --json --leaf www.pem --untrusted chain.pem --anchors roots.pem --dns www.example.org": Case(),
    "rootwarden path validate --leaf signer.pem --untrusted chain.pem --anchors root.pem --purpose code-signing": Case(),
    "rootwarden path validate --leaf signer.pem --untrusted chain.pem --anchors root.pem --crl root.crl --crl ca.crl"
    " --purpose code-signing": Case(),
    "rootwarden path validate --leaf signer.pem --untrusted ca.pem --anchors root.pem --crl root.crl --crl ca.crl": Case(),
    "rootwarden path validate --batch < questions.jsonl": Case(says="passed"),
    "rootwarden poll": Case(),
    "rootwarden poll --source forum --json | jq '.sources[].proposals'": Case(),
    "rootwarden ratchet list": Case(says="full-upgrade-package-dten.zip: scheme cms, digest sha256, signers 1"),
    "rootwarden ratchet list --vendor dten": Case(says="signers 1"),
    "rootwarden ratchet list --vendor dten --json | jq -r '.[].id'": Case(says="ratchet_"),
    'rootwarden ratchet lower ratchet_7Z... --reason "another product of that name, SEC-83"': Case(
        says="it is lowered", prepare="held_product"
    ),
    'rootwarden ratchet lower ratchet_7Z... --to scheme=apk-v2 --to digest=sha256 --reason "SEC-82"': Case(
        says="it is lowered", prepare="held_product"
    ),
    'rootwarden ratchet lower ratchet_7Z... --to signers=1 --reason "one signer from 6.0 on, SEC-81"': Case(
        says="it is lowered", prepare="held_product"
    ),
    "rootwarden ratchet show ratchet_7Z...": Case(says="apk-v3", prepare="held_product"),
    "rootwarden ratchet show ratchet_7Z... --json": Case(says="apk-v3", prepare="held_product"),
    "rootwarden script list": Case(),
    "rootwarden script show alert_01J... --sheet": Case(says="+1 555 0100"),
    "rootwarden script show alert_01J... > escalation.sh": Case(),
    "rootwarden script show alert_01J... > escalation.sh && sh escalation.sh --go": Case(
        says="valid", answers="1\nPat Vendor\nSEC-42\nyes\n{fingerprint}\n"
    ),
    "rootwarden source list": Case(says="forum"),
    "rootwarden source list --json | jq '.[] | select(.state != \"ok\")'": Case(),
    "rootwarden source show forum": Case(),
    "rootwarden source show forum --json": Case(),
    "rootwarden source show forum --json | jq .documents": Case(),
}
"""Example, on one line and without its comment -> what it needs and answers."""
