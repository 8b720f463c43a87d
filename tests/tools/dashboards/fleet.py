"""The dashboards over a simulated fleet in a real Prometheus: every query returns something, what the simulation knows is what is
shown, and the samples that each query touches stay within the budget of docs/dashboards.md. Seconds are printed, not judged."""

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import grafana
import simulated

ROOT = Path(__file__).resolve().parents[3]
# docs/dashboards.md states these for 2,000 instances: samples that one query may touch, of the present and over six hours.
MOST_NOW = 500_000
MOST_OVER_TIME = 15_000_000
# And the series of one instance (DESIGN: a default instance stays below 300).
MOST_SERIES = 300


@contextmanager
def prometheus(block: Path, port: int):
    """Debian's Prometheus over blocks; it scrapes nothing. Port 0: one that is free."""
    config = block.parent / "prometheus.yml"
    config.write_text("global: { scrape_interval: 1m }\n")
    with (block.parent / "log").open("w") as log:
        process = subprocess.Popen(
            # Killed with this process, however that ends.
            ["setpriv", "--pdeathsig", "KILL", "prometheus", f"--config.file={config}", f"--storage.tsdb.path={block}"]
            + [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y", "--query.timeout=10m", "--log.level=info"],
            stdout=log,
            stderr=log,
        )
    try:
        # A busy machine takes its time; one that has died is seen at once.
        end = time.monotonic() + 600
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            said = (block.parent / "log").read_text()
            # With port 0 it says which one the system gave it.
            listening = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', said)
            try:
                if listening:
                    url = f"http://{listening[1]}"
                    opener.open(f"{url}/-/ready", timeout=60).close()
                    break
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"Prometheus did not start: {said}")
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def shown(view: grafana.View, title: str, ref: str = "A") -> dict:
    """What a panel shows: values by the labels that stand in it, without those of the exporter."""
    panel = next(panel for panel in grafana.panels(view.board) if panel["title"] == title)
    target = next(target for target in panel["targets"] if target["refId"] == ref)
    found = {}
    for labels, value in view.rows(panel, target):
        key = tuple(text for name, text in sorted(labels.items()) if name not in ("__name__", "job", "instance"))
        found[key] = found.get(key, 0) + value
    return found


