import msgspec
from msgspec import Raw

from modelmux.ir.parts import Blob, Text
from modelmux.wire.openai_chat import audio
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import WAV


def decode(value: object) -> list[Text | Blob]:
    return audio.decode(Raw(msgspec.json.encode(value)))


@case(71)
def test_a_spoken_answer_is_its_transcript_and_its_sound() -> None:
    text, sound = decode({"id": "audio_1", "data": WAV, "transcript": "Yes.", "expires_at": 9})
    assert isinstance(text, Text)
    assert isinstance(sound, Blob)
    assert text.text == "Yes."
    assert audio.is_transcript(text)
    assert (sound.modality, sound.mime_type, sound.content) == ("audio", "audio/wav", WAV)


def test_sound_without_a_transcript_is_sound_alone() -> None:
    (sound,) = decode({"id": "audio_1", "data": "AAEC"})
    assert isinstance(sound, Blob)
    assert sound.mime_type == "audio/pcm"


def test_an_id_alone_is_no_part() -> None:
    assert decode({"id": "audio_1"}) == []


def test_what_is_no_audio_is_no_part() -> None:
    assert decode(["audio"]) == []


def test_an_ordinary_text_is_no_transcript() -> None:
    assert not audio.is_transcript(Text("Yes."))


def test_sound_comes_back_with_its_own_id() -> None:
    given = {"id": "audio_1", "data": WAV, "transcript": "Yes.", "expires_at": 9}
    _, sound = decode(given)
    assert isinstance(sound, Blob)
    again = msgspec.json.encode(audio.encode(sound, "Yes."))
    assert msgspec.json.decode(again) == given


def test_sound_of_another_wire_has_no_id_that_a_next_turn_could_name() -> None:
    out = audio.encode(Blob("audio", "audio/wav", WAV), "")
    assert out == {"id": "", "data": WAV, "expires_at": 0, "transcript": ""}
