#!/usr/bin/python3
"""Makes a two-way forest trust between two running local Samba DCs: trust.py SMB_CONF_A SMB_CONF_B [SMB_CONF_TWIN_OF_A]

It talks to each over its private ncalrpc socket as SYSTEM. `samba-tool domain trust create` cannot be used:
it needs the SMB service, which the lab does not run.
"""
import sys

import ldb
import samba
import samba.param
from samba import string_to_byte_array
from samba.auth import system_session
from samba.dcerpc import drsblobs, lsa
from samba.samdb import SamDB
from samba.trust_utils import CreateTrustedDomainRelax

AES128_AND_AES256 = 0x18  # MS-KILE 2.2.7
OBJECT_NAME_NOT_FOUND = 0xC0000034  # MS-ERREF 2.3.1


class Side:
    def __init__(self, conf):
        self.lp = samba.param.LoadParm()
        self.lp.load(conf)
        self.lsa = lsa.lsarpc(f"ncalrpc:{self.lp.get('netbios name')}[auth_type=ncalrpc_as_system]", self.lp, None)
        attributes = lsa.ObjectAttribute()
        attributes.sec_qos = lsa.QosInfo()
        self.policy = self.lsa.OpenPolicy2("", attributes, lsa.LSA_POLICY_VIEW_LOCAL_INFORMATION
                                           | lsa.LSA_POLICY_TRUST_ADMIN | lsa.LSA_POLICY_CREATE_SECRET)
        self.info = self.lsa.QueryInfoPolicy2(self.policy, lsa.LSA_POLICY_INFO_DNS)

    def forget(self, other):
        """Removes a trust of that name: LDAP refuses this, the local database does not."""
        db = SamDB(session_info=system_session(), lp=self.lp)
        for dn in (f"CN={other.info.dns_domain.string},CN=System,{db.domain_dn()}",
                   f"CN={other.info.name.string}$,CN=Users,{db.domain_dn()}"):
            try:
                db.delete(dn)
            except ldb.LdbError as error:
                if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                    raise

    def trust(self, other, incoming, outgoing):
        o = other.info
        trust = lsa.TrustDomainInfoInfoEx()
        trust.trust_type = lsa.LSA_TRUST_TYPE_UPLEVEL
        trust.trust_direction = lsa.LSA_TRUST_DIRECTION_INBOUND | lsa.LSA_TRUST_DIRECTION_OUTBOUND
        trust.trust_attributes = lsa.LSA_TRUST_ATTRIBUTE_FOREST_TRANSITIVE
        trust.domain_name.string = o.dns_domain.string
        trust.netbios_name.string = o.name.string
        trust.sid = o.sid
        handle = CreateTrustedDomainRelax(self.lsa, self.policy, trust, lsa.LSA_TRUSTED_DOMAIN_ALL_ACCESS,
                                          incoming, outgoing)
        types = lsa.TrustDomainInfoSupportedEncTypes()
        types.enc_types = AES128_AND_AES256
        self.lsa.SetInformationTrustedDomain(handle, lsa.LSA_TRUSTED_DOMAIN_SUPPORTED_ENCRYPTION_TYPES, types)
        now = samba.unix2nttime(samba.current_unix_time())
        top = lsa.ForestTrustRecord()
        top.flags, top.type, top.time = 0, lsa.LSA_FOREST_TRUST_TOP_LEVEL_NAME, now
        name = lsa.StringLarge()
        name.string = o.dns_domain.string
        top.forest_trust_data = name
        domain = lsa.ForestTrustRecord()
        domain.flags, domain.type, domain.time = 0, lsa.LSA_FOREST_TRUST_DOMAIN_INFO, now
        data = lsa.ForestTrustDomainInfo()
        data.domain_sid = o.sid
        data.dns_domain_name.string = o.dns_domain.string
        data.netbios_domain_name.string = o.name.string
        domain.forest_trust_data = data
        forest = lsa.ForestTrustInformation()
        forest.count, forest.entries = 2, [top, domain]
        try:
            self.lsa.lsaRSetForestTrustInformation(self.policy, o.dns_domain, lsa.LSA_FOREST_TRUST_DOMAIN_INFO, forest, 0)
        except samba.NTSTATUSError as error:
            # The data is committed by then; what is missing is a winbind to notify.
            if error.args[0] != OBJECT_NAME_NOT_FOUND:
                raise
        print(f"trust: {self.info.dns_domain.string} -> {o.dns_domain.string}", file=sys.stderr)


def random_secret():
    clear = drsblobs.AuthInfoClear()
    secret = string_to_byte_array(samba.generate_random_machine_password(120, 120).encode("utf-16-le"))
    clear.size = len(secret)  # before the bytes: the binding hands out only as many as size says
    clear.password = secret
    one = drsblobs.AuthenticationInformation()
    one.LastUpdateTime = samba.unix2nttime(samba.current_unix_time())
    one.AuthType = lsa.TRUST_AUTH_TYPE_CLEAR
    one.AuthInfo = clear
    current = drsblobs.AuthenticationInformationArray()
    current.count, current.array = 1, [one]
    blob = drsblobs.trustAuthInOutBlob()
    blob.count, blob.current = 1, current
    return blob


def main():
    a, b, *twins = (Side(conf) for conf in sys.argv[1:])
    one, two = random_secret(), random_secret()
    for side in (a, *twins):
        side.forget(b)
        side.trust(b, one, two)
    b.forget(a)
    b.trust(a, two, one)


if __name__ == "__main__":
    main()
