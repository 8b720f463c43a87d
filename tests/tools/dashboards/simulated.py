"""A fleet that does not exist: every family of each instance, those of DESIGN that the exporter does not have yet among them, as
OpenMetrics with timestamps for `promtool tsdb create-blocks-from`. All is arithmetic on the instance's number, so that what the
dashboards have to show can be worked out beside it; how the queries work it out is not looked at."""

import re
from dataclasses import dataclass
from pathlib import Path

# Of a two-hour block, the middle: one block holds everything.
AT = 1_800_003_600
# Counters have a sample a minute over the four minutes that $__rate_interval looks back at this rhythm.
SCRAPE = 60
# Findings that panels ask for by name and the exporter does not have yet.
AWAITED_FINDINGS = {"domain_controller_down": "info", "clock_skew": "warning", "clock_skew_exceeded": "critical"}
DOMAINS = ["corp.example", "emea.example", "apac.example"]
PROBES = ["sqlserver", "connections", "directory", "dns", "ticket", "host", "logins"]
FAILURES = ["unreachable", "timeout", "refused", "credentials", "tls"]
STATEMENTS = ["identity", "settings", "own_address", "rights", "services", "registry", "listeners", "ag_replicas", "ag_listeners", "connections"]
SPN_FINDINGS = {"missing": "missing_spn", "duplicate": "duplicate_spn", "misplaced": "misplaced_spn"}
SERVERS = [("dc1.corp.example", "directory"), ("dc1.corp.example", "global_catalog"), ("dc2.corp.example", "kdc")]


def findings(root: Path) -> dict[str, str]:
    """Every finding with its severity, from the page that is made from the rules."""
    rows = re.findall(r"^## (\w+)\n\n\*(critical|warning|info)", (root / "docs/findings.md").read_text(), re.MULTILINE)
    return AWAITED_FINDINGS | dict(rows)


@dataclass(frozen=True)
class Instance:
    """One SQL Server instance and its exporter."""

    number: int

    @property
    def name(self) -> str:
        # Named instances have a backslash in their name, as all labels may.
        return f"SQL{self.number:05}" + ("\\SALES" if self.number % 20 == 7 else "")

    @property
    def host(self) -> str:
        return f"sql{self.number:05}.{self.domain}"

    @property
    def exporter(self) -> str:
        return f"{self.host}:10188"

    @property
    def domain(self) -> str:
        return DOMAINS[self.number % 3]

    @property
    def account(self) -> str:
        return f"CORP\\svc_sql{self.number // 4}"

    @property
    def is_down(self) -> bool:
        return self.number % 250 == 249

    @property
    def applies(self) -> bool:
        return self.number % 100 != 98

    @property
    def fault(self) -> str:
        """The state of its SPN with the port."""
        if self.number % 50 < 2:
            return ("duplicate", "misplaced")[self.number % 50]
        if self.number % 10 == 2:
            return "missing"
        return "unknown" if self.number % 40 == 3 else "good"

    @property
    def verdict(self) -> str:
        if not self.applies:
            return "not_applicable"
        return {"duplicate": "broken", "misplaced": "broken", "missing": "degraded", "unknown": "unknown", "good": "healthy"}[self.fault]

    @property
    def kerberos(self) -> int:
        return 40 - self.number % 7

    @property
    def ntlm(self) -> int:
        return 0 if self.number % 4 and self.fault == "good" else 3 + self.number % 5

    @property
    def encryption(self) -> set[str]:
        if self.number % 25 == 4:
            return {"rc4"}
        return {"aes256", "aes128", "rc4"} if self.number % 3 == 0 else {"aes256", "aes128"}

    @property
    def status(self) -> str:
        return "locked" if self.number % 200 == 5 else "usable"

    @property
    def expires_in(self) -> int | None:
        return None if self.number % 2 else 86_400 * (1 + self.number % 400)

    def spns(self) -> list[tuple[str, str, str]]:
        """Each SPN with its requirement and state."""
        return [
            (f"MSSQLSvc/{self.host}:1433", "required", self.fault),
            (f"MSSQLSvc/{self.host}", "recommended", "unknown" if self.fault == "unknown" else "good"),
        ]

    def subjects(self, finding: str) -> int | None:
        """Subjects of a finding; None where it was not judged."""
        if self.fault == "unknown" and finding in SPN_FINDINGS.values():
            return None
        if finding == "ntlm_fallback":
            return int(self.ntlm >= 5)
        if finding == "domain_controller_down":
            return int(self.domain == "emea.example")
        return int(finding == SPN_FINDINGS.get(self.fault))


