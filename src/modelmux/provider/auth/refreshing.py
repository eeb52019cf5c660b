"""Credentials that expire: got when first needed, and got again before they do.

Theory of operation. A token is *fresh* until shortly before it expires, then *stale*: still
good, and another is fetched behind its back; then it is no token. A fetch blocks, so it runs in
a thread. There is at most one at a time, which everybody waits for who has to wait; it belongs
to nobody, so whoever is cancelled leaves it to the others. What a provider's library and the HTTP
client cost at start, about 0.2 s, is spent at the first fetch and not before.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider import headers

STALE_BEFORE_S: Final = 225.0
"""A token is fetched again this long before it expires. Google's metadata server gives the same
one until about 5 minutes before, so sooner would be in vain (google-auth has the same figure)."""
EXPIRED_BEFORE_S: Final = 10.0
"""A token is not sent in the last seconds of its life: it would expire on the way."""
RETRY_BEHIND_S: Final = 10.0
"""Pause between fetches that fail while the token at hand is still good."""

_log = logging.getLogger(__name__)


class Token(Struct, frozen=True):
    """An access token."""

    value: str
    expires_at_s: float
    """Unix time."""

    @override
    def __repr__(self) -> str:
        return f"Token(…, {self.expires_at_s})"


class Issuer(Protocol):
    """Where tokens come from. Used by one thread at a time."""

    def check(self) -> tuple[str, ...]:
        """Warnings about the credentials, which are read and not used.

        Raises:
            ConfigError: They cannot be read, or are none.
        """
        ...

    def fetch(self) -> Token:
        """A new token. Blocks.

        Raises:
            CredentialRefused: The issuer refused, or there is nothing to ask with.
            Unreachable: It did not answer.
        """
        ...

    def close(self) -> None: ...


class Refreshing:
    """Access tokens as header fields. For one event loop."""

    def __init__(
        self,
        name: str,
        issuer: Callable[[], Issuer],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a credential; nothing is read or fetched.

        Args:
            name: What messages call it.
            issuer: Makes what tokens come from, when the first is needed; may raise
                `ConfigError`.
            clock: Unix time. Not a monotonic clock: those stop while a machine sleeps, and
                tokens expire all the same.
        """
        self._name = name
        self._make_issuer = issuer
        self._issuer: Issuer | None = None
        self._clock = clock
        self._block = b""
        self._stale_at = self._expired_at = 0.0
        self._fetching: asyncio.Future[_Ready] | None = None
        self._is_closed = False

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def identity(self) -> object:
        """Only itself: what it is made of may have been replaced."""
        return self

    def check(self) -> tuple[str, ...]:
        """Warnings about the credentials, which are read now. Blocks; tokens are not fetched.

        Raises:
            ConfigError: They cannot be read or are none, or a library is not installed.
        """
        return self._issue().check()

    def block(self) -> bytes | None:
        """The header field, if there is a token that is good now.

        Where it is stale, another is fetched meanwhile.
        """
        now = self._clock()
        if now < self._stale_at:
            return self._block
        if now >= self._expired_at:
            return None
        if self._fetching is None and not self._is_closed:
            # Until this fetch has failed, nobody needs to look again.
            self._stale_at = now + RETRY_BEHIND_S
            self._fetch().add_done_callback(self._note_failure)
        return self._block

    async def refresh(self) -> bytes:
        """The header field with a token that is good now; another is fetched if need be.

        Raises:
            CredentialRefused: The issuer refused, or there is nothing to ask with.
            Unreachable: It did not answer.
        """
        block = self.block()
        if block is not None:
            return block
        try:
            # Shielded: whoever is cancelled here is not the only one who waits.
            ready = await asyncio.shield(self._fetching or self._fetch())
        except (CredentialRefused, Unreachable) as error:
            # Each who waits gets an error of its own, to note in it what it tried.
            raise type(error)(error.message) from error
        return ready.block

    def expire(self, block: bytes) -> bool:
        """The provider refused `block`: if it is the token at hand, do not give it again."""
        if block == self._block:
            self._stale_at = self._expired_at = 0.0
        return True

    async def aclose(self) -> None:
        """Give back connections. A fetch under way is left to fail by itself."""
        self._is_closed = True
        if self._issuer is not None:
            self._issuer.close()

    def _shown(self, token: Token) -> bytes:
        """What `block` gives of a token."""
        return headers.field("authorization", f"Bearer {token.value}")

    def _issue(self) -> Issuer:
        if self._issuer is None:
            self._issuer = self._make_issuer()
        return self._issuer

    def _fetch(self) -> "asyncio.Future[_Ready]":
        if self._is_closed:
            raise Unreachable(f"{self._name}: its credentials were closed")
        loop = asyncio.get_running_loop()
        fetching = self._fetching = loop.run_in_executor(None, self._fetch_in_thread)
        # First in line, so that whoever waits finds the new token in place.
        fetching.add_done_callback(self._take)
        return fetching

    def _fetch_in_thread(self) -> "_Ready":
        try:
            token = self._issue().fetch()
            return _Ready(self._shown(token), token.expires_at_s)
        except ConfigError as error:
            # Seen only now that it is needed: nobody checked, or the file is gone since.
            message = f"{self._name}: {error.message} ({error.hint})"
            raise CredentialRefused(message) from error
        except (CredentialRefused, Unreachable) as error:
            raise type(error)(f"{self._name}: {error.message}") from error

    def _take(self, fetching: "asyncio.Future[_Ready]") -> None:
        self._fetching = None
        if fetching.cancelled() or fetching.exception() is not None:
            return
        ready = fetching.result()
        self._block = ready.block
        self._expired_at = ready.expires_at_s - EXPIRED_BEFORE_S
        # Not at once again, however short its life is.
        soonest = self._clock() + RETRY_BEHIND_S
        stale_at = max(ready.expires_at_s - STALE_BEFORE_S, soonest)
        self._stale_at = min(stale_at, self._expired_at)

    def _note_failure(self, fetching: "asyncio.Future[_Ready]") -> None:
        if fetching.cancelled():
            return
        error = fetching.exception()
        if error is not None:
            left_s = self._expired_at - self._clock()
            _log.warning("%s; the token at hand is good for %.0f s more", error, left_s)


class _Ready(Struct, frozen=True):
    """A token as it is sent."""

    block: bytes
    expires_at_s: float
