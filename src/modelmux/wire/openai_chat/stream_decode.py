"""Streams of `chat.completion.chunk` into events.

Theory of operation: each frame is one chunk, read by `_chunk`. Of its choices only the first
answer is followed. What a delta says goes to `Serial`, which puts parts one after the other.
Usage, the finish reason and fields without a neutral word are noted as they come, from whichever
chunk they come in, and reported by `Finish` at `[DONE]`, or where the stream closes after a finish
reason: servers forget `[DONE]`. A stream that closes before a finish reason was cut, and fails.
"""

from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, Ping, Start
from modelmux.ir.response import NO_USAGE, Failure
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors, usage
from modelmux.wire.openai.chunks import DONE, INTERRUPTED, XGroq
from modelmux.wire.openai.values import present
from modelmux.wire.openai_chat import calls, citations, reasoning, responses, schema
from modelmux.wire.openai_chat.serial import Serial, Slot
from modelmux.wire.openai_chat.stream_rest import Rest

_FRAME = b"data: "
_BETWEEN = b"\n\ndata: "


class Decoder:
    """One stream's bytes in, its events out. Never raises."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._serial = Serial()
        self._calls = _Calls()
        self._rest = Rest()
        self._tags: reasoning.Tags | None = reasoning.Tags()  # until it is clear there are none
        self._talking = False  # the last chunk was text
        self._spelled_out = False  # reasoning has a field of its own beside its details
        self._started = self._ended = False
        self._id = ""
        self._reason: str | None = None  # the API's word
        self._stop_sequence: str | None = None
        self._usage = Raw()  # the last that says something

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            if self._frames.between and (chunks := _plain(data)):
                for chunk in chunks:
                    self._read(chunk, out)
            else:
                for frame in self._frames.feed(data):
                    self._frame(frame, out)
        except ProtocolViolation as exc:
            self._fail(_violation(exc.message), out)
        return out

    def finish(self) -> list[Event]:
        """The events that the end of the stream completes, of which the last is terminal."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.finish():
                self._frame(frame, out)
        except ProtocolViolation:
            pass  # what came of a last frame before the stream broke off
        if not self._ended:
            if self._reason is None:
                self._fail(INTERRUPTED, out)
            else:
                self._end(out)
        return out

    def _frame(self, frame: sse.SSE, out: list[Event]) -> None:
        if frame.event != sse.COMMENT:
            self._read(frame.data, out)
        elif not self._ended:
            out.append(Ping())

    def _read(self, raw: bytes, out: list[Event]) -> None:
        if self._ended:
            return
        if self._talking:
            try:
                delta = schema.plain_chunk.decode(raw).choices[0].delta
            except extra.MALFORMED:
                pass  # it is no such chunk: read it in full
            else:
                if delta.reasoning_content:
                    self._serial.say("reasoning", delta.reasoning_content, out)
                if delta.content:
                    self._serial.say("text", delta.content, out)
                return
        self._talking = False
        try:
            chunk = schema.chunk.decode(raw)
        except extra.MALFORMED as exc:
            if raw.strip() != DONE:
                raise ProtocolViolation(f"a chunk of the stream cannot be read: {exc}") from None
            self._done(out)
        else:
            self._chunk(chunk, raw, out)

    def _chunk(self, chunk: schema.Chunk, raw: bytes, out: list[Event]) -> None:
        choice = chunk.choices[0] if chunk.choices else None
        if choice is not None and choice.index:  # of several answers, the first is followed
            choice = next((other for other in chunk.choices or () if not other.index), None)
        failure = _failure(chunk, choice, raw)
        if failure is not None:
            self._fail(failure, out)
            return
        if not self._started:
            self._start(chunk, raw, out)
        if present(chunk.usage) or chunk.x_groq is not None:
            self._count(chunk.usage, chunk.x_groq)
        if choice is None:
            return
        if choice.delta is not None:
            self._delta(choice.delta, out)
            # Once text is coming, more of it is what comes next.
            said = choice.delta.content or choice.delta.reasoning_content
            self._talking = self._tags is None and isinstance(said, str)
        if choice.finish_reason or present(choice.logprobs) or present(choice.usage):
            self._note(choice, raw, out)

    def _count(self, found: Raw, groq: XGroq | None = None) -> None:
        """Note what was used; the last that says something counts."""
        if not present(found) and groq is not None:
            found = groq.usage
        if usage.decode(found) is not None:
            self._usage = found

    def _start(self, chunk: schema.Chunk, raw: bytes, out: list[Event]) -> None:
        self._rest.of_chunk(raw)
        if not (chunk.id or chunk.choices):
            return  # Azure's first: the prompt's filter results, and neither id nor model
        self._started = True
        self._id = chunk.id or ""
        created = int(chunk.created or 0)
        out.append(Start(self._id, chunk.model or "", created, extra=self._rest.take()))

    def _note(self, choice: schema.ChunkChoice, raw: bytes, out: list[Event]) -> None:
        """What comes once in a while beside a delta."""
        if present(choice.logprobs):
            self._rest.logprobs(choice.logprobs)
        self._count(choice.usage)
        if not choice.finish_reason:
            return
        if choice.finish_reason == "error":
            self._fail(_failed("the model stopped with an error"), out)
            return
        self._reason = choice.finish_reason
        if isinstance(choice.stop_reason, str):
            self._stop_sequence = choice.stop_reason
        self._rest.of_chunk(raw)
        self._rest.of_choice(raw)

    def _delta(self, delta: schema.Delta, out: list[Event]) -> None:
        content = delta.content
        if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
            self._reasoning(delta, out)
        if content:
            if isinstance(content, str):
                if self._tags is None:
                    self._serial.say("text", content, out)
                else:
                    self._tagged(content, out)
            else:
                self._pieces(content, out)
        if delta.tool_calls:
            self._settle(out)
            for call in delta.tool_calls:
                self._call(call, out)
        if (
            delta.refusal
            or delta.function_call is not None
            or delta.annotations
            or delta.audio is not None
            or delta.images
        ):
            self._rarities(delta, out)

    def _settle(self, out: list[Event]) -> None:
        """Something else has come than the text that could have begun with a tag."""
        if self._tags is not None:
            for kind, text in self._tags.finish():
                self._serial.say(kind, text, out)
            self._tags = None

    def _reasoning(self, delta: schema.Delta, out: list[Event]) -> None:
        self._settle(out)  # the server tells thinking from text itself
        if delta.reasoning_content:
            self._serial.say("reasoning", delta.reasoning_content, out)
        elif delta.reasoning:
            self._serial.say("short reasoning", delta.reasoning, out)
        self._spelled_out |= bool(delta.reasoning_content or delta.reasoning)
        details = delta.reasoning_details or []
        for raw, detail in zip(details, reasoning.read_details(details), strict=True):
            own = reasoning.from_detail(detail)
            if own is not None:
                self._serial.sign(own, out)
                continue
            self._rest.detail(raw)
            text = detail.text or detail.summary
            if text and not self._spelled_out:
                self._serial.say("reasoning", text, out)

    def _tagged(self, text: str, out: list[Event]) -> None:
        """The beginning of a text, in which thinking may stand between tags."""
        tags = self._tags or reasoning.Tags()
        for kind, piece in tags.feed(text):
            self._serial.say(kind, piece, out)
        if tags.settled:
            self._tags = None

    def _pieces(self, content: list[schema.ContentDelta], out: list[Event]) -> None:
        """Mistral's content, which has thinking in a list with the text."""
        self._settle(out)
        for piece in content:
            if isinstance(piece.thinking, str):
                self._serial.say("reasoning", piece.thinking, out)
            for thought in piece.thinking if isinstance(piece.thinking, list) else ():
                self._serial.say("reasoning", thought.text or "", out)
            if piece.text:
                self._serial.say("text", piece.text, out)

    def _call(self, delta: schema.ToolCallDelta, out: list[Event]) -> None:
        slot = self._calls.find(delta)
        if slot is None:
            slot = self._calls.add(delta, self._serial.begin(out))
        function, custom = delta.function, delta.custom
        name = (function.name if function else custom.name if custom else None) or ""
        if delta.id or name:
            made_up = calls.made_up_id(self._id, self._calls.count - 1)
            slot.identify(delta.id or made_up, name, delta.type == "custom" or custom is not None)
            self._serial.advance(out)
        if function is not None:
            text = calls.arguments(function.arguments)
        else:
            text = (custom.input if custom is not None else None) or ""
        if text:
            self._serial.extend(slot, text, out)

    def _rarities(self, delta: schema.Delta, out: list[Event]) -> None:
        self._settle(out)
        if delta.refusal:
            self._serial.say("refusal", delta.refusal, out)
        if delta.function_call is not None:
            self._call(schema.ToolCallDelta(0, function=delta.function_call), out)
        for raw in delta.annotations or ():
            self._serial.cite(citations.decode(raw), out)
        for image in delta.images or ():
            if image.image_url is not None:
                found = image.image_url
                url = found if isinstance(found, str) else found.url
                self._serial.add(responses.drawn(url), out)
        if delta.audio is not None:
            if delta.audio.transcript:
                self._serial.say("transcript", delta.audio.transcript, out)
            self._rest.sound(delta.audio)

    def _done(self, out: list[Event]) -> None:
        if not self._started:
            self._fail(INTERRUPTED, out)
        else:
            self._end(out)

    def _end(self, out: list[Event]) -> None:
        if not self._started:  # a finish reason alone: there is nothing that could have begun
            out.append(Start(self._id, ""))
        self._settle(out)
        sound = self._rest.spoken()
        if sound is not None:
            self._serial.add(sound, out)
        self._serial.advance(out, end=True)
        kept = self._rest.fields
        kept.update(usage.kept_reason(self._reason, called=self._calls.count > 0))
        if self._usage:
            kept["/usage"] = self._usage
        reason, counted = usage.reason(self._reason), usage.decode(self._usage) or NO_USAGE
        out.append(Finish(reason, counted, self._stop_sequence, self._rest.take()))
        self._ended = True

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        out.append(Fail(failure))


