"""What each grammar's definitions and imports become."""

# ruff: noqa: E501 (the sources are other languages' lines)

import pytest

from perfcore.parsing.extract import extract
from perfcore.parsing.languages import LANGUAGES
from perfcore.parsing.reading import Content, content_hash
from perfcore.parsing.result import Kind

SOURCES = {
    "javascript": """
import d, {a as b, c} from 'm'; import * as ns from "n"; import 's';
export {x as y} from 'p'; export * from 'q'; export * as all from 'z';
const r = require('r'), later = () => import("t");
function f() { function inner() {} }
function* gen() {}
class A extends B { static x = () => 1; #p() {} get v() { return 1 } constructor() { super() } y = 1 }
const g = async () => { class Local { m() {} } }, h = class Named { n() {} };
const o = { k: function () {}, m() {}, 'q-r': () => 1, deep: { z() {} } };
exports.a.b = function () {}; module.exports = class { s() {} }; A.prototype.t = () => {};
(function () { function hidden() {} })();
call(class Mixin extends X { mix() {} }, function named() {});
export default function () {}
a[0] = function () {}; ({e} = function () {});
""",
    "typescript": """
import x = require('r'); import type {T} from 't'; import def from './d';
namespace N.M { export interface I { m(): void; p: string } }
declare module "foo.bar" { function f(): void; }
abstract class A<T> { abstract g(): void; private h = () => 1; @dec k<U>() {} }
type X = { a: 1, call(): void }; enum E { A } declare function ff(): void; const enum CE { B }
export default class { d() {} }
""",
    "tsx": "export const App: FC<P> = ({a}: P) => { const f = () => 1; return <div onClick={() => f()}>{a}</div> }\n",
    "java": """
package a.b; import java.util.List; import static a.B.c; import x.y.*;
@Ann public class A<T> {
  A() {} void m() { Runnable r = new Runnable() { public void run() {} }; class L {} }
  interface I { int f(); } enum E { X { void z() {} }, Y; void q() {} } record R(int a) { R {} }
  @interface An { int v(); } }
""",
    "go": """
package p
import ( a "x/y"
 . "z"
 _ "side" )
import "q"
type S struct { a int }
type I interface { M(x int) error }
type ( A = B; F func() )
func (s *S[T]) M() { if true { type D int } }
func F2[T any]() { type L struct{} }
func (S) N() {}
""",
    "rust": """
use std::{a, b as c, d::{self, e::*}}; use f; use g::h as _; extern crate i as j;
mod m { pub struct S<T> { t: T } } mod n;
impl<T> Tr for m::S<T> where T: X { fn f(&self) { fn inner() {} } } impl S { const A: i32 = 1; fn new() {} }
trait T2 { fn q(); fn r() {} type Z; } enum E { A } union U { a: u8 } type Al = u8; macro_rules! mm { () => {} }
fn main() { struct L; if x { fn nested() {} } }
""",
    "c": """
#include <a.h>
#include "b.h"
#define M(x) x
#define K 1
struct S { int a; struct N { int b; } n; };
typedef struct { int a; struct In { int q; } in; } T, *PT;
typedef struct Named { int a; } Alias;
typedef int (*fn)(int);
enum E { A }; union U { int a; };
int *f(int a) { struct L { int x; }; return 0; }
int (*g(void))(int) { return 0; }
int proto(void); struct S mentioned; struct S *k() {}
static int old(a) int a; {}
#if X
int h() {}
#else
int hh() {}
#endif
""",
    "cpp": """
#include <vector>
namespace a::b { class C : public D { public: C(); ~C() {} void m() const {} int operator+(int) { return 1; }
  template <class T> T t() {} struct In {}; virtual void p() = 0; C(int) = default;
  operator bool() const { return 1; } friend void fr() {} }; }
void a::b::C::q() {}
a::b::C::~C() {}
template <> struct X<int> { void y() {} };
enum class E : int { A }; using Al = int; namespace { void anon() {} }
template <class T> void X<T>::z() {}
template <class T> concept Co = true;
int &X::operator[](int) {} auto tr() -> int {} inline namespace v1 { int w() {} }
extern "C" { int cc() {} }
""",
}