def fleet(size: int) -> list[Instance]:
    """The instances, one exporter each."""
    return [Instance(number) for number in range(size)]


def _label(value) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


class Page:
    """Samples by family: OpenMetrics wants a family's samples together."""

    def __init__(self, moments: list[int]):
        self.families: dict[str, list[str]] = {}
        # A gauge has its samples at these moments, AT the last of them.
        self.moments = moments

    def gauge(self, name: str, labels: str, value) -> None:
        lines = self.families.setdefault(name, [])
        lines += [f"{name}{{{labels}}} {value} {moment}" for moment in self.moments]

    def counter(self, name: str, labels: str, rate: float) -> None:
        first = self.moments[0] - 4 * SCRAPE
        moments = range(first, AT + 1, SCRAPE) if len(self.moments) > 1 else range(AT - 4 * SCRAPE, AT + 1, SCRAPE)
        lines = self.families.setdefault(name, [])
        lines += [f"{name}{{{labels}}} {rate * (moment - first)} {moment}" for moment in moments]

    def write(self, file: Path) -> int:
        """Writes the page; how many series it has."""
        series = set()
        with file.open("w") as out:
            for name, lines in self.families.items():
                out.write(f"# TYPE {name.removesuffix('_total')} {'counter' if name.endswith('_total') else 'gauge'}\n")
                out.write("\n".join(lines) + "\n")
                series.update(line.rsplit(" ", 2)[0] for line in lines)
            out.write("# EOF\n")
        return len(series)


def page(instances: list[Instance], catalogue: dict[str, str], hours: float = 0, wanted: set[str] | None = None) -> Page:
    """All series. With hours: history with a sample a minute; `wanted`: only these families."""
    moments = list(range(AT - int(hours * 3600), AT + 1, SCRAPE))
    whole = Page(moments)
    if wanted is not None:
        gauge, counter = whole.gauge, whole.counter
        whole.gauge = lambda name, *rest: gauge(name, *rest) if name in wanted else None
        whole.counter = lambda name, *rest: counter(name, *rest) if name in wanted else None
    for instance in instances:
        where = f'job="mssql_kerberos",instance="{instance.exporter}"'
        whole.gauge("up", where, int(not instance.is_down))
        if instance.is_down:
            continue
        _exporter(whole, where)
        _instance(whole, where + f',mssql_instance="{_label(instance.name)}"', instance, catalogue)
    # Another job in the same Prometheus: what has no name of ours must not be counted.
    for number in range(50):
        where = f'job="node",instance="other{number}:9100"'
        whole.gauge("up", where, number % 2)
        for name in ("process_resident_memory_bytes", "process_virtual_memory_bytes", "process_threads", "process_open_fds", "process_max_fds"):
            whole.gauge(name, where, 10**12)
        whole.gauge("process_start_time_seconds", where, AT)
        whole.gauge("scrape_duration_seconds", where, 9)
        whole.gauge("scrape_samples_scraped", where, 10**6)
        whole.counter("process_cpu_seconds_total", where, 99)
    return whole


