#!/usr/bin/python3
"""Builds one Samba AD DC in a directory, offline: domain, certificates, the two lab accounts, DNS zones, keytabs.

Nothing runs when it is done; `up` starts it. It holds no SQL Server account and no MSSQLSvc name:
those are put into the running DC by `scenario`.

Only Debian's /usr/bin/python3 has the samba modules; another python in PATH does not.
"""
import argparse
import logging
import os
import subprocess
import sys

os.environ.setdefault("TDB_NO_FSYNC", "1")  # a crash costs a rebuild of a throw-away directory, an fsync costs 2 s
sys.dont_write_bytecode = True

import ldb
import samba
import samba.dckeytab  # noqa: F401  gives samba.net.Net its export_keytab
import samba.param
from samba import dsdb
from samba.auth import system_session
from samba.dcerpc import dnsp, misc
from samba.ndr import ndr_pack, ndr_unpack
from samba.net import Net
from samba.provision import FILL_FULL, provision, sambadns
from samba.samdb import SamDB

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from seed import records

NEVER_EXPIRES = 0x200 | 0x10000  # NORMAL_ACCOUNT | DONT_EXPIRE_PASSWORD, MS-ADTS 2.2.16
EXPORTER, EXPORTER_PASSWORD = "svc_exporter", "Ex.porter-1"
READER, READER_PASSWORD = "reader", "Rea.der-1234"  # an account that tests may lock


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", required=True)
    parser.add_argument("--realm", required=True)
    parser.add_argument("--netbios", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--ip", required=True)
    parser.add_argument("--twin", default="", help="HOST=IP of a second server started from the same snapshot")
    parser.add_argument("--neighbour", action="append", default=[], help="REALM=HOST=IP of a forest this DNS knows")
    parser.add_argument("--lockout", type=int, default=3, help="lockoutThreshold of the domain")
    parser.add_argument("--administrator-password", default="Passw0rd.Adm1n")
    given = parser.parse_args()
    given.realm, given.dns = given.realm.upper(), given.realm.lower()
    given.dir = os.path.abspath(given.dir)
    given.fqdn = f"{given.host}.{given.dns}"
    given.servers = [(given.fqdn, given.ip)]
    if given.twin:
        host, ip = given.twin.split("=")
        given.servers.append((f"{host}.{given.dns}", ip))
    given.neighbour = [n.split("=") for n in given.neighbour]
    return given


def write_smb_conf(a):
    d = a.dir
    for sub in ("etc", "private/tls", "state/ntp_signd", "cache", "run/ncalrpc", "log", "bind-dns"):
        os.makedirs(os.path.join(d, sub), exist_ok=True)
    with open(f"{d}/etc/smb.conf", "w") as out:
        # Every directory is named so that nothing is written outside of it. The prefix length of the interface
        # matters: a bare 127.x address or /32 is "no network interfaces found".
        out.write(f"""[global]
    netbios name = {a.host.upper()}
    workgroup = {a.netbios.upper()}
    realm = {a.realm}
    server role = active directory domain controller
    interfaces = {a.ip}/8
    bind interfaces only = yes
    server services = ldap, cldap, kdc, dns, rpc
    private dir = {d}/private
    lock dir = {d}
    state directory = {d}/state
    cache directory = {d}/cache
    binddns dir = {d}/bind-dns
    pid directory = {d}/run
    ncalrpc dir = {d}/run/ncalrpc
    winbindd socket directory = {d}/run/winbindd
    ntp signd socket directory = {d}/state/ntp_signd
    log file = {d}/log/log.%m
    logging = file
    load printers = no
    printing = bsd
    printcap name = /dev/null
    disable spoolss = yes
    dns forwarder =
    allow dns updates = nonsecure
    # No simple bind without TLS, as a hardened Windows DC; GSSAPI over TLS allowed with maxssf=0.
    ldap server require strong auth = allow_sasl_over_tls
    tls enabled = yes
    kccsrv:samba_kcc = false
[sysvol]
    path = {d}/state/sysvol
    read only = no
[netlogon]
    path = {d}/state/sysvol/{a.dns}/scripts
    read only = no
""")


def write_certificates(a):
    """An own CA, and a server certificate with DNS and IP names: Samba's own has none, and costs an RSA-4096 key."""
    tls = f"{a.dir}/private/tls"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", *new_key, "-days", "3650", "-subj", f"/CN=Lab CA {a.realm}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", f"{tls}/ca.key", "-out", f"{tls}/ca.pem")
    openssl("req", "-new", *new_key, "-subj", f"/CN={a.fqdn}", "-keyout", f"{tls}/key.pem", "-out", f"{tls}/csr.pem")
    names = [f"DNS:{host}" for host, _ in a.servers] + [f"IP:{ip}" for _, ip in a.servers] + [f"DNS:{a.dns}"]
    with open(f"{tls}/extensions", "w") as out:
        out.write(f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
                  "keyUsage=critical,digitalSignature\n")
    openssl("x509", "-req", "-in", f"{tls}/csr.pem", "-CA", f"{tls}/ca.pem", "-CAkey", f"{tls}/ca.key",
            "-CAcreateserial", "-days", "3650", "-extfile", f"{tls}/extensions", "-out", f"{tls}/cert.pem")
    os.chmod(f"{tls}/key.pem", 0o600)  # Samba refuses a key that others can read


def write_accounts(a, db, base):
    def modify(dn, flag, **values):
        message = ldb.Message(ldb.Dn(db, dn))
        for name, value in values.items():
            name = name.replace("_", "-")
            message[name] = ldb.MessageElement(value, flag, name)
        db.modify(message)

    # No automatic unlock: a lockout of a test stays until the test clears it.
    modify(base, ldb.FLAG_MOD_REPLACE, lockoutThreshold=str(a.lockout),
           lockoutDuration="-9223372036854775808", lockOutObservationWindow="-18000000000")
    for name, password in ((EXPORTER, EXPORTER_PASSWORD), (READER, READER_PASSWORD)):
        db.add({"dn": f"CN={name},CN=Users,{base}", "objectClass": "user", "sAMAccountName": name,
                "userPrincipalName": f"{name}@{a.dns}", "userAccountControl": str(NEVER_EXPIRES),
                "unicodePwd": f'"{password}"'.encode("utf-16-le")})
    # The snapshot may be older than the 42 days of the domain's maxPwdAge.
    modify(f"CN=Administrator,CN=Users,{base}", ldb.FLAG_MOD_REPLACE, userAccountControl=str(NEVER_EXPIRES))
    db.add({"dn": f"OU=Scenario,{base}", "objectClass": "organizationalUnit"})
    # The DC's own names: its dnsupdate service, which is not run here, would register them.
    settings = db.search(base=db.get_dsServiceName(), scope=ldb.SCOPE_BASE, attrs=["objectGUID"])[0]
    guid = ndr_unpack(misc.GUID, settings["objectGUID"][0])
    names = [f"ldap/{guid}._msdcs.{a.dns}", f"ldap/{a.host.upper()}", f"RestrictedKrbHost/{a.host.upper()}"]
    for host, _ in a.servers:
        names += [f"ldap/{host}", f"ldap/{host}/{a.dns}", f"GC/{host}/{a.dns}", f"RestrictedKrbHost/{host}"]
    for host, _ in a.servers[1:]:
        names += [f"HOST/{host}"]
    modify(f"CN={a.host.upper()},OU=Domain Controllers,{base}", ldb.FLAG_MOD_ADD, servicePrincipalName=names)


def date_aes_keys(samdb, base):
    """The group of RID 521 tells since when a domain makes AES keys. A domain of today would call every older password of a
    scenario one without: this one is as if it were of January 2020. The attribute is the DC's own, so below its rules."""
    raw = ldb.Ldb(f"{samdb}.d/{base.upper()}.ldb")
    message = ldb.Message(ldb.Dn(raw, f"CN=Read-only Domain Controllers,CN=Users,{base}"))
    message["whenCreated"] = ldb.MessageElement("20200115080000.0Z", ldb.FLAG_MOD_REPLACE, "whenCreated")
    raw.modify(message)


def write_dns(a, db):
    """Reverse zones for every address, the DC's PTR, the twin's records, and stub zones of neighbour forests."""
    zones = records.Zones(db)
    for name in ("in-addr.arpa", "ip6.arpa"):
        zones.create(name, a.fqdn)
    for realm, _, ip in a.neighbour:
        # Each DC registers its address at the name of its domain as well: LdapIpAddress, MS-ADTS 6.3.2.3.
        zones.create(realm.lower(), a.fqdn, [ip])
    for host, ip in a.servers:
        zones.put(records.reverse_name(ip), [records.ptr(host)])
    for realm, host, ip in a.neighbour:
        dns = realm.lower()
        target = f"{host}.{dns}"
        zones.put(target, [records.address(ip)])
        zones.put(records.reverse_name(ip), [records.ptr(target)])
        zones.put(f"_gc._tcp.{dns}", [records.srv(target, 3268)])
        for prefix in ("_ldap._tcp", "_ldap._tcp.dc._msdcs", "_ldap._tcp.pdc._msdcs"):
            zones.put(f"{prefix}.{dns}", [records.srv(target, 389)])
        zones.put(f"_ldap._tcp.gc._msdcs.{dns}", [records.srv(target, 3268)])
        for prefix in ("_kerberos._tcp", "_kerberos._udp", "_kerberos._tcp.dc._msdcs"):
            zones.put(f"{prefix}.{dns}", [records.srv(target, 88)])
    for host, ip in a.servers[1:]:
        zones.put(host, [records.address(ip)])
        for node in zones.nodes():
            have = [ndr_unpack(dnsp.DnssrvRpcRecord, blob) for blob in node["dnsRecord"]]
            more = [records.srv(host, r.data.wPort) for r in have
                    if r.wType == dnsp.DNS_TYPE_SRV and r.data.nameTarget.lower() == a.fqdn.lower()]
            if str(node.dn).lower().startswith(("dc=@,", "dc=gc,", "dc=domaindnszones,", "dc=forestdnszones,")):
                more += [records.address(ip) for r in have if r.wType == dnsp.DNS_TYPE_A and r.data == a.ip]
            if more:
                message = ldb.Message(node.dn)
                message["dnsRecord"] = ldb.MessageElement([ndr_pack(r) for r in more], ldb.FLAG_MOD_ADD, "dnsRecord")
                db.modify(message)


def write_client_files(a, lp):
    for account in (EXPORTER, "Administrator"):
        Net(None, lp).export_keytab(keytab=f"{a.dir}/{account}.keytab", principal=account)
    realms = {a.realm: [ip for _, ip in a.servers]}
    realms.update({realm.upper(): [ip] for realm, _, ip in a.neighbour})
    with open(f"{a.dir}/krb5.conf", "w") as out:
        out.write(f"[libdefaults]\n  default_realm = {a.realm}\n  dns_lookup_kdc = false\n  dns_lookup_realm = false\n"
                  "  rdns = false\n  dns_canonicalize_hostname = false\n[realms]\n")
        for realm, kdcs in realms.items():
            out.write(f"  {realm} = {{\n" + "".join(f"    kdc = {ip}\n" for ip in kdcs) + "  }\n")
        out.write("[domain_realm]\n" + "".join(f"  .{r.lower()} = {r}\n  {r.lower()} = {r}\n" for r in realms))
    with open(f"{a.dir}/resolv.conf", "w") as out:
        out.write("".join(f"nameserver {ip}\n" for _, ip in a.servers))
        out.write(f"search {a.dns}\noptions timeout:5 attempts:2\n")


def main():
    a = arguments()
    write_smb_conf(a)
    logger = logging.getLogger("provision")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.setLevel(logging.ERROR)
    lp = samba.param.LoadParm()
    lp.load(f"{a.dir}/etc/smb.conf")
    samba.set_debug_level(0)
    # skip_sysvolacl: samba-tool's own provisioning insists on file ACLs and so on one package more.
    made = provision(logger, system_session(), targetdir=a.dir, samdb_fill=FILL_FULL, realm=a.realm, domain=a.netbios,
                     hostname=a.host, hostip=a.ip, hostip6=None, adminpass=a.administrator_password,
                     dns_backend="SAMBA_INTERNAL", serverrole="dc", lp=lp, skip_sysvolacl=True, batch_mode=True,
                     dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2)
    write_certificates(a)
    db = SamDB(url=made.paths.samdb, session_info=system_session(), credentials=None, lp=lp)
    db.transaction_start()
    write_accounts(a, db, samba.dn_from_dns_name(a.dns))
    write_dns(a, db)
    db.transaction_commit()
    date_aes_keys(made.paths.samdb, samba.dn_from_dns_name(a.dns))
    write_client_files(a, lp)


if __name__ == "__main__":
    main()
