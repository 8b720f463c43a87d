"""Reads an exposition on standard input with a parser that is not ours, and prints its samples as sorted lines.

Both formats come out alike (`name{label="value"} 1.0`), so that the two forms of one page can be compared as text.
`check` is what people call.
"""
import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic


def escaped(value):
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def main():
    mode = sys.argv[1]
    text = sys.stdin.buffer.read().decode("utf-8", errors="strict")
    families, series, lines = [], set(), []
    for family in (openmetrics if mode.startswith("openmetrics") else classic)(text):
        families.append(f"# {family.name} {family.type} {family.unit or '-'} {escaped(family.documentation)}")
        for sample in family.samples:
            labels = ",".join(f'{name}="{escaped(value)}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}"
            if key in series:
                sys.exit(f"check: twice the same series: {key}")
            series.add(key)
            stamp = "" if sample.timestamp is None else f" @{sample.timestamp}"
            lines.append(f"{key} {float(sample.value)!r}{stamp}")
    if mode == "classic":
        # Debian's promtool reads classic text only, and lints names, units and help texts besides.
        lint = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if lint.returncode or lint.stdout:
            sys.exit(f"check: promtool: {lint.stdout.decode()}")
    for line in sorted(families if "--families" in sys.argv else lines):
        print(line)


main()
