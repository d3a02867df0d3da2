#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that a formatter does not see: lengths, licence lines, loose ends, allocation through the context."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ('include', 'libdeep', 'tools', 'bindings', 'tests', 'examples', 'scripts', 'bench', 'pkgconfig')
CODE = ('.c', '.h', '.cpp', '.cu')
MAX_FUNCTION = 80  # lines from brace to brace
MAX_FILE = 800
LOOSE_END = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')
RAW_MEMORY = re.compile(r'(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf|posix_memalign|aligned_alloc)\s*\(')
# Calls that end the process, print, or read the environment; tools and tests may.
FORBIDDEN = re.compile(r'(?<![\w.>])(exit|_exit|abort|printf|fprintf|puts|putchar|perror|getenv|setlocale|signal|sigaction|'
                       r'strtod|atof|atoi|sprintf|strcpy|strcat|gets|assert)\s*\(')
ALLOWED = {
    'libdeep/base/memory.c': {'free', 'posix_memalign'},
    'libdeep/base/json_parse.c': {'strtod'},  # with the locale's own decimal point
}


def strip(text):
    """The code without comments, strings and characters, lines kept."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group())
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def long_functions(code):
    """(line, length) of each body that is too long: a brace in column 0 opens it, another closes it."""
    start = None
    for number, line in enumerate(code.splitlines(), 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start is not None:
            if number - start - 1 > MAX_FUNCTION:
                yield start, number - start - 1
            start = None


def check_library(name, code):
    for number, line in enumerate(code.splitlines(), 1):
        for pattern in (RAW_MEMORY, FORBIDDEN):
            for word in pattern.findall(line):
                if word not in ALLOWED.get(name, ()):
                    yield f'{name}:{number}: {word}() has no place in the library'


def check_code(name, text):
    code = strip(text)
    for line, length in long_functions(code):
        yield f'{name}:{line}: function of {length} lines, the limit is {MAX_FUNCTION}'
    lines = text.count('\n')
    if lines > MAX_FILE:
        yield f'{name}: {lines} lines, the limit is {MAX_FILE}'
    if name.startswith('libdeep/'):
        yield from check_library(name, code)


def check_file(path):
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding='utf-8')
    if 'SPDX-License-Identifier: Apache-2.0' not in '\n'.join(text.splitlines()[:3]):
        yield f'{name}: no SPDX line at the top'
    if path.name != pathlib.Path(__file__).name:
        for number, line in enumerate(text.splitlines(), 1):
            if LOOSE_END.search(line):
                yield f'{name}:{number}: loose end: {line.strip()}'
    if path.suffix in CODE:
        yield from check_code(name, text)


def main():
    complaints = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob('*')):
            if path.is_file() and (path.suffix in CODE + ('.py', '.sh') or path.name == 'run'):
                complaints += check_file(path)
    print('\n'.join(complaints) if complaints else 'style: fine')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
