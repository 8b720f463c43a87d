"""The rules refuse what they are there to refuse: each change of a good dashboard below is named by the rule that it breaks."""

import copy
import sys
from pathlib import Path

import grafana
import rules

ROOT = Path(__file__).resolve().parents[3]


def first(board: dict, kind: str) -> dict:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


def query(board: dict, expr: str) -> None:
    first(board, "timeseries")["targets"][0]["expr"] = expr


OURS = '{job=~"$job",instance=~"$instance"}'
CHANGES = {
    "uid is other": lambda board: board.update(uid="other"),
    "editable": lambda board: board.update(editable=True),
    "no refresh": lambda board: board.update(refresh=""),
    "no link to the other dashboards": lambda board: board.update(links=[]),
    "variable job is not": lambda board: board["templating"]["list"][1].update(allValue=""),
    "has a data source of its own": lambda board: board["templating"]["list"][1]["datasource"].update(uid="abc"),
    "no title or description": lambda board: first(board, "table").update(description=""),
    "a data source that is not the variable": lambda board: first(board, "table")["targets"][0].update(datasource=None),
    "unit fortnights": lambda board: first(board, "stat")["fieldConfig"]["defaults"].update(unit="fortnights"),
    "no query": lambda board: first(board, "stat").update(targets=[]),
    "is not held to job and instance": lambda board: query(board, 'mssql_kerberos_verdict{job=~"$job"}'),
    "is not held to our exporters": lambda board: query(board, f"process_threads{OURS}"),
    "without braces": lambda board: query(board, f"mssql_kerberos_verdict{OURS} + mssql_kerberos_finding"),
    "rate and counters belong together": lambda board: query(board, f"sum(mssql_kerberos_probe_attempts_total{OURS})"),
    "rate over 5m": lambda board: query(board, f"rate(mssql_kerberos_probe_attempts_total{OURS}[5m])"),
    "a number where there is no data": lambda board: query(board, f"mssql_kerberos_verdict{OURS} or vector(0)"),
    "ratios cannot be added": lambda board: query(board, f"avg(mssql_kerberos_connection_ratio{OURS})"),
    "range or instant": lambda board: first(board, "table")["targets"][0].update(range=True, instant=False),
    "what is shown without data": lambda board: first(board, "stat")["fieldConfig"]["defaults"].update(noValue="0"),
    "a gap is bridged": lambda board: first(board, "timeseries")["fieldConfig"]["defaults"]["custom"].update(spanNulls=True),
    "a colour that some people cannot tell": lambda board: first(board, "stat")["fieldConfig"]["defaults"].update(color={"fixedColor": "green"}),
    "a number in the colour of good": lambda board: board["panels"][2]["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(color=rules.GOOD),
    "which is no dashboard of ours": lambda board: board.update(description="/d/elsewhere"),
    "variables that are not there": lambda board: query(board, f"mssql_kerberos_verdict{OURS} > $limit"),
    "lies on": lambda board: board["panels"][2]["gridPos"].update(x=0),
    "a gap in line": lambda board: board["panels"][-1]["gridPos"].update(w=1),
    "out of sight": lambda board: first(board, "table")["fieldConfig"]["overrides"][0]["properties"].append({"id": "custom.width", "value": 2000}),
    "wider than the grid": lambda board: board["panels"][1]["gridPos"].update(w=30),
}


def main() -> int:
    good = grafana.boards(ROOT)["fleet"]
    uid = rules.UIDS["fleet"]
    wrong = [f"the fleet's own: {breach}" for breach in rules.breaches(good, uid)]
    for words, change in CHANGES.items():
        board = copy.deepcopy(good)
        change(board)
        if not any(words in breach for breach in rules.breaches(board, uid)):
            wrong.append(f"accepted: {words}")
    mapped = {"type": "value", "options": {"1": {"text": "unknown", "color": "#0072B2"}, "2": {"text": "good", "color": "#0072B2"}}}
    board = copy.deepcopy(good)
    first(board, "stat")["fieldConfig"]["defaults"]["mappings"] = [mapped]
    if not any("unknown has the colour of something else" in breach for breach in rules.breaches(board, uid)):
        wrong.append("accepted: unknown in the colour of good")
    # Grafana's own red and green are a pair that deuteranopes confuse; Okabe and Ito's blue and vermillion are not.
    if not list(rules.confusable({"#E02F44", "#56A64B"})) or list(rules.confusable({"#0072B2", "#D55E00"})):
        wrong.append("colour vision")
    for expected, lists in {
        "exists now": ({"a"}, {"a"}, {"a"}, set()),
        "no panel asks for it": (set(), set(), {"a"}, set()),
        "there is no such family": ({"a"}, set(), set(), set()),
        "is shown by no dashboard": (set(), {"a"}, set(), set()),
        "does not belong": ({"a"}, {"a"}, set(), {"a"}),
    }.items():
        if not any(expected in one for one in rules.families(*lists)):
            wrong.append(f"accepted: {expected}")
    for one in wrong:
        print(f"dashboards self-test FAILED: {one}", file=sys.stderr)
    if not wrong:
        print(f"dashboards self-test: {len(CHANGES) + 7} faults refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
