"""Writes the dashboards from their source: generate.py FOLDER, or generate.py --check FOLDER, which only compares and exits with 1 at a
difference. FOLDER/NAME.json is for provisioning and for `Import`; FOLDER/import/NAME.json asks for the data source at import, as
dashboards on grafana.com do."""

import json
import sys
from pathlib import Path

import domain_controllers
import exporter
import fleet
import instance
from grafana_foundation_sdk.cog.encoder import JSONEncoder

BOARDS = {"fleet": fleet, "instance": instance, "domain-controllers": domain_controllers, "exporter": exporter}

# The first Grafana whose schema the SDK's release is made for.
GRAFANA = "11.6.0"
PANELS = {"bargauge": "Bar gauge", "stat": "Stat", "state-timeline": "State timeline", "table": "Table", "timeseries": "Time series"}


def provisioned(module) -> dict:
    """The dashboard as Grafana reads it from a folder."""
    board = json.loads(json.dumps(module.build().build(), cls=JSONEncoder))
    for number, panel in enumerate(board["panels"], start=1):
        panel["id"] = number
        if panel["type"] == "row":
            panel.pop("panels", None)
            panel.update(collapsed=False, panels=[])
    for variable in board["templating"]["list"]:
        if variable["type"] == "textbox":
            entered = {"selected": True, "text": variable["query"], "value": variable["query"]}
            variable.update(current=entered, options=[entered])
    return board


def importable(board: dict) -> dict:
    """The same with the data source as an input of the import, and the version and panels that it needs."""
    board = json.loads(json.dumps(board))
    for variable in board["templating"]["list"]:
        if variable["name"] == "datasource":
            variable["current"] = {"selected": True, "text": "${DS_PROMETHEUS}", "value": "${DS_PROMETHEUS}"}
    used = sorted({panel["type"] for panel in board["panels"]} - {"row"})
    head = {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "description": "The Prometheus that scrapes the exporters",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": name, "name": PANELS[name], "version": ""} for name in used),
        ],
    }
    return head | board


def files() -> dict[str, str]:
    """Every file below the folder with its text."""
    texts = {}
    for name, module in BOARDS.items():
        board = provisioned(module)
        for path, content in ((f"{name}.json", board), (f"import/{name}.json", importable(board))):
            texts[path] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return texts


def main(arguments: list[str]) -> int:
    check = arguments[:1] == ["--check"]
    folder = Path(arguments[-1])
    wanted = files()
    if not check:
        for path, text in wanted.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return 0
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.glob("**/*.json")}
    different = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    for path in different:
        print(f"{folder / path} is not what its source gives: run tests/tools/dashboards/generate", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
