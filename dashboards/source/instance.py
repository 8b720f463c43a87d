"""One SQL Server instance: verdict and findings, SPNs and who holds them, connections, the service account, tickets, names,
ports, and how the probes are doing."""

from grafana_foundation_sdk.models import units

import states
from parts import (
    IDENTITY,
    INSTANCE,
    TO_EXPLAIN,
    TO_RUNBOOK,
    Column,
    bars,
    data_age,
    figure,
    history,
    lines,
    metric,
    new,
    row,
    rows,
    severest_first,
    variables,
    verdict_rank,
    verdict_words,
)

REMOTE = 'origin="remote"'


def _one(name: str, *further: str, **equal: str) -> str:
    return metric(name, INSTANCE, *further, **equal)


def _spns_with_holders() -> str:
    """One row for each holder of an SPN with the SPN's state, and one for each SPN without a holder."""
    key = f"{IDENTITY}, spn"
    # At most one row for each SPN on the right side, whatever the exporter says, or the join is refused.
    status = f"topk by ({key}) (1, {_one('spn_status')} == 1)"
    holders = _one("spn_holder_info")
    return f"{holders} * on ({key}) group_left(kind, requirement, status) {status} or {status} unless on ({key}) {holders}"


def build():
    board = new(
        "mssql-kerberos-instance",
        "SQL Server Kerberos: instance",
        "One SQL Server instance: whether Kerberos works for it, why not, who is on NTLM.",
        variables(one_instance=True, runbooks=True, explain=True),
    )
    board = _now(board)
    board = _spns(board)
    board = _connections(board)
    board = _account(board)
    board = _tickets_and_names(board)
    board = _ports(board)
    return _looking(board)


def _now(board):
    judged = f"0 * sum({_one('verdict')})"
    return (
        board.with_row(row("Now"))
        .with_panel(
            figure(
                "Verdict",
                "Whether Kerberos works for this instance. Broken: logins fail now or after the next restart; degraded: they fall back to NTLM.",
                verdict_rank(INSTANCE),
                words=verdict_words(),
                width=5,
            )
        )
        .with_panel(
            figure(
                "Critical",
                "Subjects of critical findings. No data: none of them could be judged.",
                f'sum({_one("finding", severity="critical")})',
                steps=((None, states.NEUTRAL), (1, states.BAD)),
                width=3,
            )
        )
        .with_panel(
            figure(
                "Warning",
                "Subjects of findings that are warnings. No data: none of them could be judged.",
                f'sum({_one("finding", severity="warning")})',
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
                width=3,
            )
        )
        .with_panel(
            figure(
                "Not judged",
                "Findings that could not be judged, or only in part.",
                f"count({_one('finding_unknown')}) or {judged}",
                steps=((None, states.NEUTRAL), (1, states.UNKNOWN)),
                width=3,
            )
        )
        .with_panel(
            figure(
                "Kerberos share",
                "Kerberos among the remote Kerberos and NTLM connections that are open now. No data while there are none.",
                _one("connection_ratio"),
                unit=units.PercentUnit,
                decimals=1,
                width=3,
            )
        )
        .with_panel(
            figure(
                "SQL Server",
                "Whether the instance answers; no data when it does not. On a passive node of a failover cluster nothing is judged: look at the node that runs it.",
                _one("instance_active"),
                words=states.ACTIVE,
                width=4,
            )
        )
        .with_panel(
            figure(
                "Oldest answer",
                "Time since the last success of the probe whose last success is the oldest. Where tickets are asked for, up to an hour is normal.",
                data_age(INSTANCE),
                unit=units.DurationSeconds,
                decimals=0,
                width=3,
            )
        )
        .with_panel(
            history(
                "Verdict over time",
                "The verdict over time. A gap: the exporter was not scraped.",
                verdict_rank(INSTANCE),
                "{{mssql_instance}}",
                verdict_words(),
                width=16,
            )
        )
        .with_panel(
            figure(
                "SQL Server has run for",
                "Time since the service started. A password that was set later may not be in use yet.",
                f"time() - {_one('service_start_timestamp_seconds')}",
                unit=units.DurationSeconds,
                decimals=1,
                width=4,
            )
        )
        .with_panel(
            figure(
                "SQL Server's clock",
                "SQL Server's clock minus the exporter's. Kerberos allows five minutes.",
                _one("sqlserver_clock_skew_seconds"),
                unit=units.Seconds,
                decimals=1,
                width=4,
            )
        )
        .with_panel(
            rows(
                "Instance",
                "The instance as it describes itself. The exporter's address leads to its own page: why, and what to do.",
                _one("instance_info"),
                [
                    Column("instance", "Exporter", links=[TO_EXPLAIN], width=260),
                    Column("server_name", "Server name"),
                    Column("fqdn", "FQDN"),
                    Column("service_account", "Service account"),
                    Column("account_kind", "Kind of account"),
                    Column("version", "Version"),
                    Column("edition", "Edition"),
                    Column("platform", "Platform"),
                ],
                width=24,
                height=4,
            )
        )
        .with_row(row("Findings"))
        .with_panel(
            rows(
                "Findings",
                "What is wrong, most severe first. The finding leads to its runbook, the exporter's address to evidence and remedy for this instance.",
                {
                    "A": f"sum by (instance, finding, severity) ({_one('finding')} > 0)",
                    "B": severest_first(INSTANCE, "instance, finding, severity"),
                },
                [
                    Column("finding", "Finding", links=[TO_RUNBOOK]),
                    Column("severity", "Severity", words=states.SEVERITY, width=110),
                    Column("Value #A", "Subjects", width=90),
                    Column("instance", "Evidence and remedy", links=[TO_EXPLAIN]),
                ],
                order="Value #B",
                height=8,
                width=10,
            )
        )
        .with_panel(
            rows(
                "Findings not judged",
                "Findings that could not be judged, or only in part, with the reason.",
                _one("finding_unknown"),
                [
                    Column("finding", "Finding", links=[TO_RUNBOOK]),
                    Column("reason", "Reason", width=110),
                    Column("instance", "Evidence", links=[TO_EXPLAIN]),
                ],
                height=8,
                width=7,
            )
        )
        .with_panel(
            lines(
                "Findings over time",
                "Subjects of each finding that applied.",
                f"sum by (finding) ({_one('finding')} > 0)",
                "{{finding}}",
                height=8,
                width=7,
            )
        )
    )


