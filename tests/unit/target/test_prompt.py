import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir.parts import Blob, Text, ToolResult, Uri
from modelmux.ir.request import Message, Request
from modelmux.target import prompt


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France, and how large is it?", "en"),
        ("Was ist die Hauptstadt von Frankreich?", "de"),  # codespell:ignore
        ("Quelle est la capitale de la France ?", "fr"),
        ("¿Cuál es la capital de Francia y qué puedo ver en esta ciudad?", "es"),
        ("Qual è la capitale della Francia e cosa si può vedere?", "it"),
        ("Qual é a capital da França e o que não devo perder?", "pt"),
        ("Wat is de hoofdstad van Frankrijk?", "nl"),
        ("Jak się nazywa stolica Francji i co to jest?", "pl"),
        ("Vad är huvudstaden i Frankrike och vad kan jag se?", "sv"),
        ("Bu şehir ne kadar büyük, çok mu güzel?", "tr"),  # codespell:ignore
        ("フランスの首都はどこですか", "ja"),
        ("프랑스의 수도는 어디입니까", "ko"),
        ("法国的首都是哪里", "zh"),
        ("Какой город столица Франции?", "ru"),
        ("Яке місто є столицею Франції?", "uk"),
        ("ما هي عاصمة فرنسا؟", "ar"),
        ("מהי בירת צרפת?", "he"),
        ("Ποια είναι η πρωτεύουσα;", "el"),
        ("फ्रांस की राजधानी क्या है?", "hi"),
        ("เมืองหลวงของฝรั่งเศสคืออะไร", "th"),
        ("12345 !!", ""),
        ("xyzzy plugh", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_question(text: str, language: str):
    assert prompt.language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "Fix this:\n```\nx\n```",
        "def f(x):\n    return x",
        "class A:\n    pass",
        "import os",
        "from os import path",
        "#include <stdio.h>",
        "const a = 1",
        "SELECT a FROM b",
        "function f(a) {\n}",
        "Traceback (most recent call last):",
        "  if (a > b) {",
        "public static void main(String[] args) {",
        "#!/bin/sh",
    ],
)
def test_code_is_seen(text: str):
    assert prompt.has_code(text)


@pytest.mark.parametrize(
    "text",
    ["Hello!", "I import wine from France.", "Let us select a table for us.", "class of 2026"],
)
def test_prose_is_not_code(text: str):
    assert not prompt.has_code(text)


@pytest.mark.parametrize("piece", ["\n", " ", "public a", "if ", "def a", "```"[:2], "const "])
def test_no_text_takes_long(piece: str):
    text = (piece * prompt.MAX_CHARS)[: prompt.MAX_CHARS]
    started = time.perf_counter()
    prompt.has_code(text)
    prompt.language(text)
    assert time.perf_counter() - started < 0.5


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str):
    assert len(prompt.language(text)) in {0, 2}
    assert prompt.has_code(text) in {True, False}


def test_the_question_is_what_the_caller_said_last():
    request = Request(
        "m",
        (
            Message("user", (Text("first"),)),
            Message("assistant", (Text("answer"),)),
            Message("user", (Text("second"), Text("half"))),
            Message("user", (ToolResult("id", (Text("42"),)),)),
        ),
    )
    assert prompt.question(request) == "second\nhalf"


def test_a_conversation_in_which_the_caller_says_nothing_has_no_question():
    assert prompt.question(Request("m", (Message("system", (Text("x"),)),))) == ""


def test_an_image_is_seen_wherever_it_stands():
    image = Blob("image", "image/png", "AAAA")
    assert prompt.has_images(Request("m", (Message("user", (image,)),)))
    assert prompt.has_images(Request("m", (Message("user", (ToolResult("i", (image,)),)),)))
    assert not prompt.has_images(Request("m", (Message("user", (Uri("audio", "https://x"),)),)))
