"""Runs every query of every panel against a Prometheus and prints what it returns, so that a person can read it and a test compare it.
What depends on the moment shows as ~. It judges one thing: a panel that shows a number that is none (NaN) fails."""

import argparse
import math
import re
import sys
from pathlib import Path

import grafana

# Queries whose values depend on the clock, the machine, or the moment of the look.
MOMENTARY = re.compile(r"rate\(|increase\(|time\(\)|_seconds\{|process_|scrape_|time_seconds")


def number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if not math.isnan(value) else "NaN"


def told(view: grafana.View, addresses: dict[str, str]) -> tuple[list[str], list[str]]:
    """What each panel shows, and what is wrong with it."""
    lines, wrong = [], []
    for panel in grafana.panels(view.board):
        lines.append(f"  {panel['title']}")
        for target in panel["targets"]:
            try:
                rows = view.rows(panel, target)
            except grafana.Refused as refused:
                wrong.append(f"{panel['title']}, {target['refId']}: {refused}")
                continue
            shown = []
            for labels, value in rows:
                labels = {name: addresses.get(text, text) for name, text in labels.items() if name not in ("__name__", "job")}
                name = " ".join(f"{name}={text}" for name, text in sorted(labels.items()))
                if math.isnan(value):
                    wrong.append(f"{panel['title']}, {target['refId']}: NaN for {name}")
                shown.append(f"    {target['refId']} {name}{' ' if name else ''}= {'~' if MOMENTARY.search(target['expr']) else number(value)}")
            if MOMENTARY.search(target["expr"]) and re.match(r"(top|bottom)k\(", target["expr"]):
                # Which ones are among the first is of the moment, too.
                shown = [f"    {target['refId']} {len(shown)} rows"] if shown else []
            lines += sorted(shown) or [f"    {target['refId']} no data"]
    return lines, wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--instance", action="append", default=[])
    # Prometheus' own, so that rates have enough points.
    parser.add_argument("--scrape-interval", type=float, default=1.0)
    chosen = parser.parse_args()
    prometheus = grafana.Prometheus(chosen.url)
    # In the order in which Prometheus was told of them: by the least name of an instance that each sees.
    seen = prometheus.instant("count by (instance, mssql_instance) (mssql_kerberos_verdict)")
    first = {}
    for row in seen:
        address, name = row["metric"]["instance"], row["metric"]["mssql_instance"]
        first[address] = min(name, first.get(address, name))
    addresses = {address: f"exporter-{number}" for number, (address, _) in enumerate(sorted(first.items(), key=lambda item: item[1]), start=1)}
    wrong: list[str] = []
    for name, board in grafana.boards(Path(__file__).resolve().parents[3]).items():
        looks = [{"mssql_instance": one} for one in chosen.instance] if name == "instance" else [{}]
        for look in looks:
            view = grafana.View(board, prometheus, look, hours=0.1, scrape_interval=chosen.scrape_interval)
            print(f"{name} {look.get('mssql_instance', '')}".rstrip())
            lines, complaints = told(view, addresses)
            print("\n".join(lines))
            wrong += [f"{name}: {one}" for one in complaints]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
