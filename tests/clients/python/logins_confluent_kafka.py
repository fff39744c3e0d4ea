"""confluent-kafka: PLAIN, SCRAM, OAUTHBEARER and certificates of clients."""

import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from logins import check


def settings(login):
    config = {
        "bootstrap.servers": login["address"],
        "security.protocol": login["protocol"],
        "ssl.ca.location": login["ca"],
    }
    if "certificate" in login:
        config["ssl.certificate.location"] = login["certificate"]
        config["ssl.key.location"] = login["key"]
    if "mechanism" in login:
        config["sasl.mechanism"] = login["mechanism"]
    if "user" in login:
        config["sasl.username"] = login["user"]
        config["sasl.password"] = login["password"]
    if "token" in login:
        # The function is asked whenever a token is needed: librdkafka logs in again by itself.
        config["oauth_cb"] = lambda _: (login["token"], time.time() + login["token_seconds"])
    return config


def attempt(login):
    config = settings(login)
    producer = Producer({**config, "message.timeout.ms": 6_000})
    told = []
    producer.produce("logins", login["name"].encode(), partition=0,
                     on_delivery=lambda error, message: told.append((error, message)))
    producer.flush(15)
    if not told or told[0][0] is not None:
        raise KafkaException(told[0][0] if told else "no answer")
    offset = told[0][1].offset()
    consumer = Consumer({**config, "group.id": "logins-confluent"})
    consumer.assign([TopicPartition("logins", 0, offset)])
    message = consumer.poll(15)
    consumer.close()
    return message.value()


check(attempt)
