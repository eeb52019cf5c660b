"""Parts of contents, of requests and of answers, to the neutral model's parts.

A signature may lie on any part. On a function call it goes into the call; on thinking, it is the
thinking's own; on anything else it becomes a `Reasoning` without text that follows the part.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw

from modelmux.errors import GatewayError
from modelmux.ir import signed_ids
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Modality,
    Part,
    Reasoning,
    ResultPart,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire import extra
from modelmux.wire.gemini import foreign, schema
from modelmux.wire.gemini.schema import NAME

ATTACHED = Extra(NAME, {})
"""Marks a signature that stands on the part before it."""

CODE_EXECUTION = "code_execution"
"""What the tool is called that runs the code which the model writes."""

SIGNATURE = "/thoughtSignature"
NO_ARGUMENTS = "/functionCall/args"
"""Marks a call that came without arguments."""

_ABSENT = Raw(b"null")
_EMPTY = Raw(b"{}")

_KINDS = ("toolCall", "toolResponse")
"""Parts of later versions that are known by name only."""

_UPLOADED = ("https://generativelanguage.googleapis.com/", "gs://")
"""Addresses that only Google can read."""

_part = msgspec.json.Decoder(schema.KnownPart)
_server_tool = msgspec.json.Decoder(schema.ServerTool)
_object = msgspec.json.Decoder(dict[str, Raw])


def modality(mime_type: str) -> Modality:
    """What kind of medium a MIME type is; a document where it is none of the others."""
    kind = mime_type.partition("/")[0].lower()
    if kind == "image":
        return "image"
    if kind == "audio":
        return "audio"
    return "video" if kind == "video" else "document"


class Reader:
    """Decodes parts, raising `error`: whose mistake a malformed one is."""

    def __init__(self, error: type[GatewayError], *, keeps_signatures_in_ids: bool) -> None:
        """Make a reader.

        Args:
            error: Raised for what is malformed.
            keeps_signatures_in_ids: Function calls take their signature into their id, so that
                callers of any API send it back.
        """
        self._error = error
        self._in_ids = keeps_signatures_in_ids
        self._part = extra.Schema(schema.KnownPart, error)
        self._blob = extra.Schema(schema.Blob, error)
        self._file = extra.Schema(schema.FileData, error)
        self._call = extra.Schema(schema.FunctionCall, error)
        self._response = extra.Schema(schema.FunctionResponse, error)

    def parts(self, raws: Iterable[Raw], at: str, ids: Callable[[], str]) -> list[Part]:
        """What `raws` say.

        Args:
            raws: The parts as they came.
            at: JSON Pointer of their list, for messages to the caller.
            ids: Makes an id for a call or a result that has none.

        Raises:
            GatewayError: The error given at construction.
        """
        out: list[Part] = []
        for index, raw in enumerate(raws):
            self.add(raw, f"{at}/{index}", ids, out)
        return out

    def add(self, raw: Raw, at: str, ids: Callable[[], str], out: list[Part]) -> None:
        """Put what one part says at the end of `out`. Raises as `parts` does."""
        unknown: Mapping[str, Raw] = {}
        try:
            part = _part.decode(raw)
        except extra.MALFORMED:
            part, unknown = self._part.decode(raw, at)
        else:
            if part.text is not None and part.thought is None and part.thought_signature is None:
                out.append(Text(part.text))
                return
        try:
            made = self._made(part, unknown, raw, at, ids)
        except extra.MALFORMED as exc:  # inside of what was taken as it came
            raise extra.invalid(exc, at, self._error) from None
        out.append(made)
        signature = part.thought_signature
        if signature is not None and not isinstance(made, Reasoning | ToolCall | Generic):
            if isinstance(made, Text) and not made.text and made.extra is None:
                out[-1] = foreign.read("", signature)
            else:
                attached = foreign.read("", signature)
                out.append(msgspec.structs.replace(attached, extra=ATTACHED))

    def _made(
        self,
        part: schema.Part,
        unknown: Mapping[str, Raw],
        raw: Raw,
        at: str,
        ids: Callable[[], str],
    ) -> Part:
        fields = dict(unknown)
        if part.text is not None:
            if part.thought:
                thought = foreign.read(part.text, part.thought_signature)
                kept = extra.keep(fields, NAME, at)
                return msgspec.structs.replace(thought, extra=kept) if kept else thought
            return Text(part.text, extra=extra.keep(fields, NAME, at))
        if part.inline_data:
            return self._media(part.inline_data, fields, at)
        if part.file_data:
            return self._linked(part.file_data, fields, at)
        if part.function_call:
            return self._called(part.function_call, part.thought_signature, fields, at, ids)
        if part.function_response:
            return self._answered(part.function_response, fields, at, ids)
        if part.executable_code:
            id_ = self._tool_id(part.executable_code) or ""
            arguments = bytes(part.executable_code).decode()
            return ServerToolCall(
                id_, CODE_EXECUTION, arguments, NAME, extra.keep(fields, NAME, at)
            )
        if part.code_execution_result:
            id_ = self._tool_id(part.code_execution_result) or ""
            return ServerToolResult(id_, "codeExecutionResult", NAME, self._unsigned(raw))
        return Generic(self._kind(raw), NAME, raw)

    @staticmethod
    def _unsigned(raw: Raw) -> Raw:
        """The part without its signature, which is kept apart."""
        fields = _object.decode(raw)
        fields.pop("thoughtSignature", None)
        return Raw(msgspec.json.encode(fields))

    @staticmethod
    def _kind(raw: Raw) -> str:
        names = [name for name in _object.decode(raw) if name != "thoughtSignature"]
        return next((name for name in names if name in _KINDS), names[0] if names else "part")

    @staticmethod
    def _tool_id(raw: Raw) -> str | None:
        try:
            return _server_tool.decode(raw).id
        except extra.MALFORMED:
            return None

    def _media(self, raw: Raw, fields: dict[str, Raw], at: str) -> Part:
        blob, unknown = self._blob.decode(raw, f"{at}/inlineData")
        fields.update((f"/inlineData{pointer}", value) for pointer, value in unknown.items())
        kept = extra.keep(fields, NAME, at)
        content = _standard(blob.data)
        if content != blob.data:
            kept = Extra(NAME, {**fields, "/inlineData/data": _json(blob.data)}, at)
        kind = modality(blob.mime_type)
        return Blob(kind, blob.mime_type, content, blob.display_name, extra=kept)

    def _linked(self, raw: Raw, fields: dict[str, Raw], at: str) -> Part:
        found, unknown = self._file.decode(raw, f"{at}/fileData")
        fields.update((f"/fileData{pointer}", value) for pointer, value in unknown.items())
        kept = extra.keep(fields, NAME, at)
        uri, mime, name = found.file_uri, found.mime_type, found.display_name
        kind: Modality = modality(mime) if mime else "document"
        if not mime and _is_video(uri):
            kind = "video"
        if uri.startswith(_UPLOADED):
            return File(kind, uri, NAME, mime, name, extra=kept)
        return Uri(kind, uri, mime, name, extra=kept)

    def _called(
        self,
        raw: Raw,
        signature: str | None,
        fields: dict[str, Raw],
        at: str,
        ids: Callable[[], str],
    ) -> ToolCall:
        call, unknown = self._call.decode(raw, f"{at}/functionCall")
        fields.update((f"/functionCall{pointer}", value) for pointer, value in unknown.items())
        id_ = call.id or ids()
        if signature is not None:
            if self._in_ids:
                id_ = signed_ids.join(id_, signature)
            else:
                fields[SIGNATURE] = _json(signature)
        if not call.args or bytes(call.args) == b"null":
            fields[NO_ARGUMENTS] = _ABSENT
        arguments = bytes(call.args or _EMPTY).decode()
        if NO_ARGUMENTS in fields:
            arguments = "{}"
        kept = Extra(NAME, fields, at) if fields else None
        return ToolCall(id_, call.name, arguments, extra=kept)

    def _answered(
        self, raw: Raw, fields: dict[str, Raw], at: str, ids: Callable[[], str]
    ) -> ToolResult:
        found, unknown = self._response.decode(raw, f"{at}/functionResponse")
        fields.update((f"/functionResponse{pointer}", value) for pointer, value in unknown.items())
        content: list[ResultPart] = []
        if found.response:
            content.append(Text(bytes(found.response).decode()))
        media = self.parts(found.parts or (), f"{at}/functionResponse/parts", ids)
        content += [part for part in media if isinstance(part, Blob | Uri | File | Text | Generic)]
        fields["/functionResponse/name"] = _json(found.name)
        return ToolResult(
            found.id or "",
            tuple(content),
            bare=not media,
            extra=Extra(NAME, fields, at),
        )


def _json(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def _is_video(uri: str) -> bool:
    return "youtube.com/" in uri or "youtu.be/" in uri


def _standard(data: str) -> str:
    """Base64 in the standard alphabet, as all other APIs take it."""
    if "-" not in data and "_" not in data and "\n" not in data and len(data) % 4 == 0:
        return data
    try:
        padded = data + "=" * (-len(data) % 4)
        decoded = base64.b64decode(padded.replace("-", "+").replace("_", "/"))
    except (binascii.Error, ValueError):
        return data
    return base64.b64encode(decoded).decode()
