"""Files of pm2 as data: JSON and YAML are read, JavaScript is evaluated by node."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from daemonctl.importing.program import text_of
from daemonctl.problems import Problem

_SECONDS = 30  # that an evaluation may take
# What the file prints must not be taken for the result. A JSON file of pm2 is an expression, with comments.
_EVALUATE = """
const fs = require('fs'), path = require('path'), url = require('url');
const file = process.argv[1];
process.stdout.write = process.stderr.write.bind(process.stderr);
const found = /\\.json$/.test(file)
  ? Promise.resolve(require('vm').runInThisContext(`(${fs.readFileSync(file, 'utf8')}\\n)`, {filename: file}))
  : import(url.pathToFileURL(file)).then(module => module.default ?? module);
found.then(value => { fs.writeSync(1, JSON.stringify(value) ?? 'null'); process.exit(0); })
  .catch(problem => { console.error(String(problem && problem.stack || problem)); process.exit(1); });
"""


def load(file: Path) -> Any:
    """Return what a file says. One that ends in `.js`, `.cjs` or `.mjs` is run, as pm2 does."""
    if file.suffix in (".yaml", ".yml"):
        try:
            return yaml.safe_load(text_of(file))
        except yaml.YAMLError as problem:
            raise Problem(f"{file} is not YAML: {' '.join(str(problem).split())}") from None
    if file.suffix == ".json":
        text = text_of(file)
        try:
            return json.loads(text)
        except ValueError as problem:
            if shutil.which("node") is None:
                raise Problem(
                    f"{file} is not plain JSON, and there is no node to read it: {problem}"
                ) from None
    return _evaluated(file)


def _evaluated(file: Path) -> Any:
    text_of(file)  # whether it can be read
    node = shutil.which("node")
    if node is None:
        raise Problem(f"{file} is a program that node has to evaluate, and there is no node in PATH")
    try:
        ran = subprocess.run(
            [node, "-e", _EVALUATE, str(file.absolute())],
            cwd=file.absolute().parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS,
            check=False,
        )
        if ran.returncode == 0:
            return json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        raise Problem(f"{file}: node did not evaluate it within {_SECONDS} seconds") from None
    except ValueError:
        raise Problem(f"{file}: node evaluated it to something that is not data") from None
    raise Problem(f"{file}{_line(ran.stderr, file)}: node can't evaluate it: {_reason(ran.stderr)}")


def _reason(output: str) -> str:
    """Return the sentence of an error of node's."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line), lines[-1] if lines else "no reason given")


def _line(output: str, file: Path) -> str:
    """Return the line of the file that an error of node's is about, as `:3`; nothing if it names none."""
    found = re.search(rf"{re.escape(file.name)}(:[0-9]+)", output)
    return found[1] if found else ""
