"""What a credential is: header fields that are ready to send, and a way to get others."""

from typing import Protocol


class Credential(Protocol):
    """One credential of one provider. For one event loop; safe to share there.

    Neither its `repr` nor its errors hold a secret.
    """

    @property
    def identity(self) -> object:
        """Equal for credentials that would be shown to the provider alike: hash it, never show it.

        What may have become another one by itself, such as the content of a file, is only itself.
        """
        ...

    def block(self) -> bytes | None:
        """Header fields that are good now, each ended by CRLF; `None`: `refresh` first.

        This is on the path of every request: it does no I/O and never waits.
        """
        ...

    async def refresh(self) -> bytes:
        """Header fields, got anew if those at hand are not good. Concurrent callers share it.

        Raises:
            CredentialRefused: Whoever issues tokens refused, or there is nothing to ask with.
            Unreachable: The issuer could not be reached, or did not answer in time.
        """
        ...

    def expire(self, block: bytes) -> bool:
        """The provider refused `block`, which came from here: do not give it again.

        Returns whether another can be had; a static key is what it is.
        """
        ...

    async def aclose(self) -> None: ...
