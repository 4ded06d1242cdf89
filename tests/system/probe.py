"""Runs inside the unit, in the daemon's place, and prints what the unit lets through, as JSON. Plain Python, nothing installed.

The keys of ``refused`` are what was tried, the values the name of the error, or "allowed".
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)


def outcome(attempt):
    """The name of the error that ``attempt`` ends in."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "allowed"


def entries(folder):
    """Everything in a folder."""
    return list(Path(folder).iterdir())


def call(name, *arguments):
    """Call a C function and raise OSError as its errno says."""
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def send(address):
    """One datagram: unlike a connection it is told at once that it was refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"", (address, 9))


def status(name):
    """One line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(name + ":"))


(seen_by_others,) = sys.argv[1:]
refused = {
    "write /etc": lambda: Path("/etc/rootwarden/written").write_text(""),
    "write /usr": lambda: Path("/usr/written").write_text(""),
    "see /var/tmp of others": lambda: Path(seen_by_others).stat(),
    "list /home": lambda: entries("/home"),
    "list /root": lambda: entries("/root"),
    "read the credential's source": lambda: entries("/etc/rootwarden/credentials"),
    "writable and executable memory": lambda: mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ),
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "new user namespace": lambda: call("unshare", CLONE_NEWUSER),
    "become root": lambda: os.setuid(0),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "link-local address": lambda: send("169.254.169.254"),
    "multicast address": lambda: send("224.0.0.251"),
}
folder = Path(os.environ["CREDENTIALS_DIRECTORY"])
told = {
    "refused": {name: outcome(attempt) for name, attempt in refused.items()},
    "uid": os.getuid(),
    "status": {name: status(name) for name in ("NoNewPrivs", "CapEff", "CapBnd", "Seccomp")},
    "credentials": {file.name: file.read_text() for file in folder.iterdir()},
    "umask": oct(os.umask(0)),
    "processes": [p.name for p in entries("/proc") if p.name.isdigit() and p.stat().st_uid != os.getuid()],
}
json.dump(told, sys.stdout)