def _exporter(whole: Page, where: str) -> None:
    own = "mssql_kerberos_exporter_"
    whole.gauge(own + "build_info", where + ',version="0.1.0",revision="abc",rustc="1.88",target="x86_64-unknown-linux-gnu"', 1)
    whole.gauge(own + "config_last_reload_successful", where, 1)
    whole.gauge(own + "config_last_reload_success_timestamp_seconds", where, AT - 5000)
    whole.gauge(own + "series_dropped", where + ',family="ntlm_client_connections"', 2)
    whole.gauge("scrape_duration_seconds", where, 0.004)
    whole.gauge("scrape_samples_scraped", where, 250)
    for name, value in (
        ("resident_memory_bytes", 9_000_000),
        ("virtual_memory_bytes", 90_000_000),
        ("open_fds", 30),
        ("max_fds", 1024),
        ("threads", 3),
        ("start_time_seconds", AT - 7200),
    ):
        whole.gauge(f"process_{name}", where, value)
    whole.counter("process_cpu_seconds_total", where, 0.01)
    for server, role in SERVERS:
        at = f'{where},server="{server}",role="{role}"'
        whole.gauge("mssql_kerberos_domain_controller_up", at, int(server != "dc2.corp.example" or "emea" not in where))
        whole.gauge("mssql_kerberos_domain_controller_duration_seconds", at, 0.012)
        whole.gauge("mssql_kerberos_domain_controller_clock_skew_seconds", at, -1.5)


def _instance(whole: Page, where: str, instance: Instance, catalogue: dict[str, str]) -> None:
    def gauge(name: str, labels: dict, value) -> None:
        further = "".join(f',{label}="{_label(text)}"' for label, text in labels.items())
        whole.gauge(f"mssql_kerberos_{name}", where + further, value)

    def counter(name: str, labels: dict, rate: float) -> None:
        further = "".join(f',{label}="{text}"' for label, text in labels.items())
        whole.counter(f"mssql_kerberos_{name}", where + further, rate)

    def states(name: str, labels: dict, key: str, every: str, current: str) -> None:
        for state in every.split():
            gauge(name, {**labels, key: state}, int(state == current))

    states("verdict", {}, "verdict", "healthy degraded broken unknown not_applicable", instance.verdict)
    for probe in PROBES:
        gauge("probe_success", {"probe": probe}, int(probe != "directory" or instance.fault != "unknown"))
        gauge("probe_duration_seconds", {"probe": probe}, 0.02)
        gauge("probe_last_success_timestamp_seconds", {"probe": probe}, AT - 20)
        counter("probe_attempts_total", {"probe": probe}, 0.05)
        for kind in FAILURES:
            counter("probe_failures_total", {"probe": probe, "kind": kind}, 0.05 if instance.fault == "unknown" and (probe, kind) == ("directory", "timeout") else 0)
    for statement in STATEMENTS:
        gauge("statement_success", {"statement": statement}, int(statement != "ag_listeners"))
    described = {"server_name": instance.name, "fqdn": instance.host, "version": "16.0.4135", "edition": "Enterprise", "platform": "windows"}
    gauge("instance_info", {**described, "service_account": instance.account, "account_kind": "user"}, 1)
    for name, value in (("instance_active", 1), ("tcp_enabled", 1), ("restart_pending", 0), ("dynamic_port", 0)):
        gauge(name, {}, value)
    gauge("service_start_timestamp_seconds", {}, AT - 864_000)
    gauge("sqlserver_clock_skew_seconds", {}, 0.5)
    gauge("listener_info", {"address": "0.0.0.0", "port": 1433, "kind": "static"}, 1)
    states("ag_role", {"ag": "AG1"}, "role", "primary secondary resolving", "primary")
    _connections(gauge, counter, instance)
    gauge("dns_forward_addresses", {"name": instance.host}, 1)
    states("dns_reverse_status", {"name": instance.host, "address": "10.1.2.3"}, "status", "match missing mismatch unknown", "match")
    for record in ("A", "AAAA", "PTR"):
        gauge("dns_lookup_duration_seconds", {"record": record}, 0.001)
    _account(gauge, states, instance)
    if not instance.applies:
        return
    for finding, severity in catalogue.items():
        subjects = instance.subjects(finding)
        if subjects is None:
            gauge("finding_unknown", {"finding": finding, "reason": "peer_failed"}, 1)
        else:
            gauge("finding", {"finding": finding, "severity": severity}, subjects)
    for spn, requirement, state in instance.spns():
        one = {"spn": spn, "kind": "instance", "requirement": requirement}
        states("spn_status", one, "status", "good missing duplicate misplaced unknown", state)
        if state != "unknown":
            gauge("spn_present", one, int(state in ("good", "duplicate")))
            gauge("spn_duplicates", one, int(state == "duplicate"))
        holders = {"good": ["true"], "duplicate": ["true", "false"], "misplaced": ["false"]}.get(state, [])
        for expected in holders:
            account = instance.account if expected == "true" else "CORP\\svc_old"
            gauge("spn_holder_info", {"spn": spn, "account": account, "domain": instance.domain, "enabled": "true", "expected": expected}, 1)
        granted = state in ("good", "misplaced")
        if state != "unknown":
            gauge("ticket_granted", {"spn": spn}, int(granted))
        if granted:
            gauge("ticket_info", {"spn": spn, "encryption_type": "rc4" if instance.encryption == {"rc4"} else "aes256"}, 1)
            gauge("ticket_key_version", {"spn": spn}, 3)
        elif state != "unknown":
            gauge("ticket_error_info", {"spn": spn, "code": "KDC_ERR_S_PRINCIPAL_UNKNOWN"}, 1)
    gauge("ticket_duration_seconds", {}, 0.004)
    gauge("service_account_kdc_answer_info", {"code": "KDC_ERR_PREAUTH_REQUIRED"}, 1)


