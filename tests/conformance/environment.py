"""What the server for foreign suites is told, as any server of ours is: by the environment."""

ADDRESS = "http://localhost:8000"
PORT = 8000
# `localhost` is one of these two, and which is tried first is the dialler's choice
HOSTS = ("127.0.0.1", "::1")

# of the server API, as the suites send it
API_KEY = "test-api-key"

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.conformance.settings",
    "DEBUG": "true",
    "SECRET_KEY": "a key for foreign suites alone, long enough to be taken seriously 0123456789",
    # the suites sign their tokens with this word, for people of whom we have no row
    "TOCSIN_TOKEN_SECRETS": "secret",
    "TOCSIN_TOKEN_STRANGERS": "true",
    "TOCSIN_PERSONAL_TOPIC": "true",
    # their tokens may be long expired: this is some thirty years
    "TOCSIN_TOKEN_LEEWAY_S": "1e9",
    # they do at full speed what no person does
    "TOCSIN_COMMANDS_PER_S": "10000",
    "TOCSIN_COMMANDS_BURST": "10000",
    "TOCSIN_PUBLISH_PER_S": "10000",
    "TOCSIN_PUBLISH_BURST": "10000",
    "TOCSIN_PRESENCE_PER_S": "10000",
    "TOCSIN_PRESENCE_BURST": "10000",
    "TOCSIN_RPC_PER_S": "10000",
    "TOCSIN_RPC_BURST": "10000",
    # and do not ask again where a busy machine kept Redis from answering at once
    "TOCSIN_BROKER_TIMEOUT_S": "2",
}
