"""What Grafana does between a dashboard and Prometheus: variables, their escaping, intervals, instant and range queries.
After @grafana/prometheus 11.6 (datasource.ts, escaping.ts); it draws nothing."""

import json
import math
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

# Seconds for one query: one that a busy machine takes long for is answered all the same.
PATIENCE = 600
BOARDS = ["fleet", "instance", "domain-controllers", "exporter"]


def boards(root: Path) -> dict[str, dict]:
    """The dashboards by name."""
    return {name: json.loads((root / f"dashboards/{name}.json").read_text()) for name in BOARDS}


def panels(board: dict) -> list[dict]:
    """The panels that show something, in reading order."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


class Refused(Exception):
    """Prometheus did not answer the query; its own words."""


class Prometheus:
    """The HTTP API of one Prometheus, asked at one moment."""

    def __init__(self, url: str, at: float | None = None):
        self.url = url
        self.at = at if at is not None else self.instant("vector(time())")[0]["value"][0]

    def get(self, path: str, **parameters) -> dict:
        """What the API answers, whole."""
        data = urllib.parse.urlencode(parameters, doseq=True).encode()
        # POST, as Grafana does: a query may be longer than a URL.
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data if path.startswith("query") else None)
        if not path.startswith("query"):
            request.full_url += "?" + data.decode()
        # No proxy: Prometheus is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with opener.open(request, timeout=PATIENCE) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as error:
                # 503: it ran out of time, which is the machine's fault and no word on the query.
                if error.code != 503 or time.monotonic() > end:
                    raise Refused(error.read().decode()) from error
                time.sleep(1)

    def instant(self, expr: str) -> list[dict]:
        """Series with `value`."""
        at = {"time": self.at} if hasattr(self, "at") else {}
        return self.get("query", query=expr, **at)["result"]

    def label_values(self, selector: str, label: str) -> list[str]:
        """The values of a label over the last hour."""
        return self.get(f"label/{label}/values", **{"match[]": selector, "start": self.at - 3600, "end": self.at})


def _escape(value: str) -> str:
    """For `=`: a variable with one value (prometheusRegularEscape)."""
    return value.replace("\\", "\\\\").replace("'", "\\\\'")


def _escape_regex(value: str) -> str:
    """For `=~`: a variable with several values, or with `All` (prometheusSpecialRegexEscape)."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", lambda found: "\\\\" + found[0], value.replace("\\", "\\\\\\\\"))


class View:
    """A dashboard as one reader sees it: the variables have values."""

    def __init__(self, board: dict, prometheus: Prometheus, chosen: dict | None = None, *, hours=1.0, scrape_interval=15.0):
        self.board, self.prometheus = board, prometheus
        self.span, self.scrape_interval = hours * 3600, scrape_interval
        self.values: dict[str, str] = {}
        self.options: dict[str, list[str]] = {}
        for variable in board["templating"]["list"]:
            self._fill(variable, (chosen or {}).get(variable["name"]))

    def _fill(self, variable: dict, chosen):
        name = variable["name"]
        if variable["type"] != "query":
            self.values[name] = str(variable.get("query", ""))
            return
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        self.options[name] = self.prometheus.label_values(self._replace(asked[1]), asked[2])
        several = variable["multi"] or variable["includeAll"]
        if chosen is None and variable["includeAll"]:
            self.values[name] = variable["allValue"]
        elif several:
            values = [_escape_regex(value) for value in ([chosen] if isinstance(chosen, str) else chosen)]
            self.values[name] = values[0] if len(values) == 1 else f"({'|'.join(values)})"
        else:
            self.values[name] = _escape(chosen if chosen is not None else (self.options[name] or [""])[0])

    def _replace(self, text: str) -> str:
        return re.sub(r"\$\{?(\w+)\}?", lambda found: self.values.get(found[1], found[0]), text)

    def step(self, panel: dict) -> float:
        """Seconds between two points of a panel, as its width in points gives it."""
        return max(self.span / panel.get("maxDataPoints", 300), self.scrape_interval)

    def expr(self, panel: dict, target: dict) -> str:
        """The query as it is sent."""
        step = self.step(panel)
        rate_interval = max(step + self.scrape_interval, 4 * self.scrape_interval)
        text = target["expr"]
        for name, seconds in (("__rate_interval", rate_interval), ("__interval", step), ("__range", self.span)):
            text = text.replace(f"${name}", f"{math.ceil(seconds)}s")
        return self._replace(text)

    def run(self, panel: dict, target: dict, **further) -> dict:
        """Prometheus' whole answer."""
        expr, at = self.expr(panel, target), self.prometheus.at
        if target.get("range"):
            step = self.step(panel)
            start = at - math.floor(self.span / step) * step
            return self.prometheus.get("query_range", query=expr, start=start, end=at, step=step, **further)
        return self.prometheus.get("query", query=expr, time=at, **further)

    def rows(self, panel: dict, target: dict) -> list[tuple[dict, float]]:
        """Labels and value of each series, of a range its newest point where it reaches the end."""
        found = []
        for series in self.run(panel, target)["result"]:
            when, value = series["value"] if "value" in series else series["values"][-1]
            if abs(float(when) - self.prometheus.at) < 1:
                found.append((series["metric"], float(value)))
        return found


def legend(target: dict, labels: dict) -> str:
    """The name of a series in the panel."""
    form = target.get("legendFormat", "__auto")
    if form == "__auto":
        return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), form)
