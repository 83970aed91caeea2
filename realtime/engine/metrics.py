"""What is counted, for `/metrics`; every name is listed in docs/reference/metrics.md."""

from prometheus_client import Counter, Gauge

MOVED = Counter("tocsin_moved", "Publications numbered and appended to the log by this relay.")
DEAD_LETTERS = Counter("tocsin_dead_letters", "Publications of a namespace that is not declared.")
RESETS = Counter("tocsin_resets", "Namespaces begun anew after a TRUNCATE.")
TRIMMED = Counter("tocsin_trimmed", "Publications removed from the log by age, number or key.")
LEADING = Gauge("tocsin_relay_leading", "1 while this process leads.")
TAKEOVERS = Counter("tocsin_relay_takeovers", "Times this process began to lead.")
DATABASE_LOST = Counter("tocsin_relay_database_lost", "Times the relay lost the database.")
TRIGGERS_MISSING = Gauge("tocsin_triggers_missing", "Triggers missing at the relay's last look.")
DATABASE_SILENT = Counter("tocsin_database_silent", "Lines to PostgreSQL cut: no answer in time.")

BROKER_PUBLISHED = Counter("tocsin_broker_published", "Messages handed to Redis.")
BROKER_SKIPPED = Counter("tocsin_broker_skipped", "Messages not sent while Redis does not answer.")
BROKER_FAILED = Counter("tocsin_broker_failed", "Calls to Redis that failed or took too long.")
BROKER_REFUSED = Counter("tocsin_broker_refused", "Messages from Redis that nobody of us signed.")
BROKER_DROPPED = Counter("tocsin_broker_dropped", "Messages from Redis dropped unread: queue full.")
BROKER_HEALTHY = Gauge("tocsin_broker_healthy", "1 while what is sent to Redis comes back.")
PRESENCE_REFUSED = Counter("tocsin_presence_refused", "Clients in Redis that nobody of us signed.")
PRESENCE_TOO_LARGE = Counter("tocsin_presence_too_large", "Clients not shown: too much to say.")

CONNECTIONS = Gauge("tocsin_connections", "Live connections of this process.")
TOPICS = Gauge("tocsin_topics", "Topics that somebody in this process listens to.")
UNSUBSCRIBED = Counter("tocsin_unsubscribed", "Subscriptions ended by the server.", ["code"])
REPAIRED = Counter("tocsin_repaired", "Publications read from the log because Redis lost them.")
RETURNS_READ = Counter("tocsin_returns_read", "Readings of the log for all who came back.")
LOST_FEEDS = Counter("tocsin_lost_feeds", "Topics begun anew: the log did not continue them.")
RPC_FAILED = Counter("tocsin_rpc_failed", "Calls whose method raised or took too long.")