def _connections(gauge, counter, instance: Instance) -> None:
    for scheme in ("kerberos", "ntlm", "sql", "other"):
        for transport, origins in (("tcp", "local remote unknown"), ("named_pipe", "local remote unknown"), ("shared_memory", "local")):
            for origin in origins.split():
                remote = transport == "tcp" and origin == "remote"
                open_now = {"kerberos": instance.kerberos, "ntlm": instance.ntlm, "sql": 2}.get(scheme, 0) if remote else 0
                # By design on Windows: no dashboard may take a local one for the fallback.
                if scheme == "ntlm" and origin == "local":
                    open_now = 7
                gauge("connections", {"auth_scheme": scheme, "net_transport": transport, "origin": origin}, open_now)
        for origin in ("local", "remote", "unknown"):
            rate = {"kerberos": 0.5, "ntlm": 0.25 if instance.ntlm else 0}.get(scheme, 0) if origin == "remote" else 0
            counter("connections_opened_total", {"auth_scheme": scheme, "origin": origin}, rate)
    counter("connections_opened_gaps_total", {}, 0)
    gauge("connection_ratio", {}, instance.kerberos / (instance.kerberos + instance.ntlm))
    causes = "client_cannot_kerberos loopback spn_fault name_without_spn named_pipe encryption client_side unknown"
    for cause in causes.split():
        gauge("ntlm_connections", {"cause": cause}, instance.ntlm if cause == ("client_side" if instance.fault == "good" else "spn_fault") else 0)
    gauge("ntlm_clients", {}, int(instance.ntlm > 0))
    gauge("ntlm_clients_truncated", {}, 0)
    if instance.ntlm:
        gauge("ntlm_client_connections", {"client": f"10.9.0.{instance.number % 30}", "program": "Report"}, instance.ntlm)


def _account(gauge, states, instance: Instance) -> None:
    states(
        "service_account_status",
        {},
        "status",
        "usable disabled locked password_expired account_expired not_found local unknown",
        instance.status,
    )
    gauge("service_account_password_last_set_timestamp_seconds", {}, AT - 8_640_000)
    if instance.expires_in is not None:
        gauge("service_account_password_expiry_timestamp_seconds", {}, AT + instance.expires_in)
    for kind in ("aes256", "aes128", "rc4", "des"):
        gauge("service_account_encryption_type", {"encryption_type": kind}, int(kind in instance.encryption))
    states("service_account_delegation", {}, "mode", "none unconstrained constrained protocol_transition resource_based forbidden", "none")
