# SPDX-License-Identifier: Apache-2.0
"""``python -m libdeep``: convert, info."""

from __future__ import annotations

import argparse
import sys

from . import Model, build_info, library_path, version
from .convert import command
from .convert.errors import one_line


def _info(arguments: argparse.Namespace) -> int:
    """What the library is, or what a model file holds; one "name: value" on each line."""
    if arguments.model is None:
        print(f"version: {version()}\nlibrary: {library_path}\nbuild: {build_info()}")
        return 0
    try:
        with Model.load(arguments.model) as model:
            values = dict(vars(model.info), class_names=", ".join(model.classes))
    except Exception as error:
        status = command.status_of(error)
        if status is None:
            raise
        print(f"libdeep info: {one_line(error)}", file=sys.stderr)
        return status
    for name, value in values.items():
        print(f"{name}: {value}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m libdeep")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    convert = commands.add_parser(
        "convert", help="models of Keras, PyTorch and ONNX into libdeep's, and back"
    )
    command.add_arguments(convert)
    convert.set_defaults(run=command.run)
    info = commands.add_parser("info", help="the library, or a model file")
    info.add_argument("model", nargs="?", metavar="MODEL", help="a .safetensors file that libdeep wrote")
    info.set_defaults(run=_info)
    arguments = parser.parse_args()
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
