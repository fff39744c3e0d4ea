import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Apache Kafka's own admin client: topics made, described, and deleted. */
public final class Administer {
    private static final Map<String, String> CONFIGS =
        Map.of("retention.ms", "86400000", "message.timestamp.type", "LogAppendTime");

    public static void main(String[] args) throws Exception {
        if (!args[0].equals("--bootstrap")) {
            throw new IllegalArgumentException("--bootstrap HOST:PORT");
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[1]))) {
            run(admin);
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
