"""What an Android OTA archive carries below its whole-file signature: a JAR signature, and the signatures of its payload.bin. Reported."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.android_payload import read_payload
from trust_store.decode.zip_directory import LOCAL, STORED
from trust_store.errors import READ_ERRORS
from trust_store.formats.apk_walk import member_content
from trust_store.formats.jar_contents import JarContents, has_signature, related_members
from trust_store.formats.member_digests import MemberDigests
from trust_store.formats.members import SliceSource
from trust_store.formats.payload_contents import PayloadDigests, payload_facts
from trust_store.formats.side_signatures import problem_of
from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignatureRole
from trust_store.signatures import android_payload, jar

if TYPE_CHECKING:
    from trust_store.decode.android_payload import Payload
    from trust_store.decode.zip_archive import MemberSink
    from trust_store.decode.zip_directory import Directory, Member
    from trust_store.formats.protocol import PackageSource, ReadLimits
    from trust_store.model.package_facts import Problem

PAYLOAD = "payload.bin"


class OTAContents:
    """Read before the pass, fed in it by ``sink_of``, asked for ``facts`` after it."""

    def __init__(self, source: PackageSource, directory: Directory, limits: ReadLimits) -> None:
        self._names = [member.name for member in directory.members]
        self._sinks: dict[str, MemberDigests] = {}
        self._jar, self._jar_problem = _read_jar(source, directory, limits)
        self._payload: tuple[PackageSource, Payload, PayloadDigests] | None = None
        self._payload_problem: Problem | None = None
        member = next((member for member in directory.members if member.name == PAYLOAD), None)
        if member is not None and member.method == STORED and member.size:
            slice_ = SliceSource(source, member.header_offset + _header_bytes(source, member), member.size)
            try:
                payload = read_payload(slice_)
                self._payload = slice_, payload, PayloadDigests(payload)
            except READ_ERRORS as error:
                self._payload_problem = problem_of(error)

    def sink_of(self, member: Member) -> MemberSink | None:
        """Who takes the content of ``member``."""
        digests = self._payload[2] if self._payload is not None and member.name == PAYLOAD else None
        wanted = self._jar.wanted(member.name) if self._jar is not None else frozenset[str]()
        if not wanted:
            return digests
        sink = self._sinks.setdefault(member.name, MemberDigests(wanted))
        return sink if digests is None else _Both(sink, digests)

    def facts(self) -> tuple[SignatureFact, ...]:
        """All signatures found; none of them passes the package."""
        found: list[SignatureFact] = []
        if self._jar is not None:
            digests = {name: sink.digests for name, sink in self._sinks.items()}
            try:
                judged = self._jar.judge(digests, self._names, scheme=jar.JAR)
                found += [replace(fact, role=SignatureRole.REPORTED) for fact in judged.facts]
            except READ_ERRORS as error:
                self._jar_problem = problem_of(error)
        if self._payload is not None:
            source, payload, states = self._payload
            found += payload_facts(source, payload, states, role=SignatureRole.REPORTED)
        for scheme, problem in ((jar.JAR, self._jar_problem), (android_payload.PAYLOAD, self._payload_problem)):
            if problem is not None:
                fact = SignatureFact(scheme, SignatureOrigin.EMBEDDED, None, problem, role=SignatureRole.REPORTED)
                found.append(fact)
        return tuple(found)


class _Both:
    """Two sinks for one member."""

    def __init__(self, *sinks: MemberSink) -> None:
        self._sinks = sinks

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        for sink in self._sinks:
            sink.update(data)


def _read_jar(
    source: PackageSource, directory: Directory, limits: ReadLimits
) -> tuple[JarContents | None, Problem | None]:
    if not has_signature(member.name for member in directory.members):
        return None, None
    try:
        related = related_members(directory.members, limits)
        contents = {member.name: member_content(source, member, member.size) for member in related}
        return JarContents(contents, directory.members, limits), None
    except READ_ERRORS as error:
        return None, problem_of(error)


def _header_bytes(source: PackageSource, member: Member) -> int:
    fields = LOCAL.unpack(source.read_at(member.header_offset, LOCAL.size).ljust(LOCAL.size, b"\0"))
    return LOCAL.size + int(fields[9]) + int(fields[10])
