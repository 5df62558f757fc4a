"""One function per use case, called alike by the command line and by scripts. Nothing prints here."""
