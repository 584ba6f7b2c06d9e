"""Start by path: ``python -I …/sandbox/__main__.py`` makes a package of the files beside it."""

import importlib
import importlib.util
import sys
from pathlib import Path

NAME = "vantage6_sandbox"

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"cannot load the sandbox from {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{NAME}.zygote").main(sys.argv[1:])
