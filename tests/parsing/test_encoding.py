"""Source text in any encoding: the same symbols, and offsets into the bytes that lie on disk."""

import ast
import codecs

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfcore.parsing.encoding import decode
from perfcore.parsing.extract import extract
from perfcore.parsing.reading import Content, content_hash


def parse(raw: bytes, language: str = "python"):
    return extract(Content(raw, language, content_hash(raw), None), budget=30)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["latin-1", "cp1252", "koi8-r", "shift_jis", "euc-jp", "gb18030", "utf-8", "iso8859-15"]),
    st.text(max_size=20),
)
def test_a_coding_cookie_is_obeyed_as_the_compiler_obeys_it(encoding, noise):
    noise = noise.translate(dict.fromkeys(map(ord, "\r\n\0'\\\x0c\x1a")))
    source = f"# -*- coding: {encoding} -*-\nx = '{noise}'\ndef first(): '{noise}'\nclass Öä: pass\n"
    try:
        raw = source.encode(encoding)
        names = [node.name for node in ast.parse(raw).body if hasattr(node, "name")]
    except (UnicodeError, SyntaxError):
        assume(False)
    result = parse(raw)
    assert [symbol.name for symbol in result.symbols] == names
    for symbol in result.symbols:
        text = raw[symbol.start_byte : symbol.end_byte].decode(encoding)
        assert text.startswith("def" if symbol.kind == "function" else "class")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_is_obeyed(encoding):
    mark = "\ufeff".encode(encoding)
    raw = mark + "/* ä😀 */ class Ä { m() {} }\n".encode(encoding)
    outer, inner = parse(raw, "javascript").symbols
    assert raw[outer.start_byte : outer.end_byte].decode(encoding) == "class Ä { m() {} }"
    assert raw[inner.start_byte : inner.end_byte].decode(encoding) == "m() {}"


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"x = 1\ny = '\xff'\ndef f(): pass\n", 2, 5),
        (b"# coding: ascii\nx = '\xe4'\ndef f(): pass\n", 2, 5),
        (b"# coding: no-such-codec\ndef f(): pass\n", 1, 0),
        (b"# coding: rot13\ndef f(): pass\n", 1, 0),
        (b"# coding: punycode\ndef f(): pass\n", 1, 0),
        (codecs.BOM_UTF16_LE + "x = 1\n".encode("utf-16-le") + b"\x00\xd8", 2, 1),
    ],
)
def test_what_is_no_text_in_its_encoding_is_still_parsed_and_says_where(raw, line, column):
    result = parse(raw)
    assert result.encoding == "unknown-8bit"
    assert (result.syntax_errors[0].line, result.syntax_errors[0].column) == (line, column)
    if b"def f" in raw:
        assert [symbol.name for symbol in result.symbols] == ["f"]


def test_names_that_are_no_text_have_replacement_characters():
    (symbol,) = parse(b"class a\xff {}\n", "java").symbols[:1]
    assert symbol.name.encode()  # a str that can be stored and printed


@given(st.binary(max_size=200), st.sampled_from(["python", "c"]))
def test_decoding_never_raises(raw, language):
    text = decode(raw, language)
    if not text.recoded:
        assert len(text.data) == len(raw)


@settings(deadline=None)
@given(
    st.sampled_from(["", "#!/bin/sh", "  ", "x = 1", "'''"]),
    st.sampled_from(["# coding=latin-1", "#\tvim: set fileencoding=utf_8 :", "x # coding: latin-1"]),
)
def test_a_cookie_counts_where_the_compiler_looks_for_it(first, second):
    raw = f"{first}\n{second}\nx = '\xe9'\n".encode("latin-1")
    try:
        compile(raw, "x", "exec")
        accepted = True
    except SyntaxError:
        accepted = False
    assume(first != "'''")
    assert accepted == (parse(raw).encoding != "unknown-8bit")
