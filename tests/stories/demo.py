"""The story, end to end, on real servers and real users; ``make demo``.

A vendor rotates its signing root and says so in the 43rd post of a forum thread. An upgrade package arrives, signed under the new
root. Three endings: the vendor confirms on the telephone, the vendor says "not ours", nobody answers.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulator.slack import SlackServer
from tests.simulator.smtp import SMTPServer
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.simulator.vendor_site import Topic, VendorSite
from tests.stories.installation import Installation, StepFailedError, await_

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "Full-upgrade-package-dten.zip"
STAFF_POST = 43
POSTS = 60


@dataclass(frozen=True)
class Stage:
    """Everything one ending is played with."""

    place: Installation
    thread: Topic
    mail: SMTPServer
    slack: SlackServer
    pki: VendorPKI
    package: Path
    say: Callable[[str], None]

    def until_alerted(self) -> Path:
        """Poll, drop the package, await the alert on both channels; return the escalation script out of the mail."""
        say = self.say
        self.place.run("poll", expected=(0,))
        pending = json.loads(self.place.run("anchor", "list", "--json", expected=(0,)).stdout)
        require(
            len(pending) == 1 and pending[0]["state"] == "pending", f"one pending proposal after polling, not {pending}"
        )
        say(f"polled the vendor's feed and a thread of {POSTS} posts: a root posted by staff is pending, not trusted")
        dropped = self.place.drop(self.package, "dten")
        say(f"{PACKAGE} arrived in incoming/dten/")
        message = await_("the mail", lambda: self.mail.messages and self.mail.messages[0])
        posted = await_("the Slack message", lambda: self.slack.accepted and self.slack.accepted[0])
        require(not self.slack.refusals, f"Slack refused: {self.slack.refusals}")
        address = self.thread.url.replace("/t/topic/", "/t/") + f"/{STAFF_POST}"
        for channel, text in (("mail", _text_of(message.mail)), ("Slack", json.dumps(posted))):
            require(address in text.replace("\\/", "/"), f"the {channel} does not name {address}")
            require(
                self.pki.root_sha256[:16] not in text.lower(), f"the {channel} shows the fingerprint to be confirmed"
            )
        say(f"mail and Slack received, both naming the thread post {address}")
        verdict = self.place.check(dropped, vendor="dten", expected=(3,))
        require(
            (verdict["outcome"], verdict["reason"]) == ("indeterminate", "unknown_root"),
            f"unexpected verdict {verdict}",
        )
        require(any(e["url"] == address for e in verdict["evidence"]), "the verdict does not name the post")
        say("check answers: indeterminate / unknown_root (exit 3), and names the post")
        script = self.place.folder / "escalation.sh"
        script.write_text(_attachment(message.mail, ".sh"))
        script.chmod(0o644)
        return script

    def call(self, script: Path, person: str, *answers: str, expected: tuple[int, ...]) -> None:
        """One person makes the call and runs the script, typing what the vendor says."""
        self.place.command(
            ["sh", str(script), "--go", "--package", str(self.package)],
            person=person,
            answers="\n".join(answers) + "\n",
            expected=expected,
        )


def confirmed(stage: Stage) -> None:
    """The vendor reads the right fingerprint out to as many people as policy asks for."""
    script = stage.until_alerted()
    spoken = " ".join(stage.pki.root_sha256[i : i + 4] for i in range(0, 64, 4)).upper()
    for number, person in enumerate(stage.place.people, 1):
        stage.call(script, person, "1", "Pat Vendor", f"CASE-{number}", "yes", spoken, expected=(0,))
        stage.say(f"{person} called the number on record, typed what the vendor read out, and the script handed it on")
        if number < len(stage.place.people):
            stage.place.check(stage.package, vendor="dten", expected=(3,))
            stage.say("one of two approvals: still indeterminate")
    verdict = stage.place.check(stage.package, vendor="dten", expected=(0,))
    require(verdict["outcome"] == "passed", f"unexpected verdict {verdict}")
    stage.say("the anchor is approved; the same question answers: passed (exit 0)")
    (stage.place.incoming / "dten" / PACKAGE).unlink()
    sha256 = verdict["package"]["sha256"]
    stage.place.run("package", "show", sha256, "--vendor", "dten", "--json", expected=(0,))
    stage.say("package show answers the same without the file")
    require(
        all(a["status"] == "resolved" for a in stage.place.alerts() if a["vendor"] == "dten"),
        "an alert is still open",
    )
    stage.place.drop(stage.package, "acme")
    await_("the other vendor's alert", lambda: [a for a in stage.place.alerts() if a["vendor"] == "acme"])
    other = stage.place.check(stage.package, vendor="acme", expected=(3, 10))
    require(other["outcome"] != "passed", "the package passes for another vendor")
    stage.say(f"the same package in another vendor's folder: {other['outcome']} / {other['reason']}")
    stage.place.run("audit", "verify", expected=(0,))
    stage.say("the audit log verifies")


def disowned(stage: Stage) -> None:
    """The vendor says that the key is not theirs: evidence of an attack."""
    script = stage.until_alerted()
    stage.call(script, stage.place.people[0], "1", "Pat Vendor", "CASE-9", "not ours", expected=(0,))
    stage.say('the vendor says "not ours": the key becomes a tombstone')
    verdict = stage.place.check(stage.package, vendor="dten", expected=(10,))
    require((verdict["outcome"], verdict["reason"]) == ("failed", "distrusted"), f"unexpected verdict {verdict}")
    stage.say("check answers: failed / distrusted (exit 10)")
    await_("the second mail", lambda: len(stage.mail.messages) > 1)
    text = _text_of(stage.mail.messages[1].mail)
    require("distrusted" in text or "disowned" in text, "the second mail does not say so")
    stage.say("a second alert says so")


def unanswered(stage: Stage) -> None:
    """Nobody picks up the telephone: nothing is decided and nothing is forgotten."""
    script = stage.until_alerted()
    stage.call(script, stage.place.people[0], "0", expected=(3,))
    stage.say("nobody answers the telephone: the script leaves everything open (exit 3)")
    verdict = stage.place.check(stage.package, vendor="dten", expected=(3,))
    require(verdict["reason"] == "unknown_root", f"unexpected verdict {verdict}")
    require([a["status"] for a in stage.place.alerts()] == ["open"], "the alert is not open any more")
    stage.say("still indeterminate / unknown_root, the alert is still open")


ENDINGS = (confirmed, disowned, unanswered)


def vendor_file(vendor_id: str, name: str, sources: tuple[tuple[str, str], ...] = ()) -> str:
    """A vendor's configuration with a contact of the team's own, and (kind, URL) of what is read."""
    text = f"""
