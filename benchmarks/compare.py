"""What has become slower between two result files of ``speed.py`` or ``kernels.py``.

    python benchmarks/compare.py OLD.json NEW.json [--relative 0.1] [--absolute 0.005]

A slowdown is one that is both relatively and absolutely large: short times vary by more than a
tenth, and nobody notices a few milliseconds. The exit status is 1 if there is one. Other
versions, machines or settings are named, for times may differ because of them; so is what the
peer's time did meanwhile.
"""

import argparse
import json
import sys
from pathlib import Path

RELATIVE, ABSOLUTE = 0.10, 0.005


def is_slowdown(old, new, relative=RELATIVE, absolute=ABSOLUTE):
    """Return whether seconds grew by more than a share of the old ones, and by more than some.

    Parameters
    ----------
    old, new : float
        Seconds.
    relative : float
        Growth as a share of the old seconds that is still none.
    absolute : float
        Growth in seconds that is still none.
    """
    return new - old > relative * old and new - old > absolute


def circumstances(old, new):
    """Return a line for each version, property of the machine or setting that differs."""
    lines = []
    for group in ("versions", "machine", "settings"):
        before, after = old[group], new[group]
        lines += [
            f"{group}: {key} {before.get(key)} -> {after.get(key)}"
            for key in before | after
            if before.get(key) != after.get(key)
        ]
    return lines


def compare(old, new, relative=RELATIVE, absolute=ABSOLUTE):
    """Compare what two runs measured.

    Parameters
    ----------
    old, new : dict
        The contents of the files.
    relative, absolute : float
        As for :func:`is_slowdown`.

    Returns
    -------
    lines : list of str
        One for each measurement of either run.
    slower : list of str
        The names of the measurements that have become slower.
    """
    before, after = ({r["name"]: r for r in run["results"]} for run in (old, new))
    lines, slower = [], []
    for name in before | after:
        if name not in before or name not in after:
            lines.append(f"{name}: only in the {'old' if name in before else 'new'} file")
            continue
        was, now = before[name], after[name]
        line = f"{name}: {_change(was, now, 'seconds')}"
        if "peer_seconds" in was and "peer_seconds" in now:
            line += f"; peer {_change(was, now, 'peer_seconds')}"
        if is_slowdown(was["seconds"], now["seconds"], relative, absolute):
            slower.append(name)
            line += "  SLOWER"
        lines.append(line)
    return lines, slower


def _change(was, now, key):
    return f"{was[key]:.4g} s -> {now[key]:.4g} s ({now[key] / was[key] - 1:+.1%})"


def main(arguments=None):
    """Print the comparison and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--relative", type=float, default=RELATIVE, help="share, default 0.1")
    parser.add_argument("--absolute", type=float, default=ABSOLUTE, help="seconds, default 0.005")
    options = parser.parse_args(arguments)
    old, new = (json.loads(p.read_text(encoding="utf-8")) for p in (options.old, options.new))
    lines, slower = compare(old, new, options.relative, options.absolute)
    print(*circumstances(old, new), *lines, sep="\n")
    print(f"{len(slower)} of {len(lines)} are slower")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
