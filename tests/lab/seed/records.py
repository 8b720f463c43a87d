"""DNS records as directory objects (dnsNode, MS-DNSP 2.3): the running DC answers with them at once.

It does not speak DNS itself; what the DC answers is for dig to say.
"""
import ipaddress
import subprocess
import sys

import ldb
from samba.dcerpc import dnsp, security
from samba.ndr import ndr_pack
from samba.provision import sambadns

TIME_TO_LIVE = 900


def address(ip):
    make = sambadns.AAAARecord if ":" in ip else sambadns.ARecord
    return make(ip, ttl=TIME_TO_LIVE)


def cname(target):
    return sambadns.CNAMERecord(target.rstrip("."), ttl=TIME_TO_LIVE)


def srv(target, port, priority=0, weight=100):
    return sambadns.SRVRecord(target.rstrip("."), port, priority, weight, ttl=TIME_TO_LIVE)


def ptr(target):
    # sambadns has no class for PTR.
    record = dnsp.DnssrvRpcRecord()
    record.wType = dnsp.DNS_TYPE_PTR
    record.rank = dnsp.DNS_RANK_ZONE
    record.dwSerial = 1
    record.dwTtlSeconds = TIME_TO_LIVE
    record.data = target.rstrip(".")
    return record


def reverse_name(ip):
    return ipaddress.ip_address(ip).reverse_pointer


class Zones:
    """The zones of one DC's directory, both DNS partitions."""

    def __init__(self, db):
        self.db = db
        base = str(db.domain_dn())
        self.domain = f"CN=MicrosoftDNS,DC=DomainDnsZones,{base}"
        self.containers = [self.domain, f"CN=MicrosoftDNS,DC=ForestDnsZones,{base}"]

    def all(self):
        """Zone name to DN; the entry of the root hints is not a zone that answers."""
        found = {}
        for container in self.containers:
            for zone in self.db.search(base=container, scope=ldb.SCOPE_ONELEVEL, expression="(objectClass=dnsZone)", attrs=["dc"]):
                name = str(zone["dc"][0]).lower()
                if name not in ("rootdnsservers", "..trustanchors"):
                    found[name] = str(zone.dn)
        return found

    def nodes(self):
        for container in self.containers:
            yield from self.db.search(base=container, scope=ldb.SCOPE_SUBTREE, attrs=["dnsRecord"],
                                      expression="(&(objectClass=dnsNode)(dnsRecord=*))")

    def create(self, name, server, addresses=()):
        base = str(self.db.domain_dn())
        sambadns.add_domain_record(self.db, base, "DC=DomainDnsZones", name, security.dom_sid(self.db.get_domain_sid()),
                                   sambadns.get_dnsadmins_sid(self.db, base))
        self.db.add({"dn": f"DC=@,DC={name},{self.domain}", "objectClass": ["top", "dnsNode"], "dnsRecord": [
            ndr_pack(sambadns.SOARecord(server, f"hostmaster.{name}")), ndr_pack(sambadns.NSRecord(server)),
            *[ndr_pack(address(ip)) for ip in addresses]]})

    def zone_of(self, name):
        """The longest zone that holds the name, as (zone, its DN, node below it), or None."""
        labels = name.lower().rstrip(".").split(".")
        zones = self.all()
        for i in range(len(labels)):
            zone = ".".join(labels[i:])
            if zone in zones:
                return zone, zones[zone], ".".join(labels[:i]) or "@"
        return None

    def put(self, name, wanted):
        """Makes the name answer exactly the given records. Returns False if no zone holds it."""
        found = self.zone_of(name)
        if not found:
            return False
        _, zone_dn, node = found
        blobs = [ndr_pack(r) for r in wanted]
        dn = ldb.Dn(self.db, f"DC={ldb.binary_encode(node)},{zone_dn}")
        if self.db.search(base=zone_dn, scope=ldb.SCOPE_ONELEVEL, expression=f"(dc={ldb.binary_encode(node)})", attrs=["dc"]):
            message = ldb.Message(dn)
            message["dnsRecord"] = ldb.MessageElement(blobs, ldb.FLAG_MOD_REPLACE, "dnsRecord")
            message["dNSTombstoned"] = ldb.MessageElement([], ldb.FLAG_MOD_REPLACE, "dNSTombstoned")
            self.db.modify(message)
        else:
            self.db.add({"dn": dn, "objectClass": ["top", "dnsNode"], "dnsRecord": blobs})
        return True


RELOAD = """
import sys
import samba.param
from samba.dcerpc import irpc
from samba.messaging import Messaging
lp = samba.param.LoadParm()
lp.load(sys.argv[1])
messaging = Messaging(lp_ctx=lp)
irpc.irpc("irpc:dnssrv", lp).dnssrv_reload_dns_zones()
"""


def reload_zones(conf):
    """Tells the running DNS server to read its list of zones again; records it reads at each question anyway.

    In a process of its own, because a process can send to one server only, and Samba 4.17 crashes at the second message.
    """
    subprocess.run([sys.executable, "-c", RELOAD, conf], check=True)
