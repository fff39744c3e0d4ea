import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Apache Kafka's own clients, logging in by JAAS: what a login is, is said in `python/logins.py`. */
public final class Login {
    public static void main(String[] args) throws Exception {
        Path file = Path.of(args[List.of(args).indexOf("--logins") + 1]);
        for (JsonNode login : new ObjectMapper().readTree(file.toFile())) {
            String name = login.get("name").asText();
            Exception refused = null;
            try {
                attempt(login, name);
            } catch (Exception error) {
                refused = error;
            }
            if ((refused == null) != login.get("good").asBoolean()) {
                throw new IllegalStateException(name + (refused == null ? " is let in" : ""), refused);
            }
            System.out.println(name + (refused == null ? ": let in" : ": refused, " + refused));
        }
    }

    private static Map<String, Object> settings(JsonNode login) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", login.get("address").asText());
        settings.put("security.protocol", login.get("protocol").asText());
        settings.put("ssl.truststore.type", "PEM");
        settings.put("ssl.truststore.location", login.get("ca").asText());
        settings.put("max.block.ms", "8000");
        settings.put("request.timeout.ms", "6000");
        settings.put("delivery.timeout.ms", "8000");
        settings.put("default.api.timeout.ms", "8000");
        if (login.has("certificate")) {
            settings.put("ssl.keystore.type", "PEM");
            String chain = Files.readString(Path.of(login.get("certificate").asText()));
            settings.put("ssl.keystore.certificate.chain", chain);
            settings.put("ssl.keystore.key", Files.readString(Path.of(login.get("key").asText())));
        }
        if (login.has("user")) {
            String mechanism = login.get("mechanism").asText();
            String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
            settings.put("sasl.mechanism", mechanism);
            settings.put("sasl.jaas.config", "org.apache.kafka.common.security." + module
                + " required username=\"" + login.get("user").asText()
                + "\" password=\"" + login.get("password").asText() + "\";");
        }
        if (login.has("token")) {
            Path token = Files.createTempFile("token", ".jwt");
            token.toFile().deleteOnExit();
            Files.writeString(token, login.get("token").asText());
            String url = token.toUri().toString();
            System.setProperty("org.apache.kafka.sasl.oauthbearer.allowed.urls", url);
            System.setProperty("org.apache.kafka.sasl.oauthbearer.allowed.files", token.toString());
            settings.put("sasl.mechanism", "OAUTHBEARER");
            settings.put("sasl.oauthbearer.token.endpoint.url", url);
            settings.put("sasl.login.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler");
            settings.put("sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;");
        }
        return settings;
    }

    private static void attempt(JsonNode login, String name) throws Exception {
        long offset;
        Map<String, Object> settings = settings(login);
        settings.put("linger.ms", "0");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var sent = producer.send(new ProducerRecord<>("logins", 0, null, name));
            offset = sent.get(15, TimeUnit.SECONDS).offset();
        }
        Map<String, Object> reading = settings(login);
        try (var consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new StringDeserializer())) {
            var partition = new TopicPartition("logins", 0);
            consumer.assign(List.of(partition));
            consumer.seek(partition, offset);
            var records = consumer.poll(Duration.ofSeconds(10)).records(partition);
            if (records.isEmpty() || !records.get(0).value().equals(name)) {
                throw new IllegalStateException("it is not read back: " + records);
            }
        }
    }
}
