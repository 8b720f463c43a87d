"""The states that panels show, each with text and a colour. Colours are of Okabe and Ito's palette ("Color Universal Design", 2008),
made so that people with any colour vision tell them apart; tests/tools/dashboards checks that for the ones used together.
Unknown has a colour of its own: neither that of good nor that of bad."""

GOOD = "#0072B2"  # blue
WARNING = "#E69F00"  # orange
BAD = "#D55E00"  # vermillion
UNKNOWN = "#CC79A7"  # reddish purple
NEUTRAL = "#5F6368"  # dark grey: does not apply, or nothing to say
FURTHER = "#56B4E9"  # sky blue: one more kind of thing, no judgement

VERDICT = {
    "healthy": GOOD,
    "degraded": WARNING,
    "broken": BAD,
    "unknown": UNKNOWN,
    "not_applicable": NEUTRAL,
}
# The number by which instances are sorted, worst last. Unknown stands above healthy: it may be anything.
VERDICT_RANK = {"not_applicable": 0, "healthy": 1, "unknown": 2, "degraded": 3, "broken": 4}

SEVERITY = {"critical": BAD, "warning": WARNING, "info": FURTHER}
SEVERITY_RANK = {"critical": 3, "warning": 2, "info": 1}

SPN_STATUS = {"good": GOOD, "missing": WARNING, "duplicate": BAD, "misplaced": BAD, "unknown": UNKNOWN}

REVERSE_STATUS = {"match": GOOD, "missing": NEUTRAL, "mismatch": WARNING, "unknown": UNKNOWN}

ACCOUNT_STATUS = {
    "usable": GOOD,
    "disabled": BAD,
    "locked": BAD,
    "password_expired": BAD,
    "account_expired": BAD,
    "not_found": BAD,
    "local": WARNING,
    "unknown": UNKNOWN,
}

DELEGATION = {
    "none": NEUTRAL,
    "unconstrained": BAD,
    "constrained": FURTHER,
    "protocol_transition": WARNING,
    "resource_based": FURTHER,
    "forbidden": NEUTRAL,
}

ENCRYPTION = {"aes256": GOOD, "aes128": FURTHER, "rc4": WARNING, "des": BAD}

SCHEME = {"kerberos": GOOD, "ntlm": WARNING, "sql": NEUTRAL, "other": UNKNOWN}

EXPECTED_HOLDER = {"true": ("yes", GOOD), "false": ("no", BAD), "unknown": UNKNOWN}

# Of gauges that are 0 or 1: the words and colours of both.
SUCCESS = {1: ("succeeded", GOOD), 0: ("failed", BAD)}
ANSWERS = {1: ("answers", GOOD), 0: ("does not answer", BAD)}
REACHABLE = {1: ("up", GOOD), 0: ("down", BAD)}
GRANTED = {1: ("granted", GOOD), 0: ("refused", BAD)}
ANSWERED = {1: ("answered", GOOD), 0: ("refused or absent", WARNING)}
ACTIVE = {1: ("answers", GOOD), 0: ("passive node", NEUTRAL)}
TCP = {1: ("enabled", GOOD), 0: ("disabled", WARNING)}
DYNAMIC = {1: ("dynamic", WARNING), 0: ("static", GOOD)}
PENDING = {1: ("restart pending", WARNING), 0: ("in force", GOOD)}
RELOADED = {1: ("loaded", GOOD), 0: ("not loaded", BAD)}
ALLOWED = {1: ("allowed", FURTHER), 0: ("not allowed", NEUTRAL)}
HELD = {1: ("yes", GOOD), 0: ("no", WARNING)}