def expected(size: int, catalogue: dict[str, str]) -> dict[tuple[str, str, str], dict]:
    """What the fleet's dashboard has to show, by panel and query, worked out from the instances alone."""
    everyone = simulated.fleet(size)
    up = [one for one in everyone if not one.is_down]
    judged = [one for one in up if one.applies]
    ntlm = [one for one in up if one.ntlm]

    def counted(pairs) -> dict:
        total = Counter()
        for key, number in pairs:
            total[key if isinstance(key, tuple) else (key,)] += number
        return {key: float(number) for key, number in total.items()}

    applying = [(name, severity, one.subjects(name)) for one in judged for name, severity in catalogue.items() if one.subjects(name)]
    verdicts = {(name,): 0.0 for name in ("healthy", "degraded", "broken", "unknown", "not_applicable")}
    verdicts |= counted((one.verdict, 1) for one in up)
    rank = {"not_applicable": 0, "healthy": 1, "unknown": 2, "degraded": 3, "broken": 4}
    faults = [(one, spn) for one in judged for spn in one.spns() if spn[2] in simulated.SPN_FINDINGS]
    kerberos = sum(one.kerberos for one in up)
    share = kerberos / (kerberos + sum(one.ntlm for one in up))
    only_rc4 = [one for one in up if one.encryption == {"rc4"}]
    causes = "client_cannot_kerberos loopback spn_fault name_without_spn named_pipe encryption client_side unknown".split()
    fleet = {
        ("Instances by verdict", "A"): verdicts,
        ("Instances by verdict over time", "A"): verdicts,
        ("Kerberos share", "A"): {(): share},
        ("Kerberos share of remote Windows logins", "A"): {(): share},
        ("On remote NTLM", "A"): {(): float(len(ntlm))},
        ("Critical subjects", "A"): {(): float(sum(n for _, severity, n in applying if severity == "critical"))},
        ("Exporters down", "A"): {(): float(size - len(up))},
        ("Exporters that are down", "A"): {(): 0.0} if len(up) < size else {},
        ("Instances, worst first", "A"): {(one.name,): float(rank[one.verdict]) for one in up},
        ("Instances, worst first", "D"): {(one.name,): 3.0 if one.verdict == "unknown" else 0.0 for one in up},
        ("Instances, worst first", "E"): {(one.name,): float(one.fault in simulated.SPN_FINDINGS) for one in judged},
        ("Instances, worst first", "F"): {(one.name,): float(one.ntlm) for one in up},
        ("Instances, worst first", "G"): {(one.name,): one.kerberos / (one.kerberos + one.ntlm) for one in up},
        ("Findings", "A"): counted(((name, severity), 1) for name, severity, _ in applying),
        ("Findings", "B"): counted(((name, severity), n) for name, severity, n in applying),
        ("Findings not judged", "A"): counted(((name, "peer_failed"), 1) for one in judged for name in catalogue if one.subjects(name) is None),
        ("SPN faults by domain and account", "A"): counted(((one.domain, one.account, spn[2]), 1) for one, spn in faults),
        ("Wrong holders", "A"): counted((("CORP\\svc_old", one.domain), 1) for one, spn in faults if spn[2] != "missing"),
        ("Remote NTLM connections by likely cause", "A"): {(cause,): 0.0 for cause in causes}
        | counted(("client_side" if one.fault == "good" else "spn_fault", one.ntlm) for one in up),
        ("New remote logins", "A"): {("kerberos",): 0.5 * len(up), ("ntlm",): 0.25 * len(ntlm)},
        ("Instances without remote NTLM", "A"): {(): 1 - len(ntlm) / len(up)},
        ("Service accounts by what the KDC may use", "A"): {("des",): 0.0}
        | counted((kind, kind in one.encryption) for one in up for kind in ("aes256", "aes128", "rc4")),
        ("Service accounts by what the KDC may use", "B"): {(): float(len(only_rc4))},
        ("Accounts with nothing but RC4", "A"): {(one.name, one.account): 1.0 for one in only_rc4},
        ("Service accounts that cannot be used", "A"): counted(((one.account, "locked"), 1) for one in up if one.status == "locked"),
        ("Delegation", "A"): {("none",): float(len(up))},
    }
    emea = [one for one in up if one.domain == "emea.example"]
    controllers = {
        ("Domain controllers in use", "A"): {(): 2.0},
        ("Down for somebody", "A"): {(): 1.0},
        ("Down for everybody", "A"): {(): 0.0},
        ("Largest clock skew", "A"): {(): 1.5},
        ("Findings about domain controllers", "A"): {
            ("domain_controller_down", one.name, "info"): 1.0 for one in judged if one.domain == "emea.example"
        },
        ("Domain controllers", "B"): {(role, server): float(len(emea)) if role == "kdc" else 0.0 for server, role in simulated.SERVERS},
    }
    exporters = {
        ("Exporters up", "A"): {(): float(len(up))},
        ("Exporters down", "A"): {(): float(size - len(up))},
        ("Statements refused", "A"): {(): float(len(up))},
        ("Resident memory", "B"): {(): 9e6},
        ("Processor", "B"): {(): 0.01},
        ("Scrape duration", "B"): {(): 0.004},
    }
    named = (("fleet", fleet), ("domain-controllers", controllers), ("exporter", exporters))
    return {(board, *panel): rows for board, panels in named for panel, rows in panels.items()}


def same(found: dict, wanted: dict) -> bool:
    return found.keys() == wanted.keys() and all(math.isclose(found[key], wanted[key], rel_tol=1e-9, abs_tol=1e-9) for key in wanted)


def compare(views: dict[str, grafana.View], size: int, catalogue: dict[str, str]):
    """What is shown and not what the simulation says."""
    for (board, title, ref), wanted in expected(size, catalogue).items():
        found = shown(views[board], title, ref)
        if not same(found, wanted):
            surplus = {key: value for key, value in found.items() if wanted.get(key) != value}
            lacking = {key: value for key, value in wanted.items() if found.get(key) != value}
            yield f"{board}, {title}, {ref}: shows {dict(list(surplus.items())[:3])}, expected {dict(list(lacking.items())[:3])}"


