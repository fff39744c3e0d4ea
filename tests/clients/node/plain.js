'use strict'
// Plain JSON (described in ../python/plain.py) to what avsc encodes, walking an Avro schema.

const avsc = require('avsc')

// JavaScript's numbers end at 2^53; Avro's longs do not.
const LONG = avsc.types.LongType.__with({
  fromBuffer: (buffer) => buffer.readBigInt64LE(),
  toBuffer: (value) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value) => typeof value === 'bigint',
  compare: (a, b) => (a === b ? 0 : a < b ? -1 : 1),
})

const isLong = (schema) => schema === 'long' || schema.type === 'long'

function typeOf(schema) {
  return avsc.Type.forSchema(schema, { typeHook: (part) => (isLong(part) ? LONG : undefined) })
}

const DAY_MS = 86_400_000

const LOGICAL = {
  decimal: (text, schema) => twosComplement(BigInt(text.replace('.', '')), schema.size),
  uuid: (text) => text,
  date: (text) => Date.parse(text) / DAY_MS,
  'time-millis': (text) => Number(clockMicros(text) / 1000n),
  'time-micros': (text) => clockMicros(text),
  'timestamp-millis': (text) => epochMicros(text) / 1000n,
  'timestamp-micros': (text) => epochMicros(text),
  'local-timestamp-millis': (text) => epochMicros(text + 'Z') / 1000n,
  'local-timestamp-micros': (text) => epochMicros(text + 'Z'),
  duration: ({ months, days, millis }) => Buffer.from(Uint32Array.of(months, days, millis).buffer),
}

class Plain {
  constructor(schema) {
    this.schema = schema
    this.named = {}
  }

  toNative(value, schema = this.schema) {
    if (Array.isArray(schema)) return this.union(value, schema)
    if (typeof schema === 'string') schema = this.named[schema] ?? { type: schema }
    if (schema.name) this.named[schema.name] = schema
    if (schema.logicalType) return LOGICAL[schema.logicalType](value, schema)
    switch (schema.type) {
      case 'long':
        return BigInt(value)
      case 'float':
      case 'double':
        return Number(value)
      case 'bytes':
      case 'fixed':
        return Buffer.from(value, 'base64')
      case 'array':
        return value.map((item) => this.toNative(item, schema.items))
      case 'map':
        return mapValues(value, (item) => this.toNative(item, schema.values))
      case 'record':
        return Object.fromEntries(
          schema.fields.map(({ name, type }) => [name, this.toNative(value[name], type)])
        )
      default:
        return value
    }
  }

  // None of these unions is ambiguous to avsc, so a branch's value stands for itself.
  union(value, branches) {
    const others = branches.filter((branch) => branch !== 'null')
    if (value === null) return null
    if (others.length === 1) return this.toNative(value, others[0])
    const [[name, inner]] = Object.entries(value)
    return this.toNative(inner, name.split('.').at(-1))
  }
}

function mapValues(object, convert) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, convert(value)]))
}

function clockMicros(text) {
  const [hours, minutes, seconds, fraction] = text.split(/[:.]/)
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)
  return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
}

function epochMicros(text) {
  const [whole, fraction] = text.slice(0, -1).split('.')
  return BigInt(Date.parse(whole + 'Z')) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

// Big-endian two's complement: of a given size, or of as few bytes as hold it.
function twosComplement(value, size) {
  let bytes = size ?? 1
  while (size === undefined && value !== BigInt.asIntN(bytes * 8, value)) bytes += 1
  return Buffer.from(BigInt.asUintN(bytes * 8, value).toString(16).padStart(bytes * 2, '0'), 'hex')
}

module.exports = { Plain, typeOf }
