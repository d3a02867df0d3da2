# SPDX-License-Identifier: Apache-2.0
"""What the public headers declare: functions, structs with their fields, callbacks and constants, read from include/deep/."""
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = sorted((ROOT / 'include' / 'deep').glob('*.h'))


class Variable(NamedTuple):
    """A parameter or a field: 'const char *' name, with the text between the brackets when it is an array."""
    type: str
    name: str
    extent: str


class Prototype(NamedTuple):
    """What a function or a callback gives and takes."""
    result: str
    parameters: list


def code(path):
    """A header's text without comments and preprocessor lines."""
    text = re.sub(r'/\*.*?\*/', ' ', path.read_text(encoding='utf-8'), flags=re.S)
    return re.sub(r'^\s*#.*(?:\\\n.*)*$', '', text, flags=re.M)


def normal(type_text):
    """A type with one space between words and none between stars: 'const char *const *'."""
    text = ' '.join(type_text.replace('*', ' * ').split())
    return re.sub(r'\* (?=\*|const)', '*', text)


def variable(text):
    """Splits 'const int64_t shape[4]' into type, name and extent."""
    kind, name, extent = re.fullmatch(r'\s*(.*?)(\w+)\s*(?:\[(\w+)\])?\s*', text, re.S).groups()
    return Variable(normal(kind), name, extent or '')


def prototype(result, parameters):
    return Prototype(normal(result), [] if parameters.strip() == 'void' else [variable(p) for p in parameters.split(',')])


def prototypes():
    """Name -> Prototype of all functions, in the order of the headers."""
    return {name: prototype(result, parameters) for path in HEADERS for result, name, parameters
            in re.findall(r'\bDEEP_API\b([^;(]*?)\b(deep_\w+)\s*\(([^)]*)\)\s*;', code(path))}


def functions():
    """Names of all functions, in the order of the headers."""
    return [name for path in HEADERS for name in re.findall(r'\bDEEP_API\b[^;(]*?\b(deep_\w+)\s*\(', code(path))]


def callbacks():
    """Name -> Prototype of the function types that a program gives to the library."""
    return {name: prototype(result, parameters) for path in HEADERS for result, name, parameters
            in re.findall(r'\btypedef\b([^;(]*)\(\*(deep_\w+)\)\(([^)]*)\)\s*;', code(path))}


def fields():
    """Name -> list of Variables, of the structs that a program sees into."""
    return {name: [variable(field) for field in body.split(';') if field.strip()] for path in HEADERS for name, body
            in re.findall(r'typedef\s+struct\s+(deep_\w+)\s*\{(.*?)\}\s*\1\s*;', code(path), re.S)}


def structs():
    """Name -> names of the fields, of the structs that a program sees into."""
    return {name: [field.name for field in members] for name, members in fields().items()}


def handles():
    """Names of the structs that a program knows by address alone."""
    return [name for path in HEADERS for name in re.findall(r'typedef\s+struct\s+(deep_\w+)\s+\1\s*;', code(path))]


def scalars():
    """Name -> type of the typedefs of numbers."""
    return {name: normal(kind) for path in HEADERS for kind, name
            in re.findall(r'\btypedef\s+(\w+)\s+(deep_\w+)\s*;', code(path))}


def enumerations():
    """One dictionary per enumeration: constant -> value, in the order of the headers."""
    bodies = [body for path in HEADERS for body in re.findall(r'\benum\s*\{(.*?)\}', code(path), re.S)]
    return [dict(enumerator(item) for item in body.split(',') if item.strip()) for body in bodies]


def enumerator(text):
    """Name and value of 'DEEP_AUGMENT_NONE = 1 << 30': an integer, perhaps shifted."""
    name, value, shift = re.fullmatch(r'\s*(\w+)\s*=\s*(\w+)(?:\s*<<\s*(\w+))?\s*', text).groups()
    return name, int(value, 0) << int(shift or '0', 0)


def enumerators():
    """Names of all enumeration constants."""
    return [name for group in enumerations() for name in group]


def macros():
    """Name -> value of the macros that are integers."""
    return {name: int(value) for path in HEADERS for name, value
            in re.findall(r'^#define\s+(DEEP_\w+)\s+(\d+)\s*$', path.read_text(encoding='utf-8'), re.M)}


def probe():
    """A C file whose one variable has every function's and every struct's type, and refers to every function."""
    lines = ['/* SPDX-License-Identifier: Apache-2.0 */', '#include <deep/deep.h>', '', 'struct deep_abi_probe {']
    lines += [f'    __typeof__(&{name}) {name}_;' for name in functions()]
    lines += [f'    {name} {name}_;' for name in structs()]
    lines += ['};', 'extern const struct deep_abi_probe deep_abi_probe;', 'const struct deep_abi_probe deep_abi_probe = {']
    lines += [f'    .{name}_ = {name},' for name in functions()]
    lines += ['};', '']
    return '\n'.join(lines)
