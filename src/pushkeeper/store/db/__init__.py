"""PostgreSQL itself: connections, transactions, migrations, and what keeps it in order."""
