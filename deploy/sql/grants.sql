-- Least rights for the exporter's login. Run as a sysadmin, in master. `mssql-kerberos-exporter queries` prints every
-- statement the exporter sends, with the right it needs and why. Every step is a comment: take away the leading -- of the
-- lines you want, and put the name of your login in place of krb_exporter.
USE master;
GO

-- 1. The login: one of the two. -------------------------------------------------------------------------------------

-- A SQL login (SQL Server must allow mixed mode). Choose your own password and put it into the file that
-- login.password_file names.
--   CREATE LOGIN [krb_exporter] WITH PASSWORD = N'<choose one>', CHECK_POLICY = ON, DEFAULT_DATABASE = master;

-- A Windows login: the account the exporter runs as, best a group managed service account, never SQL Server's own.
--   CREATE LOGIN [CORP\gmsa_krb_exp$] FROM WINDOWS WITH DEFAULT_DATABASE = master;

-- 2. SQL Server 2022 and later: two narrow rights instead of VIEW SERVER STATE. ---------------------------------------
--   GRANT VIEW SERVER PERFORMANCE STATE TO [krb_exporter];   -- connections, registry, start time
--   GRANT VIEW SERVER SECURITY STATE TO [krb_exporter];      -- listeners, service account, endpoints

-- 3. SQL Server 2014 to 2019. -------------------------------------------------------------------------------------------
--   GRANT VIEW SERVER STATE TO [krb_exporter];

-- 4. Optional: without one of these the statement is not sent, and what it would tell is "disabled", not unknown. --------
--   GRANT VIEW ANY DEFINITION TO [krb_exporter];             -- availability groups, listeners, routing URLs, linked
--                                                            -- servers; before 2022 endpoints too. It also shows the source of all code.
--   GRANT VIEW ANY ERROR LOG TO [krb_exporter];              -- 2022 and later: ports that did not come up and
--                                                            -- SPNs that were refused at start, the running account
-- 2014 to 2019, for the same (needs a user in master):
--   CREATE USER [krb_exporter] FOR LOGIN [krb_exporter];
--   GRANT EXECUTE ON xp_readerrorlog TO [krb_exporter];

-- Never: sysadmin, securityadmin, CONTROL SERVER, ##MS_ServerStateReader##, database users beyond the one above.
