"""What the tests of key files share: a file of each kind, an armoured key, and the errors that a file may end in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.key_files_craft import make_folder
from tests.trust_store.openpgp_craft import CraftedKey
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

READ_ERRORS = (MalformedError, ResourceLimitError, UnsupportedError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind."""
    return make_folder(tmp_path_factory.mktemp("keys") / "of")


def armored(key: CraftedKey) -> bytes:
    """The key as an armoured block."""
    body = base64.encodebytes(key.certificate).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}-----END PGP PUBLIC KEY BLOCK-----\n".encode()
