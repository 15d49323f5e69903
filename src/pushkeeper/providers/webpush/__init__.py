"""Web Push: any browser's push service, by RFC 8030, 8291 and 8292."""
