"""The rules of a good dashboard, held against the JSON that is shipped: those of Grafana's dashboard linter without an exclusion,
and our own: what is unknown never looks good, panels lie in a grid without gaps, every family is shown somewhere. Whether a
query returns something is for prove.py and fleet.py."""

import json
import re
import sys
from pathlib import Path

import grafana

UIDS = {name: f"mssql-kerberos-{name}" for name in grafana.BOARDS}
SOURCE = "${datasource}"
# Families that Prometheus makes itself (https://prometheus.io/docs/concepts/jobs_instances/).
OF_PROMETHEUS = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}")
# Units of Grafana that these dashboards use (@grafana/data, valueFormats/categories.ts).
UNITS = {"short", "none", "percentunit", "s", "dtdurations", "bytes", "ops"}
GOOD = "#0072B2"
# A screen 1600 pixels wide: a column of the grid, and what a panel's frame takes.
COLUMN, FRAME = 66, 24
# What may not be in a query: it would show a number where there is no data.
INVENTED = re.compile(r"\bvector\s*\(|\bor\s+\d+(?!\s*\*)(?!\d)|\babsent")


def metrics(expr: str) -> set[str]:
    """The families in a query."""
    return {name for name, _ in SELECTOR.findall(expr)}


def targets(board: dict):
    """Every panel with each of its targets."""
    for panel in grafana.panels(board):
        for target in panel.get("targets", []):
            yield panel, target


def breaches(board: dict, uid: str) -> list[str]:
    """Every breach of a rule in one dashboard."""
    return [*_head(board, uid), *_variables(board), *_panels(board), *_queries(board), *_states(board), *_links(board), *layout(board)]


def _head(board: dict, uid: str):
    if board.get("uid") != uid or len(uid) > 40 or uid != uid.lower():
        yield f"uid is {board.get('uid')}, not {uid}"
    if board.get("editable") is not False:
        yield "editable"
    if "id" in board:
        yield "id: of one Grafana's database"
    if board.get("schemaVersion") != 41:
        yield "schemaVersion is not the one the SDK writes"
    for key in ("title", "description", "tags", "time", "refresh", "timezone"):
        if not board.get(key):
            yield f"no {key}"
    if not any(link["type"] == "dashboards" and link["includeVars"] and link["keepTime"] for link in board.get("links", [])):
        yield "no link to the other dashboards that keeps variables and time"


def _variables(board: dict):
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    sources = [variable for variable in variables.values() if variable["type"] == "datasource"]
    if [(one["name"], one["label"], one["query"]) for one in sources] != [("datasource", "Data source", "prometheus")]:
        yield "not exactly one data source variable, datasource, labelled Data source"
    for name, label in (("job", "Job"), ("instance", "Instance")):
        variable = variables.get(name, {})
        wanted = {"type": "query", "label": label, "multi": True, "includeAll": True, "allValue": ".+", "refresh": 2}
        if {key: variable.get(key) for key in wanted} != wanted:
            yield f"variable {name} is not {wanted}"
    for variable in variables.values():
        if variable["type"] == "query":
            if variable["datasource"]["uid"] != SOURCE:
                yield f"variable {variable['name']} has a data source of its own"
            if not re.fullmatch(r"label_values\(.+, \w+\)", variable["query"]["query"]):
                yield f"variable {variable['name']}: {variable['query']['query']}"


def _panels(board: dict):
    titles = set()
    for panel in grafana.panels(board):
        title = panel.get("title", "")
        if not title or len(panel.get("description", "")) < 15:
            yield f"panel {title or panel['id']}: no title or description"
        if title in titles:
            yield f"two panels are called {title}"
        titles.add(title)
        if not panel.get("targets"):
            yield f"{title}: no query"
        for part in (panel, *panel.get("targets", [])):
            if part.get("datasource") != {"type": "prometheus", "uid": SOURCE}:
                yield f"{title}: a data source that is not the variable"
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield f"{title}: unit {panel['fieldConfig']['defaults'].get('unit')}"
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                if one["id"] == "unit" and one["value"] not in UNITS:
                    yield f"{title}: unit {one['value']}"


