"""One running DC's directory, opened as SYSTEM beside the server: its accounts, and the state to return to.

What the DC's own rules refuse (an SPN held twice, times in the past) is written into the partition's file,
below those rules; the server answers with it at once.
"""

import base64
import json
import os
import re
import time
import uuid

import ldb
import samba
import samba.param
from samba.auth import system_session
from samba.dcerpc import misc, security
from samba.ndr import ndr_pack, ndr_unpack
from samba.samdb import SamDB

from seed import records
from seed.format import Unsupported

ACCOUNT_PASSWORD = "Scen.ario-1"
# MS-ADTS 2.2.16
NORMAL_ACCOUNT, WORKSTATION_TRUST_ACCOUNT, DONT_EXPIRE_PASSWORD = 0x200, 0x1000, 0x10000
# msDS-User-Account-Control-Computed, MS-ADTS 3.1.1.4.5.17
LOCKOUT, PASSWORD_EXPIRED = 0x10, 0x800000
# 1 March 2024, as in the loopback peers: before any service start of a scenario, after the domain began to make AES keys.
PASSWORD_SET = 133537248000000000
DAY = 86400 * 10**7  # in FILETIME's 100 ns
NEVER = 0x7FFFFFFFFFFFFFFF
CLASSES = {
    "user": (["user"], NORMAL_ACCOUNT | DONT_EXPIRE_PASSWORD),
    "computer": (["computer"], WORKSTATION_TRUST_ACCOUNT),
    "gmsa": (["msDS-GroupManagedServiceAccount"], WORKSTATION_TRUST_ACCOUNT),
    "smsa": (["msDS-ManagedServiceAccount"], WORKSTATION_TRUST_ACCOUNT),
}
SIDS = {"objectsid", "sidhistory", "securityidentifier"}
DESCRIPTORS = {"ntsecuritydescriptor", "msds-allowedtoactonbehalfofotheridentity", "msds-groupmsamembership"}


