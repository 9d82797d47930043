"""What other tools keep beside an adapter's file: read, and written so that what they know and we do not stays."""
