"""What all four dashboards are made of: variables, selectors, and panels with one look, on Grafana's Foundation SDK.
It knows nothing of what is asked; every panel gets its queries from the dashboard that it stands on."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import bargauge, common as common_builders, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common, dashboard, units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

import states

TAG = "mssql-kerberos"
DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

# What every selector begins with: the exporter's job and address, as Prometheus labels them.
EXPORTER = 'job=~"$job",instance=~"$instance"'
# And the SQL Server instances: several may be chosen, or one.
INSTANCES = EXPORTER + ',mssql_instance=~"$mssql_instance"'
INSTANCE = EXPORTER + ',mssql_instance="$mssql_instance"'

# Labels that name one instance as seen by one exporter.
IDENTITY = "job, instance, mssql_instance"

NO_DATA = "no data"

# Points of a line, however wide the screen: each costs the samples of one moment, and a fleet has many (docs/dashboards.md).
POINTS = 150

TO_INSTANCE = (
    "Open the instance",
    "/d/mssql-kerberos-instance?${datasource:queryparam}&${job:queryparam}"
    "&var-mssql_instance=${__data.fields.mssql_instance:percentencode}&${__url_time_range}",
)
TO_RUNBOOK = ("Runbook of the finding", "${runbooks}/${__data.fields.finding}.md")
TO_EXPLAIN = ("What the exporter says: why, and what to do", "${explain_scheme}://${__data.fields.instance}/explain")

# Where the runbooks are read, unless another place is entered at the head of the dashboard.
RUNBOOKS = "https://runbooks.example/mssql-kerberos-exporter"


def metric(name: str, selector: str, *further: str, **equal: str) -> str:
    """A selector of one of our families, its name without the prefix; further matchers as text, or label="value"."""
    matchers = [selector, *further, *(f'{label}="{value}"' for label, value in equal.items())]
    return f"mssql_kerberos_{name}{{{','.join(matchers)}}}"


def verdict_rank(selector: str, times: int = 1, further: str = "") -> str:
    """The verdict as a number that sorts, by instance; no sample where there is no verdict. `further` is added to it."""
    terms = [f'{rank * times} * {metric("verdict", selector, verdict=name)}' for name, rank in states.VERDICT_RANK.items()]
    return f"sum by ({IDENTITY}) ({' or '.join([*terms, *([further] if further else [])])})"


def severest_first(selector: str, by: str) -> str:
    """Findings that apply, as numbers that sort: by severity, then by how many instances."""
    # Counted first, joined then: a join of all series of a fleet takes seconds.
    terms = (f'count by ({by}) ({metric("finding", selector, severity=name)} > 0) + {rank * 1_000_000}' for name, rank in states.SEVERITY_RANK.items())
    return " or ".join(terms)


def data_age(selector: str) -> str:
    """Seconds since the probe that has been silent longest last succeeded, by instance."""
    return f"time() - min by ({IDENTITY}) ({metric('probe_last_success_timestamp_seconds', selector)})"


# `All` jobs means every job of that Prometheus (G2: `.+`), so what is not named after us has to be held to our own exporters.


def of_exporters(name: str) -> str:
    """A family that others have too (process_*, scrape_*), of the exporters alone."""
    return f"({name}{{{EXPORTER}}} and on (job, instance) {metric('exporter_build_info', EXPORTER)})"


# Of a job in which an exporter answered within the last hour: one that is down has no other series to be known by.
UP = f"(up{{{EXPORTER}}} and on (job) last_over_time({metric('exporter_build_info', EXPORTER)}[1h]))"


# Variables


def variables(*, one_instance: bool | None, runbooks: bool = False, explain: bool = False) -> list:
    """`one_instance`: whether exactly one SQL Server instance is looked at; None for a dashboard that has none."""
    chosen = [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query_variable("job", "Job", "label_values(mssql_kerberos_exporter_build_info, job)"),
        _query_variable("instance", "Instance", 'label_values(mssql_kerberos_exporter_build_info{job=~"$job"}, instance)').description(
            "The exporter's address, as Prometheus knows it"
        ),
    ]
    if one_instance is not None:
        names = f"label_values(mssql_kerberos_verdict{{{EXPORTER}}}, mssql_instance)"
        variable = _query_variable("mssql_instance", "SQL Server", names)
        if one_instance:
            variable = _query_variable("mssql_instance", "SQL Server", names, many=False)
        else:
            # Unlike `.+`, Prometheus need not look up what this matches.
            variable = variable.all_value(".*")
        chosen.append(variable)
    if runbooks:
        chosen.append(
            builders.TextBoxVariable("runbooks").label("Runbooks").default_value(RUNBOOKS).description("Folder of the runbooks, as a URL")
        )
    if explain:
        chosen.append(
            builders.CustomVariable("explain_scheme")
            .label("Exporter speaks")
            .values("http,https")
            .current(dashboard.VariableOption(text="http", value="http", selected=True))
            .options(
                [
                    dashboard.VariableOption(text="http", value="http", selected=True),
                    dashboard.VariableOption(text="https", value="https", selected=False),
                ]
            )
        )
    return chosen


def _query_variable(name: str, label: str, query: str, many: bool = True):
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": f"{name}-values", "qryType": 1})
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if many:
        every = dashboard.VariableOption(text="All", value="$__all", selected=True)
        variable = variable.multi(True).include_all(True).all_value(".+").current(every)
    return variable


# A whole dashboard


def new(uid: str, title: str, description: str, chosen: list) -> builders.Dashboard:
    """An empty dashboard; links to its sisters keep variables and time."""
    board = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG, "mssql", "kerberos"])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("SQL Server and Kerberos")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in chosen:
        board = board.with_variable(variable)
    return board


def row(title: str):
    """The head of a group of panels."""
    return builders.Row(title)


# Queries


def _query(expr: str, ref: str, legend: str = "__auto"):
    return prometheus.Dataquery().expr(expr).ref_id(ref).datasource(DATASOURCE).legend_format(legend).exemplar(False)


def _as_queries(queries) -> dict:
    return {"A": queries} if isinstance(queries, str) else queries


# Looks


def _fixed(colour: str):
    return {"mode": "fixed", "fixedColor": colour}


def _thresholds(*steps: tuple[float | None, str]):
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _words(words: dict) -> list:
    """Value mappings of numbers that mean a word: {1: ("up", colour)}, or of texts: {"good": colour}."""
    options = {}
    for index, (value, word) in enumerate(words.items()):
        text, colour = word if isinstance(word, tuple) else (None, word)
        options[str(value)] = dashboard.ValueMappingResult(text=text or str(value).replace("_", " "), color=colour, index=index)
    return [dashboard.ValueMap(options=options)]


def verdict_words() -> dict:
    """The words of `verdict_rank`."""
    return {rank: (name.replace("_", " "), states.VERDICT[name]) for name, rank in states.VERDICT_RANK.items()}


def _property(name: str, value) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def _colours(panel, words: dict):
    for name, colour in words.items():
        panel = panel.override_by_name(name, [_property("color", _fixed(colour))])
    return panel


def _common(panel, title: str, description: str, width: int, height: int):
    return panel.title(title).description(description).datasource(DATASOURCE).span(width).height(height).no_value(NO_DATA)


# Panels


def figure(title, description, query, *, unit=units.Short, width=4, height=4, decimals=None, steps=((None, states.NEUTRAL),), words=None):
    """One number, or one word, as it is now."""
    panel = _common(stat.Panel(), title, description, width, height).unit(unit)
    panel = panel.with_target(_query(query, "A").instant())
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID if words else common.BigValueColorMode.VALUE)
    panel = panel.graph_mode(common.BigValueGraphMode.NONE).reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.thresholds(_thresholds(*steps)).color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
    if words:
        panel = panel.mappings(_words(words)).text_mode(common.BigValueTextMode.VALUE)
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel


def figures(title, description, query, legend, words: dict, *, width=12, height=4):
    """How many of each state: name and number; the colour of a state only where there is one."""
    panel = _common(stat.Panel(), title, description, width, height).unit(units.Short)
    panel = panel.with_target(_query(query, "A", legend).instant())
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).orientation(common.VizOrientation.VERTICAL)
    panel = panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.thresholds(_thresholds((None, states.NEUTRAL)))
    for name, colour in words.items():
        steps = {"mode": "absolute", "steps": [{"value": None, "color": "transparent"}, {"value": 1, "color": colour}]}
        panel = panel.override_by_name(
            name, [_property("thresholds", steps), _property("color", {"mode": "thresholds"})]
        )
    return panel


def lines(
    title, description, queries, legend="__auto", *, unit=units.Short, width=12, height=8, words=None, stacked=False, low=0, high=None
):
    """Values over time. A gap stays a gap."""
    panel = _common(timeseries.Panel(), title, description, width, height).unit(unit).max_data_points(POINTS)
    legends = legend if isinstance(legend, dict) else {}
    for ref, expr in _as_queries(queries).items():
        panel = panel.with_target(_query(expr, ref, legends.get(ref, legend)).range())
    panel = panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = panel.tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    panel = panel.line_width(2).fill_opacity(25 if stacked else 8).show_points(common.VisibilityMode.AUTO).span_nulls(False)
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    panel = panel.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    return _colours(panel, words or {})


def history(title, description, query, legend, words: dict, *, width=24, height=4):
    """A state over time, as coloured bars with their word."""
    panel = _common(statetimeline.Panel(), title, description, width, height).unit(units.NoUnit).max_data_points(POINTS)
    panel = panel.with_target(_query(query, "A", legend).range()).mappings(_words(words))
    panel = panel.merge_values(True).show_value(common.VisibilityMode.AUTO).fill_opacity(90).line_width(0).row_height(0.8)
    panel = panel.legend(
        common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM).show_legend(True)
    )
    return panel.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)).thresholds(
        _thresholds((None, states.UNKNOWN))
    )


def bars(title, description, query, legend, *, width=8, height=8, unit=units.Short):
    """Values beside each other, as they are now."""
    panel = _common(bargauge.Panel(), title, description, width, height).unit(unit).min(0)
    panel = panel.with_target(_query(query, "A", legend).instant()).orientation(common.VizOrientation.HORIZONTAL)
    panel = panel.display_mode(common.BarGaugeDisplayMode.BASIC).show_unfilled(True).value_mode(common.BarGaugeValueMode.TEXT)
    panel = panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(states.FURTHER)).thresholds(
        _thresholds((None, states.FURTHER))
    )


@dataclass
class Column:
    """A column of a table: the field that it shows, its heading, how its values look."""

    name: str
    heading: str
    unit: str | None = None
    words: dict | None = None
    width: int | None = None
    links: list = field(default_factory=list)
    hidden: bool = False
    decimals: int | None = None
    # What an empty cell shows; an empty one that means nothing is no lack of data.
    empty: str = NO_DATA


def rows(title, description, queries, columns: list[Column], *, sort=None, order=None, width=12, height=8, paged=False):
    """A table. `sort`: heading and whether descending, as the reader may change it; `order`: a field to sort by that need not be shown."""
    panel = _common(table.Panel(), title, description, width, height).unit(units.Short)
    queries = _as_queries(queries)
    for ref, expr in queries.items():
        panel = panel.with_target(_query(expr, ref).instant().format(PromQueryFormat.TABLE))

    def transform(name: str, options: dict):
        return dashboard.DataTransformerConfig(id_val=name, options=options)

    if len(queries) > 1:
        panel = panel.with_transformation(transform("merge", {}))
    if order:
        panel = panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": order, "desc": True}]}))
    names = [column.name for column in columns]
    panel = panel.with_transformation(transform("filterFieldsByName", {"include": {"names": names}}))
    panel = panel.with_transformation(
        transform(
            "organize",
            {
                "excludeByName": {},
                "indexByName": {name: index for index, name in enumerate(names)},
                "renameByName": {column.name: column.heading for column in columns if column.heading != column.name},
            },
        )
    )
    if sort:
        heading, descending = sort
        panel = panel.sort_by([common_builders.TableSortByFieldState().display_name(heading).desc(descending)])
    panel = panel.show_header(True).cell_height(common.TableCellHeight.SM).filterable(True)
    panel = panel.footer(common_builders.TableFooterOptions().show(False).reducer(["sum"]).count_rows(False).enable_pagination(paged))
    for column in columns:
        panel = panel.override_by_name(column.heading, list(_column_properties(column)))
    return panel


def _column_properties(column: Column):
    # A field without a unit of its own is text, or a plain number.
    yield _property("unit", column.unit or units.NoUnit)
    if column.words:
        yield _property("mappings", [mapping.to_json() for mapping in _words(column.words)])
        yield _property("custom.cellOptions", {"type": "color-background", "mode": "basic"})
    if column.width:
        yield _property("custom.width", column.width)
    if column.decimals is not None:
        yield _property("decimals", column.decimals)
    if column.empty != NO_DATA:
        yield _property("noValue", column.empty)
    if column.hidden:
        yield _property("custom.hidden", True)
    if column.links:
        yield _property("links", [{"title": title, "url": url, "targetBlank": not url.startswith("/d/")} for title, url in column.links])
