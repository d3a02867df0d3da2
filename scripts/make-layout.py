#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/abi/layout.c: static assertions of every public constant, and of size and offsets of every struct.

Run it after a struct grew at its end, and look at the difference: no earlier line may change.
"""
import pathlib
import subprocess
import tempfile

import public_api

TARGET = public_api.ROOT / 'tests' / 'abi' / 'layout.c'


def measure(structs, enumerators):
    """Lines 'enumerator = value', 'struct field offset' and 'struct - size', as the compiler sees them."""
    lines = ['#include <deep/deep.h>', '#include <stddef.h>', '#include <stdio.h>', 'int main(void)', '{']
    lines += [f'    printf("{name} = %d\\n", (int)({name}));' for name in enumerators]
    for name, fields in structs.items():
        lines += [f'    printf("{name} {field} %zu\\n", offsetof({name}, {field}));' for field in fields]
        lines.append(f'    printf("{name} - %zu\\n", sizeof({name}));')
    lines += ['    return 0;', '}', '']
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / 'layout.c', pathlib.Path(folder) / 'layout'
        source.write_text('\n'.join(lines), encoding='utf-8')
        subprocess.run(['cc', '-I', str(public_api.ROOT / 'include'), str(source), '-o', str(program)], check=True)
        return [line.split() for line in subprocess.run([program], check=True, capture_output=True,
                                                        text=True).stdout.splitlines()]


def main():
    lines = ['/* SPDX-License-Identifier: Apache-2.0 */',
             '/* Made by scripts/make-layout.py: what programs compiled against libdeep 0 rely on, on x86-64. */',
             '#include <deep/deep.h>', '#include <stddef.h>', '']
    for name, field, value in measure(public_api.structs(), public_api.enumerators()):
        if field == '=':
            lines.append(f'_Static_assert({name} == {value}, "ABI");')
            continue
        what = f'sizeof({name})' if field == '-' else f'offsetof({name}, {field})'
        lines.append(f'_Static_assert({what} == {value}, "ABI");')
        if field == '-':
            lines.append('')
    lines += ['int main(void)', '{', '    return 0; /* it compiled */', '}', '']
    TARGET.write_text('\n'.join(lines), encoding='utf-8')


if __name__ == '__main__':
    main()
