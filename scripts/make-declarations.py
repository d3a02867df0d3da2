#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the Python package's table of what include/deep/ declares: make-declarations.py OUTPUT

One ctypes declaration per function, struct, callback and constant. A type that is not in the tables below ends the build.
"""
import os
import pathlib
import re
import sys

import public_api

NUMBERS = {
    'int32_t': 'c_int32', 'int64_t': 'c_int64', 'uint8_t': 'c_uint8', 'uint32_t': 'c_uint32', 'uint64_t': 'c_uint64',
    'size_t': 'c_size_t', 'float': 'c_float', 'double': 'c_double', 'char': 'c_char',
}

HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""Made by scripts/make-declarations.py from include/deep/: what the library declares, as ctypes sees it."""
from __future__ import annotations

import enum
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8,
                    c_uint64, c_void_p)
from typing import Any
'''


class Types:
    """C type texts -> ctypes expressions."""

    def __init__(self):
        self.scalars = public_api.scalars()
        self.structs = set(public_api.handles()) | set(public_api.fields())
        self.callbacks = set(public_api.callbacks())

    def expression(self, text):
        """'const char *const *' -> 'POINTER(c_char_p)'."""
        text = public_api.normal(re.sub(r'\bconst\b', '', text))
        base, stars = text.rstrip('* '), text.count('*')
        base = self.scalars.get(base, base)
        if base in ('void', 'char') and stars:
            base, stars = {'void': 'c_void_p', 'char': 'c_char_p'}[base], stars - 1
        elif base == 'void':
            return 'None'
        elif base in NUMBERS:
            base = NUMBERS[base]
        elif base not in self.structs | self.callbacks:
            raise SystemExit(f'make-declarations.py: {text!r} is not in its tables')
        return 'POINTER(' * stars + base + ')' * stars

    def field(self, variable):
        expression = 'c_char' if variable.type == 'char' else self.expression(variable.type)
        if not variable.extent:
            return expression
        return f'{expression} * {public_api.macros().get(variable.extent, variable.extent)}'


def class_name(prefix):
    """'DEEP_BAD_IMAGE_' -> 'BadImage'; the statuses have no prefix of their own."""
    words = prefix.strip('_').split('_')[1:]
    return ''.join(word.capitalize() for word in words) or 'Status'


def enumeration(group):
    prefix = re.match(r'.*_', os.path.commonprefix(list(group))).group()
    yield from ('', '', f'class {class_name(prefix)}(enum.IntEnum):')
    yield from (f'    {name[len(prefix):]} = {value}' for name, value in group.items())


def callback(types, name, prototype):
    arguments = [types.expression(prototype.result)] + [types.expression(p.type) for p in prototype.parameters]
    return f'{name} = CFUNCTYPE({", ".join(arguments)})'


def structure(types, name, members):
    yield from ('', '', f'class {name}(Structure):', '    _fields_ = [')
    yield from (f"        ('{field.name}', {types.field(field)})," for field in members)
    yield '    ]'


def function(types, name, prototype):
    parameters = ', '.join(types.expression(p.type) for p in prototype.parameters)
    comma = ',' if len(prototype.parameters) == 1 else ''
    return f"    '{name}': ({types.expression(prototype.result)}, ({parameters}{comma})),"


def table():
    types = Types()
    yield HEAD
    yield from (f'{name[len("DEEP_"):]} = {value}' for name, value in public_api.macros().items())
    for group in public_api.enumerations():
        yield from enumeration(group)
    for name in public_api.handles():
        yield from ('', '', f'class {name}(Structure):', '    """Known by its address alone."""')
    plain, late = [], []
    for name, prototype in public_api.callbacks().items():
        knows = any(struct in p.type for p in prototype.parameters for struct in public_api.fields())
        (late if knows else plain).append(callback(types, name, prototype))
    yield from ['', ''] + plain
    for name, members in public_api.fields().items():
        yield from structure(types, name, members)
    yield from ['', ''] + late
    yield from ('', '# Function -> what it gives, what it takes.', 'FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {')
    for name, prototype in public_api.prototypes().items():
        yield function(types, name, prototype)
    yield '}'


def main():
    if len(sys.argv) != 2:
        raise SystemExit('usage: make-declarations.py OUTPUT')
    pathlib.Path(sys.argv[1]).write_text('\n'.join(table()) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
