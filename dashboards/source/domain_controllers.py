"""The domain controllers in use: whether they answer, how fast, whose clock is off. Many exporters may use the same one;
a value here is over all that do."""

from grafana_foundation_sdk.models import units

import states
from parts import (
    EXPORTER,
    TO_INSTANCE,
    TO_RUNBOOK,
    Column,
    figure,
    lines,
    metric,
    new,
    row,
    rows,
    variables,
)

UP = metric("domain_controller_up", EXPORTER)
DURATION = metric("domain_controller_duration_seconds", EXPORTER)
SKEW = metric("domain_controller_clock_skew_seconds", EXPORTER)
# The probes that talk to domain controllers.
PROBES = 'probe=~"directory|ticket"'
FINDINGS = 'finding=~"domain_controller_unreachable|domain_controller_down|clock_skew_exceeded|clock_skew"'


def build():
    one = f"sum by (server, role) ({UP})"
    every = f"count by (server, role) ({UP})"
    return (
        new(
            "mssql-kerberos-domain-controllers",
            "SQL Server Kerberos: domain controllers",
            "The domain controllers that the exporters use: whether they answer, how fast, and whose clock is off.",
            variables(one_instance=None, runbooks=True),
        )
        .with_row(row("Now"))
        .with_panel(
            figure(
                "Domain controllers in use",
                "Distinct servers that some exporter uses in any role.",
                f"count(count by (server) ({UP}))",
                width=4,
            )
        )
        .with_panel(
            figure(
                "Down for somebody",
                "Servers that at least one exporter cannot use in a role.",
                f"sum(min by (server) ({UP}) == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
                width=4,
            )
        )
        .with_panel(
            figure(
                "Down for everybody",
                "Servers that no exporter can use in any role.",
                f"sum(max by (server) ({UP}) == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.BAD)),
                width=4,
            )
        )
        .with_panel(
            figure(
                "Slowest answer",
                "The slowest of the latest answers.",
                f"max({DURATION})",
                unit=units.Seconds,
                width=4,
            )
        )
        .with_panel(
            figure(
                "Largest clock skew",
                "The largest difference between a server's clock and an exporter's, either way. Kerberos allows five minutes.",
                f"max(abs({SKEW}))",
                unit=units.Seconds,
                steps=((None, states.NEUTRAL), (120, states.WARNING), (300, states.BAD)),
                width=4,
            )
        )
        .with_panel(
            figure(
                "Answers of the directory",
                "Share of instances whose latest look into the directory succeeded.",
                f'sum({metric("probe_success", EXPORTER, probe="directory")}) / count({metric("probe_success", EXPORTER, probe="directory")})',
                unit=units.PercentUnit,
                decimals=1,
                width=4,
            )
        )
        .with_panel(
            rows(
                "Domain controllers",
                "Each server by role: how many exporters use it and for how many it is down, its slowest answer, its clock against theirs.",
                {
                    "A": f"{every}",
                    "B": f"{every} - {one}",
                    "C": f"max by (server, role) ({DURATION})",
                    "D": f"min by (server, role) ({SKEW})",
                    "E": f"max by (server, role) ({SKEW})",
                    "F": f"min by (server, role) ({UP})",
                },
                [
                    Column("server", "Server"),
                    Column("role", "Role", width=140),
                    Column("Value #F", "State", words=states.REACHABLE, width=90),
                    Column("Value #A", "Exporters", width=100),
                    Column("Value #B", "Down for", width=100),
                    Column("Value #C", "Slowest answer", unit=units.Seconds, width=130),
                    Column("Value #D", "Clock, lowest", unit=units.Seconds, width=120),
                    Column("Value #E", "Clock, highest", unit=units.Seconds, width=120),
                ],
                sort=("Down for", True),
                width=24,
                height=9,
                paged=True,
            )
        )
        .with_row(row("Over time"))
        .with_panel(
            lines(
                "Share of exporters that it answers",
                "By server and role, the share of exporters that can use it.",
                f"{one} / {every}",
                "{{server}} {{role}}",
                unit=units.PercentUnit,
                high=1,
            )
        )
        .with_panel(
            lines(
                "Slowest answer of each",
                "By server and role, the slowest of the latest answers to any exporter.",
                f"max by (server, role) ({DURATION})",
                "{{server}} {{role}}",
                unit=units.Seconds,
            )
        )
        .with_panel(
            lines(
                "Clock skew",
                "Each server's clock minus the exporters', the farthest of them. Beyond five minutes Kerberos refuses.",
                {"A": f"max by (server) ({SKEW})", "B": f"min by (server) ({SKEW})"},
                {"A": "{{server}} highest", "B": "{{server}} lowest"},
                unit=units.Seconds,
                low=None,
            )
        )
        .with_panel(
            rows(
                "Failed attempts",
                "Failed attempts a second now of the probes that ask domain controllers, by kind of failure. Empty: none failed.",
                f"sum by (probe, kind) (rate({metric('probe_failures_total', EXPORTER, PROBES)}[$__rate_interval])) > 0",
                [
                    Column("probe", "Probe"),
                    Column("kind", "Kind"),
                    Column("Value", "Failed", unit=units.OpsPerSecond, width=110),
                ],
                sort=("Failed", True),
            )
        )
        .with_row(row("What it does to SQL Server"))
        .with_panel(
            rows(
                "Findings about domain controllers",
                "Instances whose domain controllers or clocks are at fault.",
                f"{metric('finding', EXPORTER, FINDINGS)} > 0",
                [
                    Column("finding", "Finding", links=[TO_RUNBOOK]),
                    Column("severity", "Severity", words=states.SEVERITY, width=110),
                    Column("mssql_instance", "SQL Server", links=[TO_INSTANCE]),
                    Column("Value", "Subjects", width=90),
                ],
                sort=("Finding", False),
            )
        )
        .with_panel(
            rows(
                "SQL Servers whose clock is off",
                "The twenty instances whose clock differs most from their exporter's, either way.",
                f"topk(20, abs({metric('sqlserver_clock_skew_seconds', EXPORTER)}))",
                [
                    Column("mssql_instance", "SQL Server", links=[TO_INSTANCE]),
                    Column("Value", "Difference", unit=units.Seconds, decimals=1, width=130),
                ],
                sort=("Difference", True),
            )
        )
    )
