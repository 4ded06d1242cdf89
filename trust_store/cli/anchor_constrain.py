"""``rootwarden anchor constrain``: whose signatures count under an anchor, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.decision_arguments import DIGESTS, LIMIT_ARGUMENTS, REVOCATION
from trust_store.model.trust_anchor import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def _many(option: str, name: str, metavar: str, text: str) -> Callable[[_Function], _Function]:
    return click.option(option, name, multiple=True, metavar=metavar, help=text)


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--dedicated", is_flag=True, help="This CA issues for this vendor only.")
@_many("--signer-subject", "signer_subject", "ATTRIBUTE=VALUE", "Exact subject attribute; all must hold.")
@_many("--signer-spki", "signer_spki", "SHA256", "Pin of an allowed signer's public key.")
@_many("--signer-san", "signer_san", "KIND=VALUE", "Subject alternative name of the signer: dns, email, uri, ip or dn.")
@_many("--issuer-spki", "issuer_spki", "SHA256", "Pin of a CA between anchor and signer.")
@_many("--team-id", "team_id", "ID", "Apple team id of the signer.")
@_many("--eku", "eku", "OID", "Extended key usage of the signer.")
@_many("--policy", "policy", "OID", "Certificate policy of the signer.")
@_many("--product", "products", "PATTERN", "Only for files of such names.")
@_many("--format", "formats", "NAME", "Only for these package formats.")
@click.option(
    "--purpose", "purposes", multiple=True, type=click.Choice([p.value for p in Purpose]), help="Only for these uses."
)
@click.option("--valid-from", metavar="TIME", help="Accepted from then on, ISO 8601 with zone.")
@click.option("--valid-until", metavar="TIME", help="Accepted until then.")
@click.option(
    "--distrust-after",
    metavar="TIME",
    help="What was issued later, or is not shown to be signed before, does not count.",
)
@click.option("--max-path-length", type=click.IntRange(0, 100), help="How many CAs may stand between.")
@_many("--permit-name", "permitted_names", "KIND=VALUE", "Names below the anchor (RFC 5280 4.2.1.10).")
@_many("--exclude-name", "excluded_names", "KIND=VALUE", "Names not below the anchor.")
@click.option("--minimum-rsa-bits", type=click.IntRange(1, 16384), help="The shortest RSA key of package and path.")
@click.option(
    "--digest", "digests", multiple=True, type=click.Choice(DIGESTS), help="Only signatures with these digests."
)
@click.option("--revocation", type=click.Choice(REVOCATION), help="Whether revocation lists are asked for.")
@click.option(
    "--clear", multiple=True, type=click.Choice(sorted(LIMIT_ARGUMENTS)), help="Take a limit of a pending anchor away."
)
@click.option(
    "--follow-rotation/--no-follow-rotation", default=None, help="On record only: no proof of rotation counts yet."
)
@JSON_OPTION
def command(anchor_id: str, *, as_json: bool, **rules: Any) -> int:
    """State under which rules an anchor is accepted: a signer rule as a whole, limits one by one.

    The rules of a pending anchor are free, and approvals given before are void: they were for other rules. Those of a valid or
    superseded anchor can only be narrowed, by one person and at once. Of --signer-spki and every option after it to --policy one value
    given suffices; all kinds of conditions given must hold.

    \b
    Examples:
      rootwarden anchor constrain anchor_01J... --dedicated
      rootwarden anchor constrain anchor_01J... --signer-subject "O=Example Inc" --signer-subject "OU=Firmware"
      rootwarden anchor constrain anchor_01J... --product "camera-*.zip" --format zip --valid-until 2027-01-01T00:00:00Z
      rootwarden anchor constrain anchor_01J... --distrust-after 2026-03-01T00:00:00Z
    """
    arguments = stated({k: v for k, v in rules.items() if k not in ("follow_rotation", "max_path_length")})
    for name in ("follow_rotation", "max_path_length"):  # false and nought say something here
        if rules[name] is not None:
            arguments[name] = rules[name]
    return decide("anchor.constrain", {"anchor": anchor_id, **arguments}, as_json=as_json)
