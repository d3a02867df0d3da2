#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Declared in include/deep == listed in libdeep.map == exported by libdeep.so; nothing that exits or prints is imported.

check-symbols.py LIBDEEP_SO [COMPILER...]
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import public_api

MAP = public_api.ROOT / 'libdeep' / 'libdeep.map'
FORBIDDEN = {'exit', '_exit', '_Exit', 'quick_exit', 'abort', 'printf', 'vprintf', 'fprintf', 'vfprintf', 'puts', 'fputs',
             'putchar', 'fputc', 'putc', 'fwrite', 'perror', 'stdout', 'stderr', '__printf_chk', '__vprintf_chk',
             '__fprintf_chk', '__vfprintf_chk', 'psignal', 'warn', 'warnx', 'err', 'errx', 'error', 'getenv', 'setenv',
             'putenv', 'setlocale', 'signal', 'sigaction', 'system'}


def mapped():
    text = re.sub(r'/\*.*?\*/', '', MAP.read_text(encoding='utf-8'), flags=re.S)
    return set(re.findall(r'\b(deep_\w+)\s*;', text))


def symbols(library, option):
    output = subprocess.run(['nm', '-D', option, library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split('@')[0] for line in output.splitlines() if line.strip()}


def exported(library):
    nodes = set(re.findall(r'^([\w.]+) \{', MAP.read_text(encoding='utf-8'), re.M))
    return symbols(library, '--defined-only') - nodes


def compare(left_name, left, right_name, right):
    for name in sorted(left - right):
        yield f'{name} is {left_name}, not {right_name}'
    for name in sorted(right - left):
        yield f'{name} is {right_name}, not {left_name}'


def link_all(library, compiler):
    """Links a program that refers to every function."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / 'all.c'
        source.write_text(public_api.probe() + '\nint main(void)\n{\n    return 0;\n}\n', encoding='utf-8')
        command = compiler + ['-I', str(public_api.ROOT / 'include'), str(source), library, '-Wl,--allow-shlib-undefined',
                              '-o', str(pathlib.Path(folder) / 'all')]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            yield 'a program that refers to every function does not link: ' + result.stderr


def main():
    library, compiler = sys.argv[1], sys.argv[2:] or ['cc']
    declared = set(public_api.functions())
    complaints = list(compare('declared', declared, 'mapped', mapped()))
    complaints += compare('declared', declared, 'exported', exported(library))
    complaints += [f'libdeep uses {name}' for name in sorted(symbols(library, '--undefined-only') & FORBIDDEN)]
    complaints += link_all(library, compiler)
    print('\n'.join(complaints) if complaints else f'symbols: {len(declared)} declared, mapped, exported')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