class Directory:
    def __init__(self, conf):
        self.conf = conf
        self.lp = samba.param.LoadParm()
        self.lp.load(conf)
        private = self.lp.get("private dir")
        self.dns = self.lp.get("realm").lower()
        self.netbios = self.lp.get("workgroup").upper()
        self.db = SamDB(url=f"{private}/sam.ldb", session_info=system_session(self.lp), credentials=None, lp=self.lp)
        self.base = str(self.db.domain_dn())
        self.zones = records.Zones(self.db)
        # The partitions that a scenario or a test changes; each is a file of its own, named by its DN.
        self.partitions = {name: ldb.Ldb(f"{private}/sam.ldb.d/{name.upper()}.ldb") for name in (
            f"DC=DomainDnsZones,{self.base}", f"DC=ForestDnsZones,{self.base}", self.base)}
        self.baseline_file = f"{os.path.dirname(private)}/baseline.json"

    # ---- state

    def state(self):
        """Every object of the partitions as it is stored: DN to attribute to values."""
        everything = {}
        for name, raw in self.partitions.items():
            objects = everything[name] = {}
            for message in raw.search(scope=ldb.SCOPE_SUBTREE, expression="(distinguishedName=*)", attrs=["*"]):
                objects[str(message.dn)] = {key: sorted(bytes(v) for v in message[key])
                                            for key in message.keys() if key not in ("dn", "distinguishedName")}
        return everything

    def change(self, have, want):
        """Writes what differs between two states. Zones are read by the DNS server at its start only, so tell it."""
        zones = False
        for name, raw in self.partitions.items():
            old, new = have[name], want[name]
            raw.transaction_start()
            try:
                # Children are deleted before parents and added after them.
                for dn in sorted(old.keys() - new.keys(), key=lambda d: -d.count(",")):
                    raw.delete(ldb.Dn(raw, dn))
                    zones |= b"dnsZone" in old[dn].get("objectClass", [])
                for dn in sorted(new.keys() - old.keys(), key=lambda d: d.count(",")):
                    raw.add({"dn": ldb.Dn(raw, dn), **new[dn]})
                    zones |= b"dnsZone" in new[dn].get("objectClass", [])
                for dn in old.keys() & new.keys():
                    if old[dn] != new[dn]:
                        message = ldb.Message(ldb.Dn(raw, dn))
                        for key in old[dn].keys() | new[dn].keys():
                            if old[dn].get(key) != new[dn].get(key):
                                message[key] = ldb.MessageElement(new[dn].get(key, []), ldb.FLAG_MOD_REPLACE, key)
                        raw.modify(message)
            except BaseException:
                raw.transaction_cancel()
                raise
            raw.transaction_commit()
        if zones:
            records.reload_zones(self.conf)

    def remember(self):
        """Keeps the state of now as the one to return to, unless one is kept already. Returns it."""
        if os.path.exists(self.baseline_file):
            return
        text = {p: {dn: {k: [base64.b64encode(v).decode() for v in vs] for k, vs in a.items()} for dn, a in o.items()}
                for p, o in self.state().items()}
        with open(self.baseline_file + ".new", "w") as out:
            json.dump(text, out)
        os.rename(self.baseline_file + ".new", self.baseline_file)

    def restore(self):
        """Returns to the kept state: also what the DC or a test program wrote since (lockouts, logon times) is gone."""
        if not os.path.exists(self.baseline_file):
            return False
        with open(self.baseline_file) as text:
            want = {p: {dn: {k: [base64.b64decode(v) for v in vs] for k, vs in a.items()} for dn, a in o.items()}
                    for p, o in json.load(text).items()}
        self.change(self.state(), want)
        os.remove(self.baseline_file)
        return True

    def add_zone(self, name):
        """A new zone as a copy of the reverse zone, below the DC's rules, and the DNS server told of it.

        By the rules would be `Zones.create`, but with a server running that sends it a message from within this process,
        and Samba 4.17 crashes when a process does that twice, and can do it to one server only.
        """
        raw = self.partitions[f"DC=DomainDnsZones,{self.base}"]
        model, copy = f"DC=in-addr.arpa,{self.zones.domain}", f"DC={name},{self.zones.domain}"
        for node, own_name in (("", name), ("DC=@,", "@")):
            stored = raw.search(base=f"{node}{model}", scope=ldb.SCOPE_BASE, attrs=["*"])[0]
            values = {key: [bytes(v) for v in stored[key]] for key in stored.keys() if key not in ("dn", "distinguishedName")}
            values.update(dc=[own_name.encode()], name=[own_name.encode()], objectGUID=[uuid.uuid4().bytes])
            raw.add({"dn": ldb.Dn(raw, f"{node}{copy}"), **values})
        records.reload_zones(self.conf)

    # ---- accounts

    def add_account(self, account):
        """Adds it by the DC's own rules (SID, keys), without what those may refuse; `finish_account` writes the rest."""
        name, kind = account["name"], account["class"]
        if kind not in CLASSES:
            raise Unsupported(f"{name}: class {kind} is not in the schema of Samba 4.17")
        classes, control = CLASSES[kind]
        dn = ldb.Dn(self.db, f"CN=x,OU=Scenario,{self.base}")
        dn.set_component(0, "CN", name)  # escapes what a DN must not hold plainly
        entry = {"dn": dn, "objectClass": classes, "userAccountControl": str(control),
                 "sAMAccountName": name + ("" if kind == "user" else "$"),
                 "unicodePwd": f'"{ACCOUNT_PASSWORD}"'.encode("utf-16-le")}
        if kind == "user":
            entry["userPrincipalName"] = f"{name}@{self.dns}"
        if kind == "gmsa":
            entry["msDS-ManagedPasswordInterval"] = "30"
            entry["msDS-SupportedEncryptionTypes"] = "28"  # RC4, AES128, AES256: MS-KILE 2.2.7, as New-ADServiceAccount sets
        self.db.add(entry)
        return str(dn)

    def finish_account(self, dn, account):
        values = dict(account["attributes"])
        if account["dns"]:
            values["dNSHostName"] = [account["dns"]]
        if account["class"] == "gmsa" and "msDS-GroupMSAMembership" not in values:
            values["msDS-GroupMSAMembership"] = ["O:SYD:(A;;0xf01ff;;;DC)"]  # every computer of the domain may read the password
        if account["spns"]:
            values["servicePrincipalName"] = account["spns"] + values.pop("servicePrincipalName", [])
        control = CLASSES[account["class"]][1]
        for attribute, texts in self.stored(values, control).items():
            self.write(dn, attribute, texts)

    def stored(self, values, control):
        """Attributes that a DC computes cannot be stored: what they are computed from is stored instead."""
        lower = {name.lower() for name in values}
        now = samba.unix2nttime(int(time.time()))
        computed = int(pop(values, "msDS-User-Account-Control-Computed", ["0"])[0])
        if computed & LOCKOUT and "lockouttime" not in lower:
            values["lockoutTime"] = [str(now)]
        if computed & PASSWORD_EXPIRED and "pwdlastset" not in lower:
            values["pwdLastSet"] = [str(now - 400 * DAY)]
            values.setdefault("userAccountControl", [str(control & ~DONT_EXPIRE_PASSWORD)])
        if not computed & PASSWORD_EXPIRED and not lower & {"pwdlastset", "msds-userpasswordexpirytimecomputed"}:
            values["pwdLastSet"] = [str(PASSWORD_SET)]
        expiry = pop(values, "msDS-UserPasswordExpiryTimeComputed", None)
        if expiry and "pwdlastset" not in lower:
            expiry = int(expiry[0])
            if expiry == NEVER:
                control = int(pop(values, "userAccountControl", [str(control)])[0])
                values["userAccountControl"] = [str(control | DONT_EXPIRE_PASSWORD)]
            else:
                age = -int(self.db.search(base=self.base, scope=ldb.SCOPE_BASE, attrs=["maxPwdAge"])[0]["maxPwdAge"][0])
                values["pwdLastSet"] = [str(expiry - age if expiry else 0)]
                values.setdefault("userAccountControl", [str(control & ~DONT_EXPIRE_PASSWORD)])
        return values

    def write(self, dn, attribute, texts):
        """Replaces the attribute (an empty list removes it). Links and passwords go through the DC's rules, all else below them."""
        lower = attribute.lower()
        schema = self.db.search(base=self.db.get_schema_basedn(), scope=ldb.SCOPE_ONELEVEL, attrs=["linkID", "systemFlags"],
                                expression=f"(lDAPDisplayName={ldb.binary_encode(attribute)})")
        if not schema:
            raise Unsupported(f"{attribute}: not in the schema of Samba 4.17")
        if int(str(schema[0].get("systemFlags", [b"0"])[0])) & 0x4:  # FLAG_ATTR_IS_CONSTRUCTED, MS-ADTS 2.2.9
            raise Unsupported(f"{attribute}: computed by the DC, cannot be stored")
        values = [self.pack(lower, text) for text in texts]
        raw = self.db if "linkID" in schema[0] or lower == "unicodepwd" else next(
            raw for name, raw in self.partitions.items() if dn.lower().endswith(name.lower()))
        message = ldb.Message(ldb.Dn(raw, dn))
        message[attribute] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, attribute)
        raw.modify(message)

    def write_trust(self, partner, attributes):
        """What the domain says of its trust to the other one: `up` made it, and a scenario may have it told otherwise."""
        for attribute, text in attributes.items():
            self.write(f"CN={partner},CN=System,{self.base}", attribute, [text])

    def pack(self, lower, text):
        if lower in SIDS:
            return ndr_pack(security.dom_sid(text))
        if lower == "objectguid":
            return ndr_pack(misc.GUID(text))
        if lower in DESCRIPTORS:
            # {name} stands for the SID of an account that exists by now.
            text = re.sub(r"\{([^}]+)\}", lambda name: self.sid(self.find(name[1])), text)
            return ndr_pack(security.descriptor.from_sddl(text, security.dom_sid(self.db.get_domain_sid())))
        if lower == "unicodepwd":
            return f'"{text}"'.encode("utf-16-le")
        relative = re.fullmatch(r"now([+-][0-9]+)([dh])", text)
        if relative:  # a FILETIME so many days or hours from now
            return str(samba.unix2nttime(int(time.time())) + int(relative[1]) * (DAY if relative[2] == "d" else DAY // 24)).encode()
        return text.encode()

    def find(self, who):
        """A DN from a DN or a sAMAccountName, with or without the trailing $."""
        if "=" in who:
            return who
        name = ldb.binary_encode(who)
        found = self.db.search(base=self.base, scope=ldb.SCOPE_SUBTREE, attrs=["objectSid"],
                               expression=f"(|(sAMAccountName={name})(sAMAccountName={name}$))")
        if len(found) != 1:
            raise KeyError(f"{who}: {len(found)} accounts of that name in {self.dns}")
        return str(found[0].dn)

    def sid(self, dn):
        found = self.db.search(base=dn, scope=ldb.SCOPE_BASE, attrs=["objectSid"])[0]
        return str(ndr_unpack(security.dom_sid, found["objectSid"][0]))


def pop(values, name, default):
    for key in list(values):
        if key.lower() == name.lower():
            return values.pop(key)
    return default
