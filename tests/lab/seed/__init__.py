"""What puts a scenario into a Samba DC: the file's format, directory objects, DNS records, the baseline to return to."""
