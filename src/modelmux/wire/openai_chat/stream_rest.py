"""What of a stream is kept until its end: fields without a neutral word, and sound."""

from base64 import b64decode, b64encode

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Blob, Extra
from modelmux.wire import extra
from modelmux.wire.openai import values
from modelmux.wire.openai_chat import audio, reasoning, schema
from modelmux.wire.openai_chat.schema import NAME

MAX_KEPT = 32 * 1024 * 1024
"""Most bytes of sound and of fields without a neutral word that are kept until the end."""

_OF_EVERY_CHUNK = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "error", "obfuscation", "x_groq"}
)
_OF_EVERY_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs", "usage", "error"})


class _Logprobs(Struct):
    content: list[Raw] | None = None
    refusal: list[Raw] | None = None


_logprobs = msgspec.json.Decoder(_Logprobs)


class Rest:
    """Collects it. One for each stream."""

    def __init__(self) -> None:
        self.fields: dict[str, Raw] = {}
        self._seen: set[str] = set()  # names that have been taken already
        self._content: list[Raw] = []
        self._refusal: list[Raw] = []
        self._details: list[Raw] = []
        self._sound: list[bytes] = []
        self._spoken: dict[str, Raw] = {}
        self._bytes = 0

    def of_chunk(self, chunk: bytes) -> None:
        """A chunk's own fields, those of earlier chunks aside."""
        fields = values.fields_of(chunk)
        for name, raw in fields.items():
            if name not in _OF_EVERY_CHUNK and name not in self._seen and self._room(raw):
                self._seen.add(name)
                self.fields[f"/{extra.escape(name)}"] = raw

    def of_choice(self, chunk: bytes) -> None:
        """The fields of the first answer's choice."""
        for raw in _items(values.fields_of(chunk).get("choices", Raw())):
            fields = values.fields_of(raw)
            if bytes(fields.get("index", b"0")) in {b"0", b"null"}:
                for name, value in fields.items():
                    if name not in _OF_EVERY_CHOICE and self._room(value):
                        self.fields[f"/choices/0/{extra.escape(name)}"] = value
                return

    def logprobs(self, raw: Raw) -> None:
        """Probabilities of some tokens, which together are a list."""
        try:
            found = _logprobs.decode(raw)
        except extra.MALFORMED:
            return
        if self._room(raw):
            self._content += found.content or ()
            self._refusal += found.refusal or ()

    def detail(self, raw: Raw) -> None:
        """One of `reasoning_details` in a format that is not ours."""
        if self._room(raw):
            self._details.append(raw)

    def sound(self, piece: schema.Audio) -> None:
        """A piece of sound, each in Base64 of its own, and what is said of the whole.

        Raises:
            ProtocolViolation: It is no sound, or there is too much of it.
        """
        if piece.data:
            if not self._room(piece.data):
                raise ProtocolViolation(f"more than {MAX_KEPT} bytes of sound")
            try:
                self._sound.append(b64decode(piece.data))
            except ValueError:
                raise ProtocolViolation("sound that is not Base64") from None
        if piece.id is not None:
            self._spoken["/id"] = Raw(msgspec.json.encode(piece.id))
        if piece.expires_at is not None:
            self._spoken["/expires_at"] = Raw(msgspec.json.encode(piece.expires_at))

    def spoken(self) -> Blob | None:
        """The whole sound, if there was any."""
        if not self._sound:
            return None
        content = b64encode(b"".join(self._sound)).decode()
        return audio.sound(content, extra.keep(self._spoken, NAME))

    def take(self) -> Extra | None:
        """All fields so far, which are so given away."""
        if self._content or self._refusal:
            probs = {"content": self._content or None, "refusal": self._refusal or None}
            self.fields["/choices/0/logprobs"] = Raw(msgspec.json.encode(probs))
        if self._details:
            details = Raw(msgspec.json.encode(self._details))
            self.fields[f"/choices/0/message{reasoning.DETAILS}"] = details
        fields, self.fields = self.fields, {}
        return extra.keep(fields, NAME)

    def _room(self, value: Raw | str) -> bool:
        """Whether there is room for `value`; what there is none for is let go."""
        self._bytes += len(value) if isinstance(value, str) else len(memoryview(value))
        return self._bytes <= MAX_KEPT


def _items(raw: Raw) -> list[Raw]:
    try:
        return values.raws.decode(raw)
    except extra.MALFORMED:
        return []
