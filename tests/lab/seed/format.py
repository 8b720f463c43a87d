"""Reads a scenario file (tests/scenarios/*.yml) as strictly as the loopback peers do: an unknown key is an error.

It keeps what a directory and a DNS server need; what stands under `sqlservers` is checked for its keys only.
"""
import ipaddress

import yaml

TEXT, TEXTS, FREE = "text", "list of texts", "anything"
ACCOUNT = {"name": TEXT, "class": TEXT, "dns": TEXT, "spns": TEXTS, "lagging_spns": TEXTS, "attributes": FREE}
DOMAIN = {"dns": TEXT, "netbios": TEXT, "accounts": [ACCOUNT], "controllers": [{"clock": TEXT, "down": TEXT}],
          "trust": {"direction": TEXT, "kind": TEXT, "attributes": TEXT, "encryption_types": TEXT}}
SCENARIO = {
    "about": TEXT,
    "domain": {**DOMAIN, "other_domains": [DOMAIN]},
    "trusting": [DOMAIN],
    "dns": [{"name": TEXT, "a": TEXTS, "cname": TEXT, "address": TEXT, "ptr": TEXTS,
             "srv": [{"target": TEXT, "port": TEXT, "priority": TEXT, "weight": TEXT}]}],
    "sqlservers": [{key: FREE for key in (
        "host instance version platform account address static_ports dynamic_port live_ports listen_all tcp named_pipes "
        "rights started_seconds_ago clock properties connections tables").split()}],
    # For the exporter's tests; nothing of the lab follows from it.
    "instance_settings": TEXTS,
    "hosts_file": TEXTS,
    "tickets": FREE,
    "keytab": FREE,
    "expect": {"verdicts": TEXTS, "findings": TEXTS},
}
CLASSES = ("user", "computer", "gmsa", "smsa", "dmsa")


class Malformed(Exception):
    """The file breaks the format."""


class Unsupported(Exception):
    """The file is right, but this lab cannot be made so. The text says what and why."""


def check(value, shape, where):
    if shape is FREE:
        return
    if shape is TEXT:
        if not isinstance(value, str):
            raise Malformed(f"{where}: must be a text")
    elif shape is TEXTS:
        if not isinstance(value, list):
            raise Malformed(f"{where}: must be a list")
        for item in value:
            check(item, TEXT, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise Malformed(f"{where}: must be a list")
        for number, item in enumerate(value):
            check(item, shape[0], f"{where}[{number}]")
    else:
        if not isinstance(value, dict):
            raise Malformed(f"{where}: must be a mapping")
        for key, item in value.items():
            if key not in shape:
                raise Malformed(f"{where}: unknown key {key!r}")
            check(item, shape[key], f"{where}.{key}" if where else key)


def domain(value, default_dns=None, default_netbios=None):
    dns = value.get("dns", default_dns)
    netbios = value.get("netbios", default_netbios)
    if not dns or not netbios:
        raise Malformed("a trusting domain needs dns and netbios")
    accounts = []
    for account in value.get("accounts", []):
        if not account.get("name"):
            raise Malformed("an account needs a name")
        if account.get("class", "user") not in CLASSES:
            raise Malformed(f"{account['name']}: class must be one of {', '.join(CLASSES)}")
        attributes = {}
        for name, given in account.get("attributes", {}).items():
            attributes[name] = given if isinstance(given, list) else [given]
            check(attributes[name], TEXTS, f"{account['name']}.attributes.{name}")
        accounts.append({"name": account["name"], "class": account.get("class", "user"), "dns": account.get("dns"),
                         "spns": account.get("spns", []), "attributes": attributes})
    return {"dns": dns.lower(), "netbios": netbios.upper(), "accounts": accounts}


def records(entries):
    """Name or address to its records as ("a" | "cname" | "srv" | "ptr", value): several entries of one name are one answer."""
    answers = {}
    for number, entry in enumerate(entries):
        if ("name" in entry) == ("address" in entry):
            raise Malformed(f"dns[{number}]: needs either name or address")
        if "address" in entry:
            key = ipaddress.ip_address(entry["address"]).reverse_pointer
            if set(entry) != {"address", "ptr"}:
                raise Malformed(f"dns[{number}]: an address has ptr and nothing else")
        else:
            key = entry["name"].lower().rstrip(".")
        wanted = answers.setdefault(key, [])
        wanted += [("a", str(ipaddress.ip_address(ip))) for ip in entry.get("a", [])]
        wanted += [("ptr", target) for target in entry.get("ptr", [])]
        if "cname" in entry:
            wanted.append(("cname", entry["cname"]))
        for srv in entry.get("srv", []):
            if "target" not in srv or "port" not in srv:
                raise Malformed(f"dns[{number}].srv: needs target and port")
            wanted.append(("srv", (srv["target"], int(srv["port"]), int(srv.get("priority", 0)), int(srv.get("weight", 100)))))
    return answers


def read(path):
    with open(path, encoding="utf-8") as text:
        # BaseLoader leaves every scalar a text, so that YAML 1.1's numbers and booleans cannot differ from YAML 1.2's.
        value = yaml.load(text, Loader=yaml.BaseLoader)
    check(value, SCENARIO, "")
    if "about" not in value:
        raise Malformed("about is missing")
    try:
        answers = records(value.get("dns", []))
    except ValueError as error:
        raise Malformed(f"dns: {error}") from None
    main = value.get("domain")
    if main and main.get("other_domains"):
        raise Unsupported("other_domains: Samba 4.17 cannot hold a second domain in a forest")
    for forest in [main or {}, *value.get("trusting", [])]:
        for key in ("controllers", "trust"):
            if key in forest:
                raise Unsupported(f"{key}: of a lab they are what `up` made them")
        if any(account.get("lagging_spns") for account in forest.get("accounts", [])):
            raise Unsupported("lagging_spns: the one domain controller is the Global Catalog, nothing lags")
    return {"domain": None if main is None else domain(main, "corp.contoso.com", "CORP"),
            "trusting": [domain(d) for d in value.get("trusting", [])], "dns": answers}
