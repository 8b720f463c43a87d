"""Pictures of the dashboards over the simulated fleet: asks the queries as Grafana does, and lets browser/ draw the answers."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import fleet
import grafana
import simulated

# An hour of a small fleet, so that lines are lines.
SIZE, HOURS = 100, 1
# A duplicate SPN, a blind instance.
LOOKS = [("fleet", None), ("instance", 50), ("instance", 3), ("domain-controllers", None), ("exporter", None)]


def main() -> int:
    browser, pictures, theme = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "light"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        simulated.page(simulated.fleet(SIZE), simulated.findings(fleet.ROOT), HOURS).write(work / "page")
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", work / "page", work / "data"], check=True, stdout=subprocess.DEVNULL
        )
        arguments = []
        with fleet.prometheus(work / "data", fleet.free_port()) as url:
            api = grafana.Prometheus(url, simulated.AT)
            boards = grafana.boards(fleet.ROOT)
            for name, number in LOOKS:
                chosen = {} if number is None else {"mssql_instance": simulated.Instance(number).name}
                view = grafana.View(boards[name], api, chosen, hours=HOURS, scrape_interval=simulated.SCRAPE)
                answers = {
                    panel["id"]: {target["refId"]: view.run(panel, target) for target in panel["targets"]} for panel in grafana.panels(view.board)
                }
                shown = {"board": view.board, "answers": answers, "from": api.at - view.span, "to": api.at, "theme": theme}
                what = name if number is None else f"{name}-{number}"
                (work / f"{what}.json").write_text(json.dumps(shown))
                arguments += [work / f"{what}.json", pictures / f"{what}.png"]
        return subprocess.run(["node", browser / "draw.mjs", *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main())
