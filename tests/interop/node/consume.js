'use strict'
// kafkajs: all topics, by a group of one, committed records only. Writes the rows that
// ../python/rows.py describes.

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

const SECONDS_MAX = 60

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  decompress: (buffer) => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
})

async function main() {
  await zstd.init()
  const run = parseArgs({
    options: Object.fromEntries(
      ['bootstrap', 'topics', 'records', 'out'].map((name) => [name, { type: 'string' }])
    ),
  }).values
  const kafka = new Kafka({ brokers: [run.bootstrap], logLevel: logLevel.ERROR })
  // Reads what is committed only, unless it is told otherwise.
  const consumer = kafka.consumer({ groupId: 'interop-kafkajs', maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics: run.topics.split(','), fromBeginning: true })
  const rows = []
  await new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`${rows.length} of ${run.records} after ${SECONDS_MAX} s`)),
      SECONDS_MAX * 1000
    )
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
    consumer
      .run({
        eachMessage: async ({ topic, partition, message }) => {
          rows.push(toRow(topic, partition, message))
          if (rows.length === Number(run.records)) {
            clearTimeout(late)
            resolve()
          }
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  fs.writeFileSync(run.out, rows.map((row) => JSON.stringify(row) + '\n').join(''))
}

function toRow(topic, partition, message) {
  const headers = []
  for (const [name, values] of Object.entries(message.headers ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) headers.push([name, text(value)])
  }
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: text(message.key),
    headers,
    value: text(message.value),
  }
}

function text(bytes) {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('base64')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
