"""The exporters themselves: scrapes, probes, refused statements, series left out, configuration, memory and processor."""

from grafana_foundation_sdk.models import units

import states
from parts import EXPORTER, TO_EXPLAIN, UP, Column, figure, lines, metric, new, of_exporters, row, rows, variables


def _one(name: str, *further: str, **equal: str) -> str:
    return metric(name, EXPORTER, *further, **equal)


def _by_instance(name: str) -> str:
    return f"max by (instance) ({of_exporters(name)})"


def _oldest(name: str) -> str:
    return f"max by (instance) (time() - {of_exporters(name)})"


def build():
    board = new(
        "mssql-kerberos-exporter",
        "SQL Server Kerberos: exporter",
        "The exporters themselves: whether they are scraped and how their probes, statements, memory and configuration are doing.",
        variables(one_instance=None, explain=True),
    )
    board = (
        board.with_row(row("Now"))
        .with_panel(
            figure(
                "Exporters up",
                "Exporters that Prometheus scrapes successfully.",
                f"sum({UP})",
            )
        )
        .with_panel(
            figure(
                "Exporters down",
                "Exporters that Prometheus cannot scrape.",
                f"sum({UP} == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.BAD)),
            )
        )
        .with_panel(
            figure(
                "Probes failing",
                "Probes of any instance whose latest attempt failed.",
                f"sum({_one('probe_success')} == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
            )
        )
        .with_panel(
            figure(
                "Statements refused",
                "Statements that SQL Server refused for want of a right, or does not have in its version.",
                f"sum({_one('statement_success')} == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
            )
        )
        .with_panel(
            figure(
                "Series left out",
                "Series that exporters left out because a cap was reached. What is left out cannot be alerted on.",
                f"sum({_one('exporter_series_dropped')}) or 0 * count({_one('exporter_build_info')})",
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
            )
        )
        .with_panel(
            figure(
                "Configurations not loaded",
                "Exporters whose latest attempt to load the configuration failed; they go on with the one before.",
                f"sum({_one('exporter_config_last_reload_successful')} == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.BAD)),
            )
        )
        .with_panel(
            rows(
                "Exporters",
                "Every exporter: scrape, build, configuration, process. An exporter that is down has its state only.",
                {
                    "A": f"max by (instance) ({UP})",
                    "B": _by_instance("scrape_duration_seconds"),
                    "C": _by_instance("scrape_samples_scraped"),
                    "D": f"max by (instance, version, revision, target, rustc) ({_one('exporter_build_info')})",
                    "E": _by_instance("mssql_kerberos_exporter_config_last_reload_successful"),
                    "F": _oldest("mssql_kerberos_exporter_config_last_reload_success_timestamp_seconds"),
                    "G": _by_instance("process_resident_memory_bytes"),
                    "H": _oldest("process_start_time_seconds"),
                },
                [
                    Column("instance", "Exporter", links=[TO_EXPLAIN], width=260),
                    Column("Value #A", "State", words=states.REACHABLE, width=80),
                    Column("Value #B", "Scrape", unit=units.Seconds, width=100),
                    Column("Value #C", "Samples", width=90),
                    Column("version", "Version", width=90),
                    Column("revision", "Revision"),
                    Column("target", "Target"),
                    Column("Value #E", "Configuration", words=states.RELOADED, width=120),
                    Column("Value #F", "Loaded before", unit=units.DurationSeconds, decimals=0),
                    Column("Value #G", "Memory", unit=units.BytesIEC, width=100),
                    Column("Value #H", "Running for", unit=units.DurationSeconds, decimals=0),
                ],
                sort=("State", False),
                width=24,
                height=8,
                paged=True,
            )
        )
        .with_row(row("Scrapes"))
        .with_panel(
            lines(
                "Scrape duration",
                "Median and slowest scrape over the exporters. A scrape waits for no peer, so it stays in milliseconds.",
                {
                    "A": f"quantile(0.5, {of_exporters('scrape_duration_seconds')})",
                    "B": f"max({of_exporters('scrape_duration_seconds')})",
                },
                {"A": "median", "B": "slowest"},
                unit=units.Seconds,
                width=8,
            )
        )
        .with_panel(
            lines(
                "Samples in a scrape",
                "Median and largest page over the exporters.",
                {
                    "A": f"quantile(0.5, {of_exporters('scrape_samples_scraped')})",
                    "B": f"max({of_exporters('scrape_samples_scraped')})",
                },
                {"A": "median", "B": "largest"},
                width=8,
            )
        )
        .with_panel(
            lines(
                "Series left out by family",
                "Series left out because a cap was reached, by family.",
                f"sum by (family) ({_one('exporter_series_dropped')}) > 0",
                "{{family}}",
                width=8,
            )
        )
        .with_row(row("Probes"))
        .with_panel(
            lines(
                "Probes that succeed",
                "Share of instances whose latest attempt succeeded, by probe.",
                f"sum by (probe) ({_one('probe_success')}) / count by (probe) ({_one('probe_success')})",
                "{{probe}}",
                unit=units.PercentUnit,
                high=1,
                width=8,
            )
        )
        .with_panel(
            lines(
                "Slowest attempt",
                "The slowest of the latest attempts, by probe.",
                f"max by (probe) ({_one('probe_duration_seconds')})",
                "{{probe}}",
                unit=units.Seconds,
                width=8,
            )
        )
        .with_panel(
            lines(
                "Oldest answer",
                "Time since the oldest of the last successes, by probe. Tickets are asked for once an hour.",
                f"time() - min by (probe) ({_one('probe_last_success_timestamp_seconds')})",
                "{{probe}}",
                unit=units.Seconds,
                width=8,
            )
        )
        .with_panel(
            rows(
                "Attempts",
                "Attempts and failed attempts a second now, by probe. Only now: over hours these counters are most of what a fleet stores.",
                {
                    "A": f"sum by (probe) (rate({_one('probe_attempts_total')}[$__rate_interval]))",
                    "B": f"sum by (probe) (rate({_one('probe_failures_total')}[$__rate_interval]))",
                },
                [
                    Column("probe", "Probe"),
                    Column("Value #A", "Attempts", unit=units.OpsPerSecond, width=110),
                    Column("Value #B", "Failed", unit=units.OpsPerSecond, width=110),
                ],
                sort=("Failed", True),
                width=8,
            )
        )
        .with_panel(
            rows(
                "Failures by kind",
                "Failed attempts a second now, by probe and kind of failure. Empty: none failed.",
                f"sum by (probe, kind) (rate({_one('probe_failures_total')}[$__rate_interval])) > 0",
                [
                    Column("probe", "Probe"),
                    Column("kind", "Kind"),
                    Column("Value", "Failed", unit=units.OpsPerSecond, width=110),
                ],
                sort=("Failed", True),
                width=8,
            )
        )
        .with_panel(
            rows(
                "Refused statements",
                "Statements that SQL Server refused for want of a right, or does not have in its version.",
                f"{_one('statement_success')} == 0",
                [
                    Column("statement", "Statement"),
                    Column("mssql_instance", "SQL Server"),
                    Column("instance", "Exporter", links=[TO_EXPLAIN]),
                ],
                sort=("Statement", False),
                width=8,
                paged=True,
            )
        )
        .with_panel(
            lines(
                "Counting of new connections started over",
                "How often a SQL Server's clock went back, so that new connections could not be counted for a while.",
                f"sum(increase({_one('connections_opened_gaps_total')}[$__rate_interval]))",
                "started over",
                width=8,
            )
        )
        .with_panel(
            rows(
                "Slowest probes",
                "The twenty probes whose latest attempt took longest.",
                f"topk(20, {_one('probe_duration_seconds')})",
                [
                    Column("mssql_instance", "SQL Server"),
                    Column("probe", "Probe"),
                    Column("Value", "Took", unit=units.Seconds, width=110),
                    Column("instance", "Exporter", links=[TO_EXPLAIN]),
                ],
                sort=("Took", True),
                width=16,
            )
        )
        .with_row(row("Process"))
    )
    processes = (
        ("Processor", "process_cpu_seconds_total", "Cores in use", units.Short),
        ("Resident memory", "process_resident_memory_bytes", "Resident memory", units.BytesIEC),
        ("Virtual memory", "process_virtual_memory_bytes", "Virtual memory", units.BytesIEC),
        ("Threads", "process_threads", "Threads", units.Short),
    )
    for title, name, what, unit in processes:
        value = of_exporters(name)
        if name.endswith("_total"):
            rate = f"rate({name}{{{EXPORTER}}}[$__rate_interval])"
            value = f"({rate} and on (job, instance) {_one('exporter_build_info')})"
        board = board.with_panel(
            lines(
                title,
                f"{what}, median and highest over the exporters.",
                {"A": f"quantile(0.5, {value})", "B": f"max({value})"},
                {"A": "median", "B": "highest"},
                unit=unit,
                width=8,
            )
        )
    return board.with_panel(
        lines(
            "Open file descriptors",
            "Open file descriptors as a share of those allowed, the highest over the exporters.",
            f"max({of_exporters('process_open_fds')} / {of_exporters('process_max_fds')})",
            "highest",
            unit=units.PercentUnit,
            width=8,
        )
    ).with_panel(
        lines(
            "Youngest process",
            "Time since the latest start of any exporter: a sawtooth means restarts.",
            f"time() - max({of_exporters('process_start_time_seconds')})",
            "youngest",
            unit=units.Seconds,
            width=8,
        )
    )
