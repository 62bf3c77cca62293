"""Which benchmark is to be run? ``python -m benchmarks [NAME [OPTIONS]]``; without a name, all of them, one after another.

Every other module of this folder with a function ``main(arguments)`` is a benchmark.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable

import benchmarks


def available() -> dict[str, Callable[[list[str]], None]]:
    """Benchmarks by name."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module.main for name, module in modules.items() if hasattr(module, "main")}


def run(arguments: list[str]) -> None:
    """Run the benchmark named first with the options that follow, or all."""
    known = available()
    if arguments and arguments[0] not in known:
        raise SystemExit(f"no benchmark {arguments[0]!r}; there are {', '.join(known)}")
    chosen = {arguments[0]: known[arguments[0]]} if arguments else known
    for name, main in chosen.items():
        print(f"== {name}", flush=True)
        main(arguments[1:])


if __name__ == "__main__":
    run(sys.argv[1:])
