# SPDX-License-Identifier: Apache-2.0
"""What the public headers declare: functions and structs with their fields, read from include/deep/."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = sorted((ROOT / 'include' / 'deep').glob('*.h'))


def code(path):
    """A header's text without comments and preprocessor lines."""
    text = re.sub(r'/\*.*?\*/', ' ', path.read_text(encoding='utf-8'), flags=re.S)
    return re.sub(r'^\s*#.*(?:\\\n.*)*$', '', text, flags=re.M)


def functions():
    """Names of all functions, in the order of the headers."""
    return [name for path in HEADERS for name in re.findall(r'\bDEEP_API\b[^;(]*?\b(deep_\w+)\s*\(', code(path))]


def structs():
    """Name -> list of fields, of the structs that a program sees into."""
    found = {}
    for path in HEADERS:
        for name, body in re.findall(r'typedef\s+struct\s+(deep_\w+)\s*\{(.*?)\}\s*\1\s*;', code(path), re.S):
            found[name] = [re.search(r'(\w+)\s*(?:\[\w+\])?\s*$', field.strip()).group(1)
                           for field in body.split(';') if field.strip()]
    return found


def enumerators():
    """Names of all enumeration constants."""
    bodies = [body for path in HEADERS for body in re.findall(r'\benum\s*\{(.*?)\}', code(path), re.S)]
    return [re.match(r'\s*(\w+)', item).group(1) for body in bodies for item in body.split(',') if item.strip()]


def probe():
    """A C file whose one variable has every function's and every struct's type, and refers to every function."""
    lines = ['/* SPDX-License-Identifier: Apache-2.0 */', '#include <deep/deep.h>', '', 'struct deep_abi_probe {']
    lines += [f'    __typeof__(&{name}) {name}_;' for name in functions()]
    lines += [f'    {name} {name}_;' for name in structs()]
    lines += ['};', 'extern const struct deep_abi_probe deep_abi_probe;', 'const struct deep_abi_probe deep_abi_probe = {']
    lines += [f'    .{name}_ = {name},' for name in functions()]
    lines += ['};', '']
    return '\n'.join(lines)