def _queries(board: dict):
    for panel, target in targets(board):
        expr, title = target["expr"], f"{panel['title']}, {target['refId']}"
        selectors = SELECTOR.findall(expr)
        names = {name for name, _ in selectors}
        if not selectors:
            yield f"{title}: no selector"
        for name, matchers in selectors:
            if 'job=~"$job"' not in matchers or 'instance=~"$instance"' not in matchers:
                yield f"{title}: {name} is not held to job and instance"
            if not name.startswith("mssql_kerberos_") and not re.search(r"and on \(job(, instance)?\) ", expr):
                yield f"{title}: {name} is not held to our exporters"
        for name in re.findall(r"\b(mssql_kerberos_\w+|process_\w+|scrape_\w+)\b", expr):
            if name not in names:
                yield f"{title}: {name} without braces"
        for name in names:
            counted = re.search(r"\b(rate|irate|increase)\(" + name + r"\{[^}]*\}\[", expr)
            if name.endswith("_total") != bool(counted):
                yield f"{title}: {name}: rate and counters belong together"
        for window in re.findall(r"\brate\([^[]*\[([^]]*)\]", expr):
            if window != "$__rate_interval":
                yield f"{title}: rate over {window}"
        if INVENTED.search(expr):
            yield f"{title}: a number where there is no data"
        if re.search(r"\b(sum|avg)[^(]*\(mssql_kerberos_connection_ratio", expr):
            yield f"{title}: ratios cannot be added"
        over_time = panel["type"] in ("timeseries", "state-timeline")
        if over_time != bool(target.get("range")) or over_time == bool(target.get("instant")):
            yield f"{title}: range or instant"


def _states(board: dict):
    for panel in grafana.panels(board):
        defaults, title = panel["fieldConfig"]["defaults"], panel["title"]
        if defaults.get("noValue") != "no data":
            yield f"{title}: what is shown without data"
        custom = defaults.get("custom", {})
        if panel["type"] == "timeseries" and custom.get("spanNulls") is not False:
            yield f"{title}: a gap is bridged"
        mapped = [*defaults.get("mappings", [])]
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                mapped += one["value"] if one["id"] == "mappings" else []
        for mapping in mapped:
            words = {word["text"]: word["color"] for word in mapping["options"].values()}
            for text, colour in words.items():
                others = {shown for word, shown in words.items() if word != text}
                if text == "unknown" and colour in others:
                    yield f"{title}: unknown has the colour of something else"
                if not re.search(r"[a-z]", text):
                    yield f"{title}: the state {text} has no word"
            yield from (f"{title}: {complaint}" for complaint in confusable(set(words.values())))
        text = json.dumps(panel)
        # A number that is 0 is not yet good: what it counts may not have been looked at. Only a word may have the colour of good.
        if panel["type"] == "stat" and not defaults.get("mappings") and GOOD in json.dumps(defaults):
            yield f"{title}: a number in the colour of good"
        if re.search(r'"(dark-|light-|semi-dark-|super-light-)?(red|green)"', text):
            yield f"{title}: a colour that some people cannot tell from another"


def _links(board: dict):
    text = json.dumps(board)
    for uid in re.findall(r"/d/([\w-]+)", text):
        if uid not in UIDS.values():
            yield f"link to {uid}, which is no dashboard of ours"
    used = set(re.findall(r"\$\{?([a-z]\w*)", text)) - {"__data", "__rate_interval"}
    known = {variable["name"] for variable in board["templating"]["list"]}
    if used - known:
        yield f"variables that are not there: {sorted(used - known)}"
    if known - used - {"datasource"}:
        yield f"variables that nothing uses: {sorted(known - used)}"
    for panel in grafana.panels(board):
        fields = set(re.findall(r"__data\.fields\.(\w+)", json.dumps(panel)))
        shown = json.dumps(panel.get("transformations", []))
        for name in fields:
            if f'"{name}"' not in shown:
                yield f"{panel['title']}: a link needs {name}, which the table does not keep"


def layout(board: dict):
    """Panels fill a grid 24 wide, row by row, without a gap or an overlap."""
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']}: wider than the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"{panel['title']} lies on {taken[x, y]}"
                    return
                taken[x, y] = panel["title"]
    for panel in grafana.panels(board):
        needed = _width_of_columns(panel)
        if panel["type"] == "table" and needed > panel["gridPos"]["w"] * COLUMN - FRAME:
            yield f"{panel['title']}: its columns need {needed} pixels, so the last are out of sight"
    height = max(y for _, y in taken) + 1
    for y in range(height):
        empty = [x for x in range(24) if (x, y) not in taken]
        if empty:
            yield f"a gap in line {y} at {empty[0]}"
            return


