'use strict'
// kafkajs's transactional producer, and its consumer by isolation level: the life that
// python/transactions.py describes.

const assert = require('node:assert')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')
const { Kafka, logLevel } = require('kafkajs')

const LIMIT_MS = 25_000
const KEPT = ['kept 0', 'kept 1', 'kept 2']
let groups = 0

const message = (text) => ({ value: text, partition: 0 })

async function producer(kafka, transactionalId) {
  const one = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
  await one.connect()
  return one
}

// The first so many values, and that no more come; and what the offsets are then.
async function read(kafka, topic, count, { committed = true, group } = {}) {
  const groupId = group ?? `reader-${process.pid}-${groups++}`
  const consumer = kafka.consumer({ groupId, readUncommitted: !committed, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const values = []
  const offsets = new Map()
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      values.push(String(message.value))
      offsets.set(partition, String(Number(message.offset) + 1))
    },
  })
  const deadline = Date.now() + LIMIT_MS
  while (values.length < count) {
    assert(Date.now() < deadline, `${topic}: ${values}`)
    await sleep(20)
  }
  await sleep(600)
  await consumer.disconnect()
  assert.strictEqual(values.length, count, `${topic}: ${values}`)
  const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset }))
  return { values, offsets: { consumerGroupId: groupId, topics: [{ topic, partitions }] } }
}

async function expect(kafka, topic, values, options) {
  const found = await read(kafka, topic, values.length, options)
  assert.deepStrictEqual(found.values, values)
}

async function commit(producer, topic, texts) {
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: texts.map(message) })
  await transaction.commit()
}

async function before(kafka) {
  const mover = await producer(kafka, 'mover')
  await commit(mover, 'source', KEPT)
  await expect(kafka, 'source', KEPT)

  let transaction = await mover.transaction()
  await transaction.send({ topic: 'source', messages: [message('never')] })
  await transaction.abort()
  await expect(kafka, 'source', KEPT)
  await expect(kafka, 'source', [...KEPT, 'never'], { committed: false })

  let moved = await read(kafka, 'source', 3, { group: 'movers' })
  transaction = await mover.transaction()
  const messages = moved.values.map((text) => message(text.toUpperCase()))
  await transaction.send({ topic: 'target', messages })
  await transaction.sendOffsets(moved.offsets)
  await transaction.commit()
  await expect(kafka, 'target', KEPT.map((text) => text.toUpperCase()))

  await commit(mover, 'source', ['kept 3'])
  moved = await read(kafka, 'source', 1, { group: 'movers' })
  assert.deepStrictEqual(moved.values, ['kept 3'])
  transaction = await mover.transaction()
  await transaction.send({ topic: 'target', messages: [message('not yet')] })
  await transaction.sendOffsets(moved.offsets)
  await transaction.abort()
  moved = await read(kafka, 'source', 1, { group: 'movers' })
  assert.deepStrictEqual(moved.values, ['kept 3'])

  transaction = await mover.transaction()
  await transaction.send({ topic: 'source', messages: [message('of a zombie')] })
  const second = await producer(kafka, 'mover')
  await commit(second, 'source', ['kept 4'])
  await assert.rejects(transaction.commit(), /epoch|fenced|Producer/)
  await expect(kafka, 'source', [...KEPT, 'kept 3', 'kept 4'])

  transaction = await second.transaction()
  await transaction.send({ topic: 'target', messages: [message('left open')] })
  await commit(await producer(kafka, 'other'), 'target', ['kept'])
  await expect(kafka, 'target', KEPT.map((text) => text.toUpperCase()))
}

async function after(kafka) {
  await expect(kafka, 'source', [...KEPT, 'kept 3', 'kept 4'])
  await commit(await producer(kafka, 'mover'), 'target', ['at last'])
  await expect(kafka, 'target', ['KEPT 0', 'KEPT 1', 'KEPT 2', 'kept', 'at last'])
  const { values } = await read(kafka, 'source', 2, { group: 'movers' })
  assert.deepStrictEqual(values, ['kept 3', 'kept 4'])
}

async function main() {
  const { bootstrap, part } = parseArgs({
    options: { bootstrap: { type: 'string' }, part: { type: 'string' } },
  }).values
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  await { before, after }[part](kafka)
  process.exit(0)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
