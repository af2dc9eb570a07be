"""Every measurement in this folder, one after the other: in short form for `make bench`, with --long for `make soak`.

    python -m bench [--long] [NAME …]

Exit status 1 when one of them missed its goal.
"""

import argparse
import subprocess
import sys
from pathlib import Path

# How the short form is asked for, where it is not --short.
SHORT = {"sandbox_index": ["--quick"], "sandbox_streams": []}


def measurements() -> list[str]:
    """The modules here that can be run."""
    found = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [path.stem for path in found if 'if __name__ == "__main__":' in path.read_text()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"which ones: {', '.join(measurements())} (all)")
    parser.add_argument("--long", action="store_true", help="the long forms")
    chosen = parser.parse_args()
    missed = []
    for name in chosen.names or measurements():
        print(f"\n── {name} " + "─" * (100 - len(name)), flush=True)
        arguments = [] if chosen.long else SHORT.get(name, ["--short"])
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments], check=False).returncode:
            missed.append(name)
    print("\n" + (f"missed its goal: {', '.join(missed)}" if missed else "every goal was met"))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