def _width_of_columns(panel: dict) -> int:
    """Pixels that the columns of a table take at least; one without a width takes Grafana's least, 150."""
    widths: dict[str, int] = {}
    for override in panel["fieldConfig"]["overrides"]:
        found = {one["id"]: one["value"] for one in override["properties"]}
        widths[override["matcher"]["options"]] = 0 if found.get("custom.hidden") else found.get("custom.width", 150)
    return sum(widths.values())


# Colour vision


def _linear(colour: str) -> list[float]:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]


# Full colour blindness of each kind in linear RGB: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model
# for Simulation of Color Vision Deficiency", IEEE TVCG 15 (2009), table of severity 1.0.
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# Twice what people just notice side by side in CIE 1976 (about 2.3), and some more: cells lie apart.
LEAST_DIFFERENCE = 10


def _lab(linear: list[float]) -> list[float]:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    white = (0.9505, 1.0, 1.089)
    scaled = [sum(a * b for a, b in zip(row, linear)) / top for row, top in zip(to_xyz, white)]
    x, y, z = (value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116 for value in scaled)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def confusable(colours: set[str]):
    """Pairs of colours that somebody cannot tell apart."""
    ordered = sorted(colours)
    for vision, matrix in VISIONS.items():
        seen = {}
        for colour in ordered:
            linear = [min(1, max(0, sum(a * b for a, b in zip(row, _linear(colour))))) for row in matrix]
            seen[colour] = _lab(linear)
        for index, one in enumerate(ordered):
            for other in ordered[index + 1 :]:
                difference = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other])) ** 0.5
                if difference < LEAST_DIFFERENCE:
                    yield f"{one} and {other} look alike with {vision} vision ({difference:.0f})"


# Families


def documented(root: Path) -> set[str]:
    """Every family of the metrics reference, which is made from the code."""
    return set(re.findall(r"^\| `(\w+)` \|", (root / "docs/metrics.md").read_text(), re.MULTILINE))


def listed(file: Path) -> set[str]:
    """The names in a list with comments."""
    return {line for line in file.read_text().splitlines() if line and not line.startswith("#")}


def families(used: set[str], documented_names: set[str], awaited: set[str], unshown: set[str]):
    """Whether what the dashboards ask for is what there is."""
    for name in sorted(awaited & documented_names):
        yield f"{name} exists now: take it out of dashboards/source/awaited.txt"
    for name in sorted(awaited - used):
        yield f"{name} is awaited, but no panel asks for it"
    for name in sorted(used - documented_names - awaited - OF_PROMETHEUS):
        yield f"{name}: there is no such family"
    for name in sorted(documented_names - used - unshown):
        yield f"{name} is shown by no dashboard; show it, or say in dashboards/source/unshown.txt why not"
    for name in sorted(unshown & used | unshown - documented_names):
        yield f"{name} does not belong in dashboards/source/unshown.txt"


def main(root: Path) -> int:
    wrong = []
    used: set[str] = set()
    for name, board in grafana.boards(root).items():
        imported = json.loads((root / f"dashboards/import/{name}.json").read_text())
        for kind, one in ((name, board), (f"import/{name}", imported)):
            wrong += [f"{kind}: {breach}" for breach in breaches(one, UIDS[name])]
        inputs = [(one["name"], one["type"], one["pluginId"]) for one in imported.get("__inputs", [])]
        needed = {one["id"] for one in imported.get("__requires", [])}
        if inputs != [("DS_PROMETHEUS", "datasource", "prometheus")] or not {panel["type"] for panel in grafana.panels(board)} <= needed:
            wrong.append(f"import/{name}: inputs or requirements")
        for _, target in targets(board):
            used |= metrics(target["expr"])
    source = root / "dashboards/source"
    wrong += families(used, documented(root), listed(source / "awaited.txt"), listed(source / "unshown.txt"))
    for one in wrong:
        print(one, file=sys.stderr)
    if not wrong:
        print(f"dashboards: {len(grafana.BOARDS)} keep the rules, {len(used)} families shown")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