class _Calls:
    """The tool calls of a stream, by what its chunks say of them.

    A call is known by its index, and by its id where a server gives every call index 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self._by_index: dict[int, Slot] = {}
        self._by_id: dict[str, Slot] = {}
        self._last: Slot | None = None

    def find(self, delta: schema.ToolCallDelta) -> Slot | None:
        """The call that `delta` says more of; `None`: it is a new one."""
        if delta.id and delta.id in self._by_id:
            return self._by_id[delta.id]
        slot = self._last if delta.index is None else self._by_index.get(delta.index)
        if slot is not None and delta.id and slot.call_id and slot.call_id != delta.id:
            return None
        return slot

    def add(self, delta: schema.ToolCallDelta, slot: Slot) -> Slot:
        self.count += 1
        if delta.index is not None:
            self._by_index[delta.index] = slot
        if delta.id:
            self._by_id[delta.id] = slot
        self._last = slot
        return slot


def _plain(data: bytes) -> list[bytes] | None:
    """The chunks in `data` where it is whole frames of one line each, as nearly always."""
    if not (data.startswith(_FRAME) and data.endswith(b"\n\n")) or data.find(b"\r") >= 0:
        return None
    if data.find(b"\n") == len(data) - 2:
        return [data[len(_FRAME) : -2]]
    chunks = data[len(_FRAME) : -2].split(_BETWEEN)
    return chunks if data.count(b"\n") == 2 * len(chunks) else None


def _failure(chunk: schema.Chunk, choice: schema.ChunkChoice | None, raw: bytes) -> Failure | None:
    """The error that a chunk is, for all that the stream began with 200."""
    if chunk.error and present(chunk.error):
        return errors.from_error(chunk.error)
    if choice is not None and choice.error and present(choice.error):
        return errors.from_error(choice.error)
    return errors.from_error(Raw(raw)) if chunk.object == "error" else None


def _failed(message: str) -> Failure:
    return Failure("unavailable", message, "error", status=502)


def _violation(message: str) -> Failure:
    return Failure("unavailable", message, "protocol_violation", status=502)
