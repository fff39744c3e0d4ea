"""kafka-python: PLAIN, SCRAM, OAUTHBEARER and certificates of clients."""

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

try:
    from kafka.net.sasl.oauth import AbstractTokenProvider
except ImportError:  # Before version 3.
    from kafka.sasl.oauth import AbstractTokenProvider

from logins import check


class Token(AbstractTokenProvider):
    """Gives the token of a login."""

    def __init__(self, token):
        super().__init__()
        self.given = token

    def token(self):
        return self.given


def settings(login):
    config = {
        "bootstrap_servers": login["address"],
        "security_protocol": login["protocol"],
        "ssl_cafile": login["ca"],
    }
    if "certificate" in login:
        config["ssl_certfile"] = login["certificate"]
        config["ssl_keyfile"] = login["key"]
    if "mechanism" in login:
        config["sasl_mechanism"] = login["mechanism"]
    if "user" in login:
        config["sasl_plain_username"] = login["user"]
        config["sasl_plain_password"] = login["password"]
    if "token" in login:
        config["sasl_oauth_token_provider"] = Token(login["token"])
    # Version 3 tries a refused login again until this is over, 30 seconds if nothing is said.
    if "bootstrap_timeout_ms" in KafkaProducer.DEFAULT_CONFIG:
        config["bootstrap_timeout_ms"] = 5_000
    return config


def attempt(login):
    config = settings(login)
    producer = KafkaProducer(**config, max_block_ms=6_000, request_timeout_ms=8_000)
    try:
        sent = producer.send("logins", login["name"].encode(), partition=0).get(10)
    finally:
        producer.close(timeout=2)
    consumer = KafkaConsumer(**config, consumer_timeout_ms=10_000, group_id=None)
    partition = TopicPartition("logins", 0)
    consumer.assign([partition])
    consumer.seek(partition, sent.offset)
    try:
        return next(consumer).value
    finally:
        consumer.close()


check(attempt)