def _spns(board):
    return (
        board.with_row(row("SPNs"))
        .with_panel(
            rows(
                "SPNs and their holders",
                "Every SPN that clients may ask for: its state, and each account that holds it. No account: nobody holds it, or the directory did not say.",
                _spns_with_holders(),
                [
                    Column("spn", "SPN"),
                    Column("kind", "Kind", width=90),
                    Column("requirement", "Needed", width=120),
                    Column("status", "Status", words=states.SPN_STATUS, width=110),
                    Column("account", "Holder", empty="–"),
                    Column("domain", "Domain", empty="–"),
                    Column("expected", "Right holder", words=states.EXPECTED_HOLDER, width=110, empty="–"),
                    Column("enabled", "Enabled", width=90, empty="–"),
                ],
                sort=("SPN", False),
                width=24,
                height=9,
            )
        )
        .with_panel(
            rows(
                "Presence and duplicates",
                "Whether the right account holds each SPN, and how many accounts hold it beyond one. Both together show a duplicate.",
                {"A": f"max by (spn) ({_one('spn_present')})", "B": f"max by (spn) ({_one('spn_duplicates')})"},
                [
                    Column("spn", "SPN"),
                    Column("Value #A", "On the right account", words=states.HELD, width=170),
                    Column("Value #B", "Further holders", width=130),
                ],
                sort=("SPN", False),
            )
        )
        .with_panel(
            lines(
                "SPNs by status",
                "How many of the expected SPNs are in each state.",
                f"sum by (status) ({_one('spn_status')})",
                "{{status}}",
                words={**states.SPN_STATUS, "misplaced": states.FURTHER},
                stacked=True,
            )
        )
    )


