'use strict'
// kafkajs with avsc and hand-made framing: 0x00, the schema id, the Avro body.
//
// Reads a workload and writes the answers, as ../python/workload.py describes them. kafkajs brings
// gzip; the other codecs are plugged in from packages that need no compiler.

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')
const { Plain, typeOf } = require('./plain.js')

const MESSAGES_PER_REQUEST = 25

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
})

async function main() {
  await zstd.init()
  const run = parseArgs({
    options: Object.fromEntries(
      ['bootstrap', 'registry', 'topic', 'schema', 'workload', 'acks'].map((name) => [
        name,
        { type: 'string' },
      ])
    ),
  }).values
  const schemaText = fs.readFileSync(run.schema, 'utf8')
  const schemaId = await register(run, schemaText)
  const frame = framing(schemaId, schemaText)
  const kafka = new Kafka({ brokers: [run.bootstrap], logLevel: logLevel.ERROR })

  const answers = []
  for (const { settings, records } of batches(run.workload)) {
    const messages = records.map((record) => toMessage(record, frame))
    answers.push(...(await send(kafka, run.topic, settings, messages)))
  }
  const lines = answers.map((answer) => JSON.stringify({ schema_id: schemaId, ...answer }) + '\n')
  fs.writeFileSync(run.acks, lines.join(''))
}

async function register(run, schemaText) {
  const response = await fetch(`${run.registry}/subjects/${run.topic}-value/versions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: schemaText }),
  })
  if (!response.ok) throw new Error(`not registered: ${response.status} ${await response.text()}`)
  return (await response.json()).id
}

function framing(schemaId, schemaText) {
  const schema = JSON.parse(schemaText)
  const plain = new Plain(schema)
  const type = typeOf(schema)
  const header = Buffer.alloc(5)
  header.writeUInt32BE(schemaId, 1)
  return (value) => Buffer.concat([header, type.toBuffer(plain.toNative(value))])
}

function batches(workload) {
  const batches = []
  for (const line of fs.readFileSync(workload, 'utf8').trimEnd().split('\n')) {
    const parsed = JSON.parse(line)
    if (parsed.producer) batches.push({ settings: parsed.producer, records: [] })
    else batches.at(-1).records.push(parsed)
  }
  return batches
}

function toMessage(record, frame) {
  const headers = {}
  for (const [name, value] of record.headers) {
    ;(headers[name] ??= []).push(Buffer.from(value, 'base64'))
  }
  return {
    key: record.key === null ? null : Buffer.from(record.key, 'base64'),
    value: record.value === null ? null : frame(record.value),
    headers,
    ...(record.timestamp !== null && { timestamp: String(record.timestamp) }),
    ...(record.partition !== null && { partition: record.partition }),
  }
}

async function send(kafka, topic, settings, messages) {
  // kafkajs answers with a base offset for each partition: remember who went where.
  const partitionOf = new Map()
  const producer = kafka.producer({
    idempotent: settings.idempotent,
    ...(settings.transactional_id && { transactionalId: settings.transactional_id }),
    maxInFlightRequests: settings.in_flight,
    createPartitioner: () => {
      const partitioner = Partitioners.DefaultPartitioner()
      return (args) => {
        const partition = partitioner(args)
        partitionOf.set(args.message, partition)
        return partition
      }
    },
  })
  await producer.connect()
  const transaction = settings.transactional_id ? await producer.transaction() : null

  async function request(part) {
    const partitions = await (transaction ?? producer).send({
      topic,
      acks: settings.acks === 'all' ? -1 : Number(settings.acks),
      compression: CODECS[settings.codec],
      messages: part,
    })
    if (settings.acks === '0') {
      return part.map(() => ({ partition: null, offset: null, timestamp: null }))
    }
    const next = new Map(partitions.map((p) => [p.partition, Number(p.baseOffset)]))
    return part.map((message) => {
      const partition = partitionOf.get(message)
      const offset = next.get(partition)
      next.set(partition, offset + 1)
      return { partition, offset, timestamp: null }
    })
  }

  const answers = []
  if (settings.wait_each) {
    for (const message of messages) answers.push(...(await request([message])))
  } else {
    const parts = []
    while (messages.length) parts.push(messages.splice(0, MESSAGES_PER_REQUEST))
    answers.push(...(await Promise.all(parts.map(request))).flat())
  }
  await transaction?.commit()
  await producer.disconnect()
  return answers
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
