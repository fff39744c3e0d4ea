"""`kafka-configs`: of topics, of the broker, and client quotas."""

from job import expect


def run(job):
    server = ["--bootstrap-server", job.bootstrap]

    def configs(*arguments, **more):
        return job.tool("kafka.admin.ConfigCommand", *server, *arguments, **more)

    topic = ["--entity-type", "topics", "--entity-name", "settings"]
    job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", "settings")
    wanted = {
        "retention.ms": "3600000",
        "retention.bytes": "1073741824",
        "max.message.bytes": "2000000",
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "1000",
        "segment.bytes": "16777216",
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "zstd",
    }
    for key, value in wanted.items():
        configs(*topic, "--alter", "--add-config", f"{key}={value}")
    told = configs(*topic, "--describe")
    for key, value in wanted.items():
        expect(f"{key}={value}" in told, f"{key}={value}", told)
    told = configs(*topic, "--describe", "--all")
    for key in ("min.insync.replicas", "segment.ms", "flush.messages", "unclean.leader.election.enable"):
        expect(f"{key}=" in told, f"{key} among all", told)

    configs(*topic, "--alter", "--delete-config", "retention.ms,compression.type")
    told = configs(*topic, "--describe")
    expect("retention.ms" not in told and "retention.bytes=" in told, "two settings fewer", told)
    configs(*topic, "--alter", "--add-config", "cleanup.policy=[compact,delete]")
    told = configs(*topic, "--describe")
    expect("cleanup.policy=compact,delete" in told, "a list", told)

    for refused in ("no.such.setting=1", "retention.ms=soon", "cleanup.policy=burn", "segment.bytes=-5"):
        told = configs(*topic, "--alter", "--add-config", refused, fails=True)
        expect("InvalidConfigurationException" in told, f"{refused} to be refused", told)
    nowhere = ["--entity-type", "topics", "--entity-name", "nowhere"]
    told = configs(*nowhere, "--alter", "--add-config", "retention.ms=1", fails=True)
    expect("UnknownTopicOrPartition" in told or "does not exist" in told, "no such topic", told)

    told = configs("--entity-type", "brokers", "--entity-name", "1", "--describe", "--all")
    expect("log.retention" in told or "advertised.listeners" in told, "settings of the broker", told)

    quota = ["--entity-type", "clients", "--entity-name", "batch-job"]
    configs(*quota, "--alter", "--add-config", "producer_byte_rate=1048576,consumer_byte_rate=2097152")
    told = configs(*quota, "--describe")
    expect("producer_byte_rate=1048576" in told, "the quota", told)
    configs(*quota, "--alter", "--delete-config", "producer_byte_rate")
    told = configs(*quota, "--describe")
    expect("producer_byte_rate" not in told and "consumer_byte_rate=2097152" in told, "one quota left", told)
    configs("--entity-type", "users", "--entity-default", "--alter", "--add-config", "request_percentage=200")
    told = configs("--entity-type", "users", "--entity-default", "--describe")
    expect("request_percentage=200" in told, "the quota of every user", told)