def measure(view: grafana.View):
    """Every query: series that it returns, samples that it touches (of a range: at all its points), seconds at one moment, and
    whether its rows have the family's name."""
    for panel in grafana.panels(view.board):
        for target in panel["targets"]:
            started = time.monotonic()
            now = view.run(panel, {**target, "range": False}, stats="all")
            seconds = time.monotonic() - started
            samples = now["stats"]["samples"]["totalQueryableSamples"]
            if target.get("range"):
                samples = int(samples * (view.span / view.step(panel) + 1))
            named = any("__name__" in row["metric"] for row in now["result"])
            yield panel, target, len(now["result"]), samples, seconds, named


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("instances", nargs="?", type=int, default=2000)
    parser.add_argument("--serve", type=int)
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--families", help="only these families, with commas between")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    catalogue = simulated.findings(ROOT)
    folder = Path(tempfile.mkdtemp())
    try:
        started = time.monotonic()
        wanted = set(options.families.split(",")) if options.families else None
        series = simulated.page(simulated.fleet(options.instances), catalogue, options.hours, wanted).write(folder / "page")
        written = time.monotonic()
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "page", folder / "data"], check=True, stdout=subprocess.DEVNULL
        )
        print(f"{series} series written in {written - started:.0f} s, stored in {time.monotonic() - written:.0f} s", flush=True)
        with prometheus(folder / "data", options.serve or 0) as url:
            if options.serve:
                print(f"READY {json.dumps({'url': url, 'at': simulated.AT})}", flush=True)
                sys.stdin.read()
                return 0
            return judge(url, options, series, catalogue)
    finally:
        shutil.rmtree(folder)


def judge(url: str, options, series: int, catalogue: dict[str, str]) -> int:
    api = grafana.Prometheus(url, simulated.AT)
    boards = grafana.boards(ROOT)
    # A duplicate, a blind one, and one with a backslash in its name and clients on NTLM.
    named = [simulated.Instance(number).name for number in (50, 3, 67)]

    def view(name: str, chosen: dict | None = None) -> grafana.View:
        return grafana.View(boards[name], api, chosen, hours=6, scrape_interval=simulated.SCRAPE)

    wide = {name: view(name) for name in boards if name != "instance"}
    wrong = list(compare(wide, options.instances, catalogue))
    per_instance = series / options.instances
    if per_instance > MOST_SERIES:
        wrong.append(f"{per_instance:.0f} series an instance: more than {MOST_SERIES}")
    worst: dict[str, tuple] = {}
    returned: Counter = Counter()
    for name, one in [*wide.items(), *(("instance", view("instance", {"mssql_instance": name})) for name in named)]:
        for panel, target, n_series, samples, seconds, is_named in measure(one):
            what = f"{name}: {panel['title']}, {target['refId']}"
            returned[what] += n_series
            if len(panel["targets"]) > 1 and panel["type"] == "table" and is_named:
                wrong.append(f"{what}: rows keep the family's name, so Grafana cannot merge them with those of the other queries")
            kind, budget = ("over six hours", MOST_OVER_TIME) if target.get("range") else ("now", MOST_NOW)
            if samples > budget:
                wrong.append(f"{what}: {samples} samples, more than {budget}")
            if options.report:
                print(f"{samples:>10} samples {seconds:7.3f} s {n_series:>6} series  {what}")
            worst[kind] = max(worst.get(kind, (0, "")), (samples, what))
            worst["seconds"] = max(worst.get("seconds", (0, "")), (round(seconds, 2), what))
    wrong += [f"{what}: nothing to show" for what, n_series in returned.items() if not n_series]
    for one in wrong:
        print(one, file=sys.stderr)
    if not wrong:
        n_known = len(expected(1, catalogue))
        print(f"{len(returned)} queries over {options.instances} instances with {per_instance:.0f} series each: none empty, {n_known} as simulated")
        for kind, (figure, what) in worst.items():
            print(f"  most {'samples ' if kind != 'seconds' else ''}{kind}: {figure} ({what})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
