import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Kafka's own message classes between lines of JSON and sockets: any API, any version.
 *
 * <p>A line of standard input is an order, a line of standard output its outcome:
 *
 * <pre>
 * {"do": "ask", "address": "127.0.0.1:9092", "connection": "a", "api": "Metadata", "version": 12,
 *  "body": {"topics": []}}                          {"answer": {...}} or {"closed": true}
 * {"do": "send", ...}                               {"sent": true}; its answer is taken later, by
 * {"do": "receive", ...}                            {"answer": {...}}, {"closed": true}, {"silent": true}
 * {"do": "raw", "bytes": "00000004...", ...}        {"bytes": "..."}: a frame as it is, and the next one back
 * {"do": "close", ...}                              {"sent": true}
 * </pre>
 *
 * <p>A body need only have what matters: the rest gets the defaults of Kafka's definitions, and what the
 * version hasn't is left out. Records are written as {@link Records} says, and fetched ones so read.
 */
public final class Wire {
    private static final int SILENCE_MS_MAX = 8_000;
    private static final int FRAME_BYTES_MAX = 64 << 20;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, Connection> connections = new HashMap<>();

    public static void main(String[] args) throws Exception {
        var wire = new Wire();
        var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            JsonNode outcome;
            try {
                outcome = wire.carryOut(JSON.readTree(line));
            } catch (IOException | ReflectiveOperationException | RuntimeException e) {
                outcome = JsonNodeFactory.instance.objectNode().put("failed", e.toString());
            }
            System.out.println(JSON.writeValueAsString(outcome));
        }
    }

    private JsonNode carryOut(JsonNode order) throws IOException, ReflectiveOperationException {
        String address = order.get("address").asText();
        String name = address + " " + order.get("connection").asText();
        String what = order.get("do").asText();
        if (what.equals("close")) {
            close(name);
            return outcome("sent");
        }
        Connection connection = connections.get(name);
        if (connection == null) {
            connection = new Connection(address);
            connections.put(name, connection);
        }
        try {
            connection.socket.setSoTimeout(order.path("silence_ms").asInt(SILENCE_MS_MAX));
            switch (what) {
                case "ask" -> {
                    connection.send(order);
                    return connection.receive(order);
                }
                case "send" -> {
                    connection.send(order);
                    return outcome("sent");
                }
                case "receive" -> {
                    return connection.receive(order);
                }
                case "raw" -> {
                    connection.write(HexFormat.of().parseHex(order.get("bytes").asText()));
                    byte[] answer = connection.read();
                    return JsonNodeFactory.instance.objectNode().put("bytes", HexFormat.of().formatHex(answer));
                }
                default -> throw new IllegalArgumentException("no such order: " + what);
            }
        } catch (SocketTimeoutException e) {
            close(name); // Its answer, should it come, belongs to nobody.
            return outcome("silent");
        } catch (EOFException | java.net.SocketException e) {
            close(name);
            return outcome("closed");
        }
    }

    private void close(String name) throws IOException {
        Connection connection = connections.remove(name);
        if (connection != null) {
            connection.socket.close();
        }
    }

    private static ObjectNode outcome(String what) {
        return JsonNodeFactory.instance.objectNode().put(what, true);
    }

    /** One socket. */
    private static final class Connection {
        final Socket socket = new Socket();
        private int correlation;

        Connection(String address) throws IOException {
            int colon = address.lastIndexOf(':');
            int port = Integer.parseInt(address.substring(colon + 1));
            socket.setTcpNoDelay(true);
            socket.connect(new InetSocketAddress(address.substring(0, colon), port), SILENCE_MS_MAX);
        }

        void send(JsonNode order) throws IOException, ReflectiveOperationException {
            String api = order.get("api").asText();
            short version = (short) order.get("version").asInt();
            JsonNode body = Definitions.complete(api + "Request", version, order.get("body"));
            ApiMessage request = Messages.read(api + "Request", body, version);
            var type = ApiMessageType.fromApiKey(request.apiKey());
            var header =
                    new RequestHeaderData()
                            .setRequestApiKey(request.apiKey())
                            .setRequestApiVersion(version)
                            .setCorrelationId(++correlation)
                            .setClientId(order.path("client").asText("differential"));
            ByteBuffer head =
                    MessageUtil.toByteBufferAccessor(header, type.requestHeaderVersion(version)).buffer();
            ByteBuffer rest = MessageUtil.toByteBufferAccessor(request, version).buffer();
            ByteBuffer frame = ByteBuffer.allocate(head.remaining() + rest.remaining());
            frame.put(head).put(rest);
            write(frame.array());
        }

        void write(byte[] frame) throws IOException {
            var sized = ByteBuffer.allocate(4 + frame.length).putInt(frame.length).put(frame);
            socket.getOutputStream().write(sized.array());
        }

        byte[] read() throws IOException {
            var input = new DataInputStream(socket.getInputStream());
            int length = input.readInt();
            if (length < 0 || length > FRAME_BYTES_MAX) {
                throw new IOException("an answer of " + length + " bytes");
            }
            byte[] frame = new byte[length];
            input.readFully(frame);
            return frame;
        }

        JsonNode receive(JsonNode order) throws IOException, ReflectiveOperationException {
            String api = order.get("api").asText();
            short version = (short) order.get("version").asInt();
            byte[] frame = read();
            // An ApiVersions request of an unknown version is answered in version 0.
            short[] tried = api.equals("ApiVersions") && version != 0 ? new short[] {version, 0} : new short[] {version};
            RuntimeException first = null;
            for (short each : tried) {
                try {
                    return parse(api, each, frame);
                } catch (RuntimeException e) {
                    first = first == null ? e : first;
                }
            }
            return outcome("unreadable").put("bytes", HexFormat.of().formatHex(frame)).put("why", first.toString());
        }

        private JsonNode parse(String api, short version, byte[] frame) throws ReflectiveOperationException {
            ApiMessage response = Messages.empty(api + "Response");
            var type = ApiMessageType.fromApiKey(response.apiKey());
            var buffer = new ByteBufferAccessor(ByteBuffer.wrap(frame));
            new ResponseHeaderData(buffer, type.responseHeaderVersion(version));
            response.read(buffer, version);
            if (buffer.remaining() != 0) {
                throw new IllegalStateException(buffer.remaining() + " bytes behind the answer");
            }
            JsonNode answer = Messages.write(response, version);
            if (response instanceof FetchResponseData fetched) {
                Records.show(fetched, answer);
            }
            var outcome = JsonNodeFactory.instance.objectNode();
            outcome.set("answer", answer);
            return outcome;
        }
    }

    /** Kafka's generated classes, by name. */
    private static final class Messages {
        private static final String PACKAGE = "org.apache.kafka.common.message.";

        static ApiMessage empty(String name) throws ReflectiveOperationException {
            return (ApiMessage) Class.forName(PACKAGE + name + "Data").getConstructor().newInstance();
        }

        static ApiMessage read(String name, JsonNode body, short version) throws ReflectiveOperationException {
            return (ApiMessage)
                    Class.forName(PACKAGE + name + "DataJsonConverter")
                            .getMethod("read", JsonNode.class, short.class)
                            .invoke(null, body, version);
        }

        static JsonNode write(ApiMessage message, short version) throws ReflectiveOperationException {
            Class<?> type = message.getClass();
            return (JsonNode)
                    Class.forName(type.getName() + "JsonConverter")
                            .getMethod("write", type, short.class)
                            .invoke(null, message, version);
        }
    }
}
