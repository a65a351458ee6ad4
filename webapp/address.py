"""Whom an address stands for, so that nobody takes the place of all others."""

from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

NOBODY = "127.0.0.1"
ONE_HOME = 64  # bits that all IPv6 addresses of one person's line have in common


def whose(address: str) -> str:
    """What all addresses that one person may have, have in common.

    Args:
        address: Of a visitor, or of the proxy before all visitors.

    Returns:
        The address, of IPv6 its network; "" for this computer's own, at which everybody seems to be
        behind a proxy that does not say who asks it.
    """
    try:
        found = ip_address(address)
    except ValueError:  # a name, as in tests
        return address
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback:
        return ""
    return str(ip_network((found, ONE_HOME), strict=False) if found.version == 6 else found)


def who_asks(scope: Scope) -> str:
    """The same of whoever sent a request."""
    return whose(scope["client"][0]) if scope["client"] else ""


class Unnamed:
    """Everything a server answers to, where all come by the addresses of a proxy, as in a Space.

    Args:
        app: What answers; to it, nobody's address tells who that is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a socket."""
        if "client" in scope:
            scope = {**scope, "client": (NOBODY, 0)}
        await self.app(scope, receive, send)