def _connections(board):
    return (
        board.with_row(row("Connections"))
        .with_panel(
            lines(
                "Remote connections by scheme",
                "Open remote connections by authentication scheme; those whose origin is unknown count in the table only.",
                f"sum by (auth_scheme) ({_one('connections', REMOTE)})",
                "{{auth_scheme}}",
                words=states.SCHEME,
                stacked=True,
                width=9,
            )
        )
        .with_panel(
            lines(
                "New connections",
                "New connections a second by scheme and origin. Those shorter than a refresh are missed.",
                f"sum by (auth_scheme, origin) (rate({_one('connections_opened_total')}[$__rate_interval]) > 0)",
                "{{auth_scheme}} {{origin}}",
                unit=units.OpsPerSecond,
                width=8,
            )
        )
        .with_panel(
            rows(
                "Open now",
                "Open connections by scheme, transport and origin; the exporter's own is left out. Local connections are NTLM by design on Windows.",
                f"{_one('connections')} > 0",
                [
                    Column("auth_scheme", "Scheme", width=100),
                    Column("net_transport", "Transport", width=130),
                    Column("origin", "Origin", width=90),
                    Column("Value", "Open", width=80),
                ],
                sort=("Open", True),
                width=7,
            )
        )
        .with_panel(
            bars(
                "Remote NTLM by likely cause",
                "Open remote NTLM connections by likely cause, those of connections.ignore left out.",
                f"sum by (cause) ({_one('ntlm_connections')})",
                "{{cause}}",
                width=9,
            )
        )
        .with_panel(
            rows(
                "Clients on NTLM",
                "Clients and programs with most remote NTLM connections. Empty where the exporter does not name clients (connections.ntlm_clients).",
                f"{_one('ntlm_client_connections')} > 0",
                [Column("client", "Client"), Column("program", "Program"), Column("Value", "Open", width=80)],
                sort=("Open", True),
                width=9,
            )
        )
        .with_panel(
            figure(
                "NTLM clients",
                "Distinct remote addresses on NTLM; all named pipes count as one, and so does everything behind a proxy.",
                _one("ntlm_clients"),
                width=3,
                height=8,
            )
        )
        .with_panel(
            figure(
                "Clients left out",
                "Clients that the table beside does not show, because only those with most connections have series.",
                _one("ntlm_clients_truncated"),
                width=3,
                height=8,
            )
        )
    )


def _account(board):
    return (
        board.with_row(row("Service account"))
        .with_panel(
            rows(
                "State",
                "What the directory says of the account that the service runs as. Several faults may hold at once.",
                f"{_one('service_account_status')} == 1",
                [Column("status", "State", words=states.ACCOUNT_STATUS)],
                width=5,
                height=7,
            )
        )
        .with_panel(
            figure(
                "Age of the password",
                "Time since the password was last set. Older than the service's start is normal for an account that is not managed.",
                f"time() - {_one('service_account_password_last_set_timestamp_seconds')}",
                unit=units.DurationSeconds,
                decimals=1,
                height=7,
            )
        )
        .with_panel(
            figure(
                "Password expires in",
                "Time until the password expires; negative: expired. No data: it never does, or the directory did not say.",
                f"{_one('service_account_password_expiry_timestamp_seconds')} - time()",
                unit=units.DurationSeconds,
                decimals=1,
                height=7,
            )
        )
        .with_panel(
            rows(
                "Encryption types",
                "What the KDC may use for tickets to this account.",
                _one("service_account_encryption_type"),
                [Column("encryption_type", "Type"), Column("Value", "Allowed", words=states.ALLOWED)],
                sort=("Type", False),
                width=5,
                height=7,
            )
        )
        .with_panel(
            rows(
                "Delegation",
                "Whether and how the account may act for its callers, as linked servers need it.",
                f"{_one('service_account_delegation')} == 1",
                [Column("mode", "Delegation", words=states.DELEGATION)],
                width=6,
                height=7,
            )
        )
    )


