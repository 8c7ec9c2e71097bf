# Prints the files that a script's imports lead to. Parses them, runs none.
# Standard input: the script; arguments: where the script lies, whether it runs
# with `site`, and further files that it loads.
import sys

started = [name for name in sys.modules if name != "__main__"]

import ast
import importlib.machinery as machinery
import importlib.util
import os
import site

# What modules written in C import.
HIDDEN = {
    "_asyncio": ["asyncio.base_futures", "asyncio.coroutines", "asyncio.events", "asyncio.exceptions",
                 "asyncio.base_tasks", "traceback"],
    "_csv": ["io"],
    "_datetime": ["_strptime", "time"],
    "_decimal": ["collections", "numbers"],
    "_elementtree": ["copy", "xml.etree.ElementPath"],
    "_io": ["locale", "encodings"],
    "_pickle": ["_compat_pickle", "copyreg", "functools"],
    "_sqlite3": ["sqlite3.dbapi2"],
    "_ssl": ["socket"],
    "_zoneinfo": ["zoneinfo._common", "zoneinfo._tzpath", "importlib.resources"],
    "time": ["_strptime"],
}
# Codecs are imported by the names that data has.
CODECS = ["aliases", "ascii", "cp1252", "cp437", "idna", "latin_1", "mbcs", "punycode", "raw_unicode_escape",
          "unicode_escape", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_8", "utf_8_sig"]

# What they import for an interactive session alone.
INTERACTIVE = {"_sitebuiltins": ["pydoc"], "site": ["readline", "rlcompleter"]}

found = {}
files = set()
notes = []
todo = []


def take(path):
    files.add(os.path.abspath(path))


def find(name):
    """The module's spec, if it has one; what it consists of is taken."""
    if name in found:
        return found[name]
    found[name] = None
    above, _, _ = name.rpartition(".")
    try:
        if above:
            parent = find(above)
            places = parent and parent.submodule_search_locations
            if places is None:
                return None
            spec = machinery.PathFinder.find_spec(name, list(getattr(places, "_path", places)))
        elif name in sys.builtin_module_names:
            spec = None
        else:
            spec = machinery.PathFinder.find_spec(name)
    except Exception as error:
        notes.append(f"module '{name}': {type(error).__name__}")
        return None
    found[name] = spec
    for hidden in HIDDEN.get(name, []):
        find(hidden)
    if spec is None or not spec.has_location:
        return spec
    loader = spec.loader
    try:
        if hasattr(loader, "archive"):
            take(loader.archive)
            todo.append((spec, loader.get_source(name) or ""))
        elif isinstance(loader, machinery.SourceFileLoader):
            take(spec.origin)
            if spec.cached and os.path.exists(spec.cached):
                take(spec.cached)
            todo.append((spec, loader.get_data(spec.origin)))
        else:
            take(spec.origin)
            if isinstance(loader, machinery.SourcelessFileLoader):
                notes.append(f"module '{name}' has no source: what it imports is not known")
    except (ImportError, OSError) as error:
        notes.append(f"module '{name}': {error}")
    return spec


def verdict(test, is_main):
    """How a condition ends that is the same in every run; None for others."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = verdict(test.operand, is_main)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [verdict(part, is_main) for part in test.values]
        decisive = isinstance(test.op, ast.Or)
        return decisive if decisive in parts else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        value = constant(test.left, is_main)
        try:
            other = ast.literal_eval(test.comparators[0])
        except ValueError:
            return None
        compare = {ast.Eq: lambda: value == other, ast.NotEq: lambda: value != other, ast.In: lambda: value in other}
        compare = compare.get(type(test.ops[0]))
        return None if value is None or compare is None else compare()
    if isinstance(test, ast.Call) and getattr(test.func, "attr", None) == "startswith" and len(test.args) == 1:
        value, start = constant(test.func.value, is_main), test.args[0]
        if value is not None and isinstance(start, ast.Constant):
            return value.startswith(start.value)
    return False if getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING" else None


def constant(node, is_main):
    if isinstance(node, ast.Name) and node.id == "__name__" and not is_main:
        return "(a module)"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = (node.value.id.lstrip("_"), node.attr)
        return {("sys", "platform"): sys.platform, ("os", "name"): os.name}.get(name)
    return None


def nodes(tree, is_main):
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If):
            ends = verdict(node.test, is_main)
            if ends is not None:
                stack.extend(node.body if ends else node.orelse)
                continue
        # Modules of the standard library try themselves in these.
        if isinstance(node, ast.FunctionDef) and not is_main and node.name in ("_test", "_main"):
            continue
        yield node
        stack.extend(ast.iter_child_nodes(node))


def exported(spec):
    """What `from package import *` names."""
    try:
        tree = ast.parse(spec.loader.get_data(spec.origin))
    except Exception:
        return []
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign)
             for target in node.targets if getattr(target, "id", None) == "__all__"]
    return [item.value for value in lists for item in getattr(value, "elts", [])
            if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def scan(source, package, is_main, called):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        notes.append(f"{called} can't be parsed: {error}")
        return
    for node in nodes(tree, is_main):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in INTERACTIVE.get(called, []):
                    continue
                if find(alias.name) is None and is_main and alias.name not in sys.builtin_module_names:
                    notes.append(f"{called}, line {node.lineno}: module '{alias.name}' is not found")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                if len(parts) < node.level:
                    continue
                above = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{above}.{base}" if base else above
            spec = find(base)
            if spec is None:
                if is_main and base not in sys.builtin_module_names:
                    notes.append(f"{called}, line {node.lineno}: module '{base}' is not found")
                continue
            if spec.submodule_search_locations is None:
                continue
            for alias in node.names:
                for name in exported(spec) if alias.name == "*" else [alias.name]:
                    find(f"{base}.{name}")
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name not in ("__import__", "import_module") or not node.args:
                continue
            wanted = node.args[0]
            if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
                if not wanted.value.startswith("."):
                    find(wanted.value)
                elif package:
                    find(importlib.util.resolve_name(wanted.value, package))
            elif is_main:
                notes.append(f"{called}, line {node.lineno}: it computes the name of a module")


def drain():
    while todo:
        spec, source = todo.pop()
        package = spec.name if spec.submodule_search_locations is not None else spec.parent
        scan(source, package, False, spec.name)


# The analysis runs without `site`, so that no .pth file is executed; the script
# will run with it.
if sys.argv[2] == "site":
    sys.path += site.getsitepackages()
    started += ["site", "sitecustomize"]
for name in started + [f"encodings.{codec}" for codec in CODECS]:
    find(name)
script = sys.stdin.buffer.read()
scan(script, "", True, "the script")
for path in sys.argv[3:]:
    if path.endswith(".py"):
        cached = importlib.util.cache_from_source(path)
        if os.path.exists(cached):
            take(cached)
        with open(path, "rb") as text:
            scan(text.read(), "", False, f"'{path}'")
drain()
# Where the script is run at its path, what lies beside it comes first.
unseen = [note for note in notes if note.endswith("is not found")]
found.clear()
sys.path.insert(0, os.path.dirname(sys.argv[1]))
notes = [note for note in notes if note not in unseen]
scan(script, "", True, "the script")
for path in sys.argv[3:]:
    if path.endswith(".py"):
        with open(path, "rb") as text:
            sys.path[0] = os.path.dirname(path)
            scan(text.read(), "", False, f"'{path}'")
drain()

for note in sorted(set(notes)):
    print("note", note.replace("\n", " "), sep="\t")
for path in sorted(files):
    print("file", path, sep="\t")