[vendor]
id = "{vendor_id}"
name = "{name}"
[vendor.packages]
patterns = ["Full-upgrade-package-{vendor_id}*.zip"]
[[vendor.contact]]
name = "{name} product security desk"
phone = "+1 555 0100"
mail = "security@{vendor_id}.example"
"""
    return text + "".join(
        f'\n[[source]]\nkind = "{kind}"\nurl = "{url}"\nallow_loopback_http = true\n' for kind, url in sources
    )


def open_thread(site: VendorSite, root_pem: str) -> Topic:
    """The forum thread in which, after many questions, a member of staff says what happened to the root."""
    thread = site.open_topic(4711, "Upgrade 4.2 fails with an unknown certificate", posts=POSTS)
    post = thread.posts[STAFF_POST - 1]
    post.username, post.staff, post.moderator = "dten_release_team", True, True
    post.cooked = (
        "<p>We have rotated our upgrade signing root CA. Packages from version 4 on are signed under the new root certificate:</p>"
        f"<pre><code>{root_pem}</code></pre>"
    )
    return thread


def play(ending: Callable[[Stage], None], folder: Path, say: Callable[[str], None]) -> None:
    """Set the stage in ``folder`` and play one ending; raises StepFailedError where a step did not hold."""
    pki = VendorPKI.generate("DTEN", datetime.now(UTC))
    folder.mkdir(mode=0o755)
    package = folder / PACKAGE
    package.write_bytes(
        vendor_bundle(pki, {"manifest.json": b'{"version": "4.2"}\n', "firmware.bin": bytes(range(256)) * 512})
    )
    package.chmod(0o644)
    with VendorSite() as site, SMTPServer() as mail, SlackServer() as slack:
        site.publish("Version 4.2 is out", "<p>Upgrade packages for version 4.2 are available for download.</p>")
        thread = open_thread(site, pki.root_pem)
        sources = (("feed", site.feed_url), ("discourse", thread.url))
        place = Installation(
            folder / "installation",
            smtp_port=mail.port,
            slack_webhook=slack.webhook,
            vendors={"dten": vendor_file("dten", "DTEN", sources), "acme": vendor_file("acme", "ACME")},
        )
        place.configure()
        place.start()
        try:
            ending(Stage(place, thread, mail, slack, pki, package, say))
            code = place.stop()
            require(code == 0, f"the daemon ended with {code}")
        except (StepFailedError, OSError, KeyError, IndexError):
            sys.stderr.write(place.log()[-4000:])
            raise
        finally:
            place.stop(9)


def require(holds: object, otherwise: str) -> None:
    """Raise StepFailedError with ``otherwise`` unless ``holds``."""
    if not holds:
        raise StepFailedError(otherwise)


def main(*, keep: bool = False) -> int:
    """Play every ending and print each step; 0 only if all of them held."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rootwarden-demo-"))
    folder.chmod(0o755)
    failed = 0
    for number, ending in enumerate(ENDINGS, 1):
        _print(f"{number}. {(ending.__doc__ or '').strip()}")
        try:
            play(ending, folder / ending.__name__, lambda text: _print(f"   ok  {text}"))
        except StepFailedError as error:
            _print(f"   FAILED  {error}")
            failed += 1
    if keep:
        _print(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    _print(f"{len(ENDINGS) - failed} of {len(ENDINGS)} endings held, {time.monotonic() - started:.0f} s")
    return 0 if failed == 0 else 4


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _text_of(mail: Any) -> str:
    """All text of a mail, attachments included."""
    return "\n".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")


def _attachment(mail: Any, suffix: str) -> str:
    """The text of the attachment whose name ends so."""
    for part in mail.iter_attachments():
        if (part.get_filename() or "").endswith(suffix):
            content = part.get_content()
            return content.decode() if isinstance(content, bytes) else str(content)
    raise StepFailedError(f"the mail has no attachment {suffix}")