def _tickets_and_names(board):
    return (
        board.with_row(row("Tickets"))
        .with_panel(
            rows(
                "Tickets",
                "Whether the KDC issues a ticket for each SPN, or with which error it refuses. Issued does not mean that the service can decrypt it.",
                {
                    "A": f"max by (spn) ({_one('ticket_granted')})",
                    "B": f"max by (spn, code) ({_one('ticket_error_info')})",
                    "C": f"max by (spn, encryption_type) ({_one('ticket_info')})",
                    "D": f"max by (spn) ({_one('ticket_key_version')})",
                },
                [
                    Column("spn", "SPN"),
                    Column("Value #A", "Ticket", words=states.GRANTED, width=110),
                    Column("code", "Error", empty="–"),
                    Column("encryption_type", "Encryption", words=states.ENCRYPTION, width=120, empty="–"),
                    Column("Value #D", "Key version", width=110, empty="–"),
                ],
                sort=("SPN", False),
                width=14,
            )
        )
        .with_panel(
            rows(
                "The account at the KDC",
                "What a KDC answers to a logon as the service account without pre-authentication; KDC_ERR_PREAUTH_REQUIRED is the usual answer. Asked only with ticket.ask_service_accounts.",
                _one("service_account_kdc_answer_info"),
                [Column("code", "Answer")],
                width=4,
            )
        )
        .with_panel(
            lines(
                "Time to get a ticket",
                "How long the KDC took for a service ticket.",
                _one("ticket_duration_seconds"),
                "ticket",
                unit=units.Seconds,
                width=6,
            )
        )
        .with_row(row("Names"))
        .with_panel(
            rows(
                "Addresses",
                "How many addresses each name resolves to; 0: there is no such name, or it has no address.",
                _one("dns_forward_addresses"),
                [Column("name", "Name"), Column("Value", "Addresses", width=110)],
                sort=("Name", False),
                width=7,
            )
        )
        .with_panel(
            rows(
                "Reverse names",
                "Whether the reverse name of each address gives the name back. A mismatch matters: some clients ask for the SPN of the reverse name.",
                f"{_one('dns_reverse_status')} == 1",
                [
                    Column("name", "Name"),
                    Column("address", "Address"),
                    Column("status", "Reverse name", words=states.REVERSE_STATUS, width=130),
                ],
                sort=("Name", False),
                width=9,
            )
        )
        .with_panel(
            lines(
                "Look-up time",
                "The slowest look-up of each refresh by record type.",
                f"max by (record) ({_one('dns_lookup_duration_seconds')})",
                "{{record}}",
                unit=units.Seconds,
                width=8,
            )
        )
    )


def _ports(board):
    return (
        board.with_row(row("Ports and availability groups"))
        .with_panel(
            rows(
                "Listeners",
                "TCP ports that the instance listens on.",
                _one("listener_info"),
                [Column("address", "Address"), Column("port", "Port", width=90), Column("kind", "Kind")],
                sort=("Port", False),
                width=8,
                height=7,
            )
        )
        .with_panel(
            figure("TCP", "Whether the TCP/IP protocol is enabled.", _one("tcp_enabled"), words=states.TCP, width=3, height=7)
        )
        .with_panel(
            figure(
                "Port",
                "Whether a live port is one that the instance chose itself: after a restart it may be another, and the SPN has to follow.",
                _one("dynamic_port"),
                words=states.DYNAMIC,
                width=3,
                height=7,
            )
        )
        .with_panel(
            figure(
                "Configured ports",
                "Whether the configured static ports are the live ones.",
                _one("restart_pending"),
                words=states.PENDING,
                width=3,
                height=7,
            )
        )
        .with_panel(
            rows(
                "Availability groups",
                "This replica's role in each availability group. Empty: it is in none, or may not see them.",
                f"{_one('ag_role')} == 1",
                [Column("ag", "Availability group"), Column("role", "Role", width=120)],
                sort=("Availability group", False),
                width=7,
                height=7,
            )
        )
    )


def _looking(board):
    return (
        board.with_row(row("Probes and statements"))
        .with_panel(
            rows(
                "Probes",
                "Whether each peer was reached and answered at the latest attempt, how long that took, and when it last did.",
                {
                    "A": f"max by (probe) ({_one('probe_success')})",
                    "B": f"max by (probe) ({_one('probe_duration_seconds')})",
                    "C": f"time() - max by (probe) ({_one('probe_last_success_timestamp_seconds')})",
                },
                [
                    Column("probe", "Probe"),
                    Column("Value #A", "Latest attempt", words=states.SUCCESS, width=130),
                    Column("Value #B", "Took", unit=units.Seconds, width=110),
                    Column("Value #C", "Last success before", unit=units.DurationSeconds, decimals=0),
                ],
                sort=("Probe", False),
                width=10,
                height=8,
            )
        )
        .with_panel(
            lines(
                "Failed attempts",
                "Failed attempts a second by probe and kind of failure.",
                f"sum by (probe, kind) (rate({_one('probe_failures_total')}[$__rate_interval])) > 0",
                "{{probe}}: {{kind}}",
                unit=units.OpsPerSecond,
                width=7,
            )
        )
        .with_panel(
            rows(
                "Statements",
                "Whether SQL Server answered each statement, or refused it for want of a right, or does not have it in its version.",
                _one("statement_success"),
                [Column("statement", "Statement"), Column("Value", "Outcome", words=states.ANSWERED, width=160)],
                sort=("Statement", False),
                width=7,
            )
        )
    )
