# SPDX-License-Identifier: Apache-2.0
"""The generated table against the headers, as two compilers understand them."""
from __future__ import annotations

import ctypes
import enum
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

from libdeep import _declarations as declarations

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import public_api  # noqa: E402

# Names of C types, printed by the compiler that resolved the typedefs; const, which ctypes lacks, is left out.
PROBE = """
#include <deep/deep.h>
#include <cstdint>
#include <cstdio>
template <class T> struct Name; // a type that is not listed ends the compilation
template <class T> struct Name<const T> : Name<T> {};
template <class T> struct Name<T *> { static void print() { Name<T>::print(); std::printf(" *"); } };
template <class T, unsigned long n> struct Name<T[n]> {
    static void print() { Name<T>::print(); std::printf("[%lu]", n); }
};
template <class R, class... A> struct Name<R (*)(A...)> {
    static void print() {
        Name<R>::print();
        std::printf("(");
        (..., (Name<A>::print(), std::printf(",")));
        std::printf(")");
    }
};
#define NAMED(type, text) template <> struct Name<type> { static void print() { std::printf(text); } };
#define SHOW(what, type) std::printf(what " "), Name<type>::print(), std::printf("\\n")
NAMED(void, "void") NAMED(char, "char") NAMED(float, "float") NAMED(double, "double") NAMED(std::int32_t, "int32")
NAMED(std::int64_t, "int64") NAMED(std::uint8_t, "uint8") NAMED(std::uint64_t, "uint64")
@NAMED@
int main()
{
@SHOWN@
}
"""


def described(kind):
    """A ctypes type in the words of the probe."""
    if kind is None:
        return "void"
    if kind in (ctypes.c_void_p, ctypes.c_char_p):
        return "void *" if kind is ctypes.c_void_p else "char *"
    if issubclass(kind, ctypes.Structure):
        return kind.__name__
    if issubclass(kind, ctypes._Pointer):
        return described(kind._type_) + " *"
    if issubclass(kind, ctypes.Array):
        return f"{described(kind._type_)}[{kind._length_}]"
    if issubclass(kind, ctypes._CFuncPtr):
        return prototype(kind._restype_, kind._argtypes_)
    names = {ctypes.c_char: "char", ctypes.c_float: "float", ctypes.c_double: "double", ctypes.c_int32: "int32",
             ctypes.c_int64: "int64", ctypes.c_uint8: "uint8", ctypes.c_uint64: "uint64"}
    return names[kind]


def prototype(result, parameters):
    return f"{described(result)}({''.join(described(kind) + ',' for kind in parameters)})"


def structs():
    """Name -> class, of the structs with fields."""
    return {name: value for name, value in vars(declarations).items()
            if isinstance(value, type) and issubclass(value, ctypes.Structure) and hasattr(value, "_fields_")}


def enumerations():
    return [value for value in vars(declarations).values()
            if isinstance(value, type) and issubclass(value, enum.IntEnum) and value is not enum.IntEnum]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What the C++ compiler sees: 'function' or 'struct.field' -> its type."""
    names = set(public_api.handles()) | set(public_api.fields())
    named = "\n".join(f'NAMED({name}, "{name}")' for name in sorted(names))
    shown = [f'SHOW("{name}", decltype(&{name}));' for name in public_api.functions()]
    shown += [f'SHOW("{name}.{field}", decltype({name}::{field}));'
              for name, fields in public_api.structs().items() for field in fields]
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.cpp").write_text(PROBE.replace("@NAMED@", named).replace("@SHOWN@", "\n".join(shown)))
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++17", "-w", "-c", "-I", str(ROOT / "include"), "probe.cpp"],
                   check=True, cwd=folder)
    # Only addresses of functions are named, in unevaluated operands: the program needs no library.
    subprocess.run([os.environ.get("CXX", "c++"), "probe.o", "-o", "probe"], check=True, cwd=folder)
    output = subprocess.run([str(folder / "probe")], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in output.splitlines())


@pytest.fixture(scope="module")
def measured():
    """What the C compiler sees: (struct, field or '-') -> offset or size, (constant, '=') -> value."""
    spec = importlib.util.spec_from_file_location("make_layout", ROOT / "scripts" / "make-layout.py")
    make_layout = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_layout)
    rows = make_layout.measure(public_api.structs(), public_api.enumerators() + list(public_api.macros()))
    return {(name, field): int(value) for name, field, value in rows}


def test_every_header_declaration_was_read():
    declared = sum(path.read_text().count("\nDEEP_API ") for path in public_api.HEADERS)
    assert len(public_api.functions()) == len(public_api.prototypes()) == declared > 100
    assert sum(path.read_text().count("typedef struct") for path in public_api.HEADERS) == \
        len(public_api.handles()) + len(public_api.fields())


def test_functions_are_those_of_the_headers_in_name_and_type(compiled):
    table = {name: prototype(*types) for name, types in declarations.FUNCTIONS.items()}
    assert table == {name: text for name, text in compiled.items() if "." not in name}


def test_fields_are_those_of_the_headers_in_name_order_and_type(compiled):
    table = {f"{name}.{field}": described(kind) for name, struct in structs().items() for field, kind in struct._fields_}
    assert list(table.items()) == [(name, text) for name, text in compiled.items() if "." in name]


def test_sizes_and_offsets_are_the_compilers(measured):
    table = {(name, "-"): ctypes.sizeof(struct) for name, struct in structs().items()}
    for name, struct in structs().items():
        table.update({(name, field): getattr(struct, field).offset for field, _ in struct._fields_})
    assert table == {key: value for key, value in measured.items() if key[1] != "="}


def test_constants_are_the_compilers(measured):
    table = {}
    for kind in enumerations():
        prefix = "" if kind.__name__ == "Status" else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper() + "_"
        table.update({f"DEEP_{prefix}{name}": member.value for name, member in kind.__members__.items()})
    assert len(table) > 60
    table.update({name: getattr(declarations, name[len("DEEP_"):]) for name in public_api.macros()})
    assert table == {name: value for (name, field), value in measured.items() if field == "="}


def test_the_library_has_the_types_of_the_table():
    from libdeep._library import library

    for name, (result, parameters) in declarations.FUNCTIONS.items():
        function = getattr(library, name)
        assert function.restype is result and len(function.argtypes) == len(parameters)


@pytest.mark.parametrize("value", [2**31, -2**31 - 1, 2**40])
def test_an_integer_that_does_not_fit_is_refused_instead_of_cut_off(value, context):
    from conftest import noise

    import libdeep

    with pytest.raises(ctypes.ArgumentError, match="outside"):
        libdeep.Image.from_array(noise(0), context=context).resize(value, 10)
