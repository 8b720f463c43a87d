"""The fleet: which instances are worst, how much is Kerberos, whose SPNs are wrong, how far NTLM and RC4 are retired.
Shares are made of sums over `connections`, never of the instances' own ratios."""

from grafana_foundation_sdk.models import units

import states
from parts import (
    IDENTITY,
    INSTANCES,
    TO_INSTANCE,
    TO_RUNBOOK,
    UP,
    Column,
    data_age,
    figure,
    figures,
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
NTLM = 'auth_scheme="ntlm"'
KERBEROS = 'auth_scheme="kerberos"'
WINDOWS = 'auth_scheme=~"kerberos|ntlm"'
FAULTY = 'status=~"missing|duplicate|misplaced"'
REQUIRED = 'requirement="required"'
TAKEN = 'status=~"duplicate|misplaced"'
URGENT = 'severity=~"critical|warning"'
UNUSABLE = 'status!~"usable|local"'


def _one(name: str, *further: str, **equal: str) -> str:
    return metric(name, INSTANCES, *further, **equal)


def _share() -> str:
    return f"sum({_one('connections', KERBEROS, REMOTE)}) / (sum({_one('connections', WINDOWS, REMOTE)}) > 0)"


def _remote_ntlm() -> str:
    return f"sum by ({IDENTITY}) ({_one('connections', NTLM, REMOTE)})"


def with_account(expr: str) -> str:
    """The same with the label service_account; without it where the instance could not say it."""
    account = f"max by ({IDENTITY}, service_account) ({_one('instance_info')})"
    return f"({expr}) * on ({IDENTITY}) group_left(service_account) {account} or ({expr}) unless on ({IDENTITY}) {account}"


def _by_verdict() -> str:
    """Instances by verdict. One on a failover cluster counts once: on the node that runs it."""
    return f"sum by (verdict) ({_one('verdict')} unless on ({IDENTITY}) {_one('instance_active')} == 0)"


def _faults() -> str:
    """SPNs at fault. A recommended one may be missing: no client needs it."""
    return f"{_one('spn_status', REQUIRED, status='missing')} or {_one('spn_status', TAKEN)}"


def _faults_with_domain() -> str:
    """SPNs at fault with the DNS domain of their host."""
    return f'label_replace(({_faults()}) == 1, "dns_domain", "$1", "spn", "[^/]+/[^./:]+[.]([^/:]+).*")'


def _only_rc4() -> str:
    encryption = "service_account_encryption_type"
    rc4 = _one(encryption, 'encryption_type="rc4"')
    aes = _one(encryption, 'encryption_type=~"aes.*"')
    return f"({rc4} == 1) unless on ({IDENTITY}) ({aes} == 1)"


def build():
    urgent = f'sum by ({IDENTITY}) ({_one("finding", URGENT)})'
    board = new(
        "mssql-kerberos-fleet",
        "SQL Server Kerberos: fleet",
        "Which SQL Server instances have a problem with Kerberos, worst first; the Kerberos share; how far NTLM and RC4 are retired.",
        variables(one_instance=False, runbooks=True),
    )
    board = (
        board.with_row(row("Now"))
        .with_panel(
            figures(
                "Instances by verdict",
                "How many instances have each verdict; one on a failover cluster counts where it runs. Unknown is not good news: something that matters could not be looked at.",
                _by_verdict(),
                "{{verdict}}",
                states.VERDICT,
                width=10,
            )
        )
        .with_panel(
            figure(
                "Kerberos share",
                "Kerberos among the remote Kerberos and NTLM connections that are open now. No data while there are none.",
                _share(),
                unit=units.PercentUnit,
                decimals=1,
            )
        )
        .with_panel(
            figure(
                "On remote NTLM",
                "Instances with at least one open remote NTLM connection, whatever its cause.",
                f"sum({_remote_ntlm()} > bool 0)",
                steps=((None, states.NEUTRAL), (1, states.WARNING)),
                width=3,
            )
        )
        .with_panel(
            figure(
                "Critical subjects",
                "Subjects of critical findings over all instances: logins fail now, or after the next restart.",
                f'sum({_one("finding", severity="critical")})',
                steps=((None, states.NEUTRAL), (1, states.BAD)),
                width=3,
            )
        )
        .with_panel(
            figure(
                "Exporters down",
                "Exporters that Prometheus cannot scrape. Their instances are missing from everything else on this page.",
                f"sum({UP} == bool 0)",
                steps=((None, states.NEUTRAL), (1, states.BAD)),
            )
        )
        .with_row(row("Worst first"))
        .with_panel(
            rows(
                "Instances, worst first",
                "Every instance with its verdict, the subjects of its findings, what could not be judged, and its remote logins. An empty cell: unknown.",
                {
                    "A": verdict_rank(INSTANCES),
                    "B": f'sum by ({IDENTITY}) ({_one("finding", severity="critical")})',
                    "C": f'sum by ({IDENTITY}) ({_one("finding", severity="warning")})',
                    "D": f"count by ({IDENTITY}) ({_one('finding_unknown')}) or 0 * sum by ({IDENTITY}) ({_one('verdict')})",
                    "E": f"sum by ({IDENTITY}) ({_one('spn_status', FAULTY, REQUIRED)})",
                    "F": _remote_ntlm(),
                    "G": f"max by ({IDENTITY}) ({_one('connection_ratio')})",
                    "H": data_age(INSTANCES),
                    "I": verdict_rank(INSTANCES, times=1000, further=f"clamp_max({urgent}, 999)"),
                },
                [
                    Column("mssql_instance", "SQL Server", links=[TO_INSTANCE]),
                    Column("Value #A", "Verdict", words=verdict_words(), width=130),
                    Column("Value #B", "Critical", width=90),
                    Column("Value #C", "Warning", width=90),
                    Column("Value #D", "Not judged", width=100),
                    Column("Value #E", "SPN faults", width=100),
                    Column("Value #F", "Remote NTLM", width=120),
                    Column("Value #G", "Kerberos share", unit=units.PercentUnit, decimals=1, width=130),
                    Column("Value #H", "Oldest answer", unit=units.DurationSeconds, decimals=0, width=130),
                    Column("instance", "Exporter"),
                ],
                order="Value #I",
                width=24,
                height=14,
                paged=True,
            )
        )
        .with_panel(
            rows(
                "Findings",
                "Instances that each finding applies to and its subjects over all of them, most severe first. The name leads to the runbook.",
                {
                    "A": f"count by (finding, severity) ({_one('finding')} > 0)",
                    "B": f"sum by (finding, severity) ({_one('finding')} > 0)",
                    "C": severest_first(INSTANCES, "finding, severity"),
                },
                [
                    Column("finding", "Finding", links=[TO_RUNBOOK]),
                    Column("severity", "Severity", words=states.SEVERITY, width=110),
                    Column("Value #A", "Instances", width=110),
                    Column("Value #B", "Subjects", width=110),
                ],
                order="Value #C",
                height=9,
            )
        )
        .with_panel(
            rows(
                "Findings not judged",
                "Findings that could not be judged, or only in part, with the reason: blind spots, not good news.",
                f"count by (finding, reason) ({_one('finding_unknown')})",
                [
                    Column("finding", "Finding", links=[TO_RUNBOOK]),
                    Column("reason", "Reason"),
                    Column("Value", "Instances", width=110),
                ],
                sort=("Instances", True),
                width=7,
                height=9,
            )
        )
        .with_panel(
            rows(
                "Exporters that are down",
                "Addresses that Prometheus cannot scrape. An empty table next to a number of exporters down of 0 is good.",
                f"{UP} == 0",
                [Column("instance", "Exporter"), Column("Value", "State", words=states.REACHABLE, width=90)],
                width=5,
                height=9,
            )
        )
        .with_row(row("Kerberos over time"))
        .with_panel(
            lines(
                "Kerberos share of remote Windows logins",
                "Kerberos among all remote Kerberos and NTLM connections, summed over the instances. A gap: no such connection, or no data.",
                _share(),
                "Kerberos share",
                unit=units.PercentUnit,
                high=1,
                words={"Kerberos share": states.GOOD},
            )
        )
        .with_panel(
            lines(
                "Instances by verdict over time",
                "How many instances had each verdict. A falling sum means that exporters stopped answering.",
                _by_verdict(),
                "{{verdict}}",
                words=states.VERDICT,
                stacked=True,
            )
        )
        .with_row(row("SPN faults"))
        .with_panel(
            rows(
                "SPN faults by domain and account",
                "Required SPNs that are missing, and all that are duplicate or misplaced, by the DNS domain in them and the account that should hold them.",
                f"sum by (dns_domain, service_account, status) ({with_account(_faults_with_domain())})",
                [
                    Column("dns_domain", "Domain"),
                    Column("service_account", "Service account"),
                    Column("status", "Status", words=states.SPN_STATUS, width=110),
                    Column("Value", "SPNs", width=80),
                ],
                sort=("SPNs", True),
                width=11,
            )
        )
        .with_panel(
            rows(
                "Wrong holders",
                "Accounts that hold SPNs of services that run as another account: clients get tickets that the service cannot decrypt.",
                f'sum by (domain, account) ({_one("spn_holder_info", expected="false")})',
                [Column("domain", "Domain", width=120), Column("account", "Account"), Column("Value", "SPNs", width=80)],
                sort=("SPNs", True),
                width=6,
            )
        )
        .with_panel(
            lines(
                "SPNs not good",
                "Required SPNs that are missing, expected ones that are duplicate or misplaced, and those whose state is unknown.",
                f"sum by (status) ({_faults()} or {_one('spn_status', status='unknown')})",
                "{{status}}",
                words={**states.SPN_STATUS, "misplaced": states.FURTHER},
                width=7,
            )
        )
        .with_row(row("NTLM retirement"))
        .with_panel(
            lines(
                "Remote NTLM connections by likely cause",
                "Open remote NTLM connections by likely cause. NTLM is retired when this is a line at zero.",
                f"sum by (cause) ({_one('ntlm_connections')})",
                "{{cause}}",
                stacked=True,
                width=9,
            )
        )
        .with_panel(
            lines(
                "New remote logins",
                "New remote connections a second by scheme. Pools keep NTLM connections for days after a repair; this falls at once.",
                f"sum by (auth_scheme) (rate({_one('connections_opened_total', WINDOWS, REMOTE)}[$__rate_interval]))",
                "{{auth_scheme}}",
                unit=units.OpsPerSecond,
                words={"kerberos": states.GOOD, "ntlm": states.WARNING},
                width=8,
            )
        )
        .with_panel(
            lines(
                "Instances without remote NTLM",
                "Share of instances without an open remote NTLM connection: the way to 100 % is the way to switching NTLM off.",
                f"sum({_remote_ntlm()} == bool 0) / count({_remote_ntlm()})",
                "Without remote NTLM",
                unit=units.PercentUnit,
                high=1,
                words={"Without remote NTLM": states.GOOD},
                width=7,
            )
        )
        .with_panel(
            rows(
                "Most remote NTLM",
                "The twenty instances with most open remote NTLM connections.",
                f"topk(20, sum by (mssql_instance) ({_one('connections', NTLM, REMOTE)}) > 0)",
                [Column("mssql_instance", "SQL Server", links=[TO_INSTANCE]), Column("Value", "Connections", width=120)],
                sort=("Connections", True),
            )
        )
        .with_panel(
            rows(
                "Clients on NTLM",
                "The twenty clients and programs with most remote NTLM connections. Empty where the exporters do not name clients (connections.ntlm_clients).",
                f"topk(20, sum by (client, program) ({_one('ntlm_client_connections')}) > 0)",
                [Column("client", "Client"), Column("program", "Program"), Column("Value", "Connections", width=120)],
                sort=("Connections", True),
            )
        )
        .with_row(row("RC4 retirement and service accounts"))
        .with_panel(
            lines(
                "Service accounts by what the KDC may use",
                "Instances whose service account allows each encryption type, and those that allow nothing but RC4: these break when RC4 is removed.",
                {
                    "A": f"sum by (encryption_type) ({_one('service_account_encryption_type')})",
                    "B": f"count({_only_rc4()}) or 0 * count({_one('service_account_encryption_type')})",
                },
                {"A": "{{encryption_type}}", "B": "only rc4"},
                words={**states.ENCRYPTION, "only rc4": states.UNKNOWN},
                width=9,
            )
        )
        .with_panel(
            lines(
                "Tickets by encryption type",
                "Service tickets that KDCs issued to the exporters, by encryption type.",
                f"sum by (encryption_type) ({_one('ticket_info')})",
                "{{encryption_type}}",
                stacked=True,
                words=states.ENCRYPTION,
                width=7,
            )
        )
        .with_panel(
            rows(
                "Accounts with nothing but RC4",
                "Service accounts that allow RC4 and no AES type. First a new password, which makes AES keys, then AES in msDS-SupportedEncryptionTypes.",
                f"sum by (service_account, mssql_instance) ({with_account(_only_rc4())})",
                [
                    Column("service_account", "Service account"),
                    Column("mssql_instance", "SQL Server", links=[TO_INSTANCE]),
                ],
                width=8,
            )
        )
        .with_panel(
            rows(
                "Passwords that expire first",
                "The twenty service accounts whose passwords expire first. Those that never expire are not here.",
                f"bottomk(20, min by (service_account) ({with_account(_one('service_account_password_expiry_timestamp_seconds'))}) - time())",
                [
                    Column("service_account", "Service account"),
                    Column("Value", "Expires in", unit=units.DurationSeconds, decimals=1, width=200),
                ],
                sort=("Expires in", False),
                width=9,
            )
        )
        .with_panel(
            rows(
                "Service accounts that cannot be used",
                "Service accounts that are disabled, locked, expired or not found.",
                f'sum by (service_account, status) ({with_account(_one("service_account_status", UNUSABLE) + " == 1")})',
                [
                    Column("service_account", "Service account"),
                    Column("status", "Status", words=states.ACCOUNT_STATUS, width=150),
                    Column("Value", "Instances", width=100),
                ],
                sort=("Instances", True),
                width=8,
            )
        )
        .with_panel(
            rows(
                "Delegation",
                "How far service accounts may act for their callers. Unconstrained delegation is a risk by itself.",
                f'sum by (mode) ({_one("service_account_delegation")} == 1)',
                [Column("mode", "Delegation", words=states.DELEGATION), Column("Value", "Instances", width=100)],
                sort=("Instances", True),
                width=7,
            )
        )
    )
    return board
