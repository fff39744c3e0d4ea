// Produce Avro with kafkajs and avsc, framed by hand. Run with:
//   npm install kafkajs avsc && node producer.mjs
import avro from 'avsc'
import { Kafka } from 'kafkajs'

const schema = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'customer', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'placed_at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'note', type: ['null', 'string'], default: null },
  ],
}

const registered = await fetch('http://localhost:8081/subjects/orders-value/versions', {
  method: 'POST',
  headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json' },
  body: JSON.stringify({ schema: JSON.stringify(schema) }),
})
if (!registered.ok) throw new Error(await registered.text())
const { id: schemaId } = await registered.json()

// Confluent's framing: a zero byte, the schema's id in four, and then the Avro value.
const type = avro.Type.forSchema(schema)
const frame = Buffer.alloc(5)
frame.writeUInt32BE(schemaId, 1)
const encode = (order) => Buffer.concat([frame, type.toBuffer(order)])

const producer = new Kafka({ brokers: ['localhost:9092'] }).producer()
await producer.connect()
const messages = ['Ada', 'Grace', 'Edsger'].map((customer, id) => ({
  key: customer,
  value: encode({ id, customer, amount: 19.5 * (id + 1), placed_at: Date.now(), note: null }),
}))
console.log(await producer.send({ topic: 'orders', messages }))
await producer.disconnect()
