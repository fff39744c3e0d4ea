'use strict'
// kafkajs's consumer in a group: the life that python/groups.py describes.

const assert = require('node:assert')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')
const { Kafka, logLevel } = require('kafkajs')

const [TOPIC, GROUP, PARTITIONS, ROUND, LIMIT_MS] = ['shared', 'readers', 3, 30, 25_000]

class Member {
  constructor(kafka) {
    // It meets its group at its heartbeats only.
    this.consumer = kafka.consumer({ groupId: GROUP, heartbeatInterval: 500 })
    this.assigned = []
    this.records = []
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.assigned = payload.memberAssignment[TOPIC] ?? []
    })
  }

  async start() {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        this.records.push({ partition, offset: Number(message.offset), text: String(message.value) })
      },
    })
    return this
  }

  async commit() {
    const next = new Map()
    for (const { partition, offset } of this.records) next.set(partition, offset + 1)
    const places = [...next].filter(([partition]) => this.assigned.includes(partition))
    await this.consumer.commitOffsets(
      places.map(([partition, offset]) => ({ topic: TOPIC, partition, offset: String(offset) })),
    )
  }

  async close() {
    await this.consumer.disconnect()
  }
}

async function main() {
  const { bootstrap, part } = parseArgs({
    options: { bootstrap: { type: 'string' }, part: { type: 'string' } },
  }).values
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()
  const produce = (round) => {
    const value = (_, index) => round * ROUND + index
    const numbers = Array.from({ length: ROUND }, value)
    const messages = numbers.map((n) => ({ value: String(n), partition: n % PARTITIONS }))
    return producer.send({ topic: TOPIC, messages })
  }
  await { before, after }[part](kafka, produce)
  await producer.disconnect()
}

async function before(kafka, produce) {
  await produce(0)
  const first = await new Member(kafka).start()
  await read(0, [first])
  await first.commit()

  const second = await new Member(kafka).start()
  await share([first, second])
  await produce(1)
  await read(1, [first, second])
  await first.commit()
  await second.commit()
  await second.close()
  await share([first])

  await produce(2)
  await read(2, [first])
  await first.commit()
  // Read by a member that leaves without a commit: the next one has to read it again.
  await produce(3)
  await read(3, [first])
  await first.close()

  const third = await new Member(kafka).start()
  await read(3, [third])
  await third.commit()
  await third.close()
}

async function after(kafka, produce) {
  const member = await new Member(kafka).start()
  await produce(4)
  // Of the rounds before nothing comes again.
  await read(4, [member])
  await member.close()
  const admin = kafka.admin()
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
  const each = String((4 * ROUND) / PARTITIONS)
  assert.deepEqual(partitions.map(({ offset }) => offset), Array(PARTITIONS).fill(each))
  await admin.disconnect()
}

// Waits until a whole round is read: each record once, by the owner of its partition.
async function read(round, members) {
  const seen = () => members.flatMap((member) => member.records.filter(({ text }) => of(text) >= round))
  const of = (text) => Math.floor(Number(text) / ROUND)
  await until(() => seen().length >= ROUND, () => seen().map(({ text }) => text))
  await sleep(500)
  const numbers = seen().map(({ text }) => Number(text)).sort((a, b) => a - b)
  assert.deepEqual(numbers, Array.from({ length: ROUND }, (_, index) => round * ROUND + index))
  for (const member of members) {
    for (const { partition, offset, text } of member.records.filter(({ text }) => of(text) === round)) {
      assert.equal(offset * PARTITIONS + partition, Number(text))
      assert.ok(member.assigned.includes(partition), `${text} came to a member without ${partition}`)
    }
    const others = member.records.filter(({ text }) => of(text) < round && !member.done?.has(text))
    assert.deepEqual(others, [], 'records of other rounds')
    member.done = new Set(member.records.map(({ text }) => text))
  }
}

// Waits until every partition has one owner, and every member some.
async function share(members) {
  const shares = () => members.map(({ assigned }) => assigned)
  const isShared = () =>
    shares().every((share) => share.length > 0) &&
    shares().flat().sort().join() === Array.from({ length: PARTITIONS }, (_, index) => index).join()
  await until(isShared, shares)
}

async function until(isDone, shown) {
  const deadline = Date.now() + LIMIT_MS
  while (!isDone()) {
    assert.ok(Date.now() < deadline, `not in ${LIMIT_MS} ms: ${JSON.stringify(shown())}`)
    await sleep(50)
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
