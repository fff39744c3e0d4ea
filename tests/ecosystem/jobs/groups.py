"""`kafka-consumer-groups` and `kafka-groups`: groups of both protocols, offsets reset and deleted."""

from job import expect

LINES = 1000


def run(job):
    server = ["--bootstrap-server", job.bootstrap]

    def groups(*arguments, **more):
        return job.tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *server, *arguments, **more
        )

    job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", "jobs", "--partitions", 2)
    job.tool(
        "org.apache.kafka.tools.ConsoleProducer",
        *server,
        "--topic",
        "jobs",
        *("--reader-property", "parse.key=true", "--reader-property", "key.separator=:"),
        input="".join(f"{n}:{n}\n" for n in range(LINES)),
    )
    for protocol in ("classic", "consumer"):
        group = f"group-{protocol}"
        command = [
            *server,
            "--topic",
            "jobs",
            "--group",
            group,
            "--from-beginning",
            "--consumer-property",
            f"group.protocol={protocol}",
        ]
        with job.background("org.apache.kafka.tools.consumer.ConsoleConsumer", *command, name=group) as reader:
            job.until(
                "all lines are read",
                lambda: len(job.log(group).split()) >= LINES,  # noqa: B023
                log=group,
            )
            told = groups("--describe", "--group", group)
            expect("console-consumer" in told and "jobs" in told, "an active member", told)
            told = groups("--describe", "--group", group, "--members", "--verbose")
            expect("jobs(0,1)" in told or "jobs:0,1" in told, "a member with both partitions", told)
            told = groups("--describe", "--group", group, "--state")
            expect("Stable" in told, "a stable group", told)
            told = groups("--delete", "--group", group)
            expect("GroupNotEmptyException" in told or "is not empty" in told, "no deletion now", told)
            reader.stop()
        job.until(
            "the group is empty",
            lambda: "Empty" in groups("--describe", "--group", group, "--state"),  # noqa: B023
        )
        told = groups("--describe", "--group", group, "--offsets")
        committed = sum(int(line.split()[3]) for line in told.splitlines() if line.startswith(group))
        expect(committed == LINES, f"{LINES} committed in all", told)

        reset = ["--reset-offsets", "--group", group, "--topic", "jobs"]
        told = groups(*reset, "--to-earliest", "--dry-run")
        expect(offset_sum(told, group) == 0, "a plan to begin anew", told)
        groups(*reset, "--shift-by", -10, "--execute")
        told = groups("--describe", "--group", group, "--offsets")
        expect(offset_sum(told, group, 3) == LINES - 20, "ten fewer in each", told)
        groups(*reset, "--to-latest", "--execute")
        groups(*reset, "--to-datetime", "2020-01-01T00:00:00.000", "--execute")
        told = groups("--describe", "--group", group, "--offsets")
        expect(offset_sum(told, group, 3) == 0, "the beginning", told)
        told = groups("--delete-offsets", "--group", group, "--topic", "jobs:0")
        expect("jobs" in told and "Successful" in told, "one offset deleted", told)

    listed = groups("--list").split()
    expect({"group-classic", "group-consumer"} <= set(listed), "both groups", listed)
    told = groups("--list", "--state")
    expect("group-classic" in told and "Empty" in told, "their states", told)
    told = groups("--list", "--type")
    expect("group-classic" in told and "lassic" in told, "their types", told)
    told = job.tool("org.apache.kafka.tools.GroupsCommand", *server, "--list")
    expect("group-consumer" in told, "it among all groups", told)
    told = groups("--delete", "--group", "group-classic", "--group", "group-consumer")
    expect("successful" in told, "both deleted", told)
    told = groups("--describe", "--group", "group-classic")
    # With DescribeGroups 6 and from an older broker.
    expect("GroupIdNotFoundException" in told or "does not exist" in told, "no such group", told)


def offset_sum(told, group, column=3):
    return sum(int(line.split()[column]) for line in told.splitlines() if line.startswith(group))
