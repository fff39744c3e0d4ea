import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Apache Kafka's own admin client: topics made, described, changed, and deleted; records deleted. */
public final class Administer {
    private static final Map<String, String> CONFIGS =
        Map.of("retention.ms", "86400000", "message.timestamp.type", "LogAppendTime");

    public static void main(String[] args) throws Exception {
        if (!args[0].equals("--bootstrap")) {
            throw new IllegalArgumentException("--bootstrap HOST:PORT");
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[1]))) {
            run(admin);
            change(admin, args[1]);
        }
    }

    private static void run(Admin admin) throws Exception {
        List<NewTopic> made = List.of(new NewTopic("made", 4, (short) 1).configs(CONFIGS));
        admin.createTopics(List.of(new NewTopic("checked", 1, (short) 1)),
            new CreateTopicsOptions().validateOnly(true)).all().get();
        admin.createTopics(made).all().get();
        refused(TopicExistsException.class, admin.createTopics(made).all());
        List<NewTopic> defaults = List.of(new NewTopic("defaults", Optional.empty(), Optional.empty()));
        var created = admin.createTopics(defaults);
        check(created.numPartitions("defaults").get() == 3, "the default number of partitions");
        refused(InvalidTopicException.class,
            admin.createTopics(List.of(new NewTopic("no/slashes", 1, (short) 1))).all());

        var names = admin.listTopics().names().get();
        check(names.contains("made") && !names.contains("checked"), names);
        var description = admin.describeTopics(List.of("made")).allTopicNames().get().get("made");
        check(description.partitions().size() == 4, description);
        var id = TopicCollection.ofTopicIds(List.of(description.topicId()));
        var byId = admin.describeTopics(id).allTopicIds().get().get(description.topicId());
        check(byId.name().equals("made"), byId);
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "made");
        Config described = admin.describeConfigs(List.of(topic)).all().get().get(topic);
        for (var config : CONFIGS.entrySet()) {
            check(described.get(config.getKey()).value().equals(config.getValue()), described);
        }
        var cluster = admin.describeCluster();
        check(cluster.nodes().get().size() == 1 && cluster.clusterId().get() != null, "one node");

        admin.deleteTopics(List.of("defaults")).all().get();
        admin.deleteTopics(id).all().get();
        check(admin.listTopics().names().get().isEmpty(), "deleted, by name and by id");
        refused(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of("made")).all());
        refused(UnknownTopicIdException.class, admin.describeTopics(id).allTopicIds());
    }

    private static void change(Admin admin, String bootstrap) throws Exception {
        admin.createTopics(List.of(new NewTopic("changed", 1, (short) 1))).all().get();
        admin.createPartitions(Map.of("changed", NewPartitions.increaseTo(3))).all().get();
        var topic = admin.describeTopics(List.of("changed")).allTopicNames().get().get("changed");
        check(topic.partitions().size() == 3, topic);
        refused(InvalidPartitionsException.class,
            admin.createPartitions(Map.of("changed", NewPartitions.increaseTo(2))).all());

        var resource = new ConfigResource(ConfigResource.Type.TOPIC, "changed");
        alter(admin, resource, "retention.ms", "1000", AlterConfigOp.OpType.SET).get();
        check(config(admin, resource, "retention.ms").value().equals("1000"), "it is set");
        alter(admin, resource, "retention.ms", null, AlterConfigOp.OpType.DELETE).get();
        check(config(admin, resource, "retention.ms").isDefault(), "it has its default again");
        refused(InvalidConfigurationException.class,
            alter(admin, resource, "no.such.config", "1", AlterConfigOp.OpType.SET));

        TopicPartition last = new TopicPartition("changed", 2);
        String text = "org.apache.kafka.common.serialization.StringSerializer";
        try (var producer = new KafkaProducer<String, String>(Map.of("bootstrap.servers", bootstrap,
                "key.serializer", text, "value.serializer", text))) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>("changed", 2, "key", "value " + i)).get();
            }
        }
        long size = size(admin, last);
        check(size > 500 && size < 5000, size);
        var deleted = admin.deleteRecords(Map.of(last, RecordsToDelete.beforeOffset(7)));
        check(deleted.lowWatermarks().get(last).get().lowWatermark() == 7, "seven are gone");
        check(size(admin, last) < size, "and their bytes");
        refused(OffsetOutOfRangeException.class,
            admin.deleteRecords(Map.of(last, RecordsToDelete.beforeOffset(11))).all());

        var elected = admin.electLeaders(ElectionType.PREFERRED, Set.of(last)).partitions().get();
        check(elected.get(last).get() instanceof ElectionNotNeededException, elected);
        admin.alterPartitionReassignments(Map.of(last, reassignment(1))).all().get();
        refused(InvalidReplicaAssignmentException.class,
            admin.alterPartitionReassignments(Map.of(last, reassignment(2))).all());
        check(admin.listPartitionReassignments().reassignments().get().isEmpty(), "nothing moves");
        admin.deleteTopics(List.of("changed")).all().get();
    }

    private static Optional<NewPartitionReassignment> reassignment(int broker) {
        return Optional.of(new NewPartitionReassignment(List.of(broker)));
    }

    private static KafkaFuture<Void> alter(Admin admin, ConfigResource resource, String name,
            String value, AlterConfigOp.OpType operation) {
        var change = new AlterConfigOp(new ConfigEntry(name, value), operation);
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all();
    }

    private static ConfigEntry config(Admin admin, ConfigResource resource, String name)
            throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name);
    }

    private static long size(Admin admin, TopicPartition partition) throws Exception {
        var broker = admin.describeCluster().nodes().get().iterator().next().id();
        var dirs = admin.describeLogDirs(List.of(broker)).allDescriptions().get().get(broker);
        check(dirs.size() == 1, dirs);
        return dirs.values().iterator().next().replicaInfos().get(partition).size();
    }

    private static void refused(Class<? extends Exception> expected, KafkaFuture<?> answer)
            throws InterruptedException {
        try {
            answer.get();
        } catch (ExecutionException error) {
            check(expected.isInstance(error.getCause()), error);
            return;
        }
        throw new AssertionError("expected " + expected);
    }

    private static void check(boolean holds, Object shown) {
        if (!holds) {
            throw new AssertionError(shown);
        }
    }
}