EXPECTED = {
    "javascript": """
function f, function f.inner, function gen, class A, method A.x, method A.#p, method A.v, method A.constructor,
function later, function g, class g.Local, method g.Local.m, class h, method h.n,
method o.k, method o.m, method o.q-r, method o.deep.z,
function exports.a.b, class module.exports, method module.exports.s, function A.prototype.t,
function hidden, class Mixin, method Mixin.mix, function named, function default
""",
    "typescript": """
module N.M, interface N.M.I, method N.M.I.m, module foo.bar, function foo.bar.f, class A, method A.g, method A.h,
method A.k, type X, method X.call, enum E, function ff, enum CE, class default, method default.d
""",
    "tsx": "function App, function App.f",
    "java": """
class A, method A.A, method A.m, method A.m.run, class A.m.L, interface A.I, method A.I.f, enum A.E, method A.E.X.z,
method A.E.q, class A.R, method A.R.R, interface A.An, method A.An.v
""",
    "go": """
struct S, interface I, method I.M, type A, type F, method S.M, type S.M.D, function F2, struct F2.L, method S.N
""",
    "rust": """
module m, struct m.S, module n, method S.f, function S.f.inner, method S.new, trait T2, method T2.q, method T2.r,
type T2.Z, enum E, union U, type Al, macro mm, function main, struct main.L, function main.nested
""",
    "c": """
macro M, macro K, struct S, struct S.N, struct T, struct T.In, type PT, struct Named, type Alias, type fn, enum E,
union U, function f, struct f.L, function g, function k, function old, function h, function hh
""",
    "cpp": """
module a.b, class a.b.C, method a.b.C.~C, method a.b.C.m, method a.b.C.operator+, method a.b.C.t, struct a.b.C.In,
method a.b.C.C, method a.b.C.operator bool, method a.b.C.fr, method a.b.C.q, method a.b.C.~C, struct X, method X.y,
enum E, type Al, function anon, method X.z, type Co, method X.operator[], function tr, module v1, function v1.w,
function cc
""",
}

IMPORTS = {
    "javascript": [
        ("m", "default", "d"), ("m", "a", "b"), ("m", "c", None), ("n", "*", "ns"), ("s", None, None),
        ("p", "x", "y"), ("q", "*", None), ("z", "*", "all"), ("r", None, None), ("t", None, None),
    ],
    "typescript": [("r", None, "x"), ("t", "T", None), ("./d", "default", "def")],
    "tsx": [],
    "java": [("java.util", "List", None), ("a.B", "c", None), ("x.y", "*", None)],
    "go": [("x/y", None, "a"), ("z", "*", None), ("side", None, "_"), ("q", None, None)],
    "rust": [
        ("std", "a", None), ("std", "b", "c"), ("std", "d", None), ("std::d::e", "*", None), ("f", None, None),
        ("g", "h", "_"), ("i", None, "j"),
    ],
    "c": [("a.h", None, None), ("b.h", None, None)],
    "cpp": [("vector", None, None)],
}  # fmt: skip


def parse(language: str, source: str):
    raw = source.encode()
    return extract(Content(raw, language, content_hash(raw), None), budget=30)


@pytest.mark.parametrize("language", SOURCES)
def test_definitions(language):
    result = parse(language, SOURCES[language])
    assert [issue.message for issue in result.syntax_errors] == []
    found = [f"{symbol.kind} {symbol.qualified_name}" for symbol in result.symbols]
    assert sorted(found) == sorted(" ".join(EXPECTED[language].split()).split(", "))
    assert [s.start_byte for s in result.symbols] == sorted(s.start_byte for s in result.symbols)


@pytest.mark.parametrize("language", SOURCES)
def test_imports(language):
    result = parse(language, SOURCES[language])
    assert [(i.module, i.name, i.alias) for i in result.imports] == IMPORTS[language]


def test_every_language_and_every_kind_is_covered_here():
    kinds = {kind for names in EXPECTED.values() for kind in [n.split()[0] for n in names.split(", ")]}
    assert {*SOURCES, "python"} == {*LANGUAGES}
    assert kinds == {*Kind.__args__}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_file_has_nothing_in_it(language):
    result = parse(language, "")
    assert (result.symbols, result.imports, result.syntax_errors, result.size) == ((), (), (), 0)


@pytest.mark.parametrize(
    ("language", "source"),
    [("cpp", "template <class T>\nvoid f() {}\n"), ("javascript", "export default\nfunction f() {}\n")],
)
def test_what_stands_before_a_definition_belongs_to_its_first_line(language, source):
    (symbol,) = parse(language, source).symbols
    assert (symbol.first_line, symbol.start_line) == (1, 2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_bytes_give_a_result(language):
    for junk in (
        b"\xff\xfe" * 50,
        b"\xc3(" * 99,
        bytes(range(1, 256)),
        b"class \xff{} function \xff() {}",
        b"{" * 999,
    ):
        raw = junk + SOURCES.get(language, "class A: pass\n").encode()
        result = extract(Content(raw, language, content_hash(raw), None), budget=30)
        assert result.size == len(raw)
        assert all(0 <= s.start_byte <= s.end_byte <= len(raw) for s in result.symbols)
